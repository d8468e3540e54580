"""The cross-evaluation matrix: policies trained on each source, evaluated on each task, and negative transfer."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from headstart.protocol.claims import interval_summary
from headstart.protocol.verdicts import compare_family, difference_data


def assemble_matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    learned_on: Sequence[Sequence[str]],
    returns: Float[ndarray, "row column seed"],
    untrained: Float[ndarray, "column seed"],
) -> dict[str, Any]:
    """Returns the matrix as data: the return of each cell, its difference from an untrained policy, and its mark.

    `learned_on` names the columns that each row was trained on. `mark` is the verdict on the difference from the
    untrained policy, paired by seed: "negative" is negative transfer. All marks are one family. `interference` is the
    difference of a row that was trained on several columns from the row trained on that column alone. All of these are
    another family. NaN is a failed seed.
    """
    cells = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
    gains = compare_family({(i, j): (returns[i, j], untrained[j]) for i, j in cells})
    alone = {on[0]: i for i, on in reversed([*enumerate(learned_on)]) if len(on) == 1}  # the first of each
    joint = [(i, j) for i, j in cells if len(learned_on[i]) > 1 and columns[j] in learned_on[i] and columns[j] in alone]
    interference_of = compare_family({(i, j): (returns[i, j], returns[alone[columns[j]], j]) for i, j in joint})

    def interference(cell: tuple[int, int]) -> dict[str, Any] | None:
        difference = interference_of.get(cell)
        return None if difference is None else {**difference_data(difference), "verdict": difference.verdict}

    grid = [[(i, j) for j in range(len(columns))] for i in range(len(rows))]
    return {
        "rows": list(rows),
        "columns": list(columns),
        "learned_on": [list(on) for on in learned_on],
        "returns": returns,
        "untrained": {"returns": untrained, "value": [interval_summary(column) for column in untrained]},
        "value": [[interval_summary(cell) for cell in row] for row in returns],
        "difference": [[difference_data(gains[cell]) for cell in line] for line in grid],
        "mark": [[gains[cell].verdict for cell in line] for line in grid],
        "interference": [[interference(cell) for cell in line] for line in grid],
    }
