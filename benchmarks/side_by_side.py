"""Curves of headstart's learners and of Stable-Baselines3's, on the same task with equal steps."""

import pathlib
import subprocess
import time

import numpy as np

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.train import train
from headstart.core.types import Method, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json
from headstart.lab.report.line_chart import Series
from headstart.lab.study.provenance import commit
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import keys

HERE = pathlib.Path(__file__).parent
PEER = HERE.parent / ".venv-peers" / "bin" / "python"
EPISODES = 10  # that a point is judged by

Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # of each program: steps [point], returns [seed, point]


def own_curves(method: Method, task: str, steps: int, seeds: int, points: int) -> dict:
    """Returns headstart's curves, all seeds in one program: steps [point], returns [seed][point], and its settings."""
    tasks, key = stack([hs.task(task)]), keys(range(seeds))
    learner, steps_at, returns, start_time = method.learner(spec(tasks)), [], [], time.perf_counter()
    for point in train(learner, tasks, steps, key.source, num_points=points):
        steps_at.append(float(point.steps[0]))
        returns.append(np.asarray(evaluate(learner, point.params, tasks, EPISODES, key.evaluation))[:, 0].mean(1))
        print(f"  headstart {steps_at[-1]:>9.0f} steps  {returns[-1].round()}", flush=True)
    metadata = {"settings": repr(method), "seconds": time.perf_counter() - start_time, "commit": commit()}
    return jsonable({"steps": steps_at, "returns": np.stack(returns, 1), **metadata})


def peer_curves(
    peer: tuple[str, ...], task: str, steps: int, seed: int, every: int, out: pathlib.Path, show: bool = True
) -> dict:
    """Returns one seed of SB3, from the file or measured now. `peer` is the algorithm and its settings."""
    if not out.exists():
        algorithm, *settings = peer
        words = [algorithm, task, "--steps", steps, "--seed", seed, "--every", every, "--out", out]
        script = str(HERE / "peers" / "sb3.py")
        setting = ["--set", *settings] if settings else []
        quiet = None if show else subprocess.DEVNULL
        subprocess.run([str(PEER), script, *map(str, words), *setting], check=True, stdout=quiet)
    return read_json(out)


def lines(curves: Curves) -> list[Series]:
    """Returns each program's IQM over seeds, and its interval, for a figure."""
    return [line(program, steps_at, returns) for program, (steps_at, returns) in curves.items()]


def line(name: str, steps_at: np.ndarray, scores: np.ndarray) -> Series:
    """Returns the IQM over seeds and its interval, of scores [seed, point], for a figure."""
    bands = [bootstrap(column) for column in scores.T]
    iqm, low, high = (np.array([band[i] for band in bands]) for i in range(3))
    return Series(name, steps_at, iqm, low, high)
