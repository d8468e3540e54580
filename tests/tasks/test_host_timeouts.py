"""An env that hangs fails with its name, affects no other, and does not keep the process from ending."""

import signal
import threading
from typing import Any, ClassVar

import gymnasium
import pytest
import strangers

import headstart as hs
from headstart.core.errors import InputError
from headstart.learners.ppo import PPO
from headstart.tasks.host import host
from headstart.tasks.host.timeouts import Caller, call_timeout

TINY = PPO(num_steps=8, num_envs=2, num_epochs=1, batch_size=8, hidden=(4,))


class Hangs(strangers.Clock):
    """Hangs in `where` of the `at`-th instance, until `let_go` is set."""

    where: ClassVar[str] = ""
    at: ClassVar[int] = 1
    made: ClassVar[list[Any]] = []
    let_go: ClassVar[threading.Event] = threading.Event()

    def __init__(self):
        super().__init__(ends=6)
        self.made.append(self)

    def _hang(self, where: str) -> None:
        if self.where == where and len(self.made) > self.at and self.made[self.at] is self:
            self.let_go.wait()

    def reset(self, **how: Any) -> Any:
        self._hang("reset")
        return super().reset(**how)

    def step(self, action: Any) -> Any:
        self._hang("step")
        return super().step(action)


def hangs() -> gymnasium.Env:
    return Hangs()


@pytest.fixture(scope="module")
def trained() -> Any:
    return hs.train(TINY, hs.task(host(hangs, horizon=8)), steps=16, step_timeout=60)


@pytest.fixture(autouse=True)
def let_go():
    yield
    Hangs.where = ""
    Hangs.let_go.set()
    Hangs.let_go.clear()


@pytest.mark.parametrize("where", ["step", "reset"])
def test_an_env_that_hangs_is_named_and_the_others_continue(where, trained):
    env = host(hangs, horizon=8)
    Hangs.where, Hangs.at = where, len(Hangs.made) - 2  # of the two that were played
    with pytest.raises(InputError, match=rf"^hangs failed in {where}: it did not return within 0.2 s\.$"):
        hs.evaluate(trained, hs.task(env), episodes=2, step_timeout=0.2)
    Hangs.where = ""
    assert env.pool.num_in_use == 0
    assert hs.evaluate(trained, hs.task(env), episodes=2, step_timeout=60).tolist() == [21.0, 21.0]
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "headstart env")


def test_env_that_hangs_before_it_is_used_is_refused():
    def lazy() -> gymnasium.Env:
        return Hangs()

    Hangs.where, Hangs.at = "reset", len(Hangs.made)
    with (
        pytest.raises(InputError, match=r"^lazy hangs before its first episode: it did not return within 0\.1 s"),
        call_timeout(0.1),
    ):
        host(lazy, horizon=8)


def test_without_a_timeout_calls_are_in_this_thread():
    caller, here = Caller(), threading.get_ident()
    assert caller.call(threading.get_ident) == here
    with call_timeout(5):
        there = caller.call(threading.get_ident)
        assert there != here
        assert caller.call(threading.get_ident) == there
        with call_timeout(None):
            assert caller.call(threading.get_ident) == there
    assert caller.call(threading.get_ident) == here


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_errors_of_the_thread_are_raised_in_the_caller(error):
    def fails() -> None:
        raise error

    with pytest.raises(type(error)) as caught, call_timeout(5):
        Caller().call(fails)
    assert caught.value is error


def test_ctrl_c_while_waiting_leaves_the_call_behind():
    caller, event = Caller(), threading.Event()
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with call_timeout(60):
        with pytest.raises(KeyboardInterrupt):
            caller.call(event.wait)
        assert caller.hung
        event.set()
        assert caller.call(int) == 0
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_invalid_timeout_is_refused(seconds, trained):
    with pytest.raises(InputError, match=r"step_timeout=.* is not a duration"):
        hs.evaluate(trained, hs.task(host(hangs, horizon=8)), step_timeout=seconds)


def test_every_public_call_clears_memory(monkeypatch, trained, tmp_path):
    calls = []
    monkeypatch.setattr("headstart.lab.call_guard.free_memory", lambda: calls.append(1))
    task = hs.task(host(hangs, horizon=8))
    hs.train(TINY, task, steps=16)
    hs.evaluate(trained, task, episodes=2)
    with pytest.raises(InputError):
        hs.transfer(trained, task, steps=0)
    with pytest.raises(InputError):
        hs.play(trained, task, tmp_path / "clip.txt")
    assert len(calls) == 4
