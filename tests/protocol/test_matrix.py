"""The train x deploy matrix by hand: three seeds of two sources and a target."""

import json

import numpy as np
import pytest

from headstart.lab.files import plain
from headstart.protocol.matrix import matrix

A, B, TARGET = "Env@x=1", "Env@x=2", "Env@x=3"
UNTRAINED = np.array([[0.0, 1.0, 2.0], [10.0, 10.0, 10.0], [5.0, 5.0, 5.0]])
RETURNS = np.array(
    [
        [[10.0, 11.0, 12.0], [5.0, 6.0, 4.0], [5.0, 4.0, 6.0]],  # learned on A
        [[0.0, 1.0, 2.0], [20.0, 20.0, 20.0], [9.0, 9.0, np.nan]],  # learned on B
        [[7.0, 9.0, 8.0], [20.0, 21.0, 19.0], [9.0, 9.0, 9.0]],  # on both
    ]
)


def test_the_numbers_are_those_one_works_out_by_hand():
    found = matrix(["on A", "on B", "joint"], [A, B, TARGET], [[A], [B], [A, B]], RETURNS, UNTRAINED)
    assert found["mark"] == [
        ["positive", "negative", "none"],
        ["none", "positive", "positive"],
        ["positive", "positive", "positive"],
    ]
    assert found["value"][0][1] == pytest.approx({"iqm": 5.0, "low": 4.0, "high": 6.0})
    assert found["difference"][0][0] == {"iqm": 10.0, "low": 10.0, "high": 10.0}  # the same in every pair
    assert found["difference"][0][1] == pytest.approx({"iqm": -5.0, "low": -6.0, "high": -4.0})
    assert found["untrained"]["value"][0]["iqm"] == 1.0
    # 7 - 10, 9 - 11, 8 - 12: joint learning lost on A what is learned of it alone; on B it comes to the same
    lost, kept, told = found["interference"][2]
    assert (lost["iqm"], lost["low"], lost["high"], lost["verdict"]) == (-3.0, -4.0, -2.0, "negative")
    assert (kept["iqm"], kept["verdict"]) == (0.0, "none")
    assert told is None
    assert found["interference"][0] == [None] * 3


def test_a_target_that_is_a_source_has_been_learned_too():
    """The target's column has that source's name, and so the policy that learned it alone beside the joint one."""
    found = matrix(["on A", "on B", "joint"], [A, B, B], [[A], [B], [A, B]], RETURNS, UNTRAINED)
    assert found["interference"][2][2]["iqm"] == 0.0


def test_lost_seeds_are_left_out_and_one_seed_marks_nothing():
    lost = np.where(np.arange(3) == 1, np.nan, RETURNS)
    found = matrix(["on A", "on B", "joint"], [A, B, TARGET], [[A], [B], [A, B]], lost, UNTRAINED)
    assert found["difference"][0][1]["iqm"] == pytest.approx(-5.5)
    all_of_them = np.full_like(RETURNS, np.nan)
    for returns in (all_of_them, np.where(np.arange(3) == 1, RETURNS, np.nan)):
        found = matrix(["on A", "on B", "joint"], [A, B, TARGET], [[A], [B], [A, B]], returns, UNTRAINED)
        assert {mark for row in found["mark"] for mark in row} == {"none"}
    data = json.loads(json.dumps(plain(matrix(["x"], [A], [[A]], all_of_them[:1, :1], UNTRAINED[:1])), allow_nan=False))
    assert data["value"] == [[None]]
    assert data["returns"] == [[[None] * 3]]
