"""Hindsight experience replay on BitFlip: does DQN find goals whose rewards it never sees by chance?

n bits are to be flipped into a goal, one in each of n steps. Only the goal itself pays, and 2^n states are too many to
find it by chance. Rows are DQN, and HER over the same DQN with its three ways to choose goals. The score is the share
of 100 episodes, each with another start and goal, in which the greedy policy reaches the goal.

    python benchmarks/her.py            # 10 seeds: a quarter of an hour on 2 cores
    python benchmarks/her.py --tiny     # checks that it runs
"""

import argparse
import time
from typing import Literal

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
STEPS = {15: 60_000, 25: 160_000}  # of each number of bits
STRATEGIES: tuple[Literal["future", "final", "episode"], ...] = ("future", "final", "episode")


def rows(bits: int) -> dict[str, Method]:
    """Returns the method of each row; a rollout is one episode in each of eight environments."""
    dqn = hs.DQN(
        hidden=(256,), discount=0.98, num_envs=8, num_steps=bits, update_to_data=0.25, epsilon=0.1,
        exploration_fraction=0.1, anneal_learning_rate=False, tau=0.05, target_update_period=1,
    )  # fmt: skip
    return {"DQN": dqn, **{f"HER, {name}": hs.HER(dqn, strategy=name) for name in STRATEGIES}}


def learn(method: Method, bits: int, steps: int, seeds: int) -> dict:
    """Returns steps [point], the share of goals reached [seed][point], and how it was made."""
    tasks, key, start_time = stack([hs.task(f"BitFlip-{bits}")]), keys(range(seeds)), time.perf_counter()
    learner, steps_at, reached = method.learner(spec(tasks)), [], []
    for point in train(learner, tasks, steps, key.source, num_points=POINTS):
        returns = np.asarray(evaluate(learner, point.params, tasks, EPISODES, key.evaluation))[:, 0]
        steps_at.append(float(point.steps[0]))
        reached.append((returns > -bits).mean(1))  # a step that reaches the goal costs nothing
    made = {"method": repr(method), "seconds": time.perf_counter() - start_time, "commit": commit()}
    return jsonable({"steps": steps_at, "reached": np.stack(reached, 1), **made})


def measure(args: argparse.Namespace) -> dict[str, dict]:
    """Returns each row's result, from the files or new."""
    results = {}
    for bits, all_steps in {8: 2_000}.items() if args.tiny else STEPS.items():
        for name, method in rows(bits).items():
            file = args.work / f"{bits}-{name.replace(', ', '-').lower()}-{args.seeds}.json"
            if not file.exists():
                write_json(file, learn(method, bits, all_steps, args.seeds))
            results[f"{bits} bits, {name}"] = read_json(file)
            print(f"  {bits} bits, {name}: {np.array(results[f'{bits} bits, {name}']['reached'])[:, -1]}", flush=True)
    return results


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    parser = flags(__doc__, RUNS / "her")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    args = read(parser)
    if args.tiny:
        args.seeds = 2
    results = measure(args)
    last = {name: np.array(one["reached"])[:, -1] for name, one in results.items()}
    control = {name: f"{name.split(', ')[0]}, DQN" for name in last if "HER" in name}
    above = compared({name: (last[name], last[own]) for name, own in control.items()})
    lines = [line(name, np.array(one["steps"]), np.array(one["reached"])) for name, one in results.items()]
    title = f"BitFlip: goals reached by DQN with and without HER ({args.seeds} seeds)"
    figure_curves(lines, args.out / "her.svg", title, "environment steps", "share of goals reached")
    data = {
        "seeds": args.seeds,
        "episodes": EPISODES,
        "rows": {name: bootstrap(x)._asdict() for name, x in last.items()},
        "above DQN": above,
        "judged_by": HOW,
        "found": results,
    }
    command = " ".join(["python benchmarks/her.py", *["--tiny"] * args.tiny])
    write_json(args.out / "her.json", jsonable({**data, "provenance": provenance(command)}))
    table = Table("row", "goals reached", "above DQN", title="share of goals reached: IQM and 95 % interval")
    for name, one in jsonable(data["rows"]).items():
        table.add_row(name, interval_text(one), shown(jsonable(above).get(name)))
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
