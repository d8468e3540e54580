"""Error messages are one sentence."""

import dataclasses
import types
from typing import Any, Literal

import pytest

from headstart.core.errors import InputError, check_choices, check_names, check_range


def owner(x: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(share=x)


@pytest.mark.parametrize("x", [0.0, 0.5, 1.0, None])
def test_within_the_range_nothing_happens(x: float | None):
    check_range(owner(x), "share", 0.0, 1.0)


@pytest.mark.parametrize("x", [-0.1, 1.1, float("nan"), float("inf")])
def test_outside_of_the_range_the_sentence_names_field_value_and_range(x: float):
    with pytest.raises(InputError, match=r"^SimpleNamespace\(share=.*\) is out of range: share is within \[0, 1\]\.$"):
        check_range(owner(x), "share", 0.0, 1.0)


def test_an_open_end_does_not_belong():
    with pytest.raises(InputError, match=r"within \(0, 1\]"):
        check_range(owner(0.0), "share", 0.0, 1.0, open_low=True)


@dataclasses.dataclass(frozen=True)
class Owner:
    """A record with a choice and names."""

    kind: Literal["one", "other"] = "one"
    names: tuple[str, ...] = ()


def test_an_unknown_choice_is_refused_with_the_list():
    check_choices(Owner("other"), "kind")
    with pytest.raises(InputError, match=r"^Owner\(kind='on'\) is unknown: kind is one of one, other\.$"):
        check_choices(Owner("on"), "kind")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("names", ["value", ["value"], (1,)])
def test_names_that_are_no_tuple_are_refused_with_an_example(names: Any):
    check_names(Owner(names=("a", "b")), "names")
    with pytest.raises(InputError, match=r"^Owner\(names=.*\) is no tuple of names; write names=\(.*,\)\.$"):
        check_names(Owner(names=names), "names")
