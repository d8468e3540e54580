"""`study.json` as the report reads it: what is missing, failed or null becomes None or an empty table here, once."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from headstart.protocol.baselines import SCRATCH
from headstart.protocol.statistics import Interval, bootstrap

ORDER = {"naive": 1, "scratch": 2}  # of roles, from top to bottom, below the study's own scratch row
REFERENCES = ("random", "oracle")  # roles that are drawn as levels, not as rows

Table = dict[str, Any]


class CurvePoints(NamedTuple):
    """A method's curve over its seeds, one array entry a point."""

    steps: np.ndarray
    episodes: np.ndarray
    iqm: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Row(NamedTuple):
    """A method and all that is claimed of it."""

    name: str
    role: str  # as in `headstart.methods.Entry`
    about: str
    curve: CurvePoints | None
    shots: dict[int, Interval]
    generalisation: dict[str, Interval]
    metrics: dict[str, Interval]
    notes: dict[str, str]  # metric -> why it cannot be told, or how many seeds never arrived
    difference: Interval | None
    improvement: Interval | None
    p: float | None  # of the difference, adjusted for the family
    verdict: str | None
    no_verdict: str | None  # why there is none
    control: str | None  # the row that it is compared with
    caveats: list[str]  # what else is unlike between the two
    failed: dict[str, str]
    ledger: Table


