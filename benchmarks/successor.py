"""Successor features in four rooms: twenty tasks one after the other, each of which weighs the objects anew.

As in arXiv:1606.05312, section 5.1, at a twelfth of its tasks: the weights of the three classes are uniform in ±1, the
goal's is 1, and each task lasts 20 000 steps. Counted are the rewards of training, exploration and all. Beside the
library of policies are the same without it (the newest policy alone, which begins as a copy of the one before), and
Q-learning, which begins anew. Every seed has tasks of its own, the same for the three.

    python benchmarks/successor.py            # 10 seeds: a few minutes on 2 cores
    python benchmarks/successor.py --tiny     # does it still run?
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
from flags import RUNS, flags, read
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.train import train
from headstart.core.types import Method, TrainState, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import keys

TASKS, STEPS = 20, 20_000
BARS = {"Q-learning": 1.8, "the newest policy": 1.2}  # how many times as much GPI should come by, in the second half


def rows(tasks: int) -> dict[str, Method]:
    """Returns what is compared, with room for a policy of each task."""
    return {
        "GPI": hs.SuccessorFeatures(max_policies=tasks),
        "the newest policy": hs.SuccessorFeatures(max_policies=tasks, act_by="last"),
        "Q-learning": hs.QLearning(),
    }


def weights(seed: int, tasks: int) -> np.ndarray:
    """Returns what the classes and the goal are worth [task, cumulant]."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, (tasks, 3))
    return np.concatenate([drawn, np.ones((tasks, 1))], 1)


def gather(method: Method, seed: int, tasks: int, steps: int) -> dict:
    """Returns the reward that was come by in each task, and the seconds of all."""
    earned, prior, began = [], None, time.perf_counter()
    for i, w in enumerate(weights(seed, tasks)):
        task = stack([hs.task("FourRooms", w=[float(x) for x in w])])
        learner = method.learner(spec(task), target=i > 0)
        before = prior if isinstance(method, hs.SuccessorFeatures) else None
        (last,) = train(learner, task, steps, keys([1000 * seed + i]).source, prior=before, num_points=1)
        prior: TrainState | None = last.state
        # One copy and one step a turn: the mean over turns in which an episode ended is that over episodes.
        ended, mean = float(last.episodes[0]), float(jnp.nan_to_num(last.metrics["return"][0]))
        earned.append(ended * mean)
    return {"earned": earned, "seconds": time.perf_counter() - began}


def measure(asked: argparse.Namespace) -> dict[str, np.ndarray]:
    """Returns of each row what each task brought [seed, task], from the files or now."""
    methods = rows(asked.tasks)
    found: dict[str, list] = {name: [] for name in methods}
    for seed in range(asked.seeds):
        for name, method in methods.items():
            file = asked.work / f"{name.lower().replace(' ', '-')}-{asked.tasks}-{asked.steps}-{seed}.json"
            if not file.exists():
                write_json(file, gather(method, seed, asked.tasks, asked.steps))
            one = read_json(file)
            found[name].append(one["earned"])
            print(f"  seed {seed}, {name}: {sum(one['earned']):.0f} in {one['seconds']:.0f} s", flush=True)
    return {name: np.array(each) for name, each in found.items()}


def summarise(found: dict[str, np.ndarray]) -> dict[str, dict]:
    """Returns of each row what the halves brought, and how many times as much GPI came by in the second."""
    mean, half, record = lambda x: float(np.mean(x)), found["GPI"].shape[1] // 2, {}
    halves = {name: (each[:, :half].sum(1), each[:, half:].sum(1)) for name, each in found.items()}
    ours = halves["GPI"][1]
    above = compared({name: (ours, second) for name, (_, second) in halves.items() if name in BARS})
    for name, (first, second) in halves.items():
        record[name] = {"first half": bootstrap(first)._asdict(), "second half": bootstrap(second)._asdict()}
        if name in BARS and second.any():
            ratio, luck = ours.mean() / second.mean(), np.random.default_rng(0)
            draws = luck.integers(0, len(ours), (2000, len(ours)))
            low, high = np.nanquantile(ours[draws].mean(1) / second[draws].mean(1), [0.025, 0.975])
            told = {"ratio": mean(ratio), "low": mean(low), "high": mean(high), "bar": BARS[name]}
            won = bool(ratio >= BARS[name] and above[name]["verdict"] == "positive")
            record[name] |= {**told, "met": won, "seeds won": int((ours > second).sum()), "GPI above it": above[name]}
    return record


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    parser = flags(__doc__, RUNS / "successor")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    asked = read(parser)
    asked.tasks, asked.steps = TASKS, STEPS
    if asked.tiny:
        asked.seeds, asked.tasks, asked.steps = 2, 2, 400
    found = measure(asked)
    record, at = summarise(found), np.arange(1.0, asked.tasks + 1)
    lines = [line(name, at, np.cumsum(each, 1)) for name, each in found.items()]
    title = f"Four rooms: the reward of all tasks so far ({asked.seeds} seeds)"
    figure_curves(lines, asked.out / "successor.svg", title, "tasks", "reward")
    words = ["python benchmarks/successor.py", *["--tiny"] * asked.tiny]
    data = {"seeds": asked.seeds, "steps": asked.steps, "rows": record, "judged_by": HOW, "earned": found}
    write_json(asked.out / "successor.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table(
        "",
        "first half",
        "second half",
        "GPI is",
        "bar",
        "GPI above it",
        title="reward of training, in each half of the tasks",
    )
    for name, one in jsonable(record).items():
        ratio = f"{one['ratio']:.2f} x [{one['low']:.2f}, {one['high']:.2f}]" if "ratio" in one else ""
        bar = f"{one['bar']} x: {'met' if one['met'] else 'not met'}" if "ratio" in one else ""
        table.add_row(
            name,
            interval_text(one["first half"]),
            interval_text(one["second half"]),
            ratio,
            bar,
            shown(one.get("GPI above it")),
        )
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
