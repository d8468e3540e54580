"""An env that breaks ends its own row with a message, and no other."""

from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import strangers

import headstart as hs
from headstart.core.episode import reset, step
from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.types import stack
from headstart.lab.study import source_training
from headstart.lab.study.runner import run_row
from headstart.lab.study.study import Study
from headstart.lab.watch.progress_event import ignore
from headstart.learners.ppo import PPO
from headstart.protocol.shift import shift
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.host import HostEnv, host

TINY = PPO(num_steps=8, num_envs=2, num_epochs=1, batch_size=8, hidden=(4,))
FELL = "failed in step: RuntimeError: the gripper fell off"


def fine() -> gymnasium.Env:
    return strangers.Clock()


def named(factory: Callable[[], gymnasium.Env], name: str) -> Callable[[], gymnasium.Env]:
    factory.__name__ = name
    return factory


def pulled(env: HostEnv, rows: int, steps: int) -> list[Any]:
    """Returns what the pool returns at each step, from the start on."""
    pool = env.pool
    out = [pool.start((), 1, np.arange(rows, dtype=np.int32), np.zeros((rows, 0), np.float32))]
    for _ in range(steps):
        out.append(pool.step(1, out[-1].handle, out[-1].calls, np.zeros(rows, np.int32)))
    pool.release(1, out[-1].handle)
    return out


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (strangers.raises, "breaks failed in step: RuntimeError: the gripper fell off"),
        (strangers.shows_nan, "breaks failed in step: its observation is not finite"),
        (strangers.shows_less, r"breaks failed in step: its observation has shape (2,) instead of its space's (3,)"),
        (strangers.pays_nan, "breaks failed in step: its reward is nan"),
        (strangers.pays_twice, "breaks failed in step: its reward has shape (2,) instead of being one number"),
        (lambda env: 5, "breaks failed in step: TypeError: cannot unpack non-iterable int object"),
    ],
)
def test_failed_rows_are_nan_with_a_message(how: Callable[[strangers.Clock], Any], sentence: str):
    env = host(named(strangers.broken(2, how), "breaks"), horizon=9)
    rewards = np.array([out.reward for out in pulled(env, 3, 5)]).T
    np.testing.assert_array_equal(rewards[[0, 2]], [[0, 1, 2, 3, 4, 5]] * 2)
    np.testing.assert_array_equal(rewards[1], [0, 1, 2, np.nan, np.nan, np.nan])
    assert env.pool.num_envs == 2  # what broke is thrown away
    assert env.pop_failures() == {1: sentence}
    assert env.pop_failures() == {}


class Picky(strangers.Clock):
    def __init__(self, gravity: float = 10.0):
        if gravity < 0:
            raise ValueError("gravity is not to point upwards.")
        super().__init__(gravity)


def test_refused_parameters_are_failures_of_the_env():
    env = host(Picky, horizon=9)
    pool, names = env.pool, ("gravity",)
    out = pool.start(names, 1, np.arange(2, dtype=np.int32), np.array([[-7.0], [7.0]], np.float32))
    assert np.isnan(out.obs).all(1).tolist() == [True, False]
    pool.release(1, out.handle)
    reason = "Picky cannot be made: gravity is not to point upwards"
    assert env.pop_failures() == {0: f"Picky failed in setting its parameters: {reason}"}
    with pytest.raises(InputError, match=rf"^Picky does not take gravity=-7: {reason}\.$"):
        hs.task(env, gravity=-7.0)


def test_invalid_action_is_not_a_failure_of_the_env():
    env = host("MountainCarContinuous-v0")
    task = probes.one(env)

    @jax.jit
    def play(key):
        return step(task, reset(task, key), jnp.full(1, jnp.nan), key)[1]

    assert bool(jnp.isnan(play(jax.random.key(0)).reward))
    assert not env.pop_failures()


def test_evaluation_fails_in_one_seed():
    env = host(strangers.broken(2, strangers.raises), horizon=5)
    tasks, agent = stack([probes.one(env)]), probes.player(probes.left)
    returns = evaluate(agent, {}, tasks, 2, probes.keys(2))[:, 0]
    assert np.isnan(returns).tolist() == [[False, True], [False, False]]
    assert list(env.pop_failures()) == [0]
    assert (env.pool.num_envs, env.pool.num_in_use) == (3, 0)


def test_study_records_the_message_of_the_env(tmp_path):
    entry: Any = strangers.broken(1, strangers.raises)
    gymnasium.register("strangers/Breaks-v0", entry, max_episode_steps=5)
    try:
        config = StudyConfig(
            "strangers/Breaks-v0", "strangers/Breaks-v0@level=3", ("naive",), seeds=(0, 1), eval_episodes=2
        )
        study = Study(config, tmp_path, ignore)
        run_row(study, *study.rows[0])
        cells = study.cells()["random"]
        assert cells[0]["failed"] == f"strangers/Breaks-v0 {FELL}"
        assert cells[1]["failed"] is None
    finally:
        del gymnasium.registry["strangers/Breaks-v0"]


def test_training_fails_in_one_seed_and_the_other_transfers(tmp_path):
    env = host(named(strangers.broken(4, strangers.raises), "breaks"), horizon=6)
    where = source_training.SourceTasks(stack([hs.task(env)]), "breaks", (), 32, "auto")
    source = source_training.train_source(tmp_path, "row", TINY, where, [3, 8], ignore, 0.0)
    assert source.failed_seeds == [8]
    assert source.curves[8]["failed"] == f"breaks {FELL}"
    assert source.curves[3]["failed"] is None
    trained = hs.load(next(tmp_path.rglob("seed-3")))
    assert trained.gradient_steps == 4
    target = host(fine, horizon=6)
    moved = hs.transfer(trained, hs.task(target, level=3.0), steps=6, shots=[0, 1], eval_episodes=2)
    assert moved.shots == {0: 21.0, 1: 21.0}  # 1 + … + 6, whoever acts
    assert (moved.episodes.tolist(), moved.steps.tolist()) == ([0.0, 1.0], [0.0, 6.0])
    assert moved.trained.gradient_steps > 4
    assert (env.pool.num_in_use, target.pool.num_in_use) == (0, 0)
    bad = hs.task(host(named(strangers.broken(1, strangers.raises), "breaks"), horizon=6))
    with pytest.raises(InputError, match=rf"^breaks {FELL}\.$"):
        hs.evaluate(trained, bad, episodes=2)


def test_doctor_steps_both_tasks_side_by_side():
    env = host(fine, horizon=20)
    key = jax.random.key(0)
    same = shift(hs.task(env, level=2.0), hs.task(env), key)
    assert (same.differs, tuple(same.combined)) == (False, (0.0,) * 5)
    other = shift(hs.task(env), hs.task(env, level=3.0), key)
    assert other.differs
    assert other.combined.initial == pytest.approx(np.sqrt(1 / 3))  # one of three numbers, by 1
    assert other.combined.reward == 0.0
    assert env.pool.num_in_use == 0


def test_doctor_reports_a_failed_env():
    env = host(named(strangers.broken(2, strangers.raises), "breaks"), horizon=6)
    with pytest.raises(InputError, match=rf"^breaks {FELL}\.$"):
        shift(hs.task(env, level=3.0), hs.task(env), jax.random.key(0))
    assert env.pool.num_in_use == 0
