"""GoalPointMass: its goals and rewards by hand, and that the point moves as in PointMass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import headstart as hs
from headstart.core.drawing import Disc
from headstart.core.errors import InputError
from headstart.tasks.strings import describe
from headstart.tasks.worlds import GoalPointMass, PointMass
from headstart.tasks.worlds.goal_point_mass import PointAndGoal

KEY = jax.random.key(0)


def params(env: GoalPointMass, **given: float) -> dict[str, jax.Array]:
    assert set(given) <= set(env.defaults)
    return {name: jnp.float32(value) for name, value in {**env.defaults, **given}.items()}


def test_goal_functions_by_hand():
    env = GoalPointMass(radius=0.1)
    obs = jnp.array([0.1, 0.2, 0.3, 0.4, 0.4, 0.6])
    goal = env.goal
    np.testing.assert_array_equal(goal.achieved(obs), jnp.array([0.1, 0.2]))
    np.testing.assert_array_equal(goal.desired(obs), jnp.array([0.4, 0.6]))
    np.testing.assert_array_equal(
        goal.with_goal(obs, jnp.array([-1.0, 1.0])), jnp.array([0.1, 0.2, 0.3, 0.4, -1.0, 1.0])
    )
    np.testing.assert_allclose(goal.reward(goal.achieved(obs), goal.desired(obs)), [-1.0, -0.5], rtol=1e-6)
    np.testing.assert_allclose(goal.reward(jnp.array([0.0, 0.0]), jnp.array([0.06, 0.08])), [0.0, -0.1], rtol=1e-6)
    np.testing.assert_array_equal(goal.reward(jnp.array([0.5, 0.5]), jnp.array([0.5, 0.5])), [0.0, 0.0])


def test_the_reward_is_that_of_the_place_after_the_step():
    env = GoalPointMass()
    given = params(env, speed=0.25)
    state = PointAndGoal(jnp.array([0.0, 0.0, 0.0, 0.0]), jnp.array([0.25, 0.0]))
    arrived = env.transition(given, state, jnp.array([1.0, 0.0]), KEY)
    gone = env.transition(given, arrived, jnp.array([0.0, 1.0]), KEY)
    np.testing.assert_allclose(env.cumulants(given, state, jnp.array([1.0, 0.0]), arrived), [0.0, 0.0])
    np.testing.assert_allclose(env.cumulants(given, arrived, jnp.array([0.0, 1.0]), gone), [-1.0, -0.25])
    assert not env.terminal(given, arrived)


def test_the_point_moves_as_in_point_mass_and_the_goal_stays():
    env, point_mass = GoalPointMass(walls=2), PointMass(walls=2)
    wall = {"wall_2_left": 0.05, "wall_2_bottom": -0.5, "wall_2_right": 0.3, "wall_2_top": 0.5, "inertia": 0.5}
    given = params(env, **wall)
    theirs = {name: jnp.float32(value) for name, value in {**point_mass.defaults, **wall}.items()}
    step, step_theirs = jax.jit(env.transition), jax.jit(point_mass.transition)
    state = env.initial(given, KEY)
    goal, point = state.goal, state.point
    for action in np.random.default_rng(0).uniform(-0.5, 1, (20, 2)).astype(np.float32):
        state, point = step(given, state, action, KEY), step_theirs(theirs, point, action, KEY)
        np.testing.assert_array_equal(state.point, point)
        np.testing.assert_array_equal(state.goal, goal)
    assert state.point[0] < 0.3  # the wall held it up


def test_goals_are_spread_over_the_box_of_the_task():
    env = GoalPointMass()
    given = params(env, goal_left=-0.5, goal_right=0.5, goal_bottom=0.2, goal_top=0.9, start_y=-0.7)
    starts = jax.vmap(env.initial, (None, 0))(given, jax.random.split(KEY, 2000))
    np.testing.assert_allclose(starts.goal.min(0), [-0.5, 0.2], atol=2e-3)
    np.testing.assert_allclose(starts.goal.max(0), [0.5, 0.9], atol=2e-3)
    np.testing.assert_allclose(starts.goal.mean(0), [0.0, 0.55], atol=0.02)
    np.testing.assert_allclose(starts.point.mean(0), [0.0, -0.7, 0, 0], atol=5e-3)
    assert abs(np.corrcoef(starts.goal[:, 0], starts.point[:, 0])[0, 1]) < 0.1


def test_the_sparse_reward_is_the_default_and_the_weights_choose_the_distance():
    assert hs.task("GoalPointMass").w.tolist() == [1.0, 0.0]
    dense = hs.task("GoalPointMass@w.reward_goal=0,w.reward_dist=1")
    assert dense.w.tolist() == [0.0, 1.0]
    assert describe(hs.task("GoalPointMass")) == "GoalPointMass"
    assert hs.task(describe(dense)).w.tolist() == [0.0, 1.0]
    assert describe(hs.task("GoalPointMass", w=[1.0, 1.0])) == "GoalPointMass@w.reward_dist=1"


def test_an_episode_lasts_to_the_horizon():
    env = hs.to_gymnasium(hs.task("GoalPointMass@goal_left=0,goal_right=0,goal_bottom=0,goal_top=0,start_spread=0.01"))
    env.reset(seed=1)
    steps = [env.step(np.zeros(2, np.float32)) for _ in range(50)]
    assert [reward for _, reward, *_ in steps] == [0.0] * 50
    assert not any(ended for _, _, ended, _, _ in steps)
    assert [out_of_time for _, _, _, out_of_time, _ in steps] == [False] * 49 + [True]


def test_it_is_drawn_with_its_goal():
    env = GoalPointMass()
    state = PointAndGoal(jnp.array([0.0, 0.0, 0.0, 0.0]), jnp.array([0.5, -0.5]))
    discs = {shape.role: shape for shape in env.draw(params(env), state).shapes if isinstance(shape, Disc)}
    assert discs["goal"].centre == (0.5, -0.5)
    assert discs["goal"].radius == pytest.approx(0.05)
    assert discs["body"].centre == (0.0, 0.0)


def test_names():
    assert [env.name for env in (GoalPointMass(), GoalPointMass(2), GoalPointMass(0, 0.1))] == [
        "GoalPointMass",
        "GoalPointMass-2walls",
        "GoalPointMass-0walls-0.1m",
    ]


@pytest.mark.parametrize(("walls", "radius"), [(-1, 0.1), (1, 0.0), (1, float("nan"))])
def test_values_out_of_range_are_refused(walls: int, radius: float):
    with pytest.raises(InputError, match=r"give at least 0 walls and a finite radius above 0\.$"):
        GoalPointMass(walls, radius)
