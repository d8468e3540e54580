"""Drawings, and their images."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

import headstart as hs
from headstart.core.drawing import Disc, Drawing, Line, rectangle
from headstart.core.errors import InputError
from headstart.core.types import Box
from headstart.tasks.mujoco.drawing import drawing, hull
from headstart.tasks.mujoco.env import NAMES, MujocoEnv, make, physics_state
from headstart.tasks.raster import COLOURS, raster
from headstart.tasks.worlds import WORLDS


def colour(role: str) -> list[int]:
    return [int(COLOURS[role][i : i + 2], 16) for i in (1, 3, 5)]  # pyright: ignore[reportArgumentType]


def test_shapes_are_where_they_belong_and_later_ones_cover_earlier():
    shapes = (
        rectangle((0.0, 0.0), (2.0, 2.0), "ground"),
        Disc((1.0, 1.0), 0.5, "goal"),
        Line(((3.0, 0.0), (3.0, 2.0)), 0.2, "wall"),
    )
    image = raster(Drawing((0.0, 0.0), (4.0, 2.0), shapes), size=80)
    assert image.shape == (40, 80, 3)
    at = lambda x, y: image[int((2.0 - y) * 20), int(x * 20)].tolist()
    assert at(0.2, 0.2) == colour("ground")
    assert at(1.0, 1.0) == colour("goal")
    assert at(3.0, 0.5) == colour("wall")
    assert at(2.5, 1.5) == [255, 255, 255]


@pytest.mark.parametrize("name", WORLDS)
def test_every_env_has_a_drawing_that_fits_its_frame_and_moves(name: str):
    env = WORLDS[name]()
    params = {k: jnp.float32(v) for k, v in env.defaults.items()}
    state = jax.jit(env.initial)(params, jax.random.key(0))
    action = (
        jnp.array(env.action_space.high)
        if isinstance(env.action_space, Box)
        else jnp.asarray(env.action_space.size - 1)
    )
    first, transition = env.draw(params, state), jax.jit(env.transition)
    for i in range(9):  # a chicken has to wait before it may cross
        state = transition(params, state, action, jax.random.key(i))
    assert first is not None
    assert first != env.draw(params, state)
    (left, bottom), (right, top) = first.low, first.high
    for shape in first.shapes:
        for x, y in [shape.centre] if isinstance(shape, Disc) else shape.points:
            assert left <= x <= right
            assert bottom <= y <= top
    assert np.unique(raster(first, 100).reshape(-1, 3), axis=0).shape[0] > 2


@pytest.mark.parametrize("name", NAMES)
def test_every_robot_has_a_drawing_that_moves(name: str):
    env = make(name, "c")
    assert isinstance(env, MujocoEnv)
    state = jax.jit(env.initial)({}, jax.random.key(0))
    first, (rest, _) = env.draw({}, state), physics_state(env, state)
    assert {shape.role for shape in first.shapes} >= {"body", "limb"}
    image = raster(first, 100)
    assert max(image.shape) == 100
    assert np.unique(image.reshape(-1, 3), axis=0).shape[0] > 2
    rest[-1] += 0.1  # the last joint, or what is to be reached
    assert drawing(name, rest) != first


def test_a_moving_robot_stays_in_the_middle_and_the_ground_moves():
    here, there = (drawing("Hopper-v5", np.array([x, 1.25, 0, 0, 0, 0.0])) for x in (0.0, 0.2))
    assert there.low[0] == pytest.approx(here.low[0] + 0.2)
    torso, moved = (next(s for s in d.shapes if isinstance(s, Line) and s.role == "body") for d in (here, there))
    assert moved.points[0][0] == pytest.approx(torso.points[0][0] + 0.2)
    ticks = [{s.points[0][0] for s in d.shapes if isinstance(s, Line) and s.role == "wall"} for d in (here, there)]
    assert {-0.5, 0.0, 0.5, 1.0} <= ticks[0] & ticks[1]


def test_a_hull_has_just_the_corners():
    square = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    assert hull([*square, (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)]) == square


def test_envs_with_a_drawing_render_and_others_refuse():
    env = hs.to_gymnasium(hs.task("CartPole-v1", action_delay=1), render_mode="rgb_array")
    with pytest.raises(InputError, match=r"call reset\(\) before render\(\)\.$"):
        env.render()
    env.reset(seed=0)
    image = env.render()
    assert image is not None
    assert image.dtype == np.uint8
    assert hs.to_gymnasium(hs.task("CartPole-v1")).render() is None
    with pytest.raises(InputError, match=r"no render_mode='human'; it has rgb_array\.$"):
        hs.to_gymnasium(hs.task("CartPole-v1"), render_mode="human")
    with pytest.raises(InputError, match=r"Corridor has no render_mode='rgb_array'; it has no drawing"):
        hs.to_gymnasium(probes.one(probes.Corridor()), render_mode="rgb_array")
