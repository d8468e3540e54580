"""Our worlds against Gymnasium's: from the same states, the same actions lead to the same, over whole episodes.

The state is Gymnasium's own at every step, because neither world forgives: balancing doubles a rounding error about
every tenth of a second, so that after ten seconds not even two float64 programs agree that order one sum differently.
"""

import functools
import math
from typing import Any, cast

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Box, Discrete
from headstart.tasks.worlds import WORLDS

CHANGED = {
    "CartPole-v1": {"gravity": 15.0, "cart_mass": 2.0, "pole_mass": 0.4, "length": 0.3, "force": 14.0, "dt": 0.01},
    "Pendulum-v1": {"gravity": 7.0, "mass": 1.7, "length": 0.6, "max_torque": 1.1, "max_speed": 5.0, "dt": 0.02},
}


def change(env: Any, **given: float) -> None:
    """Set the same constants in Gymnasium's env. Constants that it derives from others, it derives only once."""
    theirs = {
        "cart_mass": "masscart",
        "pole_mass": "masspole",
        "force": "force_mag",
        "dt": "tau" if hasattr(env, "tau") else "dt",
        "gravity": "gravity" if hasattr(env, "tau") else "g",
        "mass": "m",
        "length": "length" if hasattr(env, "tau") else "l",
    }
    for name, value in given.items():
        name = theirs.get(name, name)
        assert hasattr(env, name)
        setattr(env, name, value)
    if hasattr(env, "tau"):
        env.total_mass = env.masscart + env.masspole
        env.polemass_length = env.masspole * env.length


def balancing(state: np.ndarray) -> int:
    """A hand-made controller that keeps the nominal pole up for all 500 steps."""
    place, speed, angle, spin = state
    return int(2 * angle + 0.5 * spin + 0.05 * place + 0.1 * speed > 0)


def as_ours(name: str, state: np.ndarray) -> jax.Array:
    """-> Gymnasium's state as ours: the same, but for the turns that its pendulum has made."""
    if name == "Pendulum-v1":
        state = np.array([(state[0] + np.pi) % (2 * np.pi) - np.pi, state[1]])
    return jnp.asarray(state, jnp.float32)


@functools.cache
def one_step(name: str):
    env = WORLDS[name]()

    @jax.jit
    def step(params, state, action):
        after = env.transition(params, state, action, jax.random.key(0))
        reward = env.cumulants(params, state, action, after).sum()
        return env.observe(params, after), reward, env.terminal(params, after)

    return step


@pytest.mark.parametrize("how", ["random", "balancing"])
@pytest.mark.parametrize("changed", [False, True], ids=["nominal", "changed"])
@pytest.mark.parametrize("name", WORLDS)
def test_equals_gymnasium_over_a_whole_episode(name: str, changed: bool, how: str):
    theirs: Any = gymnasium.make(name).unwrapped
    env, rng = WORLDS[name](), np.random.default_rng(0)
    given = CHANGED[name] if changed else {}
    params = {k: jnp.float32(v) for k, v in {**env.defaults, **given}.items()}
    change(theirs, **given)
    theirs.reset(seed=3)
    for t in range(1, env.horizon + 1):
        state = as_ours(name, theirs.state)
        if isinstance(env.action, Discrete):
            action = balancing(theirs.state) if how == "balancing" else int(rng.integers(2))
        else:  # pumping energy in, up to where the speed is clipped, or random
            action = np.array([2.0 * np.sign(state[1])] if how == "balancing" else rng.uniform(-2, 2, 1), np.float32)
        seen, reward, ended = one_step(name)(params, state, jnp.asarray(action))
        their_seen, their_reward, their_end, _, _ = theirs.step(action)
        np.testing.assert_allclose(seen, their_seen, rtol=1e-5, atol=2e-6, err_msg=f"step {t}")
        np.testing.assert_allclose(reward, their_reward, rtol=1e-5, atol=1e-6, err_msg=f"step {t}")
        assert bool(ended) == their_end
        if ended:
            break
    if name == "Pendulum-v1" or (how == "balancing" and not changed):
        assert t == env.horizon


def test_a_random_cartpole_episode_is_gymnasiums_without_being_put_right():
    env, theirs = WORLDS["CartPole-v1"](), cast(Any, gymnasium.make("CartPole-v1").unwrapped)
    params = {k: jnp.float32(v) for k, v in env.defaults.items()}
    theirs.reset(seed=0)
    state, ended, rng = jnp.asarray(theirs.state, jnp.float32), False, np.random.default_rng(1)
    while not ended:
        action = int(rng.integers(2))
        state, _, ours_ended = one_step("CartPole-v1")(params, state, jnp.asarray(action))
        seen, _, ended, _, _ = theirs.step(action)
        np.testing.assert_allclose(state, seen, rtol=1e-5, atol=1e-6)
        assert bool(ours_ended) == ended


@pytest.mark.parametrize("name", WORLDS)
def test_has_gymnasiums_spaces_and_horizon(name: str):
    env, theirs = WORLDS[name](), cast(Any, gymnasium.make(name))
    assert env.name == name
    assert env.horizon == theirs.spec.max_episode_steps
    np.testing.assert_array_equal(np.array(env.observation.low, np.float32), theirs.observation_space.low)
    np.testing.assert_array_equal(np.array(env.observation.high, np.float32), theirs.observation_space.high)
    if isinstance(env.action, Box):
        np.testing.assert_array_equal(np.array(env.action.low, np.float32), theirs.action_space.low)
        np.testing.assert_array_equal(np.array(env.action.high, np.float32), theirs.action_space.high)
    else:
        assert env.action.n == theirs.action_space.n


@pytest.mark.parametrize(("name", "reach"), [("CartPole-v1", [0.05] * 4), ("Pendulum-v1", [math.pi, 1.0])])
def test_starts_uniformly_as_gymnasium_does(name: str, reach: list[float]):
    starts = jax.vmap(WORLDS[name]().initial, in_axes=(None, 0))({}, jax.random.split(jax.random.key(0), 4000))
    share = (np.asarray(starts) / np.array(reach) + 1) / 2
    assert share.min() >= 0
    assert share.max() <= 1
    np.testing.assert_allclose(share.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.quantile(share, [0.1, 0.9], axis=0)[:, 0], [0.1, 0.9], atol=0.02)


@pytest.mark.parametrize("name", WORLDS)
def test_every_constant_is_a_parameter_within_its_bounds_and_matters(name: str):
    env = WORLDS[name]()
    assert env.defaults == {p.name: p.nominal for p in env.parameters}
    assert set(CHANGED[name]) == set(env.defaults)
    state = jnp.array([0.1, 0.2, 0.15, 0.3]) if name == "CartPole-v1" else jnp.array([2.0, 7.95])
    action = jnp.asarray(1) if name == "CartPole-v1" else jnp.array([2.0])
    params = {k: jnp.float32(v) for k, v in env.defaults.items()}
    if name == "Pendulum-v1":  # first from a slower state, in which the speed is not clipped
        slow = state.at[1].set(1.0)
        for k in ("gravity", "mass", "length", "max_torque", "dt"):
            other = {**params, k: jnp.float32(CHANGED[name][k])}
            assert np.any(one_step(name)(params, slow, action)[0] != one_step(name)(other, slow, action)[0])
    for p in env.parameters:
        assert p.low <= p.nominal <= p.high
        if name == "CartPole-v1" or p.name == "max_speed":
            other = {**params, p.name: jnp.float32(CHANGED[name][p.name])}
            assert np.any(one_step(name)(params, state, action)[0] != one_step(name)(other, state, action)[0])
