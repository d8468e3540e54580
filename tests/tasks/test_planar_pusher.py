"""Hand and puck against closed forms: free motion, contact, and that contact adds no energy."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import distributions as dist
from probes import floats

import headstart as hs
from headstart.core.errors import InputError
from headstart.core.types import EnvParams
from headstart.tasks.worlds import PlanarPusher
from headstart.tasks.worlds.planar_pusher import GRAVITY, SUBSTEPS, Table, contact_time, impact

ENV = PlanarPusher()
FREE = {"puck_friction": 0.0, "puck_damping": 0.0, "hand_damping": 0.0}  # of all that slows
FAR = (-5.0, -5.0)  # a place out of the way
TOUCHING = 0.1  # m, from the hand's middle to the puck's


def params(**given: float) -> EnvParams:
    assert set(given) <= set(ENV.defaults)
    return {name: jnp.float32(value) for name, value in {**ENV.defaults, **given}.items()}


def table(hand=(0.0, 0.0), hand_velocity=(0.0, 0.0), puck=FAR, puck_velocity=(0.0, 0.0), goal=(0.0, 0.0)) -> Table:
    pairs = (hand, hand_velocity, puck, puck_velocity, goal)
    return Table(*jax.device_put([floats(pair) for pair in pairs]))  # nothing has to be compiled


@jax.jit
def step(given: EnvParams, state: Table, action: jax.Array) -> Table:
    return ENV.transition(given, state, action, jax.random.key(0))


def follow(given: EnvParams, state: Table, actions: jax.Array) -> Table:
    def on(state: Table, action: jax.Array) -> tuple[Table, Table]:
        after = ENV.transition(given, state, action, jax.random.key(0))
        return after, after

    return jax.lax.scan(on, state, actions)[1]


one, many = jax.jit(follow), jax.jit(jax.vmap(follow))


def roll(given: EnvParams, state: Table, actions: np.ndarray) -> Table:
    """Returns the tables that follow. Every episode has 100 steps, so that one program plays all of them."""
    padded = np.concatenate([actions, rest(100 - len(actions))])
    return jax.tree.map(lambda x: np.asarray(x)[: len(actions)], one(given, state, padded))


def rest(steps: int) -> np.ndarray:
    return push((0.0, 0.0), steps)


def push(force: tuple[float, float], steps: int) -> np.ndarray:
    return np.tile(floats(force), (steps, 1))


def energy(given: EnvParams, state: Table) -> jax.Array:
    hand, puck = state.hand_velocity @ state.hand_velocity, state.puck_velocity @ state.puck_velocity
    return (given["hand_mass"] * hand + given["puck_mass"] * puck) / 2


def momentum(given: EnvParams, state: Table) -> jax.Array:
    return given["hand_mass"] * state.hand_velocity + given["puck_mass"] * state.puck_velocity


# ------------------------------------------------------------------------------------------------ each alone


@pytest.mark.parametrize(("friction", "speed"), [(0.1, 1.0), (0.3, 0.5), (0.3, 2.0), (1.0, 1.0)])
def test_a_puck_that_slides_by_friction_alone_stops_where_it_should(friction: float, speed: float):
    way = speed * np.array([0.6, -0.8])
    given = params(**{**FREE, "puck_friction": friction})
    tables = roll(given, table(puck=(5.0, 5.0), puck_velocity=way), rest(100))
    gone = np.linalg.norm(np.asarray(tables.puck) - 5.0, axis=-1)
    np.testing.assert_allclose(gone[-1], speed**2 / (2 * friction * GRAVITY), rtol=0.01)
    speeds = np.linalg.norm(tables.puck_velocity, axis=-1)
    np.testing.assert_allclose(speeds, np.maximum(speed - friction * GRAVITY * 0.05 * np.arange(1, 101), 0), atol=1e-5)
    along = np.asarray(tables.puck_velocity) @ way
    assert along.min() == 0.0  # at rest at last, and never turned around
    assert speeds[-1] == 0.0


def test_drag_alone_is_an_exponential_decay_of_both():
    given = params(**{**FREE, "puck_damping": 0.3, "hand_damping": 1.5})
    start = table(hand=(-0.4, 0.4), hand_velocity=(0.6, 0.0), puck=(1.0, -1.0), puck_velocity=(0.0, -2.0))
    tables, times = roll(given, start, rest(60)), 0.05 * np.arange(1, 61)
    np.testing.assert_allclose(tables.puck_velocity[:, 1], -2.0 * np.exp(-times * 0.3 / 0.2), rtol=1e-4)
    np.testing.assert_allclose(tables.puck[:, 1], -1.0 - 2.0 * (1 - np.exp(-times * 1.5)) / 1.5, rtol=1e-3)
    np.testing.assert_allclose(tables.hand_velocity[:, 0], 0.6 * np.exp(-times * 3.0), rtol=1e-4)
    np.testing.assert_allclose(tables.hand[:, 0], -0.4 + 0.2 * (1 - np.exp(-times * 3.0)), atol=1e-3)


def test_drag_and_friction_together_are_exact():
    """m v' = -c v - μ m g, until it stops."""
    given = params(puck_damping=0.4, puck_friction=0.1)
    tables = roll(given, table(puck_velocity=(1.0, 0.0)), rest(8))
    rate, end = 2.0, 0.1 * GRAVITY / 2.0  # 1/s, m/s
    expected = (1.0 + end) * np.exp(-rate * 0.05 * np.arange(1, 9)) - end
    np.testing.assert_allclose(tables.puck_velocity[:, 0], expected, rtol=1e-4)


