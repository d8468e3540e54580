"""Methods after pretraining in the source, evaluated 0-shot on fixed tasks: shared by several benchmarks."""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from headstart.core.rollout import evaluate
from headstart.core.stages import Learned, learn_source
from headstart.core.types import Key, Learner, Method, Params, Task, spec
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.study.provenance import commit
from headstart.protocol.transfer import keys

NO_NETWORK = ("target", "log_alpha", "env_steps", "epsilon")  # parts that are not counted in `numbers`

Further = Callable[[Learner, Params, Key], dict[str, Any]]  # further measurements of the trained params


class Row(NamedTuple):
    """A method, and the stacked tasks that it learns on."""

    method: Method
    tasks: Task


def learn(
    row: Row,
    deployed: Task,
    steps: int,
    seeds: int,
    episodes: int,
    further: Further | None = None,
    learned: Learned | None = None,
) -> dict:
    """Returns returns on the deployed tasks [seed][task], the training curve, and the further measurements."""
    key, start_time, history, point = keys(range(seeds)), time.perf_counter(), [], None
    for point in learn_source(row.method, row.tasks, steps, key.source, learned=learned):
        history.append([float(point.steps[0]), np.asarray(point.metrics["return"])])
    assert point is not None
    seconds = time.perf_counter() - start_time
    learner = row.method.learner(spec(deployed), target=True)
    params = jax.vmap(learner.init)(key.target, point.params)
    returns = np.asarray(evaluate(learner, params, deployed, episodes, key.evaluation)).mean(2)
    counted = {name: part for name, part in params.items() if name not in NO_NETWORK}
    numbers = sum(x[0].size for x in jax.tree.leaves(counted))
    metadata = {
        "history": history,
        "numbers": numbers,
        "seconds": seconds,
        "method": repr(row.method),
        "commit": commit(),
    }
    return jsonable({"returns": returns, **metadata, **(further(learner, params, key.evaluation) if further else {})})


def measure(
    rows: dict[str, Row], deployed: Task, args: argparse.Namespace, episodes: int, further: Further | None = None
) -> dict[str, dict]:
    """Returns each row's result, from the files or new. Rows of the same tasks share their pretraining."""
    results: dict[str, dict] = {}
    learned: dict[int, Learned] = {}
    for name, row in rows.items():
        slug = name.replace(", ", "-").replace(" ", "-").lower()
        file = args.work / f"{slug}-{args.steps}-{args.seeds}.json"
        if not file.exists():
            shared = learned.setdefault(id(row.tasks), {})
            write_json(file, learn(row, deployed, args.steps, args.seeds, episodes, further, shared))
        results[name] = read_json(file)
        print(f"  {name}: {np.mean(results[name]['returns'], 1).round(1)}", flush=True)
    return results