class StudyData(NamedTuple):
    """A study as the report tells it."""

    source: str
    target: str
    ensemble: str | None
    shots: list[int]
    seeds: list[int]
    budget: float | None
    threshold: float | None
    rows: list[Row]
    references: dict[str, Interval]
    shift: Table
    equal_total: list[Table]
    provenance: Table
    raw: Table

    def row(self, name: str) -> Row | None:
        """Returns the row of that name."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def compared_rows(self) -> list[Row]:
        """Returns all rows but the references."""
        return [row for row in self.rows if row.role not in REFERENCES]

    def is_scratch(self, name: str) -> bool:
        """Returns whether the row of that name learns the target from nothing."""
        row = self.row(name)
        return name == SCRATCH if row is None else row.role == "scratch"

    @property
    def rows_with_control(self) -> list[Row]:
        """Returns the rows that are compared with a control, which is scratch unless the study says otherwise."""
        controls = {row.control for row in self.compared_rows if row.control} or {"scratch"}
        return [row for row in self.compared_rows if row.control or not (row.name in controls or row.role == "scratch")]


def parse_study(study: Table) -> StudyData:
    """Returns the study, with every part that is missing left empty."""
    rows = [_row(str(name), method or {}) for name, method in get_table(study, "methods").items()]
    rows.sort(key=lambda row: 0 if row.name == SCRATCH else ORDER.get(row.role, 3))
    shots = _shots(study, rows)
    judged = len(study.get("seeds") or []) != 1  # one seed has no spread, and so allows no verdict
    budget = _number(study.get("budget")) or _number(study.get("target_steps"))
    return StudyData(
        source=str(study.get("source") or "an unnamed source"),
        target=str(study.get("target") or "an unnamed target"),
        ensemble=str(study["ensemble"]) if study.get("ensemble") else None,
        shots=shots,
        seeds=list(study.get("seeds") or []),
        budget=budget,
        threshold=_number(study.get("threshold")),
        rows=[_level(row, shots)._replace(verdict=row.verdict if judged else None) for row in rows],
        references=_references(study, rows),
        shift=get_table(study, "shift"),
        equal_total=_list(get_table(study, "equal_total").get("rows")),
        provenance=get_table(study, "provenance"),
        raw=study,
    )


def get_table(parent: Any, *path: str) -> Table:
    """Returns the dictionary at the end of the path; empty where there is none."""
    for name in path:
        parent = parent.get(name) if isinstance(parent, Mapping) else None
    return dict(parent) if isinstance(parent, Mapping) else {}


def to_interval(value: Any) -> Interval | None:
    """Returns a table with `mean` or `iqm`, or a bare number (of no width), as an Interval; None of anything else."""
    if not isinstance(value, Mapping):
        x = _number(value)
        return None if x is None else Interval(x, x, x)
    x = _number(value.get("mean", value.get("iqm")))  # a tested difference is one of means
    if x is None:
        return None
    low, high = _number(value.get("low")), _number(value.get("high"))
    return Interval(x, x if low is None else low, x if high is None else high, value.get("seeds"))


def _row(name: str, method: Table) -> Row:
    metrics = get_table(method, "metrics")
    known = {key: told for key, value in metrics.items() if (told := to_interval(value)) is not None}
    return Row(
        name=name,
        role=str(method.get("role") or "method"),
        about=str(method.get("about") or ""),
        curve=_points(get_table(method, "curve")),
        shots={int(k): told for k, v in get_table(method, "shots").items() if (told := to_interval(v)) is not None},
        generalisation={
            k: t for k, v in get_table(method, "generalisation").items() if (t := to_interval(v)) is not None
        },
        metrics=known,
        notes={key: note for key, value in metrics.items() if (note := _note(value))},
        difference=to_interval(method.get("difference")),
        improvement=to_interval(method.get("improvement")),
        p=_number(get_table(method, "difference").get("p_holm")),
        verdict=method.get("verdict"),
        no_verdict=method.get("no_verdict"),
        control=str(method["control"]) if method.get("control") else None,
        caveats=[str(said) for said in method.get("caveats") or ()],
        failed={str(seed): str(reason) for seed, reason in get_table(method, "failed").items()},
        ledger=get_table(method, "ledger"),
    )


def _level(row: Row, shots: list[int]) -> Row:
    """Returns a row whose policy is only run scores at any number of shots what it scores at none."""
    only_run = row.curve is not None and row.curve.iqm.size == 1 and 0 in row.shots
    return row._replace(shots=dict.fromkeys(shots, row.shots[0])) if only_run else row


def _note(metric: Any) -> str:
    told = metric if isinstance(metric, Mapping) else {}
    if told.get("reason"):
        return str(told["reason"])
    never = int(told.get("censored") or 0)
    return (
        f"{never} of {told['seeds']} seeds never" if never and told.get("seeds") else f"{never} never" if never else ""
    )


def _points(curve: Table) -> CurvePoints | None:
    """The bands are taken from the study, or from its seeds' returns where it has none."""
    told = {key: _array(curve.get(key)) for key in ("target_steps", "target_episodes", "iqm", "low", "high")}
    if told["iqm"].size == 0 and curve.get("returns"):
        columns = np.array([_array(seed) for seed in curve["returns"]]).T
        told["iqm"], told["low"], told["high"] = np.array([bootstrap(column)[:3] for column in columns]).T
    n = told["iqm"].size
    steps, episodes = (told[key] if told[key].size == n else np.full(n, np.nan) for key in list(told)[:2])
    low, high = (told[key] if told[key].size == n else told["iqm"] for key in ("low", "high"))
    return CurvePoints(steps, episodes, told["iqm"], low, high) if np.isfinite(told["iqm"]).any() else None


def _references(study: Table, rows: list[Row]) -> dict[str, Interval]:
    """Their own entry, or else where their row ended."""
    found = {name: to_interval(get_table(study, "reference").get(name)) for name in REFERENCES}
    for row in rows:
        if row.name in REFERENCES and found[row.name] is None:
            found[row.name] = row.metrics.get("asymptote")
    return {name: value for name, value in found.items() if value is not None}


def _shots(study: Table, rows: list[Row]) -> list[int]:
    return sorted({int(k) for k in study.get("shots") or []} or {k for row in rows for k in row.shots})


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _array(values: Any) -> np.ndarray:
    return np.array([np.nan if _number(x) is None else float(x) for x in values or []])


def _list(value: Any) -> list[Table]:
    """Returns rows, also where they come as a table of name -> row."""
    if isinstance(value, Mapping):
        return [{"method": name, **get_table(row)} for name, row in value.items()]
    return [dict(row) for row in value or [] if isinstance(row, Mapping)]
