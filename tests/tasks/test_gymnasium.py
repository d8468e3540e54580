"""Tasks with Gymnasium's interface."""

import functools
import warnings
from typing import Any

import gymnasium
import numpy as np
import numpyro.distributions as dist
import pytest
from gymnasium.utils.env_checker import check_env

import headstart
from headstart.core.types import stack
from headstart.tasks import gymnasium as ours
from headstart.tasks.gymnasium import to_gymnasium
from headstart.tasks.strings import parse

TEXTS = [
    "CartPole-v1",
    "CartPole-v1@length=0.3..0.9,action_delay=1,observation_noise=0.1",
    "Pendulum-v1@mass=0.5..2,action_noise=0.2",
    "Hopper-v5",
    "Hopper-v5@torso_mass=3..9,action_delay=2,observation_noise=0.01",
    "Breakout-MinAtar@paddle_reach=1",
    "Seaquest-MinAtar",
]


@functools.cache
def made(text: str) -> Any:
    task = parse(text, physics="c")
    return to_gymnasium(task, "rgb_array" if task.env.drawable else None)


@pytest.mark.parametrize("text", TEXTS)
def test_passes_gymnasiums_own_check(text: str):
    with warnings.catch_warnings():
        # advice on spaces (infinite observations, actions beyond ±1), which are the originals' own
        warnings.filterwarnings(
            "ignore", ".*(Box observation space|Box action spaces|assigned a `spec`|alternative render modes).*"
        )
        check_env(made(text), skip_render_check=not made(text).metadata["render_modes"])


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "Hopper-v5"])
def test_has_gymnasiums_spaces_horizon_and_numbers(name: str):
    env, theirs = made(name), gymnasium.make(name)
    assert env.observation_space.shape == theirs.observation_space.shape
    assert env.action_space == theirs.action_space
    rng, theirs_inner = np.random.default_rng(0), theirs.unwrapped
    observations, _ = env.reset(seed=4)
    theirs.reset()
    if name == "Hopper-v5":
        theirs_inner.set_state(*env.unwrapped.physics_state())  # pyright: ignore[reportAttributeAccessIssue]
    else:
        state = (
            observations if name == "CartPole-v1" else [np.arctan2(observations[1], observations[0]), observations[2]]
        )
        theirs_inner.state = np.array(state, np.float64)  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(12):
        action = _drawn(env.action_space, rng)
        observations, reward, terminated, truncated, info = env.step(action)
        their_seen, their_reward, their_end, _, _ = theirs.step(action)
        np.testing.assert_allclose(observations, their_seen, rtol=1e-5, atol=1e-5)
        assert reward == pytest.approx(their_reward, rel=1e-5, abs=1e-5)
        assert sum(info["rewards"].values()) == pytest.approx(reward, rel=1e-5)
        assert (terminated, truncated) == (their_end, False)
        if terminated:
            break


def _drawn(space: gymnasium.Space, rng: np.random.Generator) -> Any:
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(rng.integers(space.n))
    assert isinstance(space, gymnasium.spaces.Box)
    return rng.uniform(space.low, space.high).astype(np.float32)


def test_truncates_at_the_horizon_without_termination():
    env = made("Pendulum-v1")
    env.reset(seed=0)
    ends = [env.step(np.zeros(1, np.float32))[2:4] for _ in range(200)]
    assert ends == [(False, False)] * 199 + [(False, True)]


def test_each_reset_draws_and_a_seed_repeats():
    env = to_gymnasium(headstart.task("Pendulum-v1", mass=dist.Uniform(0.5, 2.0), length=0.7))
    first = [env.reset(seed=1), env.reset(), env.reset()]
    masses = [info["params"]["mass"] for _, info in first]
    assert len(set(masses)) == 3
    assert all(0.5 <= mass <= 2.0 for mass in masses)
    assert [info["params"]["length"] for _, info in first] == pytest.approx([0.7] * 3)
    repeated = [env.reset(seed=1), env.reset(), env.reset()]
    for (obs, info), (obs_again, info_again) in zip(first, repeated, strict=True):
        np.testing.assert_array_equal(obs, obs_again)
        assert info == info_again


def test_reward_is_weighted_and_its_parts_are_in_info():
    env = to_gymnasium(headstart.task("Hopper-v5", physics="c", w=[1.0, 0.0, 2.0]))
    names = env.task.env.cumulant_names
    _, info = env.reset(seed=0)
    assert info["rewards"] == dict.fromkeys(names, 0.0)
    _, reward, _, _, info = env.step(np.array([0.5, -0.5, 0.2], np.float32))
    parts = [info["rewards"][name] for name in names]
    assert reward == pytest.approx(parts[0] + 2.0 * parts[2], rel=1e-5)


@pytest.mark.parametrize("text", ["Hopper-v5", "Hopper-v5@action_delay=2"])
def test_physics_state_is_mujocos_in_float64(text: str):
    env = made(text)
    env.reset(seed=0)
    qpos, qvel = env.unwrapped.physics_state()
    assert (qpos.dtype, qvel.dtype) == (np.float64, np.float64)
    assert (qpos.shape, qvel.shape) == ((6,), (6,))
    env.step(np.ones(3, np.float32))
    obs = env.step(np.ones(3, np.float32))[0]
    qpos, qvel = env.unwrapped.physics_state()
    np.testing.assert_allclose(obs, np.concatenate([qpos[1:], np.clip(qvel, -10, 10)]), rtol=1e-6)


def test_values_share_one_compiled_step():
    compiled: Any = ours._step
    before = compiled._cache_size()
    for mass in (0.9, 1.1, 1.3):
        env = to_gymnasium(headstart.task("Pendulum-v1", mass=mass, gravity=9.0))
        env.reset(seed=0)
        env.step(np.zeros(1, np.float32))
    assert compiled._cache_size() == before + 1


def test_invalid_actions_and_calls_are_refused():
    fresh = to_gymnasium(parse("CartPole-v1"))
    with pytest.raises(ValueError, match=r"call reset\(\) before step"):
        fresh.step(0)
    fresh.reset(seed=0)
    with pytest.raises(ValueError, match="CartPole-v1 cannot do 2"):
        fresh.step(2)
    with pytest.raises(ValueError, match="no qpos and qvel"):
        fresh.physics_state()
    with pytest.raises(ValueError, match="several tasks, stacked"):
        to_gymnasium(stack([parse("CartPole-v1"), parse("CartPole-v1")]))
    pendulum = made("Pendulum-v1")
    pendulum.reset(seed=0)
    with pytest.raises(ValueError, match="Pendulum-v1 cannot do"):
        pendulum.step(np.zeros(2, np.float32))