def test_a_force_on_the_hand_by_hand():
    given = params(**FREE, hand_force=2.0, hand_mass=0.5)
    tables = roll(given, table(), push((1.0, -0.5), 6))
    times = 0.05 * np.arange(1, 7)
    np.testing.assert_allclose(tables.hand_velocity, times[:, None] * [4.0, -2.0], rtol=1e-5)
    np.testing.assert_allclose(tables.hand, times[:, None] ** 2 * [2.0, -1.0], rtol=1e-4)
    slow = params(hand_force=2.0, hand_damping=10.0)  # soon as fast as it gets
    np.testing.assert_allclose(roll(slow, table(), push((1.0, 1.0), 20)).hand_velocity[-1], 0.2, rtol=1e-4)
    np.testing.assert_array_equal(
        step(params(hand_force=-2.0), table(), jnp.array([-1.0, 0.5])).hand,
        step(params(hand_force=2.0), table(), jnp.array([1.0, -0.5])).hand,
    )


def test_the_edge_stops_the_hand_and_lets_it_slide_but_not_the_puck():
    given = params(**FREE, hand_force=0.0)
    tables = roll(
        given, table(hand=(0.4, 0.0), hand_velocity=(3.0, 0.5), puck=(0.4, 0.3), puck_velocity=(1.0, 0.0)), rest(9)
    )
    np.testing.assert_allclose(tables.hand[-1], [0.5, 0.225], rtol=1e-5)
    np.testing.assert_allclose(tables.hand_velocity[-1], [0.0, 0.5], rtol=1e-5)
    np.testing.assert_allclose(tables.puck[-1], [0.85, 0.3], rtol=1e-5)


# ------------------------------------------------------------------------------------------------ both


