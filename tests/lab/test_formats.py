"""Numbers formatted for people."""

import math

import pytest

from headstart.lab import formats
from headstart.protocol.statistics import Interval

S = formats.THIN


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (1843.2, 1702.1, 1990.4, f"1{S}840 [1{S}700, 1{S}990]"),
        (0.8312, 0.6142, 0.9712, "0.83 [0.61, 0.97]"),
        (-12.34, -14.1, 3.07, "−12 [−14, 3]"),
        (310.44, 310.44, 310.44, "310 [310, 310]"),
        (1843.21, 1843.20, 1843.22, f"1{S}843 [1{S}843, 1{S}843]"),  # never more than four digits
        (-0.04, -30.0, 30.0, "0 [−30, 30]"),  # no minus zero
    ],
)
def test_digits_of_an_interval_follow_from_its_width(value, low, high, shown):
    interval = Interval(value, low, high)
    assert f"{formats.statistic(interval)} {formats.bounds(interval)}" == shown


def test_single_numbers():
    assert formats.count(1_000_000) == f"1{S}000{S}000"
    assert formats.number(2894.0) == f"2{S}890"
    assert formats.number(0.2534, 2) == "0.25"
    assert formats.number(7.0) == "7"
    assert formats.number(-112.6) == "−113"
    assert formats.number(0.0) == "0"
    assert formats.rounded(0.0, 0.01) == "0.00"
    assert formats.number(math.nan) == formats.number(None) == formats.statistic(None) == "–"
    assert formats.bounds(None) == formats.bounds(Interval(1.0, math.nan, math.nan)) == ""


def test_differences_have_a_sign():
    assert formats.signed(Interval(720.0, 510.0, 930.0)) == "+720"
    assert formats.signed(Interval(-720.0, -930.0, -510.0)) == "−720"
    assert formats.signed(None) == "–"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (2500.0, f"2{S}500"), (50_000.0, f"50{S}k"), (1.5e6, f"1.5{S}M"), (2e9, f"2{S}G"), (-0.25, "−0.25")],
)
def test_ticks(value, shown):
    assert formats.compact(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.42, f"0.42{S}s"), (41.3, f"41{S}s"), (388.0, f"6{S}min 28{S}s"), (7260.0, f"2{S}h 1{S}min"), (None, "–")],
)
def test_durations(seconds, shown):
    assert formats.duration(seconds) == shown
