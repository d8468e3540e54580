"""Conversion of Gymnasium's spaces to ours, and back."""

from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
import strangers
from gymnasium import spaces

from headstart.core.errors import InputError
from headstart.core.spaces import Box, Discrete, Image
from headstart.tasks.host import host
from headstart.tasks.host.actions import actions
from headstart.tasks.host.images import channel_axis
from headstart.tasks.host.spaces import ObservationReader

INF = float("inf")


def test_numbers_of_any_shape_become_a_row():
    observation = ObservationReader(spaces.Box(np.zeros((2, 3)), np.array([[1, 2, 3], [4, 5, INF]]), dtype=np.float64))
    assert observation.space == Box((0.0,) * 6, (1.0, 2.0, 3.0, 4.0, 5.0, INF))
    row = observation.row(np.arange(6.0).reshape(2, 3))
    assert (row.tolist(), row.dtype) == ([0, 1, 2, 3, 4, 5], np.float32)
    assert [tuple(part) for part in observation.parts] == [("", 0, 6)]
    assert ObservationReader(spaces.Box(0.0, 1.0, ())).row(0.5).tolist() == [0.5]


@pytest.mark.parametrize(("theirs", "ours"), [((5, 4, 3), (5, 4, 3)), ((3, 5, 6), (5, 6, 3)), ((5, 4), (5, 4, 1))])
def test_an_image_of_bytes_stays_one_with_its_channels_last(theirs: tuple[int, ...], ours: tuple[int, int, int]):
    observation = ObservationReader(spaces.Box(0, 255, theirs, np.uint8))
    assert observation.space == Image(ours, "uint8")
    given = np.random.default_rng(0).integers(0, 256, theirs, np.uint8)
    shown = observation.to_observation(jnp.asarray(observation.row(given)))
    assert shown.dtype == jnp.uint8
    expected = np.moveaxis(given, 0, -1) if theirs[0] == 3 else given.reshape(ours)
    np.testing.assert_array_equal(shown, expected)
    assert isinstance(ObservationReader(spaces.Dict({"eye": spaces.Box(0, 255, theirs, np.uint8)})).space, Box)


def test_frames_of_colour_become_channels_frame_by_frame():
    observation = ObservationReader(spaces.Box(0, 255, (2, 5, 6, 3), np.uint8))
    assert observation.space == Image((5, 6, 6), "uint8")
    given = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), np.uint8)
    np.testing.assert_array_equal(
        observation.to_observation(jnp.asarray(observation.row(given))), np.concatenate([given[0], given[1]], -1)
    )


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        *[((84, 84, 4), 2), ((4, 84, 84), 0), ((210, 160, 3), 2), ((3, 210, 160), 0)],
        *[((5, 5, 11), 2), ((11, 5, 5), 0), ((3, 3, 3), 2), ((7, 7, 20), 2), ((8, 9, 17), 2), ((12, 84, 96), 0)],
        *[((1, 64, 96), 0), ((64, 96, 1), 2), ((3, 5, 4), 2)],
    ],
)
def test_channels_are_last_unless_the_sizes_say_that_they_are_first(shape: tuple[int, ...], axis: int):
    assert channel_axis(shape) == axis


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (5, 5), np.uint8),  # a board
        spaces.Box(0, np.full((5, 5, 3), [10, 5, 2], np.uint8), (5, 5, 3), np.uint8),  # codes
        spaces.Box(0, 1, (5, 5, 7), np.bool_),  # pyright: ignore[reportArgumentType, reportCallIssue]
        spaces.Box(0, 255, (128,), np.uint8),  # a memory
        spaces.Box(0, 255, (2, 9), np.uint8),  # too narrow for a convolution
        spaces.Box(0.0, 1.0, (9, 9, 3), np.float32),
    ],
    ids=str,
)
def test_an_array_that_is_no_image_of_bytes_is_a_row_of_its_own_numbers(space: spaces.Box):
    observation = ObservationReader(space)
    assert isinstance(observation.space, Box)
    given = space.sample()
    assert observation.row(given).tolist() == given.astype(np.float32).reshape(-1).tolist()
    assert observation.to_observation(jnp.asarray(observation.row(given))).dtype == jnp.float32
    assert len(observation.assumptions) == (len(space.shape) > 1)


