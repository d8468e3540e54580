"""Parses `study.json` for the report. Parts that are missing, failed or null become None or an empty dict."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from headstart.protocol.baselines import SCRATCH
from headstart.protocol.statistics import Interval, bootstrap

ROLE_ORDER = {"naive": 1, "scratch": 2}  # rows below the study's own scratch row; other roles follow
REFERENCES = ("random", "oracle")  # roles that are drawn as reference lines, not as rows

JsonDict = dict[str, Any]


class CurvePoints(NamedTuple):
    """The curve of a row over its seeds; all arrays are [point]."""

    steps: np.ndarray
    episodes: np.ndarray
    iqm: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Row(NamedTuple):
    """A row of the study: a method and its results."""

    name: str
    role: str  # as in `headstart.methods.Entry`
    about: str
    curve: CurvePoints | None
    shots: dict[int, Interval]
    generalization: dict[str, Interval]
    metrics: dict[str, Interval]
    notes: dict[str, str]  # metric -> why it is undefined, or how many seeds never reached the threshold
    difference: Interval | None
    improvement: Interval | None
    p: float | None  # of the difference, adjusted for the family
    verdict: str | None
    no_verdict: str | None  # why there is no verdict
    control: str | None  # the row that it is compared with
    caveats: list[str]  # other differences from the control
    failed: dict[str, str]  # seed -> reason
    ledger: JsonDict


class StudyData(NamedTuple):
    """A parsed study."""

    source: str
    target: str
    ensemble: str | None
    shots: list[int]
    seeds: list[int]
    budget: float | None
    threshold: float | None
    rows: list[Row]
    references: dict[str, Interval]
    shift: JsonDict
    equal_total: list[JsonDict]
    provenance: JsonDict
    raw: JsonDict

    def row(self, name: str) -> Row | None:
        """Returns the row of that name."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def compared_rows(self) -> list[Row]:
        """Returns all rows but the references."""
        return [row for row in self.rows if row.role not in REFERENCES]

    def is_scratch(self, name: str) -> bool:
        """Returns whether the row of that name trains on the target from scratch."""
        row = self.row(name)
        return name == SCRATCH if row is None else row.role == "scratch"

    @property
    def rows_with_control(self) -> list[Row]:
        """Returns the rows that are compared with a control, which is scratch unless the study has another one."""
        controls = {row.control for row in self.compared_rows if row.control} or {"scratch"}
        return [row for row in self.compared_rows if row.control or not (row.name in controls or row.role == "scratch")]


def parse_study(study: JsonDict) -> StudyData:
    """Parses what `study.json` holds. Every part may be missing."""
    rows = [_row(str(name), method or {}) for name, method in get_dict(study, "methods").items()]
    rows.sort(key=lambda row: 0 if row.name == SCRATCH else ROLE_ORDER.get(row.role, 3))
    shots = _shots(study, rows)
    has_verdicts = len(study.get("seeds") or []) != 1  # one seed has no spread
    budget = _number(study.get("budget")) or _number(study.get("target_steps"))
    return StudyData(
        source=str(study.get("source") or "an unnamed source"),
        target=str(study.get("target") or "an unnamed target"),
        ensemble=str(study["ensemble"]) if study.get("ensemble") else None,
        shots=shots,
        seeds=list(study.get("seeds") or []),
        budget=budget,
        threshold=_number(study.get("threshold")),
        rows=[_repeat_untrained(row, shots)._replace(verdict=row.verdict if has_verdicts else None) for row in rows],
        references=_references(study, rows),
        shift=get_dict(study, "shift"),
        equal_total=_list(get_dict(study, "equal_total").get("rows")),
        provenance=get_dict(study, "provenance"),
        raw=study,
    )


def get_dict(parent: Any, *path: str) -> JsonDict:
    """Returns the dict at the end of the path; an empty one if it is missing."""
    for name in path:
        parent = parent.get(name) if isinstance(parent, Mapping) else None
    return dict(parent) if isinstance(parent, Mapping) else {}


def get_item(values: Any, i: int) -> Any:
    """Returns an item of a list; None if it is missing."""
    return values[i] if isinstance(values, list | tuple) and i < len(values) else None


