"""Goals and rewards as functions of observations, against the envs' own cumulants on random trajectories."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import headstart as hs
from headstart.core.env import Env, EnvParams
from headstart.core.types import Box, Key, PyTree
from headstart.tasks.worlds import WORLDS, BitFlip, CartPoleSwingUp, GoalPointMass, Pendulum, PlanarReacher

STEPS = 40


def values(env: Env, **given: float) -> EnvParams:
    return {name: jnp.float32(value) for name, value in {**env.defaults, **given}.items()}


def trajectory(env: Env, params: EnvParams, key: Key) -> PyTree:
    """Returns observations, actions, next observations and cumulants [step ...] of random actions."""

    def tick(state: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        k_action, k_step = jax.random.split(key)
        space = env.action_space
        if isinstance(space, Box):
            action = jax.random.uniform(
                k_action, (space.size,), minval=jnp.array(space.low), maxval=jnp.array(space.high)
            )
        else:
            action = jax.random.randint(k_action, (), 0, space.size)
        after = env.transition(params, state, action, k_step)
        cumulants = env.cumulants(params, state, action, after)
        return after, (env.observe(params, state), action, env.observe(params, after), cumulants)

    k_start, k_steps = jax.random.split(key)
    return jax.lax.scan(tick, env.initial(params, k_start), jax.random.split(k_steps, STEPS))[1]


def trajectories(env: Env, **given: float) -> PyTree:
    """Returns the steps of several trajectories, one after the other."""
    keys = jax.random.split(jax.random.key(0), 20)
    steps = jax.jit(jax.vmap(lambda key: trajectory(env, values(env, **given), key)))(keys)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps)


@pytest.mark.parametrize(
    ("env", "given"),
    [
        (Pendulum(), {"mass": 0.3, "dt": 0.1}),
        (CartPoleSwingUp(), {"cart_mass": 0.5}),
        (PlanarReacher(2), {"link_1_length": 0.3}),
        (PlanarReacher(4), {}),
    ],
    ids=lambda x: x.name if isinstance(x, Env) else "",
)
def test_reward_of_equals_the_cumulants(env: Env, given: dict[str, float]):
    obs, action, next_obs, cumulants = trajectories(env, **given)
    assert env.reward_of is not None
    ours = jax.jit(jax.vmap(env.reward_of))(obs, action, next_obs)
    assert np.ptp(np.asarray(cumulants)) > 0.1
    np.testing.assert_allclose(ours, cumulants, rtol=1e-4, atol=2e-5)


def test_the_goal_of_bit_flip_equals_its_cumulants():
    env = BitFlip(3)
    obs, _, next_obs, cumulants = trajectories(env)
    goal = env.goal
    reward = jax.vmap(goal.reward)(jax.vmap(goal.achieved)(next_obs), jax.vmap(goal.desired)(next_obs))
    np.testing.assert_array_equal(reward, cumulants)
    assert set(np.unique(cumulants)) == {-1.0, 0.0}
    np.testing.assert_array_equal(jax.vmap(goal.desired)(obs), jax.vmap(goal.desired)(next_obs))


def test_the_goal_of_goal_point_mass_equals_its_cumulants():
    env = GoalPointMass(radius=0.3)
    box = {"goal_left": -0.3, "goal_bottom": -0.3, "goal_right": 0.3, "goal_top": 0.3}
    wall = {"wall_1_left": 0.1, "wall_1_bottom": -0.4, "wall_1_right": 0.2, "wall_1_top": 0.4}
    obs, _, next_obs, cumulants = trajectories(env, **box, **wall)
    goal = env.goal
    reward = jax.vmap(goal.reward)(jax.vmap(goal.achieved)(next_obs), jax.vmap(goal.desired)(next_obs))
    np.testing.assert_allclose(reward, cumulants, atol=1e-6)
    assert set(np.unique(cumulants[:, 0])) == {-1.0, 0.0}
    np.testing.assert_array_equal(jax.vmap(goal.desired)(obs), jax.vmap(goal.desired)(next_obs))


def test_the_goal_of_planar_reacher_equals_the_cumulant_that_depends_on_it():
    env = PlanarReacher(3)
    obs, _, next_obs, cumulants = trajectories(env)
    goal = env.goal
    reward = jax.vmap(goal.reward)(jax.vmap(goal.achieved)(next_obs), jax.vmap(goal.desired)(next_obs))
    np.testing.assert_allclose(reward[:, 0], cumulants[:, 0], atol=1e-5)
    np.testing.assert_array_equal(reward[:, 1], 0.0)
    np.testing.assert_array_equal(jax.vmap(goal.desired)(obs), jax.vmap(goal.desired)(next_obs))


@pytest.mark.parametrize("env", [BitFlip(4), GoalPointMass(), PlanarReacher(2)], ids=lambda env: env.name)
def test_an_observation_with_another_goal_equals_the_envs_observation_for_that_goal(env: Env):
    params, key = values(env), jax.random.key(3)
    state = env.initial(params, key)
    other = state.replace(goal=env.initial(params, jax.random.key(4)).goal)
    goal = env.goal
    assert goal is not None
    assert not np.array_equal(state.goal, other.goal)
    relabelled = goal.with_goal(env.observe(params, state), goal.desired(env.observe(params, other)))
    np.testing.assert_allclose(relabelled, env.observe(params, other), atol=1e-6)
    achieved = goal.achieved(env.observe(params, state))
    np.testing.assert_allclose(goal.achieved(relabelled), achieved, atol=1e-6)
    reached = goal.with_goal(relabelled, achieved)
    np.testing.assert_allclose(goal.reward(goal.achieved(reached), goal.desired(reached))[0], 0.0, atol=1e-6)


def test_other_envs_have_neither():
    neither = [name for name, make in WORLDS.items() if make().goal is None and make().reward_of is None]
    assert {"CartPole-v1", "PointMass", "FourRooms", "RandomMDP"} <= set(neither)
    assert hs.task("Hopper-v5").env.goal is None


@pytest.mark.parametrize("env", [BitFlip(4), GoalPointMass(), PlanarReacher(2)], ids=lambda env: env.name)
def test_goals_have_a_cumulant_for_each_name(env: Env):
    obs = env.observe(values(env), env.initial(values(env), jax.random.key(0)))
    assert env.goal is not None
    assert env.goal.reward(env.goal.achieved(obs), env.goal.desired(obs)).shape == (len(env.cumulant_names),)
