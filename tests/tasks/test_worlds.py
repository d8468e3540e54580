"""Our envs against Gymnasium's: the same actions from the same states give the same results over whole episodes.

Each step starts from Gymnasium's own state, because these envs amplify errors: balancing doubles a rounding error about
every tenth of a second, so that after ten seconds not even two float64 programs agree if they order one sum
differently.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import Box, Discrete
from headstart.tasks.worlds import WORLDS


class Twin(NamedTuple):
    """An env that Gymnasium has too."""

    changed: dict[str, float]  # another value for every parameter
    theirs: dict[str, str]  # what Gymnasium calls those that can be set there under another name
    fixed: tuple[str, ...]  # those that cannot be set there
    skilled: Callable[[np.ndarray], Any]  # what does the task, or takes the world to its limits
    skill: str  # "lasts" to the horizon, "ends" before it
    start: tuple[tuple[float, ...], tuple[float, ...]]  # lowest and highest
    telling: tuple[tuple[tuple[float, ...], float], ...]  # states and actions of which each parameter changes one
    atol: float = 2e-6


def balancing(state: np.ndarray) -> int:
    """A hand-made controller that keeps the nominal pole up for all 500 steps."""
    place, speed, angle, spin = state
    return int(2 * angle + 0.5 * spin + 0.05 * place + 0.1 * speed > 0)


CAR = {
    "gravity": 0.003,
    "max_speed": 0.05,
    "min_position": -1.0,
    "max_position": 0.55,
    "goal_position": 0.52,
    "goal_velocity": 0.005,
}
ON_THE_ROAD = (((0.2, 0.01), 1), ((0.5, 0.069), 1), ((-0.98, -0.045), 0), ((0.55, 0.002), 1))
TWINS = {
    "CartPole-v1": Twin(
        changed={"gravity": 15.0, "cart_mass": 2.0, "pole_mass": 0.4, "length": 0.3, "force": 14.0, "dt": 0.01},
        theirs={"cart_mass": "masscart", "pole_mass": "masspole", "force": "force_mag", "dt": "tau"},
        fixed=(),
        skilled=balancing,
        skill="lasts",
        start=((-0.05,) * 4, (0.05,) * 4),
        telling=(((0.1, 0.2, 0.15, 0.3), 1),),
    ),
    "Pendulum-v1": Twin(
        changed={"gravity": 7.0, "mass": 1.7, "length": 0.6, "max_torque": 1.1, "max_speed": 5.0, "dt": 0.02},
        theirs={"gravity": "g", "mass": "m", "length": "l"},
        fixed=(),
        skilled=lambda state: 2.0 * np.sign(state[1]),  # energy in, up to where the speed is clipped
        skill="lasts",
        start=((-math.pi, -1.0), (math.pi, 1.0)),
        telling=(((2.0, 1.0), 2.0), ((2.0, 7.95), 2.0)),
    ),
    "Acrobot-v1": Twin(
        changed={
            "gravity": 7.0,
            "length_1": 1.3,
            "length_2": 1.3,
            "mass_1": 0.8,
            "mass_2": 1.4,
            "centre_1": 0.6,
            "centre_2": 0.4,
            "inertia": 0.9,
            "torque": 3.0,
            "max_speed_1": 5.0,
            "max_speed_2": 7.0,
            "goal_height": 1.5,
            "dt": 0.1,
        },
        theirs={
            "length_1": "LINK_LENGTH_1",
            "length_2": "LINK_LENGTH_2",
            "mass_1": "LINK_MASS_1",
            "mass_2": "LINK_MASS_2",
            "centre_1": "LINK_COM_POS_1",
            "centre_2": "LINK_COM_POS_2",
            "inertia": "LINK_MOI",
            "max_speed_1": "MAX_VEL_1",
            "max_speed_2": "MAX_VEL_2",
        },
        fixed=("gravity", "goal_height"),
        skilled=lambda state: 2 if state[3] > 0 else 0,
        skill="ends",
        start=((-0.1,) * 4, (0.1,) * 4),
        telling=(((1.0, 0.5, 3.0, 2.0), 2), ((0.0, 0.0, 12.0, 28.0), 2), ((math.pi, 1.52, 0.0, 0.0), 1)),
        atol=1e-4,  # one step is 0.2 s, in which links turn nearly all around
    ),
    "MountainCar-v0": Twin(
        changed={"force": 0.002, **CAR},
        theirs={},
        fixed=(),
        skilled=lambda state: 2 if state[1] > 0 else 0,
        skill="ends",
        start=((-0.6, 0.0), (-0.4, 0.0)),
        telling=ON_THE_ROAD,
    ),
    "MountainCarContinuous-v0": Twin(
        changed={"force": 0.002, **CAR},
        theirs={"force": "power"},
        fixed=("gravity",),
        skilled=lambda state: np.sign(state[1]),
        skill="ends",
        start=((-0.6, 0.0), (-0.4, 0.0)),
        telling=ON_THE_ROAD,
    ),
}


def change(name: str, env: Any, given: dict[str, float]) -> None:
    """Set the same constants in Gymnasium's env. Constants that it derives from others, it derives only once."""
    for ours, value in given.items():
        if ours == "torque":
            env.AVAIL_TORQUE = [-value, 0.0, value]
        else:
            theirs = TWINS[name].theirs.get(ours, ours)
            assert hasattr(env, theirs)
            setattr(env, theirs, value)
    if name == "CartPole-v1":
        env.total_mass = env.masscart + env.masspole
        env.polemass_length = env.masspole * env.length


