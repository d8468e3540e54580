"""Active sampling: seven goals that are near and one that is far, for one policy that learns them all.

A goal pays 1 and nothing else pays, so that a return is a share of successes. Beside `gap`, which plays most what is
least solved, is `uniform`, the same method with equal chances: both play as many steps in all. Told is the success in
the task that is solved least, and in the mean of all.

    python benchmarks/active.py            # 10 seeds: ten minutes on 2 cores
    python benchmarks/active.py --tiny     # does it still run?
"""

import math
from typing import Any

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from rich.table import Table
from side_by_side import line
from together import measure

import headstart as hs
from headstart.core.types import Method, Task
from headstart.lab.files import plain, write_json
from headstart.lab.plots import figure_curves
from headstart.lab.provenance import provenance
from headstart.lab.tables import interval, show
from headstart.protocol.statistics import bootstrap, paired_difference
from headstart.tasks.several import together

GOALS, NEAR, FAR = 8, 0.3, 0.8  # m, from the start
BAR = 0.1  # how much more often the least solved task should be solved
BASE = hs.PPO(copies=32, length=32, batch=256, epochs=4, anneal=False, learning_rate=1e-3, entropy=0.01)


def goals() -> Task:
    """-> goals around the start, the first of which is far."""
    angle = lambda i: math.pi / 4 + i * 2 * math.pi / GOALS
    place = lambda i, far: {
        "goal_1_x": round(far * math.cos(angle(i)), 4),
        "goal_1_y": round(far * math.sin(angle(i)), 4),
    }
    return together([hs.task("PointMass", w=(0.0, 1.0), **place(i, NEAR if i else FAR)) for i in range(GOALS)])  # pyright: ignore[reportArgumentType]


def rows() -> dict[str, tuple[Method, Task]]:
    """-> what is compared."""
    return {"uniform": (hs.ActiveSampling(BASE, by="uniform"), goals()), "gap": (hs.ActiveSampling(BASE), goals())}


def summarise(found: dict[str, dict]) -> dict[str, dict]:
    """-> of each row, successes in the end: of the least solved task, of all, and how far `gap` is above `uniform`."""
    last = {name: np.array(one["returns"])[:, -1] for name, one in found.items()}
    record: dict[str, dict[str, Any]] = {
        name: {"least": bootstrap(each.min(1))._asdict(), "mean": bootstrap(each.mean(1))._asdict()}
        for name, each in last.items()
    }
    for which, of in (("least", lambda x: x.min(1)), ("mean", lambda x: x.mean(1))):
        record["gap"][f"{which}, above uniform"] = paired_difference(of(last["gap"]), of(last["uniform"]))._asdict()
    above = record["gap"]["least, above uniform"]["iqm"]
    record["gap"] |= {"bar": BAR, "met": bool(above >= BAR)}
    return record


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    asked = read(sized(flags(__doc__, RUNS / "active"), 400_000, 10))
    if asked.tiny:
        asked.steps, asked.seeds = 2_048, 2
    found = measure(rows(), asked)
    record = summarise(found)
    lines = [line(name, np.array(one["steps"]), np.array(one["returns"]).min(2)) for name, one in found.items()]
    title = f"The goal that is reached least often ({asked.seeds} seeds)"
    figure_curves(lines, asked.out / "active.svg", title, "environment steps, of all tasks", "success")
    words = ["python benchmarks/active.py", *["--tiny"] * asked.tiny]
    data = {"seeds": asked.seeds, "steps": asked.steps, "rows": record, "found": found}
    write_json(asked.out / "active.json", plain({**data, "provenance": provenance(" ".join(words))}))
    table = Table("", "least solved", "mean", "least solved, above uniform", title="successes")
    for name, one in plain(record).items():
        above = interval(one["least, above uniform"]) if "bar" in one else ""
        table.add_row(name, interval(one["least"]), interval(one["mean"]), above)
    show(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
