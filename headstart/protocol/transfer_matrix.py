"""What may be claimed of a train x deploy matrix: what was learned here and is run there, and where that is a loss."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from headstart.protocol.claims import summary
from headstart.protocol.verdicts import compare, plain


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    learned_on: Sequence[Sequence[str]],
    returns: Float[ndarray, "row column seed"],
    untrained: Float[ndarray, "column seed"],
) -> dict[str, Any]:
    """Returns the matrix as plain data: each cell's return, how far it is above an untrained policy's, and its mark.

    A row has learned the columns that `learned_on` names. `mark` is the verdict on the difference from the untrained
    policy, seed by seed: "negative" is negative transfer. All marks are one family. `interference` is, where a row
    learned several columns, its difference from the row that learned that column alone; its verdict "negative" says
    that it lost there. All of these are another family. NaN is a seed that was lost.
    """
    cells = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
    gains = compare({(i, j): (returns[i, j], untrained[j]) for i, j in cells})
    alone = {on[0]: i for i, on in reversed([*enumerate(learned_on)]) if len(on) == 1}  # the first of each
    joint = [(i, j) for i, j in cells if len(learned_on[i]) > 1 and columns[j] in learned_on[i] and columns[j] in alone]
    beside = compare({(i, j): (returns[i, j], returns[alone[columns[j]], j]) for i, j in joint})

    def lost(cell: tuple[int, int]) -> dict[str, Any] | None:
        found = beside.get(cell)
        return None if found is None else {**plain(found), "verdict": found.verdict}

    grid = [[(i, j) for j in range(len(columns))] for i in range(len(rows))]
    return {
        "rows": list(rows),
        "columns": list(columns),
        "learned_on": [list(on) for on in learned_on],
        "returns": returns,
        "untrained": {"returns": untrained, "value": [summary(column) for column in untrained]},
        "value": [[summary(cell) for cell in row] for row in returns],
        "difference": [[plain(gains[cell]) for cell in line] for line in grid],
        "mark": [[gains[cell].verdict for cell in line] for line in grid],
        "interference": [[lost(cell) for cell in line] for line in grid],
    }
