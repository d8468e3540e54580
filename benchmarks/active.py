"""Active sampling: one policy learns to swing up a pole with four motors of different strength.

`gap` samples the tasks with the lowest share of their solved return most. `uniform` is the same method with equal
probabilities and equally many steps. The record holds the return as a share of the return that counts as solved: of the
least solved task, and the mean.

    python benchmarks/active.py            # 5 seeds: a quarter of an hour on 2 cores
    python benchmarks/active.py --tiny     # checks that it runs
"""

import dataclasses
from typing import Any

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, met, shown
from rich.table import Table
from side_by_side import line
from together import measure

import headstart as hs
from headstart.core.types import Method, Task
from headstart.lab.checkpoint.files import jsonable, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.tasks.task_ids import stack_tasks

FORCES = (40.0, 25.0, 15.0, 10.0)  # N, of an action of 1
SOLVED = 6_000.0  # return; a pole that stands up at once comes to some 7 000
BAR = 0.1  # how much more the least solved task should be solved
BASE = hs.PPO(num_envs=32, num_steps=64, batch_size=256, num_epochs=8)


def motors() -> Task:
    """Returns tasks of a pole with motors of different strength."""
    return stack_tasks([hs.task("CartPoleSwingUp", force=force) for force in FORCES])


def rows() -> dict[str, tuple[Method, Task]]:
    """Returns the method of each row."""
    method = hs.ActiveSampling(BASE, solved_return=SOLVED)
    return {"uniform": (dataclasses.replace(method, sampling="uniform"), motors()), "gap": (method, motors())}


def summarise(results: dict[str, dict]) -> dict[str, dict]:
    """Returns final scores of each row: the least solved task, the mean, and how far `gap` is above `uniform`."""
    last = {name: np.array(one["returns"])[:, -1] / SOLVED for name, one in results.items()}
    record: dict[str, dict[str, Any]] = {
        name: {"least": bootstrap(each.min(1))._asdict(), "mean": bootstrap(each.mean(1))._asdict()}
        for name, each in last.items()
    }
    for which, of in (("least", lambda x: x.min(1)), ("mean", lambda x: x.mean(1))):
        record["gap"] |= compared({f"{which}, above uniform": (of(last["gap"]), of(last["uniform"]))})
    record["gap"] |= {"bar": BAR, "met": met(record["gap"]["least, above uniform"], BAR)}
    return record


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    args = read(sized(flags(__doc__, RUNS / "active"), 2_000_000))
    if args.tiny:
        args.steps, args.seeds = 4_096, 2
    results = measure(rows(), args)
    record = summarise(results)
    lines = [
        line(name, np.array(one["steps"]), np.array(one["returns"]).min(2) / SOLVED) for name, one in results.items()
    ]
    title = f"The motor that is learned least ({args.seeds} seeds)"
    figure_curves(lines, args.out / "active.svg", title, "environment steps, of all tasks", "share of solved")
    words = ["python benchmarks/active.py", *["--tiny"] * args.tiny]
    data = {"seeds": args.seeds, "steps": args.steps, "rows": record, "judged_by": HOW, "found": results}
    write_json(args.out / "active.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table("", "least solved", "mean", "least solved, above uniform", title="share of what counts as solved")
    for name, one in jsonable(record).items():
        table.add_row(
            name, interval_text(one["least"]), interval_text(one["mean"]), shown(one.get("least, above uniform"))
        )
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
