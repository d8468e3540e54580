"""Computes the verdicts of benchmarks as a study does: paired t tests, Holm's correction, at least five pairs.

A family is all comparisons of one measure in one record: of all rows, and of all cases of the benchmark.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from headstart.lab.report.terminal_tables import interval_text
from headstart.protocol.comparisons import COMPARED_BY
from headstart.protocol.verdicts import compare_family, difference_data

Name = TypeVar("Name")
HOW = {**COMPARED_BY, "family": "all comparisons of one measure in this record"}
SIGNS = {"positive": " ▲", "negative": " ▼"}


def compared(pairs: Mapping[Name, tuple[Any, Any]]) -> dict[Name, dict[str, Any]]:
    """Returns the difference of each row from its control [seed], with its verdict, all of them one family."""
    scores = {
        name: (np.asarray(scores_of_row, float), np.asarray(control, float))
        for name, (scores_of_row, control) in pairs.items()
    }
    results = compare_family(scores).items()
    return {
        name: {**difference_data(one), "verdict": one.verdict, "no_verdict": one.no_verdict} for name, one in results
    }


def met(one: Mapping[str, Any], bar: float) -> bool:
    """Returns whether a difference reaches a bar: its IQM does, and its verdict says that it is above 0."""
    return bool(one["iqm"] >= bar and one["verdict"] == "positive")


def shown(one: Mapping[str, Any] | None) -> str:
    """Returns a difference with its interval, and a sign where there is a verdict: ▲ above, ▼ below."""
    return "" if one is None else interval_text(one) + SIGNS.get(one["verdict"] or "", "")
