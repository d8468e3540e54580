"""Assembles the results of a study: from cells (row × seed) to curves, metrics with intervals, and verdicts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from headstart.protocol.baselines import SCRATCH, Rows, caveats, matching_scratch
from headstart.protocol.comparisons import COMPARED_BY, compare_pairs, compare_with_controls
from headstart.protocol.headroom import finite_iqm, headroom
from headstart.protocol.metrics import averaged_returns, summarize_metrics
from headstart.protocol.shift import Effect, Shift
from headstart.protocol.statistics import Interval, bootstrap
from headstart.protocol.study_config import StudyConfig, row_name

Cell = Mapping[str, Any]  # steps, episodes, returns [point]; shots {n: return}; generalisation; ledger; failed
Cells = Mapping[str, Mapping[int, Cell]]  # [row][seed]


def assemble_study(config: StudyConfig, cells: Cells, shift: Shift) -> dict[str, Any]:
    """Returns the study as data. Missing and failed cells are left out and counted."""
    rows_and_methods = config.rows()
    roles = dict.fromkeys(cells, "method") | {entry.name: entry.role for entry, _ in rows_and_methods}
    levels = {name: row for name, row in cells.items() if roles[name] in ("random", "oracle")}
    rows = {name: row for name, row in cells.items() if name not in levels and row}
    curves = {name: _curve(config, row) for name, row in rows.items()}
    reference = {name: _final_returns(config, levels.get(name)) for name in ("random", "oracle", *levels)}
    final_returns = {name: returns[:, -1] for name, (_, returns) in curves.items()}
    room = headroom({**final_returns, "random": reference["random"], "oracle": reference["oracle"]}, config.threshold)
    scratches = matching_scratch(rows_and_methods) if config.reference == SCRATCH else {}
    baselines = {**scratches, **{name: name for name, role in roles.items() if role == "scratch"}}
    metrics = summarize_metrics(curves, room.random, room.threshold, config.target_steps, baselines, room.no_threshold)
    areas = {name: averaged_returns(curve, config.target_steps) for name, curve in curves.items()}
    compared = compare_with_controls(areas, controls(config, list(curves), scratches))
    methods = {
        name: {**_row_data(config, row, curves[name]), "metrics": metrics[name], **compared[name]}
        for name, row in rows.items()
    }
    for name, description in _descriptions(config, rows_and_methods, compared).items():
        methods[name] |= description
    return {
        **dataclasses.asdict(config),
        "config": dataclasses.asdict(config),  # complete: above, the key `methods` holds the results
        "budget": config.target_steps,
        "threshold": room.threshold,
        "no_threshold": room.no_threshold,
        "reference": {name: interval_summary(returns) for name, returns in reference.items()},
        "reference_failed": {name: why for name, row in levels.items() if (why := _failures(row))},
        "shift": {
            **_shift_data(shift),
            "headroom": None if "naive" not in curves else room.data(finite_iqm(curves["naive"][1][:, 0])),
        },
        "methods": methods,
        "equal_total": _equal_total(config, rows, final_returns, levels, reference, roles),
        "compared_by": COMPARED_BY,
        "pairs": compare_pairs(areas),
    }


def _descriptions(config: StudyConfig, rows: Rows, compared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what each compared row is: its role, a sentence about it, its settings and its caveats."""
    return {
        entry.name: {
            "role": entry.role,
            "about": entry.about,
            "settings": repr(method),
            "caveats": caveats(entry, method, compared[entry.name]["control"], rows, config.shots),
        }
        for entry, method in rows
        if entry.name in compared
    }


def controls(config: StudyConfig, rows: Sequence[str], scratches: Mapping[str, str]) -> dict[str, str]:
    """Returns the control of each row: the reference of the study, which has no control itself.

    If the reference is scratch, the control is the scratch row with the same base learner (`scratches`).
    """
    reference = row_name(config.reference)
    if scratches:
        return {name: scratches[name] for name in rows if name in scratches}
    return {name: reference for name in rows if name != reference}


def interval_summary(values: Float[np.ndarray, " seed"]) -> dict[str, float] | None:
    """Returns the IQM over seeds with its 95 % interval; None if no value is finite."""
    return interval_data(bootstrap(values)) if np.isfinite(values).any() else None


def interval_data(interval: Interval) -> dict[str, float]:
    """Returns the three numbers of an interval."""
    return {"iqm": interval.iqm, "low": interval.low, "high": interval.high}


def _curve(config: StudyConfig, row: Mapping[int, Cell]) -> tuple[np.ndarray, np.ndarray]:
    """Returns steps and returns [seed, point] in the order of the seeds; NaN for failed and missing cells.

    A cell with fewer points than the others is extended by its last point.
    """
    finished = [cell for cell in row.values() if cell["failed"] is None]
    points = max((len(cell["returns"]) for cell in finished), default=1)
    longest = next((cell["steps"] for cell in finished if len(cell["steps"]) == points), [0.0])
    steps, returns = np.tile(longest, (len(config.seeds), 1)), np.full((len(config.seeds), points), np.nan)
    for i, seed in enumerate(config.seeds):
        if seed in row and row[seed]["failed"] is None:
            steps[i], returns[i] = (_pad_with_last(row[seed][name], points) for name in ("steps", "returns"))
    return steps.astype(float), returns