def test_discs_meet_when_straight_ways_do():
    met, when = contact_time(jnp.array([1.0, 0.06]), jnp.array([-2.0, 0.0]), jnp.float32(0.1), jnp.float32(1.0))
    assert met
    np.testing.assert_allclose(when, (1.0 - 0.08) / 2.0, rtol=1e-5)  # 0.06² + 0.08² = 0.1²
    for apart, velocity in [
        ((1.0, 0.11), (-2.0, 0.0)),  # passes by
        ((1.0, 0.0), (-0.8, 0.0)),  # too late
        ((1.0, 0.0), (2.0, 0.0)),  # the other way
        ((0.1, 0.0), (0.0, 1.0)),  # touching, and slides along
        ((0.09, 0.0), (1.0, 0.0)),  # too near, and parts
        ((1.0, 0.0), (0.0, 0.0)),
    ]:
        met, when = contact_time(jnp.array(apart), jnp.array(velocity), jnp.float32(0.1), jnp.float32(1.0))
        assert not met
        assert when == 1.0
    met, when = contact_time(jnp.array([0.09, 0.0]), jnp.array([-1.0, 0.0]), jnp.float32(0.1), jnp.float32(1.0))
    assert met
    assert when == 0.0


def test_an_impact_without_friction_by_hand():
    """0.5 kg at 1 m/s and 0.2 kg at rest move on at 5/7 m/s along the line between them; across it nothing changes."""
    given = params(**FREE)
    start = table(hand_velocity=(1.0, 0.0), puck=(0.13, 0.0))
    tables = roll(given, start, rest(5))
    np.testing.assert_allclose(tables.hand_velocity[-1], [5 / 7, 0.0], rtol=1e-5)
    np.testing.assert_allclose(tables.puck_velocity[-1], [5 / 7, 0.0], rtol=1e-5)
    np.testing.assert_allclose(tables.hand[-1], [0.03 + (0.25 - 0.03) * 5 / 7, 0.0], rtol=1e-4)
    normal = np.array([0.6, 0.8])
    tables = roll(given, table(hand_velocity=(1.0, 0.0), puck=TOUCHING * normal), rest(3))
    np.testing.assert_allclose(tables.puck_velocity[-1], 5 / 7 * 0.6 * normal, rtol=1e-3)
    np.testing.assert_allclose(momentum(given, tables), [[0.5, 0.0]] * 3, atol=1e-6)


