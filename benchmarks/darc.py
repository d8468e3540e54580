"""DARC on an arm with a broken joint: how much of the target does it take to learn for it in the source?

Source is an arm of three links that brings its tip to one place, a quarter of a turn away; in the target the motor of
its second joint gives nothing. `target` is SAC in the target with all the steps, `source` the same in the source and
judged in the target, `DARC` has as many steps in the source and a tenth of them in the target; the others differ from
it in one thing. Then the other way around: the source is broken and the target whole.

    python benchmarks/darc.py            # 5 seeds: a quarter of an hour on 2 cores
    python benchmarks/darc.py --tiny     # does it still run?
"""

import argparse
import functools
import time

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.types import Method, Task, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import adapt, evaluate_state, keys
from headstart.tasks.registry import aligned
from headstart.tasks.strings import parse

WHOLE = "PlanarReacher-3@goal_spread=0,goal_x=0,goal_y=0.7"
BROKEN = f"{WHOLE},joint_2_power=0"
POINTS, EPISODES = 20, 50
SMALL = hs.SAC(
    1e-3, hidden=(64, 64), batch_size=64, buffer_size=40_000, num_steps=10, update_to_data=0.2, discount=0.95
)
ROWS = ("target", "source", "DARC", "DARC, weight 1", "DARC, no noise", "DARC, corrected by nothing")


def domains(backwards: bool) -> tuple[Task, Task]:
    """Returns source and target, stacked."""
    ours, theirs = (BROKEN, WHOLE) if backwards else (WHOLE, BROKEN)
    source, target = aligned([parse(ours), parse(theirs, target=True)])
    return stack([source]), stack([target])


def rows() -> dict[str, Method]:
    """Returns the method of each row."""
    darc = functools.partial(hs.DARC, SMALL, learning_rate=1e-3)
    each = (SMALL, SMALL, darc(), darc(weight=1.0), darc(noise_std=0.0), darc(weight=0.0))
    return dict(zip(ROWS, each, strict=True))


def learn(name: str, backwards: bool, steps: int, seeds: int) -> dict:
    """Returns target steps and source steps [point], returns in the target [seed][point], the seconds."""
    (source, target), method, key, began = domains(backwards), rows()[name], keys(range(seeds)), time.perf_counter()
    where, beside = (source, None) if name == "source" else (target, source if isinstance(method, hs.DARC) else None)
    budget = steps // 10 if beside is not None else steps
    at, spent, returns = [], [], []
    for j in adapt(method, None, where, budget, [], key, POINTS, EPISODES, beside):
        if name == "source":  # learned there, judged in the target
            learner = method.learner(spec(target), target=True)
            j = j._replace(returns=evaluate_state(learner, j.state, target, EPISODES, key.evaluation))
        at.append(float(j.steps[0]))
        spent.append(float(j.source_steps[0]))
        returns.append(j.returns.mean(1))
    seconds = time.perf_counter() - began
    return jsonable({"steps": at, "source_steps": spent, "returns": np.stack(returns, 1), "seconds": seconds})


def measure(asked: argparse.Namespace) -> dict[str, dict[str, dict]]:
    """Returns what each row learned, in both directions, from the files or now."""
    found: dict[str, dict[str, dict]] = {}
    for direction, asked_for in {"broken target": ROWS, "broken source": ROWS[:3]}.items():
        found[direction] = {}
        for name in ("target", "DARC") if asked.tiny else asked_for:
            slug = f"{direction}-{name}".replace(", ", "-").replace(" ", "-").lower()
            file = asked.work / f"{slug}-{asked.steps}-{asked.seeds}.json"
            if not file.exists():
                write_json(file, learn(name, direction == "broken source", asked.steps, asked.seeds))
            found[direction][name] = one = read_json(file)
            print(f"  {direction}, {name}: {np.array(one['returns'])[:, -1].round(1)}", flush=True)
    return found


def summarise(found: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """Returns in both directions, what each row came to in the target, and how far that is below learning there."""
    record: dict[str, dict[str, dict]] = {}
    ends = {way: {name: np.array(x["returns"])[:, -1] for name, x in each.items()} for way, each in found.items()}
    judged = [(way, name) for way, finals in ends.items() for name in finals if name != "target"]
    above = compared({(way, name): (ends[way][name], ends[way]["target"]) for way, name in judged})
    for direction, each in found.items():
        finals = ends[direction]
        record[direction] = {
            name: {
                "return": bootstrap(final)._asdict(),
                "above target": above.get((direction, name)),
                "worse by": float((finals["target"].mean() - final.mean()) / abs(finals["target"].mean())),
                "target steps": 0.0 if name == "source" else each[name]["steps"][-1],
                "seconds": each[name]["seconds"],
            }
            for name, final in finals.items()
        }
    return record


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    asked = read(sized(flags(__doc__, RUNS / "darc"), 40_000))
    if asked.tiny:
        asked.steps, asked.seeds = 1_000, 2
    found = measure(asked)
    record = summarise(found)
    share = lambda one: np.linspace(0, 1, len(one["steps"]))
    lines = [line(name, share(one), np.array(one["returns"])) for name, one in found["broken target"].items()]
    title = f"A joint that is broken in the target ({asked.seeds} seeds)"
    figure_curves(lines, asked.out / "darc.svg", title, "share of the training", "return in the target")
    words = ["python benchmarks/darc.py", *["--tiny"] * asked.tiny]
    data = {"seeds": asked.seeds, "steps": asked.steps, "rows": record, "judged_by": HOW, "curves": found}
    write_json(asked.out / "darc.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table("", "", "return in the target", "above learning there", "worse by", "target steps")
    for direction, each in jsonable(record).items():
        for name, one in each.items():
            cells = (interval_text(one["return"]), shown(one["above target"]), f"{100 * one['worse by']:.0f} %")
            table.add_row(direction, name, *cells, f"{one['target steps']:.0f}")
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
