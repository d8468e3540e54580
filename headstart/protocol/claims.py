"""What may be claimed of a study: from its cells (row × seed) to curves, metrics with intervals, and verdicts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from headstart.protocol.baselines import SCRATCH, Rows, caveats, matching_scratch
from headstart.protocol.comparisons import COMPARED_BY, against, pairwise
from headstart.protocol.headroom import headroom, middle
from headstart.protocol.metrics import summarise, totals
from headstart.protocol.shift import Effect, Shift
from headstart.protocol.statistics import Interval, bootstrap
from headstart.protocol.study_config import StudyConfig, row_name

Cell = Mapping[str, Any]  # steps, episodes, returns [point]; shots {n: return}; generalisation; ledger; failed
Cells = Mapping[str, Mapping[int, Cell]]  # [row][seed]


def assemble(question: StudyConfig, cells: Cells, shift: Shift) -> dict[str, Any]:
    """-> the study as plain data. Rows and seeds that are not there yet, or failed, are left out, and counted."""
    asked = question.rows()
    roles = dict.fromkeys(cells, "method") | {entry.name: entry.role for entry, _ in asked}
    levels = {name: row for name, row in cells.items() if roles[name] in ("random", "oracle")}
    rows = {name: row for name, row in cells.items() if name not in levels and row}
    curves = {name: _curve(question, row) for name, row in rows.items()}
    reference = {name: _last(question, levels.get(name)) for name in ("random", "oracle", *levels)}
    ends = {name: returns[:, -1] for name, (_, returns) in curves.items()}
    room = headroom({**ends, "random": reference["random"], "oracle": reference["oracle"]}, question.threshold)
    scratches = matching_scratch(asked) if question.reference == SCRATCH else {}
    own = {name: name for name, role in roles.items() if role == "scratch"}
    budget = question.target_steps
    metrics = summarise(curves, room.random, room.threshold, budget, {**scratches, **own}, untold=room.no_threshold)
    areas = {name: totals(curve, question.target_steps) for name, curve in curves.items()}
    compared = against(areas, controls(question, list(curves), scratches))
    methods = {
        name: {**_row(question, row, curves[name]), "metrics": metrics[name], **compared[name]}
        for name, row in rows.items()
    }
    for name, description in _descriptions(question, asked, compared).items():
        methods[name] |= description
    return {
        **dataclasses.asdict(question),
        "question": dataclasses.asdict(question),  # whole, beside the rest, where `methods` holds the results
        "budget": question.target_steps,
        "threshold": room.threshold,
        "no_threshold": room.no_threshold,
        "reference": {name: summary(returns) for name, returns in reference.items()},
        "reference_failed": {name: why for name, row in levels.items() if (why := _failed(row))},
        "shift": {
            **_shift(shift),
            "headroom": None if "naive" not in curves else room.data(middle(curves["naive"][1][:, 0])),
        },
        "methods": methods,
        "equal_total": _equal_total(question, rows, ends, levels, reference, roles),
        "judged_by": COMPARED_BY,
        "pairs": pairwise(areas),
    }


def _descriptions(question: StudyConfig, rows: Rows, compared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what each compared row is: its role, a sentence about it, its settings and its caveats."""
    return {
        entry.name: {
            "role": entry.role,
            "about": entry.about,
            "settings": repr(method),
            "caveats": caveats(entry, method, compared[entry.name]["against"], rows, question.shots),
        }
        for entry, method in rows
        if entry.name in compared
    }


def controls(question: StudyConfig, rows: Sequence[str], scratches: Mapping[str, str]) -> dict[str, str]:
    """Returns the row that each row's verdict is against: the question's reference, which itself gets none.

    Where that is scratch, it is the scratch that learns as the row does (`scratches`).
    """
    reference = row_name(question.reference)
    if scratches:
        return {name: scratches[name] for name in rows if name in scratches}
    return {name: reference for name in rows if name != reference}


def summary(values: Float[np.ndarray, " seed"]) -> dict[str, float] | None:
    """-> IQM and 95 % interval over seeds; None where there is no number."""
    return numbers(bootstrap(values)) if np.isfinite(values).any() else None


def numbers(interval: Interval) -> dict[str, float]:
    """-> an interval's three numbers."""
    return {"iqm": interval.iqm, "low": interval.low, "high": interval.high}