def test_choices_are_one_hot():
    assert ObservationReader(spaces.Discrete(3, start=5)).row(np.int64(6)).tolist() == [0, 1, 0]
    assert ObservationReader(spaces.MultiDiscrete([2, 3])).row(np.array([1, 0])).tolist() == [0, 1, 1, 0, 0]
    assert ObservationReader(spaces.MultiBinary((2, 2))).row(np.array([[1, 0], [0, 1]], np.int8)).tolist() == [
        1,
        0,
        0,
        1,
    ]


def test_dicts_and_tuples_are_flattened_by_name():
    goal = spaces.Box(-1.0, 1.0, (2,))
    space = spaces.Dict({"observation": spaces.Box(0, 9, (3,)), "desired_goal": goal, "achieved_goal": goal})
    observation = ObservationReader(space)
    assert [tuple(part) for part in observation.parts] == [
        ("achieved_goal", 0, 2),
        ("desired_goal", 2, 4),
        ("observation", 4, 7),
    ]
    shown = {"observation": np.array([7, 8, 9]), "desired_goal": np.zeros(2), "achieved_goal": np.ones(2)}
    assert observation.row(shown).tolist() == [1, 1, 0, 0, 7, 8, 9]
    nested = ObservationReader(spaces.Tuple([spaces.Dict({"card": spaces.Discrete(2)}), goal]))
    assert [part.name for part in nested.parts] == ["0.card", "1"]
    assert nested.row(({"card": 1}, np.array([0.5, -0.5]))).tolist() == [0, 1, 0.5, -0.5]
    assert host("Blackjack-v1", horizon=20).observation_space.size == 32 + 11 + 2


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ({"a": np.zeros(3), "b": 0}, r"its observation a has shape \(3,\) instead of its space's \(2,\)"),
        ({"a": [0.0, float("nan")], "b": 0}, "its observation a is not finite"),
        ({"a": [0.0, 0.0], "b": 4}, r"its observation b is 4, which is not in Discrete\(3\)"),
        ({"a": [0.0, 0.0], "b": [0, 1]}, r"its observation b has shape \(2,\) instead of its space's \(\)"),
        ({"b": 0}, r"its observation a is not of its space \(KeyError: 'a'\)"),
        (np.zeros(2), "its observation a is not of its space"),
        (None, "its observation a is not of its space"),
    ],
)
def test_an_observation_outside_of_its_space_is_named(shown: Any, sentence: str):
    observation = ObservationReader(spaces.Dict({"a": spaces.Box(0.0, 1.0, (2,)), "b": spaces.Discrete(3)}))
    with pytest.raises(ValueError, match=sentence):
        observation.check(observation.row(shown))


def test_actions_are_converted_to_the_env_s():
    ours, give, _ = actions(spaces.Discrete(3, start=-1))
    assert (ours, give(np.array([0, 2]))) == (Discrete(3), [-1, 1])
    ours, give, _ = actions(spaces.MultiDiscrete([2, 3]))
    assert ours == Discrete(6)
    assert give(np.arange(6)).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    ours, give, _ = actions(spaces.MultiBinary(2))
    assert (ours, give(np.array([2]))[0].tolist()) == (Discrete(4), [1, 0])
    ours, give, _ = actions(spaces.Box(np.array([[-1.0], [0.0]]), np.array([[1.0], [INF]]), dtype=np.float64))
    assert ours == Box((-1.0, 0.0), (1.0, INF))
    (back,) = give(np.array([[0.5, -3.0]], np.float32))
    assert (back.tolist(), back.dtype) == ([[0.5], [0.0]], np.float64)
    back = actions(spaces.Box(0, 9, (1,), np.int64)).to_theirs(np.array([[2.7]], np.float32))
    assert (back.tolist(), back.dtype) == ([[3]], np.int64)
    ours, give, _ = actions(spaces.Dict({"arm": spaces.Box(-1, 1, (2,)), "base": spaces.Box(-2, 2, (1,))}))
    assert ours == Box((-1.0, -1.0, -2.0), (1.0, 1.0, 2.0))
    (back,) = give(np.array([[0.1, 0.2, 1.5]], np.float32))
    assert {name: x.tolist() for name, x in back.items()} == {"arm": pytest.approx([0.1, 0.2]), "base": [1.5]}