def test_a_push_without_friction_keeps_momentum_and_gives_that_of_the_force():
    given = params(**FREE, hand_force=1.5, reach=2.0)
    start = table(hand_velocity=(0.2, 0.0), puck=(0.15, 0.0), puck_velocity=(-0.1, 0.0))
    tables = roll(given, start, push((1.0, 0.0), 20))
    expected = 0.5 * 0.2 - 0.2 * 0.1 + 1.5 * 0.05 * np.arange(1, 21)
    np.testing.assert_allclose(momentum(given, tables)[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(momentum(given, tables)[:, 1], 0.0, atol=1e-6)
    np.testing.assert_allclose(tables.puck_velocity[-1], tables.hand_velocity[-1], rtol=1e-5)


@pytest.mark.parametrize("mass", [0.1, 0.4])
def test_friction_holds_a_puck_that_is_pushed_too_softly_and_gives_way_to_more(mass: float):
    """Together they accelerate by (F - μ m g) / (M + m)."""
    hold = 0.5 * mass * GRAVITY
    given = params(puck_mass=mass, puck_friction=0.5, puck_damping=0.0, hand_damping=0.0, hand_force=hold, reach=2.0)
    start = table(puck=(TOUCHING, 0.0))
    held = roll(given, start, push((0.98, 0.0), 20))
    np.testing.assert_allclose(held.puck[:, 0], TOUCHING, atol=1e-6)
    np.testing.assert_allclose(held.puck_velocity, 0.0)
    np.testing.assert_allclose(held.hand_velocity, 0.0, atol=1e-6)
    given["hand_force"] = jnp.float32(2 * hold)
    tables = roll(given, start, push((1.0, 0.0), 20))
    np.testing.assert_allclose(tables.puck_velocity[-1, 0], hold / (0.5 + mass), rtol=0.01)
    np.testing.assert_allclose(tables.puck[-1, 0], TOUCHING + hold / (0.5 + mass) / 2, rtol=0.03)
    np.testing.assert_allclose(tables.puck[:, 0] - tables.hand[:, 0], TOUCHING, atol=1e-5)


def test_an_impact_leaves_the_discs_together_whatever_friction_does():
    """Along the normal they are equally fast, or separate slightly; friction takes exactly its share."""
    rng, rows = np.random.default_rng(0), 2000
    hand, puck = rng.uniform(-1, 1, (2, rows, 2))
    ratio, grip = 10 ** rng.uniform(-1, 1, rows), rng.uniform(0, 0.3, rows)
    normal = np.array([1.0, 0.0])
    hand[:, 0] = puck[:, 0] + np.abs(hand[:, 0])  # the hand comes nearer
    after = jax.jit(jax.vmap(impact, in_axes=(None, 0, 0, 0, 0)))
    arrays = [jnp.asarray(x, jnp.float32) for x in (normal, hand, puck, ratio, grip)]
    hand_after, puck_after = map(np.asarray, after(*arrays))
    pushed = (hand[:, 0] - hand_after[:, 0]) / ratio  # m/s, what the puck had of it before friction
    assert pushed.min() >= -1e-6
    before = np.linalg.norm(puck + pushed[:, None] * normal, axis=-1)
    lost = np.minimum(grip, before)
    np.testing.assert_allclose(before - np.linalg.norm(puck_after, axis=-1), lost, atol=1e-5)
    parting = puck_after[:, 0] - hand_after[:, 0]
    held = pushed > 1e-5
    assert held.mean() > 0.5
    assert parting[held].min() > -1e-5
    assert np.quantile(parting[held], 0.95) < 0.005
    assert parting[held].max() < 0.05
    energies = [(h**2).sum(1) + ratio * (p**2).sum(1) for h, p in ((hand, puck), (hand_after, puck_after))]
    assert (energies[1] - energies[0]).max() < 1e-6


def test_a_light_puck_is_pushed_faster_than_a_heavy_one_and_slides_on_where_it_is_slippery():
    actions = np.concatenate([push((1.0, 0.0), 8), push((-1.0, 0.0), 30)])
    end = lambda **given: float(roll(params(**given), table(hand=(-0.3, 0.0), puck=(-0.2, 0.0)), actions).puck[-1, 0])
    assert end(puck_mass=0.1) > end(puck_mass=0.4) + 0.05
    assert end(puck_friction=0.05) > end(puck_friction=0.2) + 0.2 > end(puck_friction=1.0) + 0.3
    assert end(puck_damping=0.01) > end(puck_damping=0.5) + 0.05
    assert end(hand_force=8.0) > end(hand_force=2.0) + 0.2


# ------------------------------------------------------------------------------------------------ at the bounds


@functools.cache
def corners(rows: int = 400) -> tuple[EnvParams, Table]:
    """Returns tables with each parameter at a bound or nominal, and a hand that moves towards a moving puck."""
    rng = np.random.default_rng(0)
    drawn = {p.name: rng.choice([p.low, p.nominal, p.high], rows) for p in ENV.parameters}
    given = {name: jnp.asarray(value, jnp.float32) for name, value in drawn.items()}
    starts = jax.vmap(ENV.initial)(given, jax.random.split(jax.random.key(0), rows))
    angle = rng.uniform(0, 2 * math.pi, (rows, 1))
    away = (drawn["hand_radius"] + drawn["puck_radius"])[:, None] * rng.uniform(1.001, 3, (rows, 1))
    way = np.concatenate([np.cos(angle), np.sin(angle)], 1)
    puck = starts.hand + jnp.asarray(away * way, jnp.float32)
    fast = 10 ** rng.uniform(-2, 1, (2, rows, 1)) * (np.stack([way, -way]) + 0.3 * rng.normal(size=(2, rows, 2)))
    speeds = jnp.asarray(fast, jnp.float32)
    return given, jax.vmap(Table)(starts.hand, speeds[0], puck, speeds[1], starts.goal)


def touching(given: EnvParams, tables: Table) -> np.ndarray:
    """Returns [row, time], whether hand and puck overlap."""
    apart = np.linalg.norm(tables.puck - tables.hand, axis=-1)
    return apart < np.asarray(given["hand_radius"] + given["puck_radius"])[:, None] + 1e-3


def test_contact_adds_no_energy():
    given, starts = corners()
    quiet = {**given, "hand_force": jnp.zeros(400)}
    tables = many(quiet, starts, jnp.zeros((400, 100, 2)))
    first = np.asarray(jax.vmap(energy)(given, starts))[:, None]
    energies = np.asarray(jax.vmap(jax.vmap(energy, (None, 0)))(given, tables))
    assert np.isfinite(energies).all()
    assert (np.diff(np.concatenate([first, energies], 1), axis=1) <= 1e-5 * first).all()
    assert touching(given, tables).any(1).mean() > 0.3


def test_steps_are_stable_at_the_bounds_and_never_leave_discs_within_each_other():
    given, starts = corners()
    rng = np.random.default_rng(1)
    to_the_puck = jnp.sign(starts.puck - starts.hand)[:, None]
    shaken = jnp.asarray(np.sign(rng.normal(size=(400, 100, 2))), jnp.float32)
    for actions in (shaken, jnp.where(shaken > -2, to_the_puck, shaken)):
        tables = many(given, starts, actions)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(tables))
        radius = np.asarray(given["hand_radius"] + given["puck_radius"])[:, None]
        assert (np.linalg.norm(tables.puck - tables.hand, axis=-1) > radius - 1e-4).all()
        assert (np.abs(tables.hand).max((1, 2)) <= given["reach"]).all()


def test_fast_discs_do_not_pass_through_each_other():
    given = params(**FREE, reach=2.0, dt=0.1)
    tables = step(given, table(hand=(-1.0, 0.0), hand_velocity=(40.0, 0.0), puck=(0.0, 0.0)), jnp.zeros(2))
    assert tables.puck[0] > tables.hand[0]
    assert 0.1 / SUBSTEPS * 40.0 > 2 * TOUCHING  # without looking at the way, it would have


def test_overlapping_discs_are_separated():
    given = params(puck_x=-0.35, start_spread=0.0)
    tables = step(given, ENV.initial(given, jax.random.key(0)), jnp.zeros(2))
    np.testing.assert_allclose(tables.puck - tables.hand, [TOUCHING, 0.0], atol=1e-6)


# ------------------------------------------------------------------------------------------------ the task


def test_observation_and_reward_by_hand():
    state = table((0.1, 0.2), (0.3, 0.4), (0.4, 0.6), (0.7, 0.8), (0.4, 0.0))
    tables = ENV.observe(params(), state)
    expected = [0.1, 0.2, 0.3, 0.4, 0.4, 0.6, 0.7, 0.8, 0.4, 0.0, 0.3, 0.4, 0.0, -0.6]
    np.testing.assert_allclose(tables, expected, rtol=1e-5, atol=1e-7)
    assert tables.shape == (ENV.observation_space.size,)
    worth = lambda state: ENV.cumulants(params(), table(), jnp.array([0.5, -1.0]), state)
    assert ENV.cumulant_names == ("reward_dist", "reward_near", "reward_goal", "reward_ctrl")
    np.testing.assert_allclose(worth(state), [-0.6, -0.15, 0.0, -0.0125], rtol=1e-5)
    there = state.replace(goal=jnp.array([0.4, 0.54]))
    np.testing.assert_allclose(worth(there), [-0.06, -0.15, 1.0, -0.0125], rtol=1e-4)
    assert not ENV.terminal(params(), there)


def test_starts_and_goals_are_where_the_task_puts_them():
    keys = jax.random.split(jax.random.key(0), 2000)
    starts = lambda **given: jax.vmap(ENV.initial, in_axes=(None, 0))(params(**given), keys)
    ends = lambda places: (np.min(places, 0), np.max(places, 0))
    some = starts()
    np.testing.assert_allclose(ends(some.hand), [[-0.4, -0.05], [-0.3, 0.05]], atol=1e-3)
    np.testing.assert_allclose(ends(some.puck), [[-0.2, -0.05], [-0.1, 0.05]], atol=1e-3)
    np.testing.assert_allclose(ends(some.goal), [[0.0, -0.2], [0.4, 0.2]], atol=2e-3)
    assert np.linalg.norm(some.puck - some.hand, axis=-1).min() >= TOUCHING
    assert not np.any(some.hand_velocity) and not np.any(some.puck_velocity)  # noqa: PT018
    given = {"goal_spread": 0.0, "goal_x": 0.3, "goal_y": -0.2, "puck_x": 0.1, "puck_y": 0.2, "start_spread": 0.0}
    one = starts(**given, reach=0.2)
    np.testing.assert_allclose(one.goal, [[0.3, -0.2]] * 2000, rtol=1e-6)
    np.testing.assert_allclose(one.puck, [[0.1, 0.2]] * 2000, rtol=1e-6)
    np.testing.assert_allclose(one.hand, [[-0.2, 0.0]] * 2000, rtol=1e-6)


def test_every_parameter_matters():
    key, action = jax.random.key(3), jnp.array([0.8, 0.3])
    state = table((0.45, 0.05), (0.8, 0.1), (0.56, 0.05), (0.2, 0.1), (0.6, 0.1))

    def results(given: EnvParams) -> np.ndarray:
        """Returns the first state of an episode, and the results of one step from another state."""
        after = step(given, state, action)
        worth = ENV.cumulants(given, state, action, after)
        return np.concatenate([*jax.tree.leaves(ENV.initial(given, key)), *jax.tree.leaves(after), worth])

    for p in ENV.parameters:
        other = p.low if p.nominal != p.low else p.high
        assert np.any(results(params(**{p.name: other})) != results(params())), p.name


def pusher(state: Table) -> np.ndarray:
    """Returns the action of a hand-made controller: get behind the puck, then push, faster the farther the goal is."""
    hand, speed, puck, _, goal = (np.asarray(x, np.float64) for x in jax.tree.leaves(state))
    left = goal - puck
    way = left / max(np.linalg.norm(left), 1e-6)
    apart = puck - hand
    aside = apart - (apart @ way) * way
    if apart @ way < 0.02:  # beside it or before it: around
        side = -aside / max(np.linalg.norm(aside), 1e-6)
        wish = 3.0 * (puck - 0.15 * way + 0.15 * side - hand)
    else:
        wish = 4.0 * aside + way * min(0.3, 1.5 * max(np.linalg.norm(left) - 0.03, 0.0)) * (
            np.linalg.norm(aside) < 0.04
        )
        if np.linalg.norm(left) < 0.05:
            wish = -0.1 * way
    return np.clip(4.0 * (wish - speed) + wish, -1.0, 1.0)


def test_a_hand_made_controller_brings_the_puck_to_its_goal():
    given, successes = params(), 0
    for seed in range(10):
        state = ENV.initial(given, jax.random.key(seed))
        for _ in range(ENV.horizon):
            state = step(given, state, jnp.asarray(pusher(state), jnp.float32))
        successes += int(ENV.cumulants(given, state, jnp.zeros(2), state)[2])
    assert successes >= 9


def test_pushers_have_task_strings():
    task = hs.task("PlanarPusher", puck_mass=dist.Uniform(0.1, 0.4), action_delay=2, w={"reward_near": 0})
    assert task.w.tolist() == [1.0, 0.0, 1.0, 1.0]
    with pytest.raises(InputError, match="no parameter 'puck_weight'; the nearest"):
        hs.task("PlanarPusher", puck_weight=1)
    with pytest.raises(InputError, match=r"puck_mass=9 is out of bounds; puck_mass lies within 0\.02\.\.2 kg"):
        hs.task("PlanarPusher", puck_mass=9)