def _pad_with_last(values: list[float], points: int) -> np.ndarray:
    return np.pad(np.asarray(values, float), (0, points - len(values)), mode="edge")


def _final_returns(config: StudyConfig, row: Mapping[int, Cell] | None) -> np.ndarray:
    return _curve(config, row)[1][:, -1] if row else np.zeros(0)


def _row_data(config: StudyConfig, row: Mapping[int, Cell], curve: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    finished = [cell for cell in row.values() if cell["failed"] is None]
    failed = _failures(row)
    if not finished:
        return {"curve": {}, "shots": {}, "generalisation": {}, "failed": failed, "ledger": {}}
    intervals = [bootstrap(at) for at in curve[1].T]
    shots = {n: interval_summary(_column(finished, "shots", n)) for n in finished[0]["shots"]}
    ranges = finished[0]["generalisation"] or {}
    ledger = {name: float(np.mean([cell["ledger"][name] for cell in finished])) for name in finished[0]["ledger"]}
    return {
        "curve": {
            "target_steps": curve[0].mean(0),
            "target_episodes": np.mean([_pad_with_last(cell["episodes"], curve[0].shape[1]) for cell in finished], 0),
            "returns": curve[1],
            "steps": curve[0],
            "episodes": [row[s]["episodes"] if s in row else None for s in config.seeds],
            **{key: [getattr(interval, key) for interval in intervals] for key in ("iqm", "low", "high")},
        },
        "shots": shots,
        "generalisation": {name: interval_summary(_column(finished, "generalisation", name)) for name in ranges},
        "failed": failed,
        "ledger": ledger,
    }


def _failures(row: Mapping[int, Cell]) -> dict[int, str]:
    """Returns the failures of a row by seed."""
    return {seed: cell["failed"] for seed, cell in row.items() if cell["failed"] is not None}


def _column(cells: list[Cell], part: str, name: Any) -> Float[np.ndarray, " seed"]:
    """Returns one number of each cell; NaN for null."""
    return np.array([cell[part][name] for cell in cells], float)


def _shift_data(shift: Shift) -> dict[str, Any]:
    def effect_data(effect: Effect) -> dict[str, float]:
        return {
            "initial": effect.initial,
            "next_state": effect.next_state,
            "reward": effect.reward,
            "termination": effect.termination,
            "return": effect.returns,
        }

    by_parameter = {
        name: {"source": shift.values[name][0], "target": shift.values[name][1], **effect_data(effect)}
        for name, effect in shift.parameters.items()
    }
    summary: dict[str, Any] = {"differs": shift.differs, "same": shift.same, "along_policy": shift.along_policy}
    summary["broken"] = shift.broken
    return {**summary, **effect_data(shift.combined), "parameters": by_parameter, "constant": shift.constant}


def _equal_total(
    config: StudyConfig,
    rows: Mapping[str, Mapping[int, Cell]],
    final_returns: Mapping[str, np.ndarray],
    levels: Mapping[str, Mapping[int, Cell]],
    reference: Mapping[str, np.ndarray],
    roles: Mapping[str, str],
) -> dict[str, Any]:
    """Returns final returns at equal total steps: the oracle is scratch with the steps of both domains.

    `total_steps` are the steps that a row took in both domains, and `shots` is its number of shots.
    """

    def row_summary(returns: np.ndarray, row: Mapping[int, Cell]) -> dict[str, Any]:
        finished = [cell for cell in row.values() if cell["failed"] is None]
        total_steps = [cell["ledger"]["source_steps"] + cell["ledger"]["target_steps"] for cell in finished]
        shots = [max(map(int, cell["shots"]), default=0) for cell in finished]
        numbers = interval_summary(returns) or {"iqm": None, "low": None, "high": None}
        return {
            **numbers,
            "total_steps": float(np.mean(total_steps)) if finished else None,
            "shots": max(shots, default=None),
        }

    all_steps = {name: f"{name.replace('oracle', 'scratch', 1)}, all steps in the target" for name in levels}
    oracles = {name: row for name, row in levels.items() if roles[name] == "oracle" and row}
    summaries = {all_steps[name]: row_summary(reference[name], row) for name, row in oracles.items()}
    adapted = {name: row for name, row in rows.items() if roles[name] not in ("naive", "scratch")}
    summaries |= {name: row_summary(final_returns[name], row) for name, row in adapted.items()}
    return {"steps": config.source_steps + config.target_steps, "rows": summaries}
