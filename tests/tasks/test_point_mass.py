"""The point in its box: how it moves, where walls stop it, and that it passes none."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import floats

import headstart as hs
from headstart.core.errors import InputError
from headstart.tasks.worlds import WORLDS
from headstart.tasks.worlds.point_mass import PointMass, slide

SIZE = 0.03


def params(env: PointMass, walls: tuple[tuple[float, ...], ...] = (), **given: float) -> dict[str, jax.Array]:
    sides = ("left", "bottom", "right", "top")
    built = {f"wall_{i + 1}_{side}": x for i, wall in enumerate(walls) for side, x in zip(sides, wall, strict=True)}
    assert set(built) | set(given) <= set(env.defaults)
    return {k: jnp.float32(v) for k, v in {**env.defaults, **built, **given}.items()}


def step(env: PointMass, given: dict, state, action) -> np.ndarray:
    return np.asarray(_step(env, given, floats(state), floats(action)))


@functools.partial(jax.jit, static_argnums=0)
def _step(env: PointMass, given: dict, state: jax.Array, action: jax.Array) -> jax.Array:
    return env.transition(given, state, action, jax.random.key(0))


def play(env: PointMass, given: dict, state: jax.Array, actions: jax.Array) -> jax.Array:
    """Returns all states of an episode without termination."""

    def on(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        after = env.transition(given, state, action, jax.random.key(0))
        return after, after

    return jax.lax.scan(on, state, actions)[1]


def test_without_inertia_an_action_is_the_velocity():
    env = PointMass()
    np.testing.assert_allclose(step(env, params(env), [0.1, 0.2, 9.0, 9.0], [1.0, -0.5]), [0.2, 0.15, 0.1, -0.05])


def test_with_inertia_it_gathers_speed_up_to_its_highest():
    env = PointMass()
    given = params(env, inertia=0.9, speed=0.01)
    np.testing.assert_allclose(step(env, given, [0, 0, 0, 0], [1, 0]), [0.001, 0, 0.001, 0], rtol=1e-6)
    np.testing.assert_allclose(step(env, given, [0, 0, 0.01, 0.01], [1, 0]), [0.01, 0.009, 0.01, 0.009], rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "action", "end"),
    [
        ((0.0, 0.0), (1.0, 0.0), (0.2 - SIZE, 0.0, 0.0, 0.0)),  # straight into it
        ((0.0, 0.0), (1.0, 0.25), (0.2 - SIZE, 0.125, 0.0, 0.125)),  # slides along it
        ((0.17, 0.1), (0.0, -0.4), (0.17, -0.1, 0.0, -0.2)),  # along it, touching
        ((0.17, 0.1), (-0.4, 0.0), (-0.03, 0.1, -0.2, 0.0)),  # off it
        ((0.6, 0.0), (-1.0, 0.0), (0.4 + SIZE, 0.0, 0.0, 0.0)),  # from the other side
        ((0.3, 0.8), (0.0, -1.0), (0.3, 0.5 + SIZE, 0.0, 0.0)),  # from above
        ((0.0, 0.6), (1.0, 0.0), (0.5, 0.6, 0.5, 0.0)),  # over it
        ((0.3, 0.0), (0.0, 1.0), (0.3, 0.5, 0.0, 0.5)),  # starts within it: free
    ],
)
def test_a_wall_stops_motion_towards_it_only(start, action, end):
    env = PointMass()
    given = params(env, walls=((0.2, -0.5, 0.4, 0.5),), speed=0.5)
    np.testing.assert_allclose(step(env, given, [*start, 0, 0], action), end, atol=1e-6)


def test_the_box_stops_it_and_lets_it_slide():
    env = PointMass()
    given = params(env, speed=1.0, inertia=0.5)
    np.testing.assert_allclose(step(env, given, [0.9, 0.9, 1.0, 0.0], [1, -0.2]), [1.0, 0.8, 0.0, -0.1], atol=1e-6)


def test_in_a_corner_of_two_walls_it_stops_at_both():
    env = PointMass(walls=2)
    given = params(env, walls=((0.5, -1, 0.6, 1), (-1, 0.5, 1, 0.6)), speed=1.0)
    inner = 0.5 - SIZE
    for action in ([1, 1], [0.7, 1], [1, 0.7]):
        np.testing.assert_allclose(step(env, given, [0, 0, 0, 0], action), [inner, inner, 0, 0], atol=1e-6)
    np.testing.assert_allclose(step(env, given, [inner, inner, 0, 0], [1, 1]), [inner, inner, 0, 0], atol=1e-6)


def test_a_wall_without_area_is_not_there_and_walls_are_data():
    env, traced = PointMass(walls=1), []

    @jax.jit
    def on(given: dict) -> jax.Array:
        traced.append(1)
        return env.transition(given, jnp.zeros(4), jnp.array([1.0, 0.0]), jax.random.key(0))

    for wall, x in [
        ((0.2, -1, 0.3, 1), 0.2 - SIZE),
        ((0.4, -1, 0.5, 1), 0.4 - SIZE),
        ((0.2, 0, 0.2, 0), 0.5),
        ((0.2, -1, 0.2, 1), 0.5),
        ((0.3, -1, 0.2, 1), 0.5),
    ]:
        np.testing.assert_allclose(on(params(env, (wall,), speed=0.5))[0], x, rtol=1e-6)
    assert len(traced) == 1


def test_nothing_passes_a_wall_across_the_box_however_thin_and_however_fast():
    env, rows, rng = PointMass(walls=1), 500, np.random.default_rng(0)
    left = rng.uniform(-0.9, 0.9, rows)
    right = left + 10 ** rng.uniform(-6, -1, rows)
    upright = rng.random(rows) < 0.5
    one = np.ones(rows)
    walls = np.where(upright, [left, -one, right, one], [-one, left, one, right])
    given = {k: jnp.full(rows, v) for k, v in params(env, inertia=0.3).items()}
    given |= {k: jnp.asarray(v, jnp.float32) for k, v in zip([n for n in given if "wall" in n], walls, strict=True)}
    given["speed"] = jnp.asarray(10 ** rng.uniform(-2, 1, rows), jnp.float32)
    given["size"] = jnp.asarray(10 ** rng.uniform(-3, -1, rows), jnp.float32)
    actions = jnp.asarray(rng.uniform(-1, 1, (rows, 100, 2)), jnp.float32)
    across = lambda points: np.where(upright[:, None], points[..., 0], points[..., 1])
    starts = np.zeros((rows, 4), np.float32)
    starts[:, :2] = rng.uniform(-1, 1, (rows, 2))
    away = np.abs(across(starts[:, None])[:, 0] - (left + right) / 2) > (right - left) / 2 + 0.1
    places = jax.jit(jax.vmap(lambda g, s, a: play(env, g, s, a)))(given, jnp.asarray(starts), actions)
    side = np.sign(across(np.asarray(places)) - left[:, None])
    assert away.sum() > 300
    np.testing.assert_array_equal(side[away], np.broadcast_to(side[away][:, :1], side[away].shape))
    assert np.abs(places[..., :2]).max() <= 1


def test_among_random_walls_it_is_never_within_one():
    env, rows, rng = PointMass(walls=6), 300, np.random.default_rng(1)
    middle, half = rng.uniform(-1, 1, (rows, 6, 2)), rng.uniform(0, 0.4, (rows, 6, 2))
    walls = np.clip(np.concatenate([middle - half, middle + half], -1), -1, 1).astype(np.float32)
    starts = np.zeros((rows, 4), np.float32)
    starts[:, :2] = rng.uniform(-1, 1, (rows, 2))
    reach = np.concatenate([walls[..., :2] - np.float32(SIZE), walls[..., 2:] + np.float32(SIZE)], -1)
    actions = jnp.asarray(
        np.sign(rng.normal(size=(rows, 100, 2))) * rng.choice([0.2, 1.0], (rows, 100, 1)), jnp.float32
    )

    @jax.jit
    @jax.vmap
    def all_of_it(walls, state, actions):
        sides = [n for n in env.defaults if "wall" in n]
        given = params(env, speed=0.4, inertia=0.5) | dict(zip(sides, walls.reshape(-1), strict=True))
        return play(env, given, state, actions)

    def within(points: np.ndarray) -> np.ndarray:
        """Returns [row, time], whether the point is in any wall, grown by its size."""
        at = points[:, :, None, :2]
        return np.any(np.all((at > reach[:, None, :, :2]) & (at < reach[:, None, :, 2:]), axis=-1), axis=-1)

    outside = ~within(starts[:, None])[:, 0]
    places = np.asarray(all_of_it(jnp.asarray(walls), jnp.asarray(starts), actions))
    assert outside.sum() > 50
    assert not within(places)[outside].any()
    assert np.ptp(places[outside][..., :2], axis=1).mean() > 0.5  # and it gets about


def test_point_stays_in_a_room_of_tiles():
    """Eight walls that touch only at their edges, or the box: along a floor, the point slides over the seams."""
    e, f = 0.5, 0.6
    tiles = ((-e, e, 0, f), (0, e, e, f), (-e, -f, 0, -e), (0, -f, e, -e))  # above and below, in two halves
    tiles += ((e, 0, f, f), (e, -f, f, 0), (-f, 0, -e, f), (-f, -f, -e, 0))
    env = PointMass(walls=8)
    given = params(env, walls=tiles, size=1e-3)
    rng = np.random.default_rng(2)
    actions = rng.choice([-1.0, -0.5, 0.0, 0.25, 1.0], (200, 300, 2))
    speeds = 10 ** rng.uniform(-2, 1, 200)

    def one(speed, actions):
        return play(env, {**given, "speed": speed}, jnp.zeros(4), actions)

    places = jax.jit(jax.vmap(one))(jnp.asarray(speeds, jnp.float32), jnp.asarray(actions, jnp.float32))
    assert np.abs(places[..., :2]).max() <= e
    along_the_edge = params(PointMass(), walls=((0.2, 0.5, 0.3, 1.0),), size=1e-3, speed=1.0)
    assert step(PointMass(), along_the_edge, [0.0, 1.0, 0, 0], [1.0, 1.0])[0] < 0.2


def test_slide_takes_no_way_through_a_wall_that_small_steps_do_not_take():
    """The same motion in a thousand small steps, each stopped alone, for single walls."""
    rng = np.random.default_rng(3)
    go, tested = jax.jit(slide), 0
    for _ in range(100):
        corner = rng.uniform(-1, 0.8, (1, 2))
        low, high = corner, corner + rng.uniform(0.01, 0.5, (1, 2))
        place, wish = rng.uniform(-1, 1, (2, 2))
        if ((low < place) & (place < high)).all():
            continue
        at, move, stopped = place.copy(), (wish - place) / 1000, np.zeros(2, bool)
        for _ in range(1000):
            for axis in range(2):  # one direction at a time
                tried = at.copy()
                tried[axis] += move[axis] * (not stopped[axis])
                if ((low[0] < tried) & (tried < high[0])).all():
                    stopped[axis] = True
                else:
                    at = tried
        fast, blocked = go(*(jnp.asarray(x, jnp.float32) for x in (place, wish, low, high)))
        np.testing.assert_array_equal(blocked, stopped)
        np.testing.assert_allclose(fast, at, atol=2.1 * np.abs(move).max())
        tested += 1
    assert tested > 80


def test_rounding_neither_lets_it_into_a_corner_nor_keeps_it_from_one():
    rng, rows = np.random.default_rng(4), 100_000
    go = jax.jit(jax.vmap(slide))
    place, corner = rng.uniform(-1, 1, (2, rows, 2)).astype(np.float32)
    right, top = np.where(rng.random((2, rows)) < 0.5, 0.3, 0)  # how far the wall reaches from the corner
    low = (corner - np.stack([0.3 - right, 0.3 - top], axis=1)).astype(np.float32)
    low = np.where(np.stack([right, top], axis=1) > 0, corner, low)
    high = np.where(low == corner, low + np.float32(0.3), corner)
    wish = (corner + 1e-7 * rng.normal(size=(rows, 2))).astype(np.float32)
    end = np.asarray(go(place, wish, low[:, None], high[:, None])[0])
    within = lambda at: np.all((low < at) & (at < high), axis=1)
    assert within(wish).sum() > rows / 10
    assert not (within(end) & ~within(place)).any()
    # Into the corner of two walls, along its diagonal: both are met at once.
    start = (corner - rng.uniform(0.01, 0.4, (rows, 1))).astype(np.float32)
    x, y = corner.T
    low = np.stack([np.stack([x, y - 1], 1), np.stack([x - 1, y], 1)], axis=1)
    end, blocked = go(start, 2 * corner - start, low, low + np.float32(2))
    np.testing.assert_array_equal(end, corner)
    assert blocked.all()


def test_rewards_are_the_distance_to_the_nearest_goal_and_being_there():
    env = PointMass(goals=2)
    given = params(env, goal_1_x=0.6, goal_1_y=0.8, goal_2_x=-0.5, goal_2_y=0.0, goal_radius=0.1)
    phi = lambda x, y: env.cumulants(given, jnp.zeros(4), jnp.zeros(2), jnp.array([x, y, 0.0, 0.0]))
    assert env.cumulant_names == ("reward_dist", "reward_goal")
    np.testing.assert_allclose(phi(0.0, 0.0), [-0.5, 0.0])
    np.testing.assert_allclose(phi(0.6, 0.5), [-0.3, 0.0], rtol=1e-6)
    np.testing.assert_allclose(phi(-0.45, 0.0), [-0.05, 1.0], rtol=1e-6)
    assert env.terminal(given, jnp.array([-0.45, 0.0, 0.0, 0.0]))
    assert not env.terminal(given, jnp.zeros(4))


def test_starts_where_the_task_says():
    env = PointMass()
    given = params(env, start_x=0.95, start_y=-0.5, start_spread=0.2)
    starts = np.asarray(jax.vmap(env.initial, (None, 0))(given, jax.random.split(jax.random.key(0), 1000)))
    assert starts[:, 0].max() == 1.0
    np.testing.assert_allclose(starts.min(0), [0.75, -0.7, 0, 0], atol=2e-3)
    assert starts[:, 1].max() == pytest.approx(-0.3, abs=2e-3)


def test_forms_and_names():
    four = WORLDS["PointMass-4goals"]()
    d = dict(four.defaults)
    goals = [(d[f"goal_{i}_x"], d[f"goal_{i}_y"]) for i in (1, 2, 3, 4)]
    assert goals == [(0.7, 0.0), (0.0, 0.7), (-0.7, 0.0), (0.0, -0.7)]
    assert math.copysign(1, goals[1][0]) == 1
    for name in ("PointMass", "PointMass-4goals"):
        assert WORLDS[name]().name == name
    assert PointMass(goals=2, walls=3).name == "PointMass-2goals-3walls"
    assert PointMass(walls=0).parameters[-1].name == "goal_1_y"
    np.testing.assert_allclose(step(PointMass(walls=0), params(PointMass(walls=0)), [0, 0, 0, 0], [1, 1])[:2], 0.1)
    assert PointMass(goals=2) == PointMass(goals=2) != PointMass(goals=3)
    assert hs.task("PointMass", wall_1_left=0.2, wall_1_top=0.5).env == PointMass()
    with pytest.raises(
        InputError, match=r"PointMass\(goals=0, walls=1\) is out of range: give at least 1 goal and 0 walls"
    ):
        PointMass(goals=0)
