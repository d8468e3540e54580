"""Learning several tasks at once, and how each of them goes: what the benchmarks of multi-task methods share."""

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
TOLD = [f"{place}_{kind}" for place in ("policy", "value") for kind in ("cosine", "conflict", "winner")]

COUNTED = ("policy", "value", "returns")  # parts whose numbers are counted


def learn(method: Method, tasks: Task, steps: int, seeds: int) -> dict:
    """Returns steps [point], returns [seed][point][task], the gradients' metrics, the number of weights, seconds."""
    key, began = keys(range(seeds)), time.perf_counter()
    learner, at, returns, said, size = method.learner(spec(tasks)), [], [], [], 0
    for point in train(learner, tasks, steps, key.source, num_points=POINTS):
        at.append(float(point.steps[0]))
        returns.append(np.asarray(evaluate(learner, point.params, tasks, EPISODES, key.evaluation)).mean(2))
        said.append({name: np.asarray(point.metrics[name]) for name in TOLD if name in point.metrics})
        size = sum(x[0].size for x in jax.tree.leaves([point.params.get(name) for name in COUNTED]))
    told = {name: np.mean([each[name] for each in said], 0) for name in said[0]}
    seconds = time.perf_counter() - began
    return jsonable({"steps": at, "returns": np.stack(returns, 1), "told": told, "numbers": size, "seconds": seconds})


def measure(rows: dict[str, tuple[Method, Task]], asked: argparse.Namespace) -> dict[str, dict]:
    """Returns what each row learned, from the files or now."""
    found = {}
    for name, (method, tasks) in rows.items():
        file = asked.work / f"{name.replace(', ', '-').replace(' ', '-')}-{asked.steps}-{asked.seeds}.json"
        if not file.exists():
            write_json(file, learn(method, tasks, asked.steps, asked.seeds))
        found[name] = read_json(file)
        print(f"  {name}: {np.mean(found[name]['returns'], 0)[-1].round(2)}", flush=True)
    return found


def lines(found: dict[str, dict]) -> list[Series]:
    """Returns each row's mean over tasks, for a figure."""
    return [line(name, np.array(one["steps"]), np.array(one["returns"]).mean(2)) for name, one in found.items()]
