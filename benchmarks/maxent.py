"""MaxEnt on a point mass with two ways round a wall: does a random source policy adapt sooner where one is closed?

The way above the wall is a little shorter than the way below it. In the target `closed`, the shorter way is closed; in
the target `open`, nothing changes. All rows are the same SAC. `scratch` and `finetune` have a low temperature
throughout. `MaxEnt` has a high one in the source, which falls to the low one in the target; in `no annealing` it does
not fall. `cut` starts from MaxEnt's source with the low temperature and half of the policy's standard deviation.
`learned` is finetune with SAC's learned temperature. Rows are compared by their mean return along the target's steps,
and by the episodes until they reach the goal.

    python benchmarks/maxent.py            # 10 seeds: half an hour on 2 cores
    python benchmarks/maxent.py --tiny     # checks that it runs
"""

import argparse
import dataclasses
import time
from typing import Any

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.train import train
from headstart.core.types import Method, Task, TrainState, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import commit, provenance
from headstart.protocol.metrics import averaged_returns
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import adapt, keys, to_curve
from headstart.tasks.worlds.point_mass import SIDES, PointMass

HIGH, LOW, FALL = 0.1, 0.03, 1.0  # temperatures, and the share of the target's training in which the high one falls
POINTS, EPISODES = 20, 10
ARRIVED = -30.0  # return of an episode that reaches the goal soon; one that stays at the wall has less than −50
SAC = hs.SAC(hidden=(64, 64), tau=0.01, batch_size=128, buffer_size=100_000, temperature=LOW)
LEARNED = dataclasses.replace(SAC, temperature=None)
MAXENT = hs.MaxEnt(SAC, HIGH, LOW, FALL)
ROWS: dict[str, tuple[Method | None, Method]] = {  # the method of the source, and that of the target
    "scratch": (None, SAC),
    "finetune": (SAC, hs.Finetune(SAC)),
    "MaxEnt": (MAXENT, MAXENT),
    "learned": (LEARNED, hs.Finetune(LEARNED)),
    "no annealing": (MAXENT, dataclasses.replace(MAXENT, target_temperature=HIGH)),
    "cut": (MAXENT, hs.Finetune(SAC, scale_std=0.5)),
}
WALL, CLOSED = (-0.1, -0.35, 0.1, 0.25), (-0.1, 0.25, 0.1, 1.0)  # left, bottom, right, top, m


def point(*walls: tuple[float, ...]) -> Task:
    """Returns the task with these walls, stacked."""
    sides: dict[str, Any] = {
        f"wall_{i + 1}_{side}": x for i, wall in enumerate(walls) for side, x in zip(SIDES, wall, strict=True)
    }
    return stack([hs.task(PointMass(walls=2), start_x=-0.7, goal_1_x=0.7, goal_1_y=0.0, **sides)])


def learn(method: Method, steps: int, seeds: int) -> tuple[TrainState, np.ndarray]:
    """Returns the states after the source and their mean returns there [seed]."""
    tasks, key = point(WALL), keys(range(seeds))
    learner = method.learner(spec(tasks))
    *_, last = train(learner, tasks, steps, key.source, num_points=1)
    return last.state, np.asarray(evaluate(learner, last.params, tasks, EPISODES, key.evaluation))[:, 0].mean(1)


def transfer(method: Method, state: TrainState | None, target: Task, steps: int, seeds: int) -> dict:
    """Returns the learning curve in the target: steps, episodes and returns [seed][point]."""
    points = adapt(method, state, target, steps, (0,), keys(range(seeds)), POINTS, EPISODES)
    curve = to_curve(list(points))
    return {"steps": curve.steps, "episodes": curve.episodes, "returns": curve.returns}