def to_interval(value: Any) -> Interval | None:
    """Returns a dict with `mean` or `iqm`, or a number (as an interval of width 0), as an Interval; else None."""
    if not isinstance(value, Mapping):
        x = _number(value)
        return None if x is None else Interval(x, x, x)
    x = _number(value.get("mean", value.get("iqm")))  # a tested difference has a mean
    if x is None:
        return None
    low, high = _number(value.get("low")), _number(value.get("high"))
    return Interval(x, x if low is None else low, x if high is None else high, value.get("seeds"))


def _row(name: str, method: JsonDict) -> Row:
    metrics = get_dict(method, "metrics")
    return Row(
        name=name,
        role=str(method.get("role") or "method"),
        about=str(method.get("about") or ""),
        curve=_curve_points(get_dict(method, "curve")),
        shots={int(k): value for k, value in _intervals(get_dict(method, "shots")).items()},
        generalization=_intervals(get_dict(method, "generalisation")),
        metrics=_intervals(metrics),
        notes={key: note for key, value in metrics.items() if (note := _note(value))},
        difference=to_interval(method.get("difference")),
        improvement=to_interval(method.get("improvement")),
        p=_number(get_dict(method, "difference").get("p_holm")),
        verdict=method.get("verdict"),
        no_verdict=method.get("no_verdict"),
        control=str(method["control"]) if method.get("control") else None,
        caveats=[str(caveat) for caveat in method.get("caveats") or ()],
        failed={str(seed): str(reason) for seed, reason in get_dict(method, "failed").items()},
        ledger=get_dict(method, "ledger"),
    )


def _intervals(values: JsonDict) -> dict[str, Interval]:
    """Returns the entries that are intervals."""
    return {key: interval for key, value in values.items() if (interval := to_interval(value)) is not None}


def _repeat_untrained(row: Row, shots: list[int]) -> Row:
    """Returns a row that never trains on the target with its return at 0 shots as the return at all shots."""
    untrained = row.curve is not None and row.curve.iqm.size == 1 and 0 in row.shots
    return row._replace(shots=dict.fromkeys(shots, row.shots[0])) if untrained else row


def _note(metric: Any) -> str:
    metric = metric if isinstance(metric, Mapping) else {}
    if metric.get("reason"):
        return str(metric["reason"])
    never = int(metric.get("censored") or 0)
    if not never:
        return ""
    return f"{never} of {metric['seeds']} seeds never" if metric.get("seeds") else f"{never} never"


def _curve_points(curve: JsonDict) -> CurvePoints | None:
    """Returns the curve. If the study has no bands, they are computed from the returns of the seeds."""
    keys = ("target_steps", "target_episodes", "iqm", "low", "high")
    steps, episodes, iqm, low, high = (_array(curve.get(key)) for key in keys)
    if iqm.size == 0 and curve.get("returns"):
        points = np.array([_array(seed) for seed in curve["returns"]]).T
        iqm, low, high = np.array([bootstrap(point)[:3] for point in points]).T
    if not np.isfinite(iqm).any():
        return None
    steps, episodes = (x if x.size == iqm.size else np.full(iqm.size, np.nan) for x in (steps, episodes))
    low, high = (x if x.size == iqm.size else iqm for x in (low, high))
    return CurvePoints(steps, episodes, iqm, low, high)


def _references(study: JsonDict, rows: list[Row]) -> dict[str, Interval]:
    """Returns the reference returns: their own entry, or else the final return of their row."""
    references = {name: to_interval(get_dict(study, "reference").get(name)) for name in REFERENCES}
    for row in rows:
        if row.name in REFERENCES and references[row.name] is None:
            references[row.name] = row.metrics.get("asymptote")
    return {name: value for name, value in references.items() if value is not None}


def _shots(study: JsonDict, rows: list[Row]) -> list[int]:
    return sorted({int(k) for k in study.get("shots") or []} or {k for row in rows for k in row.shots})


def _number(value: Any) -> float | None:
    is_finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_finite else None


def _array(values: Any) -> np.ndarray:
    return np.array([np.nan if _number(x) is None else float(x) for x in values or []])


def _list(value: Any) -> list[JsonDict]:
    """Returns a list of rows, also from a dict of name -> row."""
    if isinstance(value, Mapping):
        return [{"method": name, **get_dict(row)} for name, row in value.items()]
    return [dict(row) for row in value or [] if isinstance(row, Mapping)]
