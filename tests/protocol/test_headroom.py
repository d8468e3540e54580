"""The headroom: the best known return, the threshold, and no threshold if nothing was learned."""

import numpy as np
import pytest

from headstart.protocol.headroom import headroom, is_learned

RANDOM = np.array([8.0, 10.0, 12.0])  # the IQM is 10, the standard deviation 2


def level(*returns: float) -> np.ndarray:
    return np.array(returns)


@pytest.mark.parametrize(
    ("returns", "random", "expected"),
    [
        (level(13.0, 13.0, 13.0), RANDOM, True),
        (level(12.0, 12.0, 12.0), RANDOM, False),  # just the spread
        (level(-25.0, -25.0), level(-25.0, -25.0), False),  # no seed exceeds random
        (level(-24.0), level(-25.0), True),  # one seed has no spread
        (level(13.0, np.nan, 13.0), level(np.nan, 8.0, 12.0), True),
        (level(np.nan), RANDOM, False),
        (level(13.0), level(np.nan), False),
    ],
)
def test_learned_means_above_random_by_more_than_its_spread(returns, random, expected):
    assert is_learned(returns, random) is expected


def test_threshold_lies_between_random_and_the_oracle():
    room = headroom({"random": RANDOM, "scratch": level(20.0), "oracle": level(60.0)})
    assert (room.best_name, room.best, room.random, room.is_learned) == ("oracle", 60.0, 10.0, True)
    assert room.threshold == pytest.approx(50.0)
    assert room.no_threshold is None
    assert room.data(35.0) == {
        "source_policy": 35.0, "best": 60.0, "best_name": "oracle", "random": 10.0, "learned": True, "share": 0.5,
    }  # fmt: skip


def test_row_above_the_oracle_is_the_best_return():
    ends = {"random": RANDOM, "oracle": level(60.0), "naive": level(70.0), "finetune": level(110.0)}
    data = headroom(ends).data(70.0)
    assert data is not None
    assert (data["best"], data["best_name"], data["share"]) == (110.0, "finetune", pytest.approx(0.6))


def test_threshold_and_share_are_none_if_nothing_was_learned():
    ends = {"random": RANDOM, "oracle": level(11.0), "scratch": level(10.0), "naive": level(9.0)}
    room = headroom(ends)
    assert (room.is_learned, room.threshold, room.no_threshold) == (False, None, "nothing was learned")
    data = room.data(9.0)
    assert data is not None
    assert (data["learned"], data["share"]) == (False, None)
    assert headroom(ends, threshold=30.0).threshold == 30.0  # the user's threshold is used


def test_best_row_replaces_an_oracle_that_learned_nothing():
    ends = {"random": RANDOM, "oracle": level(11.0), "finetune": level(60.0), "naive": level(30.0)}
    room = headroom(ends)
    assert (room.best_name, room.is_learned) == ("finetune", True)
    assert room.threshold == pytest.approx(50.0)


def test_without_a_random_policy_there_is_no_threshold():
    room = headroom({"random": level(np.nan), "scratch": level(20.0)})
    assert room.threshold is None
    assert room.no_threshold == "there is no reference to derive a threshold from"
    assert room.data(20.0) is None