def as_ours(name: str, state: np.ndarray) -> jax.Array:
    """Returns Gymnasium's state as ours: the same, except for full turns of its pendulum."""
    if name == "Pendulum-v1":
        state = np.array([(state[0] + np.pi) % (2 * np.pi) - np.pi, state[1]])
    return jnp.asarray(state, jnp.float32)


def as_action(name: str, action: Any) -> Any:
    """Returns an int for discrete actions, else an array."""
    discrete = isinstance(WORLDS[name]().action_space, Discrete)
    return int(action) if discrete else np.atleast_1d(np.asarray(action, np.float32))


def numbers(given: dict[str, float]) -> dict[str, jax.Array]:
    return {k: jnp.float32(v) for k, v in given.items()}


@functools.cache
def one_step(name: str):
    env = WORLDS[name]()

    @jax.jit
    def step(params, state, action):
        after = env.transition(params, state, action, jax.random.key(0))
        reward = env.cumulants(params, state, action, after).sum()
        return env.observe(params, after), reward, env.terminal(params, after), after

    return step


@pytest.mark.parametrize("how", ["random", "skilled"])
@pytest.mark.parametrize("changed", [False, True], ids=["nominal", "changed"])
@pytest.mark.parametrize("name", TWINS)
def test_equals_gymnasium_over_a_whole_episode(name: str, changed: bool, how: str):
    theirs: Any = gymnasium.make(name).unwrapped
    env, twin, rng = WORLDS[name](), TWINS[name], np.random.default_rng(0)
    given = {k: v for k, v in twin.changed.items() if k not in twin.fixed} if changed else {}
    params = numbers({**env.defaults, **given})
    change(name, theirs, given)
    theirs.reset(seed=3)
    t = their_end = 0
    while t < env.horizon and not their_end:
        t += 1
        state = as_ours(name, theirs.state)
        if how == "skilled":
            action = as_action(name, twin.skilled(np.asarray(state, np.float64)))
        elif isinstance(env.action_space, Discrete):
            action = int(rng.integers(env.action_space.n))
        else:
            action = rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)
        results, reward, ended, _ = one_step(name)(params, state, jnp.asarray(action))
        their_seen, their_reward, their_end, _, _ = theirs.step(action)
        np.testing.assert_allclose(results, their_seen, rtol=1e-5, atol=twin.atol, err_msg=f"step {t}")
        np.testing.assert_allclose(reward, their_reward, rtol=1e-5, atol=1e-6, err_msg=f"step {t}")
        assert bool(ended) == their_end
    if how == "skilled" and not changed:
        assert their_end == (twin.skill == "ends")


def test_a_random_cartpole_episode_equals_gymnasiums_without_correction():
    env, theirs = WORLDS["CartPole-v1"](), cast(Any, gymnasium.make("CartPole-v1").unwrapped)
    theirs.reset(seed=0)
    state, ended, rng = jnp.asarray(theirs.state, jnp.float32), False, np.random.default_rng(1)
    while not ended:
        action = int(rng.integers(2))
        _, _, ours_ended, state = one_step("CartPole-v1")(numbers(dict(env.defaults)), state, jnp.asarray(action))
        results, _, ended, _, _ = theirs.step(action)
        np.testing.assert_allclose(state, results, rtol=1e-5, atol=1e-6)
        assert bool(ours_ended) == ended