def _curve(question: StudyConfig, row: Mapping[int, Cell]) -> tuple[np.ndarray, np.ndarray]:
    """-> steps and returns [seed, point] in the order of the question's seeds; NaN where a cell failed or is missing.

    A cell that is some points short of the others stays where it was.
    """
    good = [cell for cell in row.values() if cell["failed"] is None]
    points = max((len(cell["returns"]) for cell in good), default=1)
    longest = next((cell["steps"] for cell in good if len(cell["steps"]) == points), [0.0])
    steps, returns = np.tile(longest, (len(question.seeds), 1)), np.full((len(question.seeds), points), np.nan)
    for i, seed in enumerate(question.seeds):
        if seed in row and row[seed]["failed"] is None:
            steps[i], returns[i] = (_stretched(row[seed][name], points) for name in ("steps", "returns"))
    return steps.astype(float), returns


def _stretched(values: list[float], points: int) -> np.ndarray:
    return np.pad(np.asarray(values, float), (0, points - len(values)), mode="edge")


def _last(question: StudyConfig, row: Mapping[int, Cell] | None) -> np.ndarray:
    return _curve(question, row)[1][:, -1] if row else np.zeros(0)


def _row(question: StudyConfig, row: Mapping[int, Cell], curve: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    good = [cell for cell in row.values() if cell["failed"] is None]
    failed = _failed(row)
    if not good:
        return {"curve": {}, "shots": {}, "generalisation": {}, "failed": failed, "ledger": {}}
    bands = [bootstrap(at) for at in curve[1].T]
    shots = {n: summary(_column(good, "shots", n)) for n in good[0]["shots"]}
    ranges = good[0]["generalisation"] or {}
    ledger = {name: float(np.mean([cell["ledger"][name] for cell in good])) for name in good[0]["ledger"]}
    return {
        "curve": {
            "target_steps": curve[0].mean(0),
            "target_episodes": np.mean([_stretched(cell["episodes"], curve[0].shape[1]) for cell in good], 0),
            "returns": curve[1],
            "steps": curve[0],
            "episodes": [row[s]["episodes"] if s in row else None for s in question.seeds],
            **{key: [getattr(band, key) for band in bands] for key in ("iqm", "low", "high")},
        },
        "shots": shots,
        "generalisation": {name: summary(_column(good, "generalisation", name)) for name in ranges},
        "failed": failed,
        "ledger": ledger,
    }


def _failed(row: Mapping[int, Cell]) -> dict[int, str]:
    """Returns why cells of a row failed, by seed."""
    return {seed: cell["failed"] for seed, cell in row.items() if cell["failed"] is not None}


def _column(cells: list[Cell], part: str, name: Any) -> Float[np.ndarray, " seed"]:
    """-> one number of each cell; what a file holds as null is NaN."""
    return np.array([cell[part][name] for cell in cells], float)


def _shift(shift: Shift) -> dict[str, Any]:
    def plain(effect: Effect) -> dict[str, float]:
        return {
            "initial": effect.initial,
            "next_state": effect.next_state,
            "reward": effect.reward,
            "termination": effect.termination,
            "return": effect.returns,
        }

    alone = {
        name: {"source": shift.values[name][0], "target": shift.values[name][1], **plain(effect)}
        for name, effect in shift.parameters.items()
    }
    said: dict[str, Any] = {"differs": shift.differs, "same": shift.same, "along_policy": shift.along_policy}
    said["broken"] = shift.broken
    return {**said, **plain(shift.whole), "parameters": alone, "constant": shift.constant}


def _equal_total(
    question: StudyConfig,
    rows: Mapping[str, Mapping[int, Cell]],
    ends: Mapping[str, np.ndarray],
    levels: Mapping[str, Mapping[int, Cell]],
    reference: Mapping[str, np.ndarray],
    roles: Mapping[str, str],
) -> dict[str, Any]:
    """Returns final returns at an equal total of steps: an oracle is a scratch that has the source's steps too.

    `total_steps` is what a row really took of both domains, and `shots` how many of its episodes were taken as shots.
    """

    def told(returns: np.ndarray, row: Mapping[int, Cell]) -> dict[str, Any]:
        good = [cell for cell in row.values() if cell["failed"] is None]
        spent = [cell["ledger"]["source_steps"] + cell["ledger"]["target_steps"] for cell in good]
        shots = [max(map(int, cell["shots"]), default=0) for cell in good]
        numbers = summary(returns) or {"iqm": None, "low": None, "high": None}
        return {**numbers, "total_steps": float(np.mean(spent)) if good else None, "shots": max(shots, default=None)}

    all_steps = {name: f"{name.replace('oracle', 'scratch', 1)}, all steps in the target" for name in levels}
    oracles = {name: row for name, row in levels.items() if roles[name] == "oracle" and row}
    found = {all_steps[name]: told(reference[name], row) for name, row in oracles.items()}
    adapted = {name: row for name, row in rows.items() if roles[name] not in ("naive", "scratch")}
    found |= {name: told(ends[name], row) for name, row in adapted.items()}
    return {"steps": question.source_steps + question.target_steps, "rows": found}
