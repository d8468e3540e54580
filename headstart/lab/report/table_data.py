"""The numbers of the report's tables, as plain data for the templates."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headstart.lab import formats
from headstart.lab.report.study_data import REFERENCES, StudyData, get_dict, get_item, to_interval
from headstart.protocol.statistics import Interval

RANGES = {"nominal": "nominal", "in_range": "inside the ensemble's range", "held_out": "outside the range"}
EFFECTS = {
    "initial": "initial state",
    "next_state": "next state",
    "reward": "reward",
    "termination": "termination",
    "return": "return of random actions",
}
# Of a row at an equal total budget: its name, its final return, and what the report does not show.
EQUAL_TOTAL_KEYS = ("method", "name", "iqm", "low", "high", "seeds", "left_out", "return", "asymptote")


class CurvePoint(NamedTuple):
    """A point of a row's learning curve."""

    name: str
    steps: float
    episodes: float
    value: Interval | None


class TableRow(NamedTuple):
    """A row's name and its cells."""

    name: str
    cells: list[Any]


class Table(NamedTuple):
    """The rows of a table, and the heads of their cells."""

    heads: list[str]
    rows: list[TableRow]


class ShiftRow(NamedTuple):
    """A changed parameter and its effect sizes."""

    name: str
    change: str
    effects: list[float | None]


class ShiftTable(NamedTuple):
    """The effects of the changed parameters, and the kinds of effect that were measured."""

    heads: list[str]
    rows: list[ShiftRow]


class EqualTotalRow(NamedTuple):
    """A row's final return at an equal total budget, and its further columns."""

    name: str
    value: Interval | None
    cells: list[str]


class EqualTotalTable(NamedTuple):
    """The final returns at an equal budget of source and target steps together."""

    steps: float | None
    heads: list[str]  # of the further columns
    rows: list[EqualTotalRow]


class Failure(NamedTuple):
    """A failed run."""

    name: str
    seed: str
    reason: str


def curve_points(study: StudyData) -> list[CurvePoint]:
    """Returns the points of all learning curves."""
    return [
        CurvePoint(row.name, steps, episodes, to_interval({"iqm": iqm, "low": low, "high": high}))
        for row in study.compared_rows
        for steps, episodes, iqm, low, high in zip(*row.curve or (), strict=True)
    ]


def few_shot_returns(study: StudyData) -> Table:
    """Returns the returns after each number of target episodes. A cell says whether it is the best of its column."""
    heads = [f"{formats.count(k)} {'shot' if k == 1 else 'shots'}" for k in study.shots]
    return Table(heads, _mark_best({row.name: row.shots for row in study.rows if row.shots}, study.shots))


def generalization_returns(study: StudyData) -> Table:
    """Returns the source policies' returns over the ensemble, before adaptation. Cells as in `few_shot_returns`."""
    rows = {row.name: row.generalization for row in study.rows if row.generalization}
    known = dict.fromkeys(key for row in rows.values() for key in row)
    keys = [key for key in dict.fromkeys([*RANGES, *known]) if key in known]
    return Table([RANGES.get(key, key) for key in keys], _mark_best(rows, keys))


def shift_effects(study: StudyData) -> ShiftTable | None:
    """Returns the effect of each changed parameter alone, and of all together; None without a measured shift."""
    keys = [key for key in EFFECTS if study.shift.get(key) is not None]
    parameters = get_dict(study.shift, "parameters")
    if not keys and not parameters:
        return None
    rows = []
    for name, effects in parameters.items():
        values = get_dict(effects)
        change = f"{formats.value_text(values.get('source'))} → {formats.value_text(values.get('target'))}"
        rows.append(ShiftRow(name, change, [to_number(values.get(key)) for key in keys]))
    rows.append(ShiftRow("all parameters", "", [to_number(study.shift.get(key)) for key in keys]))
    return ShiftTable([EFFECTS[key] for key in keys], rows)


def equal_total_returns(study: StudyData) -> EqualTotalTable:
    """Returns the final returns at an equal budget of source and target steps together."""
    keys = list(dict.fromkeys(key for row in study.equal_total for key in row if key not in EQUAL_TOTAL_KEYS))
    rows = [
        EqualTotalRow(
            str(row.get("method") or row.get("name") or formats.UNKNOWN),
            to_interval(row) or to_interval(row.get("return")) or to_interval(row.get("asymptote")),
            [formats.value_text(row.get(key)) for key in keys],
        )
        for row in study.equal_total
    ]
    steps = to_number(get_dict(study.raw, "equal_total").get("steps"))
    return EqualTotalTable(steps, [key.replace("_", " ") for key in keys], rows)


def pair_differences(study: StudyData) -> Table | None:
    """Returns the difference of each row from each row, with its verdict; None for fewer than three rows."""
    pairs = get_dict(study.raw, "pairs")
    names = [str(name) for name in pairs.get("rows") or []]
    if len(names) < 3:  # the verdict covers two rows
        return None
    rows = []
    for i, name in enumerate(names):
        differences, verdicts = get_item(pairs.get("difference"), i), get_item(pairs.get("verdict"), i)
        cells = [(to_interval(get_item(differences, j)), get_item(verdicts, j)) for j in range(len(names))]
        rows.append(TableRow(name, cells))
    return Table([f"minus {name}" for name in names], rows)


def failed_seeds(study: StudyData) -> list[Failure]:
    """Returns the failed runs with their reasons."""
    failed = {**get_dict(study.raw, "reference_failed"), **{row.name: row.failed for row in study.rows}}
    return [Failure(name, str(seed), str(reason)) for name, seeds in failed.items() for seed, reason in seeds.items()]


def to_number(value: Any) -> float | None:
    """Returns the number, or the statistic of the interval, or None."""
    interval = to_interval(value)
    return None if interval is None else interval.iqm


def _mark_best(rows: Mapping[str, Mapping[Any, Interval]], columns: Sequence[Any]) -> list[TableRow]:
    """Returns the cells of the columns, each with whether it is the best of its column."""
    best = {column: _best({name: row[column] for name, row in rows.items() if column in row}) for column in columns}
    return [TableRow(name, [(row.get(k), best[k] == name) for k in columns]) for name, row in rows.items()]


def _best(column: Mapping[str, Interval]) -> str | None:
    """Returns the name of the highest return, if its interval lies above all others."""
    values = {name: value for name, value in column.items() if name not in REFERENCES}
    if len(values) < 2:
        return None
    top = max(values, key=lambda name: values[name].iqm)
    low = values[top].low
    is_clear = low < values[top].high and all(low > x.high for name, x in values.items() if name != top)
    return top if is_clear else None