@pytest.mark.parametrize("name", TWINS)
def test_has_gymnasiums_spaces_and_horizon(name: str):
    env, theirs = WORLDS[name](), cast(Any, gymnasium.make(name))
    assert env.name == name
    assert env.horizon == theirs.spec.max_episode_steps
    assert isinstance(env.observation_space, Box)
    np.testing.assert_array_equal(np.array(env.observation_space.low, np.float32), theirs.observation_space.low)
    np.testing.assert_array_equal(np.array(env.observation_space.high, np.float32), theirs.observation_space.high)
    if isinstance(env.action_space, Box):
        np.testing.assert_array_equal(np.array(env.action_space.low, np.float32), theirs.action_space.low)
        np.testing.assert_array_equal(np.array(env.action_space.high, np.float32), theirs.action_space.high)
    else:
        assert env.action_space.n == theirs.action_space.n


@pytest.mark.parametrize("name", TWINS)
def test_starts_uniformly_as_gymnasium_does(name: str):
    starts = jax.vmap(WORLDS[name]().initial, in_axes=(None, 0))({}, jax.random.split(jax.random.key(0), 4000))
    low, high = (np.array(end, np.float32) for end in TWINS[name].start)
    free = low < high
    np.testing.assert_array_equal(np.asarray(starts)[:, ~free], np.broadcast_to(low[~free], (4000, (~free).sum())))
    share = (np.asarray(starts) - low)[:, free] / (high - low)[free]
    assert share.min() >= 0
    assert share.max() <= 1
    np.testing.assert_allclose(share.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.quantile(share, [0.1, 0.9], axis=0)[:, 0], [0.1, 0.9], atol=0.02)


@pytest.mark.parametrize("name", TWINS)
def test_every_constant_is_a_parameter_within_its_bounds_and_matters(name: str):
    env, twin = WORLDS[name](), TWINS[name]
    assert env.defaults == {p.name: p.nominal for p in env.parameters}
    assert set(twin.changed) == set(env.defaults)

    def results(params: dict) -> np.ndarray:
        """Returns the result of each chosen state, and whether it was terminal already."""
        all_told = []
        for numbered, action in twin.telling:
            state = jnp.array(numbered)
            results, reward, ended, _ = one_step(name)(params, state, jnp.asarray(as_action(name, action)))
            all_told += [*results, reward, ended, env.terminal(params, state)]
        return np.array(all_told, np.float64)

    nominal = results(numbers(dict(env.defaults)))
    for p in env.parameters:
        assert p.low <= p.nominal <= p.high
        assert p.low <= twin.changed[p.name] <= p.high
        assert np.any(results(numbers({**env.defaults, p.name: twin.changed[p.name]})) != nominal), p.name


def test_four_times_the_gravity_is_half_the_time_for_an_acrobot():
    """Gymnasium's gravity cannot be set. With forces four times as large everything happens twice as fast."""
    env, step = WORLDS["Acrobot-v1"](), one_step("Acrobot-v1")
    d = dict(env.defaults)
    fast = {"gravity": 4 * d["gravity"], "torque": 4 * d["torque"], "dt": d["dt"] / 2}
    state = jnp.array([0.7, -0.4, 1.0, 1.5])
    usual = step(numbers({**d, "max_speed_1": 4.0}), state, jnp.asarray(2))[3]
    faster = jnp.array([1.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(
        step(numbers({**d, **fast, "max_speed_1": 8.0}), state * faster, jnp.asarray(2))[3], usual * faster, rtol=1e-5
    )


def test_an_acrobots_goal_is_in_mean_lengths_of_a_link():
    env = WORLDS["Acrobot-v1"]()
    params = numbers({**env.defaults, "length_1": 1.0, "length_2": 3.0})  # the tip must be 2 m above the hinge
    below = lambda height: jnp.array([math.pi / 2, math.acos(-height / 3) - math.pi / 2, 0.0, 0.0])
    assert not env.terminal(params, below(1.99))
    assert env.terminal(params, below(2.01))


def test_a_continuous_mountain_car_has_the_hills_of_the_other():
    params = numbers({"force": 0.001, **CAR})
    for state, action in ON_THE_ROAD:
        discrete = one_step("MountainCar-v0")(params, jnp.array(state), jnp.asarray(action))
        throttle = jnp.array([action - 1.0])
        continuous = one_step("MountainCarContinuous-v0")(params, jnp.array(state), throttle)
        np.testing.assert_array_equal(discrete[3], continuous[3])
        assert bool(discrete[2]) == bool(continuous[2])
    env = WORLDS["MountainCarContinuous-v0"]()
    phi = env.cumulants(params, jnp.zeros(2), jnp.array([0.5]), jnp.array([0.54, 0.02]))
    np.testing.assert_allclose(dict(zip(env.cumulant_names, phi.tolist(), strict=True))["reward_goal"], 100.0)
    np.testing.assert_allclose(phi[1], -0.025)
