"""Deep successor features in four rooms: policies of four tasks transfer to tasks with other weights of the objects.

Each source rewards the goal and one class of objects, or the goal alone. The targets draw the weights of the classes
uniformly from ±1, as in arXiv:1606.05312. `deep_sf` learns only these weights in the target. The other rows are
finetuning from DQN on the same four sources with as many steps, and DQN from scratch. The record holds the mean return
over the targets after a few episodes of each, and along its 20 000 steps.

    python benchmarks/deep_successor.py            # 10 seeds: an hour and three quarters on 2 cores
    python benchmarks/deep_successor.py --tiny     # checks that it runs
"""

import argparse
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.stages import learn_source
from headstart.core.types import Method, Task, TrainState, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import Evaluation, adapt, keys, to_curve
from headstart.tasks.task_ids import stack_tasks

SOURCES = ((1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0))
TARGETS, STEPS, SHOTS, POINTS, EPISODES = 6, 20_000, (1, 3, 10), 8, 5
BASE = hs.DQN(discount=0.95, update_to_data=0.25, num_envs=4, num_steps=4)
ROWS: dict[str, Method] = {"deep_sf": hs.DeepSuccessorFeatures(), "finetune": hs.Finetune(BASE), "scratch": BASE}


def room(w: tuple[float, ...]) -> Task:
    return hs.task("FourRooms", w=list(w))


def sources() -> Task:
    """Returns the four sources, each with its task id as context."""
    return stack_tasks([room(w) for w in SOURCES])


def targets(number: int) -> list[Task]:
    """Returns tasks that differ from all sources."""
    drawn = np.random.default_rng(0).uniform(-1, 1, (number, 3))
    fields = {"domain": jnp.int32(1), "context": jnp.zeros(len(SOURCES))}
    return [stack([room((*map(float, w), 1.0)).replace(**fields)]) for w in drawn]


def learn(method: Method, prior: bool, args: argparse.Namespace) -> dict:
    """Returns the numbers of episodes, and returns [seed][target][point] after these episodes and along the steps."""
    key, state, start_time = keys(range(args.seeds)), None, time.perf_counter()
    if prior:
        *_, last = learn_source(method, sources(), args.steps, key.source, num_points=1)
        state = last.state
    each = [list(evaluate_target(method, state, target, args)) for target in targets(args.targets)]
    shots = {n: np.stack([after(one, n) for one in each], 1) for n in (0, *SHOTS)}
    at, returns = zip(*((c.steps, c.returns) for c in map(to_curve, each)), strict=True)
    fields = {"shots": shots, "steps": np.mean(at, (0, 1)), "returns": np.stack(returns, 1)}
    return jsonable({**fields, "seconds": time.perf_counter() - start_time, "method": repr(method)})


def evaluate_target(
    method: Method, prior: TrainState | None, target: Task, args: argparse.Namespace
) -> Iterator[Evaluation]:
    """Yields the evaluations of the adaptation to one target."""
    return adapt(method, prior, target, args.target_steps, SHOTS, keys(range(args.seeds)), POINTS, EPISODES)


def after(judgements: list[Evaluation], shots: int) -> np.ndarray:
    """Returns mean returns [seed] after exactly so many episodes."""
    (one,) = [j for j in judgements if j.shots == shots]
    return one.returns.mean(1)


def measure(args: argparse.Namespace) -> dict[str, dict]:
    """Returns the curves of each row, from the files or measured now."""
    results = {}
    for name in ("deep_sf", "scratch") if args.tiny else ROWS:
        method = ROWS[name]
        file = args.work / f"{name}-{args.steps}-{args.target_steps}-{args.seeds}.json"
        if not file.exists():
            write_json(file, learn(method, name != "scratch", args))
        results[name] = one = read_json(file)
        means = {n: round(float(np.mean(x)), 2) for n, x in one["shots"].items()}
        print(f"  {name}: {means}, at last {np.mean(np.array(one['returns'])[..., -1]):.2f}", flush=True)
    return results


def summarise(results: dict[str, dict]) -> dict[str, dict]:
    """Returns the mean returns of each row over targets, and the difference of deep_sf from it."""
    each = {name: of_targets(one) for name, one in results.items()}
    record: dict[str, dict] = {name: {n: bootstrap(x)._asdict() for n, x in own.items()} for name, own in each.items()}
    others = [name for name in results if name != "deep_sf"]
    for n, own_scores in each["deep_sf"].items():
        for name, one in compared({name: (own_scores, each[name][n]) for name in others}).items():
            record[name].setdefault("deep_sf above it", {})[n] = one
    return record


def of_targets(one: dict) -> dict[str, np.ndarray]:
    """Returns mean returns over targets [seed], after so many episodes and at the end."""
    return {n: np.mean(x, 1) for n, x in one["shots"].items()} | {"last": np.array(one["returns"])[..., -1].mean(1)}


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    args = read(sized(flags(__doc__, RUNS / "deep_successor"), 800_000, seeds=10))
    args.targets, args.target_steps = TARGETS, STEPS
    if args.tiny:
        args.steps, args.seeds, args.targets, args.target_steps = 6_000, 2, 1, 3_000
    results = measure(args)
    record = summarise(results)
    lines = [line(name, np.array(one["steps"]), np.array(one["returns"]).mean(1)) for name, one in results.items()]
    title = f"Four rooms, other weights of the objects ({args.seeds} seeds)"
    figure_curves(lines, args.out / "deep_successor.svg", title, "target steps", "return")
    words = ["python benchmarks/deep_successor.py", *["--tiny"] * args.tiny]
    data = {"seeds": args.seeds, "steps": args.steps, "target_steps": args.target_steps, "sources": SOURCES}
    data |= {"targets": args.targets, "rows": record, "judged_by": HOW, "found": results}
    write_json(args.out / "deep_successor.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    columns = [*map(str, (0, *SHOTS)), "last"]
    table = Table("", *(f"{n}-shot" for n in columns[:-1]), "at last", title="mean return over the targets")
    for name, one in jsonable(record).items():
        table.add_row(name, *(interval_text(one[n]) for n in columns))
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
