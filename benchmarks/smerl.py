"""SMERL on a point mass: does one training without a wall prepare for walls across the straight path?

A point moves from left to right in an empty box. In each target, one wall blocks its way. Rows are SAC (one policy),
SAC-5 (five trainings, each with as many steps), SMERL (five skills), and SMERL with the bonus in all episodes (no gate)
or with the authors' weight of it (α = 10). SAC's mean return in the source is R* of the others. Rows with five policies
or skills try each for one episode in the target and keep the best: 5 shots. The score is the share of other episodes
that reach the goal. No row trains in the target.

    python benchmarks/smerl.py            # 10 seeds: half an hour on 2 cores
    python benchmarks/smerl.py --tiny     # checks that it runs
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.train import train
from headstart.core.types import Key, Method, Task, TrainState, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import commit, provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import adapt, keys
from headstart.tasks.worlds.point_mass import SIDES

POLICIES, EPISODES = 5, 20
SOURCE: dict[str, Any] = {"start_x": -0.7, "goal_1_x": 0.7, "goal_1_y": 0.0}
PLACES = (-0.3, 0.0, 0.3)  # m, of the middle of the wall along the straight path
HEIGHTS = (0.1, 0.2, 0.3, 0.4)  # m, half of the wall's extent across the path
SAC = hs.SAC(hidden=(32, 32), tau=0.01, batch_size=128, buffer_size=100_000)


BONUS, TOLERANCE = 0.3, 0.2
SETTINGS = {  # bonus_coef and tolerance; an infinite tolerance gives the bonus in every episode that ends
    "SMERL": (BONUS, TOLERANCE),
    "no gate": (BONUS, float("inf")),
    "α = 10": (10.0, TOLERANCE),
}

PAIRS = [(name, control) for name in SETTINGS for control in ("SAC", "SAC-5")]
PAIRS += [("SMERL", "no gate"), ("SAC-5", "SAC")]


def smerl(optimal_return: float, bonus_coef: float, tolerance: float) -> Method:
    """Returns SMERL over the same SAC."""
    return hs.SMERL(SAC, POLICIES, bonus_coef, optimal_return, tolerance, hidden=(32, 32))


def walled(place: float, height: float) -> Task:
    """Returns the target with a wall, as a stacked task."""
    sides = place - 0.05, -height, place + 0.05, height
    wall: dict[str, Any] = {f"wall_1_{side}": x for side, x in zip(SIDES, sides, strict=True)}
    return stack([hs.task("PointMass", **SOURCE, **wall)])


def learn(method: Method, steps: int, seeds: int) -> tuple[TrainState, np.ndarray]:
    """Returns the states after the source and their mean returns there [seed]."""
    tasks, key = stack([hs.task("PointMass", **SOURCE)]), keys(range(seeds))
    learner = method.learner(spec(tasks))
    *_, last = train(learner, tasks, steps, key.source, num_points=1)
    return last.state, np.asarray(evaluate(learner, last.params, tasks, EPISODES, key.evaluation))[:, 0].mean(1)


def reached(method: Method, state: TrainState, target: Task, key: Key) -> np.ndarray:
    """Returns the share of episodes that reach the goal [seed]: only the goal pays, so a return is 0 or 1."""
    only_goal = target.replace(w=jnp.array([[0.0, 1.0]]))
    learner = method.learner(spec(target), target=True)
    return np.asarray(evaluate(learner, state.params, only_goal, EPISODES, key))[:, 0].mean(1)


def best_of_five(state: TrainState, target: Task, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of the first policy of each seed, and of that of five with the best return in one episode."""
    key = keys(range(seeds * POLICIES))
    learner = SAC.learner(spec(target), target=True)
    trial = np.asarray(evaluate(learner, state.params, target, 1, key.target))[:, 0, 0].reshape(seeds, POLICIES)
    shares = reached(SAC, state, target, key.evaluation).reshape(seeds, POLICIES)
    return shares[:, 0], shares[np.arange(seeds), trial.argmax(1)]


def best_skill(method: Method, state: TrainState, target: Task, seeds: int) -> np.ndarray:
    """Returns the shares of the skill that each seed keeps after one episode of each."""
    key = keys(range(seeds))
    *_, last = adapt(method, state, target, 0, range(POLICIES + 1), key, eval_episodes=1)
    return reached(method, last.state, target, key.evaluation)


def measure(args: argparse.Namespace) -> dict:
    """Returns returns in the source and shares in the targets of each row, from the file or new."""
    file = args.work / f"{args.steps}-{args.seeds}.json"
    if file.exists():
        return read_json(file)
    start_time, seeds = time.perf_counter(), args.seeds
    sac, returns = learn(SAC, args.steps, seeds * POLICIES)
    optimal = float(returns.mean())
    source, shares = {"SAC": returns[::POLICIES]}, {"SAC": [], "SAC-5": []}
    targets = [walled(place, height) for height in HEIGHTS for place in args.places]
    for target in targets:
        for name, each in zip(("SAC", "SAC-5"), best_of_five(sac, target, seeds), strict=True):
            shares[name].append(each)
    for name in args.rows:
        method = smerl(optimal, *SETTINGS[name])
        state, source[name] = learn(method, args.steps, seeds)
        shares[name] = [best_skill(method, state, target, seeds) for target in targets]
        print(f"  {name}: {source[name].mean():.2f} in the source, {np.mean(shares[name]):.2f} of goals", flush=True)
    made = {"optimal_return": optimal, "seconds": time.perf_counter() - start_time, "commit": commit()}
    stacked = {name: np.stack(each, 1) for name, each in shares.items()}
    data = jsonable({"source": source, "reached": stacked, "method": repr(smerl(optimal, *SETTINGS["SMERL"])), **made})
    write_json(file, data)
    return data


def main() -> None:
    """Measures what is missing; writes the record and the figure, and prints the table."""
    parser = sized(flags(__doc__, RUNS / "smerl"), steps=40_000, seeds=10)
    args = read(parser)
    args.places, args.rows = PLACES, tuple(SETTINGS)
    if args.tiny:
        args.steps, args.seeds, args.places, args.rows = 200, 2, PLACES[:1], ("SMERL",)
    data = measure(args)
    each = {name: np.array(x) for name, x in data["reached"].items()}  # [seed, target]
    mean = {name: x.mean(1) for name, x in each.items()}
    above = compared({f"{a} above {b}": (mean[a], mean[b]) for a, b in PAIRS if {a, b} <= mean.keys()})
    rows = {name: bootstrap(x)._asdict() for name, x in mean.items()}
    by_height = {name: x.reshape(len(x), len(HEIGHTS), -1).mean(2) for name, x in each.items()}
    lines = [line(name, np.array(HEIGHTS), x) for name, x in by_height.items()]
    title = f"A wall across the straight path, after trials only ({args.seeds} seeds)"
    figure_curves(lines, args.out / "smerl.svg", title, "half of the wall's extent (m)", "share of goals reached")
    record = {"seeds": args.seeds, "steps": args.steps, "settings": SETTINGS, "episodes": EPISODES}
    record |= {"rows": rows, "above": above, "judged_by": HOW, "found": data}
    command = " ".join(["python benchmarks/smerl.py", *["--tiny"] * args.tiny])
    write_json(args.out / "smerl.json", jsonable({**record, "provenance": provenance(command)}))
    table = Table("row", "goals reached", "above SAC", "above SAC-5", title="goals reached: IQM and 95 % interval")
    for name, one in jsonable(rows).items():
        against = (shown(jsonable(above).get(f"{name} above {other}")) for other in ("SAC", "SAC-5"))
        table.add_row(name, interval_text(one), *against)
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
