"""Successor features in four rooms: a sequence of twenty tasks, each with other weights of the objects.

As in arXiv:1606.05312, section 5.1, with a twelfth of its tasks: the weights of the three classes are uniform in ±1,
the goal's is 1, and each task lasts 20 000 steps. The score is the reward during training, exploration included. The
other rows are the newest policy alone, without the library (it starts as a copy of the one before), and Q-learning,
which starts from scratch in each task. Every seed has tasks of its own, the same for all rows.

    python benchmarks/successor.py            # 10 seeds: a few minutes on 2 cores
    python benchmarks/successor.py --tiny     # checks that it runs
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
    """Returns the method of each row, with room for a policy of each task."""
    return {
        "GPI": hs.SuccessorFeatures(max_policies=tasks),
        "the newest policy": hs.SuccessorFeatures(max_policies=tasks, act_by="last"),
        "Q-learning": hs.QLearning(),
    }


def weights(seed: int, tasks: int) -> np.ndarray:
    """Returns the weights of the classes and of the goal [task, cumulant]."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, (tasks, 3))
    return np.concatenate([drawn, np.ones((tasks, 1))], 1)


def gather(method: Method, seed: int, tasks: int, steps: int) -> dict:
    """Returns the training reward of each task, and the seconds of all."""
    earned, prior, start_time = [], None, time.perf_counter()
    for i, w in enumerate(weights(seed, tasks)):
        task = stack([hs.task("FourRooms", w=[float(x) for x in w])])
        learner = method.learner(spec(task), target=i > 0)
        before = prior if isinstance(method, hs.SuccessorFeatures) else None
        (last,) = train(learner, task, steps, keys([1000 * seed + i]).source, prior=before, num_points=1)
        prior: TrainState | None = last.state
        # One copy and one step a turn: the mean over turns in which an episode ended is that over episodes.
        ended, mean = float(last.episodes[0]), float(jnp.nan_to_num(last.metrics["return"][0]))
        earned.append(ended * mean)
    return {"earned": earned, "seconds": time.perf_counter() - start_time}


def measure(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Returns the training reward of each row and task [seed, task], from the files or measured now."""
    methods = rows(args.tasks)
    results: dict[str, list] = {name: [] for name in methods}
    for seed in range(args.seeds):
        for name, method in methods.items():
            file = args.work / f"{name.lower().replace(' ', '-')}-{args.tasks}-{args.steps}-{seed}.json"
            if not file.exists():
                write_json(file, gather(method, seed, args.tasks, args.steps))
            one = read_json(file)
            results[name].append(one["earned"])
            print(f"  seed {seed}, {name}: {sum(one['earned']):.0f} in {one['seconds']:.0f} s", flush=True)
    return {name: np.array(each) for name, each in results.items()}


def summarise(results: dict[str, np.ndarray]) -> dict[str, dict]:
    """Returns the rewards of each row in both halves, and the ratio of GPI's second half to that of each other row."""
    mean, half, record = lambda x: float(np.mean(x)), results["GPI"].shape[1] // 2, {}
    halves = {name: (each[:, :half].sum(1), each[:, half:].sum(1)) for name, each in results.items()}
    own_rewards = halves["GPI"][1]
    above = compared({name: (own_rewards, second) for name, (_, second) in halves.items() if name in BARS})
    for name, (first, second) in halves.items():
        record[name] = {"first half": bootstrap(first)._asdict(), "second half": bootstrap(second)._asdict()}
        if name in BARS and second.any():
            ratio, rng = own_rewards.mean() / second.mean(), np.random.default_rng(0)
            draws = rng.integers(0, len(own_rewards), (2000, len(own_rewards)))
            low, high = np.nanquantile(own_rewards[draws].mean(1) / second[draws].mean(1), [0.025, 0.975])
            ratio_data = {"ratio": mean(ratio), "low": mean(low), "high": mean(high), "bar": BARS[name]}
            won = bool(ratio >= BARS[name] and above[name]["verdict"] == "positive")
            record[name] |= {
                **ratio_data,
                "met": won,
                "seeds won": int((own_rewards > second).sum()),
                "GPI above it": above[name],
            }
    return record


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    parser = flags(__doc__, RUNS / "successor")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    args = read(parser)
    args.tasks, args.steps = TASKS, STEPS
    if args.tiny:
        args.seeds, args.tasks, args.steps = 2, 2, 400
    results = measure(args)
    record, at = summarise(results), np.arange(1.0, args.tasks + 1)
    lines = [line(name, at, np.cumsum(each, 1)) for name, each in results.items()]
    title = f"Four rooms: the reward of all tasks so far ({args.seeds} seeds)"
    figure_curves(lines, args.out / "successor.svg", title, "tasks", "reward")
    words = ["python benchmarks/successor.py", *["--tiny"] * args.tiny]
    data = {"seeds": args.seeds, "steps": args.steps, "rows": record, "judged_by": HOW, "earned": results}
    write_json(args.out / "successor.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
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