def measure(args: argparse.Namespace) -> dict:
    """Returns each row's curves, from the files or new."""
    results: dict[str, dict] = {}
    learned: dict[Method, tuple[TrainState, np.ndarray]] = {}
    targets = {"closed": point(WALL, CLOSED), "open": point(WALL)}
    for name, (before, method) in ROWS.items():
        if args.tiny and name != "MaxEnt":
            continue
        for case, target in targets.items():
            file = args.work / f"{case}-{name.replace(' ', '-')}-{args.steps}-{args.seeds}.json".lower()
            if not file.exists():
                start_time = time.perf_counter()
                if before is not None and before not in learned:
                    learned[before] = learn(before, args.steps, args.seeds)
                state, returns = (None, None) if before is None else learned[before]
                curve = transfer(method, state, target, args.target_steps, args.seeds)
                made = {"method": repr(method), "seconds": time.perf_counter() - start_time, "commit": commit()}
                write_json(file, jsonable({**curve, "in the source": returns, **made}))
            results[f"{case}, {name}"] = read_json(file)
            print(f"  {case}, {name}: {np.mean(results[f'{case}, {name}']['returns'], 0).round(1)}", flush=True)
    return results


def episodes_to_arrive(one: dict) -> np.ndarray:
    """Returns the episodes [seed] from which on the policy arrives in every evaluation; where it never does, all."""
    returns, episodes = np.array(one["returns"]), np.array(one["episodes"])
    stays = np.flip(np.logical_and.accumulate(np.flip(returns >= ARRIVED, 1), axis=1), 1)
    return np.where(stays.any(1), episodes[np.arange(len(episodes)), stays.argmax(1)], episodes[:, -1])


def summarise(results: dict[str, dict], budget: int) -> dict[str, Any]:
    """Returns each row's mean return along the target and episodes until it arrives, and differences from finetune."""
    area = {
        name: averaged_returns((np.array(one["steps"]), np.array(one["returns"])), budget)
        for name, one in results.items()
    }
    arrival = {name: episodes_to_arrive(one) for name, one in results.items()}
    control = {name: f"{name.split(', ')[0]}, finetune" for name in results}
    control = {name: own for name, own in control.items() if own in results and own != name}
    above = compared({name: (area[name], area[own]) for name, own in control.items()})
    sooner = compared({name: (arrival[own], arrival[name]) for name, own in control.items()})
    rows = {
        name: {
            "mean return": bootstrap(area[name])._asdict(),
            "episodes": bootstrap(arrival[name])._asdict(),
            "never": int((np.array(results[name]["returns"])[:, -1] < ARRIVED).sum()),
            "above finetune": above.get(name),
            "fewer episodes than finetune": sooner.get(name),
        }
        for name in results
    }
    return {"rows": rows}


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    parser = sized(flags(__doc__, RUNS / "maxent"), steps=30_000, seeds=10)
    parser.add_argument("--target-steps", type=int, default=15_000, help="steps of the target a seed")
    args = read(parser)
    if args.tiny:
        args.steps, args.target_steps, args.seeds = 200, 200, 2
    results = measure(args)
    closed = {name.split(", ", 1)[1]: one for name, one in results.items() if name.startswith("closed")}
    lines = [line(name, np.array(one["steps"])[0], np.array(one["returns"])) for name, one in closed.items()]
    title = f"The shorter of two ways is closed ({args.seeds} seeds)"
    figure_curves(lines, args.out / "maxent.svg", title, "steps in the target", "return")
    found = summarise(results, args.target_steps)
    data = {"seeds": args.seeds, "steps": args.steps, "target_steps": args.target_steps, **found}
    data |= {"judged_by": HOW, "found": results}
    command = " ".join(["python benchmarks/maxent.py", *["--tiny"] * args.tiny])
    write_json(args.out / "maxent.json", jsonable({**data, "provenance": provenance(command)}))
    table = Table("row", "mean return", "above finetune", "episodes to arrive", "fewer than finetune", "never")
    for name, one in jsonable(found)["rows"].items():
        differences = shown(one["above finetune"]), shown(one["fewer episodes than finetune"])
        numbers = interval_text(one["mean return"]), interval_text(one["episodes"])
        table.add_row(name, numbers[0], differences[0], numbers[1], differences[1], str(one["never"]))
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
