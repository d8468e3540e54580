"""Active sampling: a pole is swung up by four motors, the weaker the harder, for one policy that learns them all.

Beside `gap`, which plays most what is least solved, is `uniform`, the same method with equal chances: both play as many
steps in all. Told is the return as a share of what counts as solved, in the task that is solved least, and in the mean.

    python benchmarks/active.py            # 5 seeds: a quarter of an hour on 2 cores
    python benchmarks/active.py --tiny     # does it still run?
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
    """Returns poles that are swung up by motors of different strength."""
    return stack_tasks([hs.task("CartPoleSwingUp", force=force) for force in FORCES])


def rows() -> dict[str, tuple[Method, Task]]:
    """Returns what is compared."""
    method = hs.ActiveSampling(BASE, solved_return=SOLVED)
    return {"uniform": (dataclasses.replace(method, sampling="uniform"), motors()), "gap": (method, motors())}


def summarise(found: dict[str, dict]) -> dict[str, dict]:
    """Returns of each row, in the end: the least solved task, the mean of all, and how far `gap` is above `uniform`."""
    last = {name: np.array(one["returns"])[:, -1] / SOLVED for name, one in found.items()}
    record: dict[str, dict[str, Any]] = {
        name: {"least": bootstrap(each.min(1))._asdict(), "mean": bootstrap(each.mean(1))._asdict()}
        for name, each in last.items()
    }
    for which, of in (("least", lambda x: x.min(1)), ("mean", lambda x: x.mean(1))):
        record["gap"] |= compared({f"{which}, above uniform": (of(last["gap"]), of(last["uniform"]))})
    record["gap"] |= {"bar": BAR, "met": met(record["gap"]["least, above uniform"], BAR)}
    return record


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    asked = read(sized(flags(__doc__, RUNS / "active"), 2_000_000))
    if asked.tiny:
        asked.steps, asked.seeds = 4_096, 2
    found = measure(rows(), asked)
    record = summarise(found)
    lines = [
        line(name, np.array(one["steps"]), np.array(one["returns"]).min(2) / SOLVED) for name, one in found.items()
    ]
    title = f"The motor that is learned least ({asked.seeds} seeds)"
    figure_curves(lines, asked.out / "active.svg", title, "environment steps, of all tasks", "share of solved")
    words = ["python benchmarks/active.py", *["--tiny"] * asked.tiny]
    data = {"seeds": asked.seeds, "steps": asked.steps, "rows": record, "judged_by": HOW, "found": found}
    write_json(asked.out / "active.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table("", "least solved", "mean", "least solved, above uniform", title="share of what counts as solved")
    for name, one in jsonable(record).items():
        table.add_row(
            name, interval_text(one["least"]), interval_text(one["mean"]), shown(one.get("least, above uniform"))
        )
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
