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
    differences = compare_family(pairs)
    return {name: _row_data(totals, name, controls.get(name), differences.get(name)) for name in totals}


def _row_data(totals: AveragedReturns, name: str, control: str | None, difference: Difference | None) -> dict[str, Any]:
    if difference is None or control is None:
        return {"control": control, "difference": None, "improvement": None, "verdict": None, "no_verdict": None}
    improvement = probability_of_improvement(equalize_rounding(totals[name], totals[control]), totals[control])
    numbers = {key: getattr(improvement, key) for key in ("iqm", "low", "high")}
    return {
        "control": control,
        "difference": difference_data(difference) if difference.pairs else None,
        "improvement": numbers if difference.pairs else None,
        "verdict": difference.verdict,
        "no_verdict": difference.no_verdict,
    }


def compare_pairs(totals: AveragedReturns) -> dict[str, Any]:
    """Returns the differences between all rows: entry [i][j] is row i minus row j.

    All pairs are one family. `leader` is the row with the highest mean among those without failed seeds. `beaten` are
    the rows that it is significantly above, and `open` are the others.
    """
    rows = list(totals)
    differences = compare_family(
        {(i, j): (totals[rows[i]], totals[rows[j]]) for i in range(len(rows)) for j in range(i)}
    )
    grid: list[list[Difference | None]] = [[None] * len(rows) for _ in rows]
    for (i, j), difference in differences.items():
        grid[i][j], grid[j][i] = difference, _reverse_sign(difference)
    leader = _leader(totals)
    leader_differences = {} if leader is None else dict(zip(rows, grid[rows.index(leader)], strict=True))
    beaten = [
        name
        for name, difference in leader_differences.items()
        if difference is not None and difference.verdict == "positive"
    ]
    return {
        "rows": rows,
        "difference": [[None if cell is None else difference_data(cell) for cell in line] for line in grid],
        "verdict": [[None if cell is None else cell.verdict for cell in line] for line in grid],
        "leader": leader,
        "beaten": beaten,
        "open": [name for name in leader_differences if name != leader and name not in beaten],
    }


def _reverse_sign(difference: Difference) -> Difference:
    """Returns the difference with its sign reversed."""
    verdict = {"positive": "negative", "negative": "positive"}.get(difference.verdict or "", difference.verdict)
    bounds = {"mean": -difference.mean, "iqm": -difference.iqm, "low": -difference.high, "high": -difference.low}
    return difference._replace(**bounds, verdict=verdict)


def _leader(totals: AveragedReturns) -> str | None:
    means = {name: float(x.mean()) for name, x in totals.items() if x.size and np.isfinite(x).all()}
    return max(means, key=lambda name: means[name]) if len(means) > 1 else None
