"""What is wrong is said in one sentence."""

import types

import pytest

from headstart.core.errors import InputError, check_range


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
