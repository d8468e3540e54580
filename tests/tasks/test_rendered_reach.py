"""RenderedReach: observations by hand, and that a style changes observations only."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

import headstart as hs
from headstart.core.types import EnvParams, Info, spec, stack
from headstart.learners.uniform import Uniform
from headstart.tasks.worlds import RenderedReach
from headstart.tasks.worlds.rendered_reach import DISC, GROUND, HIGH, LOW, MOVES, SQUARE, STYLES, Scene, chance

ENV, KEY = RenderedReach(), jax.random.key(0)


def params(**given: float) -> EnvParams:
    return {name: jnp.float32(x) for name, x in {**ENV.defaults, **given}.items()}


def scene(place: Any = (0.25, 0.75), goal: Any = (0.75, 0.25), seed: int = 7, time: int = 0) -> Scene:
    return Scene(jnp.array(place), jnp.array(goal), jnp.uint32(seed), jnp.int32(time))


SHOW = jax.jit(ENV.observe)


def shown(state: Scene, **given: float) -> np.ndarray:
    """Returns the observation as numbers."""
    picture = SHOW(params(**given), state)
    assert (picture.shape, picture.dtype) == (ENV.observation_space.shape, jnp.dtype("uint8"))
    return np.asarray(picture).astype(float)


# ------------------------------------------------------------------------------------------------ the task


def test_moves_match_their_names_and_end_at_the_edge():
    go = lambda place, action: ENV.transition(params(), scene(place), jnp.int32(action), KEY).place
    for action, (x, y) in enumerate([(0, 0), (-0.08, 0), (0.08, 0), (0, 0.08), (0, -0.08)]):
        np.testing.assert_allclose(go((0.5, 0.5), action), [0.5 + x, 0.5 + y], rtol=1e-6)
    np.testing.assert_allclose(go((LOW, HIGH), 1), [LOW, HIGH], rtol=1e-6)
    assert ENV.action_space.n == len(MOVES) == 5


def test_approaching_is_rewarded_and_arriving_ends_it():
    def paid(before: Any, after: Any) -> list[float]:
        then = scene(after, (0.5, 0.5))
        return [*ENV.cumulants(params(), scene(before, (0.5, 0.5)), jnp.int32(0), then).tolist()]

    assert paid((0.5, 0.9), (0.5, 0.82)) == pytest.approx([0.08, 0.0], abs=1e-6)
    assert paid((0.5, 0.82), (0.5, 0.9)) == pytest.approx([-0.08, 0.0], abs=1e-6)
    assert paid((0.5, 0.66), (0.5, 0.58)) == pytest.approx([0.08, 1.0], abs=1e-6)
    assert bool(ENV.terminal(params(reach=0.2), scene((0.5, 0.65), (0.5, 0.5))))
    assert not bool(ENV.terminal(params(), scene((0.5, 0.65), (0.5, 0.5))))


@pytest.mark.parametrize(("side", "right"), [(0.0, 0.5), (1.0, 1.0), (-1.0, 0.0), (0.6, 0.8)])
def test_goals_are_on_the_given_side(side: float, right: float):
    starts = jax.vmap(ENV.initial, in_axes=(None, 0))(params(goal_side=side), jax.random.split(KEY, 3000))
    assert float((starts.goal[:, 0] > 0.5).mean()) == pytest.approx(right, abs=0.03)
    for x in (starts.place, starts.goal[:, 1:]):  # all else is uniform
        share = (np.asarray(x) - LOW) / (HIGH - LOW)
        np.testing.assert_allclose(np.quantile(share, [0.0, 0.25, 0.5, 0.75, 1.0]), [0, 0.25, 0.5, 0.75, 1], atol=0.04)
    half = np.asarray(starts.goal[:, 0])
    np.testing.assert_allclose(np.abs(half - 0.5).mean(), 0.2, atol=0.01)  # uniform within its half


def test_a_style_changes_nothing_but_the_observation():
    """The same actions from the same initial states: equal to the last bit, except for the images."""
    played = []
    for style in (0.0, 1.0):
        tasks = stack([hs.task(ENV, style=style)])
        learner = Uniform().learner(spec(tasks))
        params, env_states = probes.known(learner), probes.start(learner, tasks, 8, KEY)
        played.append(probes.rollout(learner, params, tasks, env_states, Info(KEY), 40)[1])
    flat, real = played
    for name in ("action", "reward", "discount", "last", "episode_return"):
        np.testing.assert_array_equal(getattr(flat, name), getattr(real, name))
    assert flat.last.any()
    assert (np.asarray(flat.obs) != np.asarray(real.obs)).mean() > 0.9


# ------------------------------------------------------------------------------------------------ what is seen


def test_a_flat_picture_by_hand():
    """Rows from the top: the disc is at the top left, the square at the bottom right, a pixel is 1/32 wide."""
    colours = [np.round(255 * x) for x in (GROUND, DISC, SQUARE)]
    picture = shown(scene())
    ground, disc, square = colours
    for row, column, colour in ((0, 0, ground), (7, 7, disc), (24, 24, square), (8, 24, ground), (24, 8, ground)):
        np.testing.assert_array_equal(picture[row, column], colour)
    cover = (picture - ground[None, None])[..., 1].sum() / (square - ground)[1]  # both are greener than the ground
    np.testing.assert_allclose(cover, 32**2 * (0.16**2 + np.pi * 0.09**2 * (0.05 / 0.6)), rtol=0.05)
    np.testing.assert_array_equal(shown(scene(seed=8, time=3)), picture)  # in a flat world nothing is drawn


def test_the_disc_covers_the_square():
    np.testing.assert_array_equal(shown(scene((0.5, 0.5), (0.5, 0.5)))[15, 15], np.round(255 * DISC))


@pytest.mark.parametrize("name", STYLES)
def test_each_part_of_a_style_is_visible_and_can_be_left_out(name: str):
    alone = {other: float(other == name) for other in STYLES}
    picture, flat = shown(scene(), style=1.0, **alone), shown(scene())
    assert np.abs(picture - flat).max() > 10
    np.testing.assert_array_equal(shown(scene(), style=1.0, **dict.fromkeys(STYLES, 0.0)), flat)
    np.testing.assert_array_equal(shown(scene(), style=0.0, **alone), flat)
    half = np.abs(shown(scene(), style=0.5, **alone) - flat).mean() / np.abs(picture - flat).mean()
    assert half == pytest.approx(0.5, abs=0.1)


def test_tints_are_an_episodes_and_noise_is_a_steps():
    only = lambda name: {"style": 1.0, **{other: float(other == name) for other in STYLES}}
    for name in STYLES:
        one, later, other = (shown(scene(**how), **only(name)) for how in ({}, {"time": 1}, {"seed": 8}))
        assert (one != later).any() == (name == "noise")
        assert (one != other).any()


def test_clutter_hides_neither_disc_nor_square():
    clutter = {"style": 1.0, "texture": 0.0, "tint": 0.0, "light": 0.0, "noise": 0.0}
    for seed in range(20):
        picture = shown(scene(seed=seed), **clutter)
        np.testing.assert_array_equal(picture[7, 7], np.round(255 * DISC))
        np.testing.assert_array_equal(picture[24, 24], np.round(255 * SQUARE))


def test_pseudo_random_numbers_are_uniform_and_repeatable():
    numbers = np.asarray(jax.vmap(lambda seed: chance(seed, 64))(jnp.arange(500, dtype=jnp.uint32)))
    np.testing.assert_array_equal(numbers[3], chance(jnp.uint32(3), 64))
    np.testing.assert_allclose(np.quantile(numbers, [0.0, 0.25, 0.5, 0.75, 1.0]), [0, 0.25, 0.5, 0.75, 1], atol=0.01)
    among = np.corrcoef(numbers.T) - np.eye(64)
    assert np.abs(among).max() < 0.25
    assert np.abs(np.corrcoef(numbers)[np.triu_indices(500, 1)]).mean() < 0.15


def test_drawing_shows_the_observation():
    drawing = ENV.draw(params(), scene())
    assert [shape.role for shape in drawing.shapes] == ["ground", "goal", "body"]
