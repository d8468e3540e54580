"""What may be claimed of a train x deploy matrix: what was learned here and is run there, and where that is a loss."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from headstart.protocol.claims import numbers, summary
from headstart.protocol.statistics import paired_difference, verdict


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    learned_on: Sequence[Sequence[str]],
    returns: Float[ndarray, "row column seed"],
    untrained: Float[ndarray, "column seed"],
) -> dict[str, Any]:
    """-> the matrix as plain data: each cell's return, how far it is above an untrained policy's, and its mark.

    A row has learned the columns that `learned_on` names. `mark` is the verdict on the difference from the untrained
    policy, seed by seed: "negative" is negative transfer. `interference` is, where a row learned several columns, its
    difference from the row that learned that column alone; its verdict "negative" says that it lost there. NaN is a
    seed that was lost.
    """
    gains = [[paired_difference(*cell) for cell in zip(row, untrained, strict=True)] for row in returns]
    alone = {on[0]: i for i, on in reversed([*enumerate(learned_on)]) if len(on) == 1}  # the first of each

    def beside(row: int, column: int) -> dict[str, Any] | None:
        name = columns[column]
        if len(learned_on[row]) == 1 or name not in learned_on[row] or name not in alone:
            return None
        difference = paired_difference(returns[row, column], returns[alone[name], column])
        return {**numbers(difference), "verdict": verdict(difference)}

    return {
        "rows": list(rows),
        "columns": list(columns),
        "learned_on": [list(on) for on in learned_on],
        "returns": returns,
        "untrained": {"returns": untrained, "value": [summary(column) for column in untrained]},
        "value": [[summary(cell) for cell in row] for row in returns],
        "difference": [[numbers(gain) for gain in row] for row in gains],
        "mark": [[verdict(gain) for gain in row] for row in gains],
        "interference": [[beside(i, j) for j in range(len(columns))] for i in range(len(rows))],
    }
