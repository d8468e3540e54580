"""Trains several tasks at once and evaluates each of them: shared by the benchmarks of multi-task methods."""

import argparse
import time

import jax
import numpy as np
from side_by_side import line

from headstart.core.rollout import evaluate
from headstart.core.train import train
from headstart.core.types import Method, Task, spec
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.line_chart import Series
from headstart.protocol.transfer import keys

POINTS, EPISODES = 20, 20
METRICS = [f"{place}_{kind}" for place in ("policy", "value") for kind in ("cosine", "conflict", "winner")]

COUNTED = ("policy", "value", "returns")  # parts whose numbers are counted


def learn(method: Method, tasks: Task, steps: int, seeds: int) -> dict:
    """Returns steps [point], returns [seed][point][task], the gradients' metrics, the number of weights, seconds."""
    key, start_time = keys(range(seeds)), time.perf_counter()
    learner, steps_at, returns, history, size = method.learner(spec(tasks)), [], [], [], 0
    for point in train(learner, tasks, steps, key.source, num_points=POINTS):
        steps_at.append(float(point.steps[0]))
        returns.append(np.asarray(evaluate(learner, point.params, tasks, EPISODES, key.evaluation)).mean(2))
        history.append({name: np.asarray(point.metrics[name]) for name in METRICS if name in point.metrics})
        size = sum(x[0].size for x in jax.tree.leaves([point.params.get(name) for name in COUNTED]))
    metrics = {name: np.mean([each[name] for each in history], 0) for name in history[0]}
    seconds = time.perf_counter() - start_time
    return jsonable(
        {"steps": steps_at, "returns": np.stack(returns, 1), "told": metrics, "numbers": size, "seconds": seconds}
    )


def measure(rows: dict[str, tuple[Method, Task]], args: argparse.Namespace) -> dict[str, dict]:
    """Returns the curves of each row, from the files or measured now."""
    results = {}
    for name, (method, tasks) in rows.items():
        file = args.work / f"{name.replace(', ', '-').replace(' ', '-')}-{args.steps}-{args.seeds}.json"
        if not file.exists():
            write_json(file, learn(method, tasks, args.steps, args.seeds))
        results[name] = read_json(file)
        print(f"  {name}: {np.mean(results[name]['returns'], 0)[-1].round(2)}", flush=True)
    return results


def lines(results: dict[str, dict]) -> list[Series]:
    """Returns each row's mean over tasks, for a figure."""
    return [line(name, np.array(one["steps"]), np.array(one["returns"]).mean(2)) for name, one in results.items()]
