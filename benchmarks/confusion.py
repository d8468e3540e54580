"""Domain confusion on pixels: a policy trains on flat images and runs on textured, tinted, unevenly lit, noisy ones.

`source` is PPO in the flat style, and `target` is PPO in the realistic one, with as many steps. DANN and MMD train like
`source` and also see images of the target, never its rewards. All are evaluated in the target. A score of 0 is the
return of the random policy, and 1 the return of `target`. The second case has an unsuitable invariance: the styles are
similar, but goals are mostly on the left in the source and mostly on the right in the target.

    python benchmarks/confusion.py            # 5 seeds: an hour on 2 cores
    python benchmarks/confusion.py --tiny     # checks that it runs
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, met, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.train import train
from headstart.core.types import Method, Task, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.learners.uniform import Uniform
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import evaluate_state, keys
from headstart.tasks.registry import aligned
from headstart.tasks.strings import parse

STYLE = "another style"
CASES = {
    STYLE: ("RenderedReach", "RenderedReach@style=1,clutter=0"),
    "goals elsewhere": ("RenderedReach@goal_side=-0.8", "RenderedReach@goal_side=0.8,style=0.3"),
}
ROWS = ("random", "target", "source", "DANN", "MMD")
POINTS, EPISODES = 8, 100
BASE = hs.PPO(
    hidden=(64,),
    activation="relu",
    num_steps=32,
    num_envs=32,
    batch_size=64,
    num_epochs=4,
    learning_rate=1e-3,
    entropy_coef=0.01,
    discount=0.9,
    gae_lambda=0.9,
)
BARS = {"DANN": 0.15, "MMD": 0.10}  # above `source`, in the case of another style
METRICS = ("domain_accuracy", "mmd")


def rows() -> dict[str, Method]:
    """Returns the method of each row."""
    return dict(zip(ROWS, (Uniform(), BASE, BASE, hs.DANN(BASE), hs.MMD(BASE)), strict=True))


def tasks_of(name: str, case: str) -> tuple[Task, Task]:
    """Returns the training tasks of a row (both domains stacked, or one), and the target."""
    here, there = CASES[case]
    source, target = (stack([task]) for task in aligned([parse(here), parse(there, target=True)]))
    both = jax.tree.map(lambda *x: jnp.concatenate(x), source, target)
    return {"source": source, "DANN": both, "MMD": both}.get(name, target), target


def learn(name: str, case: str, steps: int, seeds: int) -> dict:
    """Returns source steps [point], returns in the target [seed][point], the last metrics [seed], the seconds."""
    (tasks, target), method, key, start_time = (
        tasks_of(name, case),
        rows()[name],
        keys(range(seeds)),
        time.perf_counter(),
    )
    learner, at, returns, metrics = method.learner(spec(tasks), target=True), [], [], {}
    if name == "random":
        steps = learner.replay.num_steps * learner.replay.num_envs  # there is nothing to learn
    more = steps // learner.replay.source_steps_per_target_step if len(tasks.domain) > 1 else 0
    for point in train(learner, tasks, steps + more, key.source, num_points=POINTS):
        at.append(float(point.steps[0]) * steps / (steps + more))
        returns.append(evaluate_state(learner, point.state, target, EPISODES, key.evaluation).mean(1))
        metrics = {name: point.metrics[name] for name in METRICS if name in point.metrics}
    seconds = time.perf_counter() - start_time
    return jsonable({"steps": at, "returns": np.stack(returns, 1), "metrics": metrics, "seconds": seconds})


def measure(args: argparse.Namespace) -> dict[str, dict[str, dict]]:
    """Returns the curves of each row in each case, from the files or measured now."""
    results: dict[str, dict[str, dict]] = {}
    for case in CASES:
        results[case] = {}
        for name in ("random", "target", "source", "DANN") if args.tiny else ROWS:
            file = args.work / f"{case}-{name}-{args.steps}-{args.seeds}.json".replace(" ", "-").lower()
            if not file.exists():
                write_json(file, learn(name, case, args.steps, args.seeds))
            results[case][name] = one = read_json(file)
            print(f"  {case}, {name}: {np.array(one['returns'])[:, -1].round(2)} in {one['seconds']:.0f} s", flush=True)
    return results


def normalise(each: dict[str, dict]) -> dict[str, np.ndarray]:
    """Returns the score of each row [seed, point]: 0 is the random policy, 1 is training in the target."""
    final = {name: np.array(each[name]["returns"])[:, -1].mean() for name in ("random", "target")}
    return {
        name: (np.array(one["returns"]) - final["random"]) / (final["target"] - final["random"])
        for name, one in each.items()
    }


def summarise(results: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """Returns the final score of each row in each case, and its difference from `source`."""
    record: dict[str, dict[str, dict]] = {}
    ends = {case: {name: scores[:, -1] for name, scores in normalise(each).items()} for case, each in results.items()}
    pairs = [(case, name) for case, finals in ends.items() for name in finals if name in BARS]
    above = compared({(case, name): (ends[case][name], ends[case]["source"]) for case, name in pairs})
    for case, each in results.items():
        record[case] = {}
        for name, final in ends[case].items():
            summary = {"came": bootstrap(final)._asdict(), "metrics": each[name]["metrics"]}
            if name in BARS:
                summary["above source"] = one = above[case, name]
                summary |= {"bar": BARS[name], "met": met(one, BARS[name])} if case == STYLE else {}
            record[case][name] = {**summary, "seconds": each[name]["seconds"]}
    return record


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    args = read(sized(flags(__doc__, RUNS / "confusion"), 98_304))
    if args.tiny:
        args.steps, args.seeds = 2_048, 2
    results = measure(args)
    record, scores = summarise(results), normalise(results[STYLE])
    lines = [line(name, np.array(results[STYLE][name]["steps"]), x) for name, x in scores.items() if name != "random"]
    title = f"Another style: how far it came in the target ({args.seeds} seeds)"
    figure_curves(lines, args.out / "confusion.svg", title, "steps in the source", "share of learning there")
    words = ["python benchmarks/confusion.py", *["--tiny"] * args.tiny]
    data = {
        "seeds": args.seeds,
        "steps": args.steps,
        "cases": CASES,
        "rows": record,
        "judged_by": HOW,
        "curves": results,
    }
    write_json(args.out / "confusion.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table("", "", "how far it came", "above source", "bar", title="0: at random, 1: learned in the target")
    for case, each in jsonable(record).items():
        for name, one in each.items():
            bar = f"{one['bar']}: {'met' if one['met'] else 'not met'}" if "bar" in one else ""
            table.add_row(case, name, interval_text(one["came"]), shown(one.get("above source")), bar)
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
