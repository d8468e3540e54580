"""Ctrl-C and other interrupts in a third-party env: raised in the caller, with all envs freed."""

import asyncio
import signal
from typing import Any, ClassVar

import gymnasium
import jax
import pytest
import strangers

import headstart as hs
from headstart.core.counting import count_of
from headstart.core.errors import InputError
from headstart.core.train import enter_envs, init_loop_state, train_loop
from headstart.core.types import spec, stack
from headstart.learners.ppo import PPO
from headstart.protocol import transfer
from headstart.protocol.shift import shift
from headstart.tasks.host import host

TINY = PPO(num_steps=8, num_envs=2, num_epochs=1, batch_size=8, hidden=(4,))


class Interrupted(strangers.Clock):
    """Raises `what` at the `at`-th step of all instances."""

    what: ClassVar[Any] = None
    at: ClassVar[int] = 0
    closed: ClassVar[int] = 0

    def step(self, action: Any) -> Any:
        type(self).at -= 1
        if self.at == 0:
            raise self.what
        return super().step(action)

    def close(self) -> None:
        type(self).closed += 1


def interrupted() -> gymnasium.Env:
    return Interrupted(ends=6)


ENV = host(interrupted, horizon=8)


@pytest.fixture
def trained():
    Interrupted.at = 0
    return hs.train(TINY, hs.task(ENV), steps=16)


@pytest.mark.parametrize("what", [KeyboardInterrupt(), SystemExit(2), asyncio.CancelledError()], ids=repr)
def test_interrupt_is_raised_wherever_the_env_is_stepped_and_all_envs_are_freed(what, trained):
    study = {
        "train": (20, lambda: hs.train(TINY, hs.task(ENV), steps=64)),
        "evaluate": (5, lambda: hs.evaluate(trained, hs.task(ENV), episodes=2)),
        "shoot": (20, lambda: hs.transfer(trained, hs.task(ENV, power=2), steps=4, shots=[0, 2], eval_episodes=2)),
    }
    for at, ask in study.values():
        Interrupted.what, Interrupted.at = what, at
        with pytest.raises(type(what)) as error:
            ask()
        assert error.value is what
        assert ENV.pool.num_in_use == 0
    assert not ENV.pool.failures
    assert hs.evaluate(trained, hs.task(ENV), episodes=2).tolist() == [21.0, 21.0]


def test_other_programs_continue(trained):
    """A training whose caller is interrupted while it evaluates keeps its own envs."""
    tasks = stack([hs.task(ENV)])
    learner = TINY.learner(spec(tasks))
    run = enter_envs(learner, tasks, init_loop_state(learner, transfer.keys([0]).source))
    points: Any = train_loop(learner, tasks, run, 2, count_of(32), 2)
    next(points)
    Interrupted.what, Interrupted.at = KeyboardInterrupt(), 3
    with pytest.raises(KeyboardInterrupt):
        hs.evaluate(trained, hs.task(ENV), episodes=2)
    assert ENV.pool.num_in_use == 2
    next(points)
    points.close()
    assert ENV.pool.num_in_use == 0


def test_doctor_can_be_interrupted(trained):
    Interrupted.what, Interrupted.at = KeyboardInterrupt(), 40
    with pytest.raises(KeyboardInterrupt):
        shift(hs.task(ENV), hs.task(ENV, power=2), jax.random.key(0))
    assert ENV.pool.num_in_use == 0


def test_interrupted_study_marks_no_seed_as_failed(tmp_path):
    ask = lambda: hs.compare(
        ["scratch"],
        source=hs.task(ENV),
        target=hs.task(ENV, power=3),
        out=tmp_path,
        source_steps=16,
        target_steps=16,
        shots=[0],
        seeds=[0, 1],
        num_evals=1,
        eval_episodes=1,
        oracle=False,
        learner="ppo:hidden=4:num_steps=8:num_envs=2:batch_size=8:num_epochs=1",
    )
    for at in (1200, 40):  # in what is known of the shift, and in the rows
        Interrupted.what, Interrupted.at = KeyboardInterrupt(), at
        with pytest.raises(KeyboardInterrupt):
            ask()
        assert not list((tmp_path / "cells").rglob("*.json"))
    Interrupted.at = 0
    assert ask()["status"] == "done"
    records = [path.read_text() for path in (tmp_path / "cells").rglob("curve.json")]
    assert len(records) == 6
    assert all('"failed": null' in record for record in records)


def test_a_real_ctrl_c_and_a_second_one_while_envs_are_closed(monkeypatch, trained):
    monkeypatch.setattr(Interrupted, "step", lambda self, action: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(Interrupted, "close", lambda self: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        hs.evaluate(trained, hs.task(ENV), episodes=2)
    assert ENV.pool.num_in_use == 0


def test_an_error_that_cannot_be_read_is_a_failure_of_its_env(trained):
    class Shy(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no")

    Interrupted.what, Interrupted.at = Shy(), 3
    with pytest.raises(InputError, match="interrupted failed in step: Shy: its message cannot be read"):
        hs.evaluate(trained, hs.task(ENV), episodes=2)
