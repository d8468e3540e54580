"""A study as `headstart compare` writes it, with invented curves, for tests and for viewing the report."""

import json
from typing import Any

import numpy as np

from headstart.protocol.comparisons import COMPARED_BY, compare_pairs, compare_with_controls
from headstart.protocol.metrics import averaged_returns, summarize_metrics
from headstart.protocol.statistics import bootstrap

BUDGET, EPISODE = 200_000, 400.0  # target steps; steps that an episode takes, about
SHOTS = {0: 0, 1: 1, 10: 2, 100: 3}  # number of target episodes -> its point on the curves
ABOUT = {
    "naive": "runs the source's policy on the target without training",
    "scratch": "trains on the target from scratch",
    "finetune": "continues in the target from the source's params",
    "randomize": "trains on an ensemble of sources, then continues",
    "epopt": "trains on the ensemble's worst paths, then continues",
    "finetune reset-head": "continues in the target from the source's params",
}
# start, end, and the share of the budget in which two thirds of the way are gone
SHAPES = {
    "naive": (310.0, 310.0, 1.0),
    "scratch": (18.0, 1720.0, 0.55),
    "finetune": (310.0, 2610.0, 0.16),
    "randomize": (1290.0, 2480.0, 0.35),
    "epopt": (1010.0, 1260.0, 0.9),
    "finetune reset-head": (25.0, 960.0, 0.5),
}


def study(seeds: int = 6, spread: float = 0.11) -> dict[str, Any]:
    """Returns the study as plain JSON data: Hopper to a heavier Hopper, one row of each verdict, one failed seed."""
    generator = np.random.default_rng(7)
    curves = {name: _curve(name, seeds, spread, generator) for name in SHAPES}
    if seeds > 3:
        curves["epopt"][1][3] = np.nan
    metrics = summarize_metrics(curves, random_return=18.0, threshold=2120.0, budget=BUDGET)
    areas = {name: averaged_returns(curve, BUDGET) for name, curve in curves.items()}
    compared = compare_with_controls(areas, {name: "scratch" for name in curves if name != "scratch"})
    methods = {name: _method(name, curves[name], metrics[name]) | compared[name] for name in curves}
    if seeds > 3:
        methods["epopt"]["failed"] = {"3": "its knowledge was no longer finite in the target"}
    data = {
        "source": "Hopper-v5",
        "ensemble": "Hopper-v5@torso_mass=3..9",
        "target": "Hopper-v5@torso_mass=9",
        "shots": list(SHOTS),
        "seeds": list(range(seeds)),
        "source_steps": 1_000_000,
        "target_steps": BUDGET,
        "budget": BUDGET,
        "status": "done",
        "shift": SHIFT,
        "reference": {"random": _interval(18.2, 1.4), "oracle": _interval(2894.0, 160.0)},
        "threshold": 2120.0,
        "methods": methods,
        "equal_total": {
            "steps": 1_200_000,
            "rows": {
                "scratch, all steps in the target": _interval(2894.0, 160.0),
                **{n: methods[n]["metrics"]["asymptote"] for n in ("finetune", "randomize", "epopt")},
            },
        },
        "compared_by": COMPARED_BY,
        "pairs": compare_pairs(areas),
        "provenance": PROVENANCE,
    }
    return json.loads(json.dumps(data))


def _curve(name: str, seeds: int, spread: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns steps and returns, both [seed, point]."""
    if name == "naive":
        return np.zeros((seeds, 1)), 310.0 * (1 + spread * generator.normal(size=(seeds, 1)))
    start, end, time_constant = SHAPES[name]
    shot_steps = np.array(list(SHOTS)) * EPISODE
    grid = np.concatenate([shot_steps, np.linspace(shot_steps[-1], BUDGET, 13)[1:]])
    steps = np.round(grid * (1 + 0.02 * generator.normal(size=(seeds, 1))))
    steps[:, -1] = BUDGET
    share = (1 - np.exp(-grid / BUDGET / time_constant)) / (1 - np.exp(-1 / time_constant))
    noise = 1 + spread * generator.normal(size=(seeds, 1)) + 0.35 * spread * generator.normal(size=steps.shape)
    return steps, (start + (end - start) * share) * noise


def _method(name: str, curve: tuple[np.ndarray, np.ndarray], metrics: dict[str, Any]) -> dict[str, Any]:
    steps, returns = curve
    intervals = [bootstrap(column)._asdict() for column in returns.T]
    is_scratch = name == "scratch"
    ensemble = name in ("randomize", "epopt")
    data = {
        "role": name if name in ("scratch", "naive") else "method",
        "about": ABOUT[name],
        "curve": {
            "target_steps": steps.mean(0).tolist(),
            "target_episodes": (steps.mean(0) / EPISODE).tolist(),
            "steps": steps.tolist(),
            "episodes": (steps / EPISODE).tolist(),
            "returns": [[None if np.isnan(x) else x for x in row] for row in returns.tolist()],
            **{key: [band[key] for band in intervals] for key in ("iqm", "low", "high")},
        },
        "shots": {k: intervals[min(i, len(intervals) - 1)] for k, i in SHOTS.items() if name != "naive" or k == 0},
        "metrics": metrics,
        "failed": {},
        "ledger": {
            "source_steps": 0 if is_scratch else 1_000_000,
            "target_steps": float(steps[:, -1].mean()),
            "gradient_steps": 31_250 if is_scratch else 187_500,
            "parameters": 11_021,
            "seconds": 41.3 if is_scratch else 388.0,
        },
    }
    if ensemble:
        start = intervals[0]["iqm"]
        data["generalisation"] = {
            "nominal": _interval(1.35 * start, 120.0),
            "in_range": _interval(1.1 * start, 90.0),
            "held_out": _interval(0.46 * start, 140.0),
        }
    return data


def _interval(middle: float, half: float) -> dict[str, float]:
    return {"iqm": middle, "low": middle - half, "high": middle + 0.8 * half}


SHIFT = {
    "differs": True,
    "initial": 0.0,
    "next_state": 0.641,
    "reward": 0.283,
    "return": -0.113,
    "parameters": {
        "torso_mass": {
            "source": "3.6651914",
            "target": "9",
            "initial": 0.0,
            "next_state": 0.641,
            "reward": 0.283,
            "return": -0.113,
        }
    },
    "headroom": {"source_policy": 310.0, "best": 2894.0, "best_name": "oracle", "random": 18.2, "share": 0.1015},
}
PROVENANCE = {
    "versions": {"headstart": "0.1.0", "python": "3.11.9", "jax": "0.10.2", "mujoco": "3.3.0", "numpy": "2.4.6"},
    "commit": "c39f9b7",
    "command": "headstart compare --source Hopper-v5 --target Hopper-v5@torso_mass=9 --ensemble "
    "Hopper-v5@torso_mass=3..9 --methods scratch,naive,finetune,randomize,epopt --source-steps 1e6 "
    "--target-steps 2e5 --shots 0,1,10,100 --seeds 5 --out runs/hopper",
    "machine": {"system": "Linux x86_64", "cores": 2, "devices": ["cpu"]},
    "date": "2025-11-21T03:21:09+00:00",
}
