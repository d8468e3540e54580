"""Hindsight experience replay: does it find goals whose rewards are never seen by chance, and what of dense rewards?

On BitFlip, n bits are to be flipped into a goal, one in each of n steps. Only the goal itself pays, and 2^n states are
too many to find it by chance. Rows are DQN, and HER over the same DQN with its three ways to choose goals. On
GoalPointMass, a point starts below a wall and each episode draws a goal above it. Rows are SAC and HER over the same
SAC, with a sparse reward and with a dense one, and with the dense one on a single goal. The score is the share of 100
episodes, each with another start and goal, in which the greedy policy reaches the goal.

    python benchmarks/her.py            # 10 seeds: half an hour on 2 cores
    python benchmarks/her.py --keep     # trains only the rows that the committed record lacks
    python benchmarks/her.py --tiny     # checks that it runs
"""

import argparse
import re
import time
from typing import Literal, NamedTuple

import jax
import numpy as np
from flags import RUNS, flags, read
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.train import train
from headstart.core.types import Method, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import commit, provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import keys

EPISODES, POINTS = 100, 10
STRATEGIES: tuple[Literal["future", "final", "episode"], ...] = ("future", "final", "episode")
FIELD = "GoalPointMass@start_y=-0.7,wall_1_left=-0.6,wall_1_right=0.6,wall_1_bottom=-0.1,wall_1_top=0.1"
GOALS = ",goal_left=-0.9,goal_right=0.9,goal_bottom=0.3,goal_top=0.9"
ONE_GOAL = ",goal_left=0.6,goal_right=0.6,goal_bottom=0.6,goal_top=0.6"
DENSE = ",w.reward_goal=0,w.reward_dist=1"


class Case(NamedTuple):
    """One task, and the methods that learn it. The first method is the control of the others."""

    task: str
    steps: int
    methods: dict[str, Method]
    reward: str = ""  # what is added to the task for training; the score is that of the task itself


def bit_flip(bits: int, steps: int) -> Case:
    """Returns the case of BitFlip; a rollout is one episode in each of eight environments."""
    dqn = hs.DQN(
        hidden=(256,), discount=0.98, num_envs=8, num_steps=bits, update_to_data=0.25, epsilon=0.1,
        exploration_fraction=0.1, anneal_learning_rate=False, tau=0.05, target_update_period=1,
    )  # fmt: skip
    return Case(f"BitFlip-{bits}", steps, {"DQN": dqn, **{f"HER, {name}": hs.HER(dqn, name) for name in STRATEGIES}})


def point_mass(goals: str, reward: str, steps: int = 50_000) -> Case:
    """Returns a case of GoalPointMass. The settings were chosen on seeds 400 to 402."""
    sac = hs.SAC(
        hidden=(64, 64), discount=0.98, num_envs=8, update_to_data=0.25, batch_size=128, learning_rate=1e-3, tau=0.01
    )
    return Case(FIELD + goals, steps, {"SAC": sac, "HER, future": hs.HER(sac)}, reward)


CASES = {
    "15 bits": bit_flip(15, 60_000),
    "25 bits": bit_flip(25, 160_000),
    "point mass, sparse": point_mass(GOALS, ""),
    "point mass, dense": point_mass(GOALS, DENSE),
    "point mass, dense, one goal": point_mass(ONE_GOAL, DENSE),
}
TINY = {"8 bits": bit_flip(8, 2_000), "point mass, sparse": point_mass(GOALS, "", 1_200)}


def learn(case: Case, method: Method, seeds: int) -> dict:
    """Returns steps [point], the share of goals reached [seed][point], and how it was made."""
    tasks, judged = (stack([hs.task(task)]) for task in (case.task + case.reward, case.task))
    key, start_time = keys(range(seeds)), time.perf_counter()
    learner, steps_at, reached = method.learner(spec(tasks)), [], []
    for point in train(learner, tasks, case.steps, key.source, num_points=POINTS):
        returns = np.asarray(evaluate(learner, point.params, judged, EPISODES, key.evaluation))[:, 0]
        steps_at.append(float(point.steps[0]))
        reached.append((returns > -judged.env.horizon).mean(1))  # a step that reaches the goal costs nothing
    made = {"method": repr(method), "seconds": time.perf_counter() - start_time, "commit": commit()}
    return jsonable({"steps": steps_at, "reached": np.stack(reached, 1), **made})