@pytest.mark.parametrize(
    ("theirs", "low", "high"),
    [
        (spaces.Box(-1e30, 1e30, (1,), np.float64), -INF, INF),
        (spaces.Box(np.finfo(np.float32).min, np.finfo(np.float32).max, (1,)), -INF, INF),
        (spaces.Box(np.finfo(np.float16).min, 2.0, (1,), np.float16), -INF, 2.0),
        (spaces.Box(-(2**31), 2**31 - 1, (1,), np.int32), -INF, INF),
        (spaces.Box(0, 2**63 - 1, (1,), np.int64), 0.0, INF),
        (spaces.Box(0, 255, (1,), np.uint8), 0.0, 255.0),
        (spaces.Box(3.0, 3.0, (1,)), 3.0, 3.0),
        (spaces.Box(-1e6, 1e6, (1,)), -1e6, 1e6),
    ],
    ids=str,
)
def test_very_large_bounds_count_as_unbounded(theirs: spaces.Box, low: float, high: float):
    ours, give, assumptions = actions(theirs)
    assert ours == Box((low,), (high,))
    assert any("bound" in line for line in assumptions) == (INF in (-low, high))
    for wanted in (-7.4, 0.0, 7.4, 1e6):
        assert theirs.contains(give(np.array([[wanted]], np.float32))[0])


def test_an_action_stays_within_bounds_that_float32_cannot_hold():
    theirs = spaces.Box(-0.1, 0.1, (1,), np.float64)  # float32's 0.1 lies above
    ours, give, _ = actions(theirs)
    (back,) = give(np.asarray(ours.rescale(jnp.ones(1)))[None])
    assert back[0] == 0.1
    parts = spaces.Dict({"count": spaces.Box(0, 9, (1,), np.int64), "push": theirs})
    (back,) = actions(parts).to_theirs(np.array([[2.7, 5.0]], np.float32))
    assert (back["count"].tolist(), back["push"].tolist()) == ([3], [0.1])


@pytest.mark.parametrize(
    ("observation", "done", "sentence"),
    [
        (spaces.Text(3), spaces.Discrete(2), r"has observations of a kind that is not supported: Text\("),
        (spaces.Dict({"said": spaces.Text(3)}), spaces.Discrete(2), "has said of a kind that is not supported"),
        (spaces.Discrete(20_000), spaces.Discrete(2), "has observations of 20000 choices; 10000 is the maximum"),
        (spaces.Dict({}), spaces.Discrete(2), "has empty observations"),
        (
            strangers.SEEN,
            spaces.MultiDiscrete([9] * 9),
            "has 387420489 combinations of choices .*; 1024 is the maximum",
        ),
        (strangers.SEEN, spaces.Box(-1.0, 1.0, (0,)), "has actions of no numbers at all"),
        (strangers.SEEN, spaces.Text(3), "has actions of a kind that is not supported"),
        (strangers.SEEN, spaces.Tuple([spaces.Discrete(2)]), "has actions of a kind that is not supported"),
    ],
)
def test_unsupported_spaces_are_refused(observation: gymnasium.Space, done: gymnasium.Space, sentence: str):
    def odd() -> gymnasium.Env:
        return strangers.Odd(observation, done)

    with pytest.raises(InputError, match=f"^odd {sentence}.*\\.$"):
        host(odd, horizon=5)
