"""The cross-evaluation matrix by hand: five seeds of two sources and a target."""

import json

import numpy as np
import pytest

from headstart.lab.checkpoint.files import jsonable
from headstart.protocol.transfer_matrix import assemble_matrix

A, B, TARGET = "Env@x=1", "Env@x=2", "Env@x=3"
UNTRAINED = np.array([[0.0, 1.0, 2.0, 1.0, 1.0], [10.0] * 5, [5.0] * 5])
NEAR = np.array([0.0, 0.1, -0.1, 0.1, -0.1])
RETURNS = np.array(
    [
        [[10.0, 11.0, 12.0, 11.0, 11.0], 5.0 + NEAR, [5.0, 4.0, 6.0, 4.0, 6.0]],  # trained on A
        [[0.0, 1.0, 2.0, 1.0, 1.0], 20.0 + NEAR, [9.0, 9.0, 9.0, 9.0, np.nan]],  # trained on B
        [8.0 + NEAR, 20.0 - NEAR, 9.0 + NEAR],  # on both
    ]
)


def test_matrix_by_hand():
    matrix = assemble_matrix(["on A", "on B", "joint"], [A, B, TARGET], [[A], [B], [A, B]], RETURNS, UNTRAINED)
    assert matrix["mark"] == [
        ["positive", "negative", "none"],
        ["none", "positive", None],  # four seeds are left of five
        ["positive", "positive", "positive"],
    ]
    assert matrix["value"][0][1]["iqm"] == pytest.approx(5.0)
    difference = matrix["difference"][0][0]
    assert (difference["mean"], difference["low"], difference["high"]) == (10.0, 10.0, 10.0)  # the same in every pair
    assert matrix["difference"][0][1]["mean"] == pytest.approx(-5.0)
    assert matrix["difference"][0][0]["family"] == 8  # cells that have five pairs: all marks are one family
    assert matrix["untrained"]["value"][0]["iqm"] == 1.0
    # 8 - 10, 8.1 - 11, 7.9 - 12, 8.1 - 11, 7.9 - 11: on A, the joint policy is worse than the one trained on A alone
    interference, unchanged, of_target = matrix["interference"][2]
    assert (interference["mean"], interference["verdict"], interference["family"]) == (
        pytest.approx(-3.0),
        "negative",
        2,
    )
    assert (unchanged["mean"], unchanged["verdict"]) == (pytest.approx(0.0), "none")
    assert of_target is None
    assert matrix["interference"][0] == [None] * 3


def test_target_equal_to_a_source_has_interference_too():
    """The target's column has that source's name, so the joint policy is compared with the one of that source."""
    returns = np.nan_to_num(RETURNS, nan=9.0)
    matrix = assemble_matrix(["on A", "on B", "joint"], [A, B, B], [[A], [B], [A, B]], returns, UNTRAINED)
    assert matrix["interference"][2][2]["verdict"] == "none"


def test_failed_seeds_are_left_out_and_four_seeds_give_no_mark():
    interference = np.where(np.arange(5) == 1, np.nan, RETURNS)
    matrix = assemble_matrix(["on A", "on B", "joint"], [A, B, TARGET], [[A], [B], [A, B]], interference, UNTRAINED)
    assert matrix["difference"][0][1]["mean"] == pytest.approx(-5.025)
    assert {mark for row in matrix["mark"] for mark in row} == {None}
    nothing = np.full((1, 1, 5), np.nan)
    data = json.loads(json.dumps(jsonable(assemble_matrix(["x"], [A], [[A]], nothing, UNTRAINED[:1])), allow_nan=False))
    assert data["value"] == [[None]]
    assert data["mark"] == [[None]]
    assert data["returns"] == [[[None] * 5]]