def kept_rows(args: argparse.Namespace) -> dict[str, dict]:
    """Returns the rows of the record in --out if --keep is given and the record has as many seeds."""
    record = args.out / "her.json"
    data = read_json(record) if args.keep and record.exists() else {}
    return data["found"] if data.get("seeds") == args.seeds else {}


def measure(args: argparse.Namespace) -> tuple[dict[str, dict], dict[str, str]]:
    """Returns each row's result, from the files, the record or new; and the control of each row that has one."""
    kept, results, controls = kept_rows(args), {}, {}
    for case_name, case in (TINY if args.tiny else CASES).items():
        control, *_ = case.methods
        for method_name, method in case.methods.items():
            name = f"{case_name}, {method_name}"
            file = args.work / f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{args.seeds}.json"
            if name in kept and kept[name]["method"] == repr(method):
                results[name] = kept[name]
            else:
                if not file.exists():
                    write_json(file, learn(case, method, args.seeds))
                results[name] = read_json(file)
            if method_name != control:
                controls[name] = f"{case_name}, {control}"
            print(f"  {name}: {np.array(results[name]['reached'])[:, -1]}", flush=True)
    return results, controls


def summarise(results: dict[str, dict], controls: dict[str, str]) -> dict:
    """Returns the shares at the end and their means over the curve, each compared with its control."""
    scores = {name: np.array(one["reached"]) for name, one in results.items()}
    last = {name: each[:, -1] for name, each in scores.items()}
    average = {name: each.mean(1) for name, each in scores.items()}
    above = lambda measured: compared({name: (measured[name], measured[own]) for name, own in controls.items()})
    return {
        "rows": {name: bootstrap(x)._asdict() for name, x in last.items()},
        "above control": above(last),
        "average": {name: bootstrap(x)._asdict() for name, x in average.items()},
        "average above control": above(average),
    }


def draw(results: dict[str, dict], args: argparse.Namespace) -> None:
    """Writes a figure of each env."""
    for file, title, chosen in (
        ("her", "BitFlip: goals reached by DQN with and without HER", "bits"),
        ("her-point-mass", "GoalPointMass: goals reached by SAC with and without HER", "point mass"),
    ):
        rows = {name: one for name, one in results.items() if chosen in name}
        lines = [line(name, np.array(one["steps"]), np.array(one["reached"])) for name, one in rows.items()]
        title = f"{title} ({args.seeds} seeds)"
        figure_curves(lines, args.out / f"{file}.svg", title, "environment steps", "share of goals reached")


def main() -> None:
    """Measures missing rows; writes the record and the figures, and prints the table."""
    parser = flags(__doc__, RUNS / "her")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument(
        "--keep", action="store_true", help="take rows of the same method and seeds from the record in --out"
    )
    args = read(parser)
    if args.tiny:
        args.seeds = 2
    results, controls = measure(args)
    data = {"seeds": args.seeds, "episodes": EPISODES, **summarise(results, controls), "judged_by": HOW}
    draw(results, args)
    command = " ".join(["python benchmarks/her.py", *["--keep"] * args.keep, *["--tiny"] * args.tiny])
    record = jsonable({**data, "found": results, "provenance": provenance(command)})
    write_json(args.out / "her.json", record)
    table = Table(
        "row", "goals reached", "above control", "average", "above control", title="share of goals reached: IQM [95 %]"
    )
    for name, one in record["rows"].items():
        end, average = (shown(record[key].get(name)) for key in ("above control", "average above control"))
        table.add_row(name, interval_text(one), end, interval_text(record["average"][name]), average)
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
