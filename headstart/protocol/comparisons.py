"""Compares the rows of a study: each with its control, for the verdicts, and each with every other."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from headstart.protocol.statistics import probability_of_improvement
from headstart.protocol.verdicts import ALPHA, MIN_PAIRS, Difference, compare_family, difference_data, equalize_rounding

AveragedReturns = Mapping[
    str, Float[np.ndarray, " seed"]
]  # return of each row averaged over the budget; NaN for failed seeds
COMPARED_BY = {"test": "paired t test, two-sided", "correction": "Holm", "alpha": ALPHA, "fewest_pairs": MIN_PAIRS}


def compare_with_controls(totals: AveragedReturns, controls: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Returns the difference of each row from its control, and the verdict.

    `controls` names the control of each row; all these comparisons are one family. A row without a control, or whose
    control has no result, gets no verdict.
    """
    pairs = {row: (totals[row], totals[control]) for row, control in controls.items() if control in totals}
    found = compare_family(pairs)
    return {name: _row(totals, name, controls.get(name), found.get(name)) for name in totals}


def _row(totals: AveragedReturns, name: str, control: str | None, found: Difference | None) -> dict[str, Any]:
    if found is None or control is None:
        return {"control": control, "difference": None, "improvement": None, "verdict": None, "no_verdict": None}
    improvement = probability_of_improvement(equalize_rounding(totals[name], totals[control]), totals[control])
    numbers = {key: getattr(improvement, key) for key in ("iqm", "low", "high")}
    return {
        "control": control,
        "difference": difference_data(found) if found.pairs else None,
        "improvement": numbers if found.pairs else None,
        "verdict": found.verdict,
        "no_verdict": found.no_verdict,
    }


def compare_pairs(totals: AveragedReturns) -> dict[str, Any]:
    """Returns the differences between all rows: entry [i][j] is row i minus row j.

    All pairs are one family. `leader` is the row with the highest mean among those without failed seeds. `beaten` are
    the rows that it is significantly above, and `open` are the others.
    """
    rows = list(totals)
    halves = compare_family({(i, j): (totals[rows[i]], totals[rows[j]]) for i in range(len(rows)) for j in range(i)})
    grid: list[list[Difference | None]] = [[None] * len(rows) for _ in rows]
    for (i, j), found in halves.items():
        grid[i][j], grid[j][i] = found, _turned(found)
    leader = _leader(totals)
    over = {} if leader is None else dict(zip(rows, grid[rows.index(leader)], strict=True))
    beaten = [name for name, found in over.items() if found is not None and found.verdict == "positive"]
    return {
        "rows": rows,
        "difference": [[None if cell is None else difference_data(cell) for cell in line] for line in grid],
        "verdict": [[None if cell is None else cell.verdict for cell in line] for line in grid],
        "leader": leader,
        "beaten": beaten,
        "open": [name for name in over if name != leader and name not in beaten],
    }


def _turned(found: Difference) -> Difference:
    """Returns the difference with its sign reversed."""
    verdict = {"positive": "negative", "negative": "positive"}.get(found.verdict or "", found.verdict)
    ends = {"mean": -found.mean, "iqm": -found.iqm, "low": -found.high, "high": -found.low}
    return found._replace(**ends, verdict=verdict)


def _leader(totals: AveragedReturns) -> str | None:
    whole = {name: float(x.mean()) for name, x in totals.items() if x.size and np.isfinite(x).all()}
    return max(whole, key=lambda name: whole[name]) if len(whole) > 1 else None
