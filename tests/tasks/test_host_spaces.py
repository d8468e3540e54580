"""Gymnasium's spaces as ours, there and back."""

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
from headstart.tasks.host.spaces import Seen, action

INF = float("inf")


def test_numbers_of_any_shape_become_a_row():
    seen = Seen(spaces.Box(np.zeros((2, 3)), np.array([[1, 2, 3], [4, 5, INF]]), dtype=np.float64))
    assert seen.sight == Box((0.0,) * 6, (1.0, 2.0, 3.0, 4.0, 5.0, INF))
    row = seen.row(np.arange(6.0).reshape(2, 3))
    assert (row.tolist(), row.dtype) == ([0, 1, 2, 3, 4, 5], np.float32)
    assert [tuple(part) for part in seen.parts] == [("", 0, 6)]
    assert Seen(spaces.Box(0.0, 1.0, ())).row(0.5).tolist() == [0.5]


@pytest.mark.parametrize(("theirs", "ours"), [((5, 4, 3), (5, 4, 3)), ((3, 5, 4), (5, 4, 3)), ((5, 4), (5, 4, 1))])
def test_an_image_of_bytes_stays_one_with_its_channels_last(theirs: tuple[int, ...], ours: tuple[int, int, int]):
    seen = Seen(spaces.Box(0, 255, theirs, np.uint8))
    assert seen.sight == Image(ours, "uint8")
    given = np.random.default_rng(0).integers(0, 256, theirs, np.uint8)
    shown = seen.show(jnp.asarray(seen.row(given)))
    assert shown.dtype == jnp.uint8
    expected = np.moveaxis(given, 0, -1) if theirs[0] == 3 else given.reshape(ours)
    np.testing.assert_array_equal(shown, expected)
    assert isinstance(Seen(spaces.Dict({"eye": spaces.Box(0, 255, theirs, np.uint8)})).sight, Box)


def test_choices_are_seen_as_a_one_among_zeros():
    assert Seen(spaces.Discrete(3, start=5)).row(np.int64(6)).tolist() == [0, 1, 0]
    assert Seen(spaces.MultiDiscrete([2, 3])).row(np.array([1, 0])).tolist() == [0, 1, 1, 0, 0]
    assert Seen(spaces.MultiBinary((2, 2))).row(np.array([[1, 0], [0, 1]], np.int8)).tolist() == [1, 0, 0, 1]


def test_dicts_and_tuples_are_flattened_by_name():
    goal = spaces.Box(-1.0, 1.0, (2,))
    space = spaces.Dict({"observation": spaces.Box(0, 9, (3,)), "desired_goal": goal, "achieved_goal": goal})
    seen = Seen(space)
    assert [tuple(part) for part in seen.parts] == [
        ("achieved_goal", 0, 2),
        ("desired_goal", 2, 4),
        ("observation", 4, 7),
    ]
    shown = {"observation": np.array([7, 8, 9]), "desired_goal": np.zeros(2), "achieved_goal": np.ones(2)}
    assert seen.row(shown).tolist() == [1, 1, 0, 0, 7, 8, 9]
    nested = Seen(spaces.Tuple([spaces.Dict({"card": spaces.Discrete(2)}), goal]))
    assert [part.name for part in nested.parts] == ["0.card", "1"]
    assert nested.row(({"card": 1}, np.array([0.5, -0.5]))).tolist() == [0, 1, 0.5, -0.5]
    assert host("Blackjack-v1", horizon=20).observation.size == 32 + 11 + 2


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ({"a": np.zeros(3), "b": 0}, r"its observation a has shape \(3,\), where its space says \(2,\)"),
        ({"a": [0.0, float("nan")], "b": 0}, "its observation a is not finite"),
        ({"a": [0.0, 0.0], "b": 4}, r"its observation b is 4, which is none of the choices of Discrete\(3\)"),
        ({"a": [0.0, 0.0], "b": [0, 1]}, r"its observation b has shape \(2,\), where its space says \(\)"),
        ({"b": 0}, r"its observation a is not of its space \(KeyError: 'a'\)"),
        (np.zeros(2), "its observation a is not of its space"),
        (None, "its observation a is not of its space"),
    ],
)
def test_an_observation_that_is_not_of_its_space_is_told(shown: Any, sentence: str):
    seen = Seen(spaces.Dict({"a": spaces.Box(0.0, 1.0, (2,)), "b": spaces.Discrete(3)}))
    with pytest.raises(ValueError, match=sentence):
        seen.check(seen.row(shown))


def test_actions_go_back_as_the_env_wants_them():
    ours, give = action(spaces.Discrete(3, start=-1))
    assert (ours, give(np.array([0, 2]))) == (Discrete(3), [-1, 1])
    ours, give = action(spaces.MultiDiscrete([2, 3]))
    assert ours == Discrete(6)
    assert give(np.arange(6)).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    ours, give = action(spaces.MultiBinary(2))
    assert (ours, give(np.array([2]))[0].tolist()) == (Discrete(4), [1, 0])
    ours, give = action(spaces.Box(np.array([[-1.0], [0.0]]), np.array([[1.0], [INF]]), dtype=np.float64))
    assert ours == Box((-1.0, 0.0), (1.0, INF))
    (back,) = give(np.array([[0.5, -3.0]], np.float32))
    assert (back.tolist(), back.dtype) == ([[0.5], [0.0]], np.float64)
    back = action(spaces.Box(0, 9, (1,), np.int64))[1](np.array([[2.7]], np.float32))
    assert (back.tolist(), back.dtype) == ([[3]], np.int64)
    ours, give = action(spaces.Dict({"arm": spaces.Box(-1, 1, (2,)), "base": spaces.Box(-2, 2, (1,))}))
    assert ours == Box((-1.0, -1.0, -2.0), (1.0, 1.0, 2.0))
    (back,) = give(np.array([[0.1, 0.2, 1.5]], np.float32))
    assert {name: x.tolist() for name, x in back.items()} == {"arm": pytest.approx([0.1, 0.2]), "base": [1.5]}


@pytest.mark.parametrize(
    ("seen", "done", "sentence"),
    [
        (spaces.Text(3), spaces.Discrete(2), r"shows something of a kind that is no row of numbers: Text\("),
        (spaces.Dict({"said": spaces.Text(3)}), spaces.Discrete(2), "shows said of a kind that is no row of numbers"),
        (spaces.Discrete(20_000), spaces.Discrete(2), "shows one of 20000 choices; 10000 is the most"),
        (spaces.Dict({}), spaces.Discrete(2), "shows nothing at all"),
        (strangers.SEEN, spaces.MultiDiscrete([9] * 9), "has 387420489 combinations of choices .*; 1024 is the most"),
        (strangers.SEEN, spaces.Text(3), "has actions of a kind that nothing here can choose"),
        (strangers.SEEN, spaces.Tuple([spaces.Discrete(2)]), "has actions of a kind that nothing here can choose"),
    ],
)
def test_spaces_for_which_there_is_no_way_get_a_sentence(seen: gymnasium.Space, done: gymnasium.Space, sentence: str):
    def odd() -> gymnasium.Env:
        return strangers.Odd(seen, done)

    with pytest.raises(InputError, match=f"^odd {sentence}.*\\.$"):
        host(odd, horizon=5)
