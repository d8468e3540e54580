"""DARC on an arm with a broken joint: how many target steps does it need?

The source is an arm of three links that brings its tip to a place a quarter of a turn away. In the target, the motor
of the second joint has no effect. `target` is SAC in the target with all steps. `source` is SAC in the source,
evaluated in the target. `DARC` has as many steps in the source and a tenth of them in the target. The other rows differ
from it in one setting. The second case swaps the domains: the source is broken and the target intact.

    python benchmarks/darc.py            # 5 seeds: a quarter of an hour on 2 cores
    python benchmarks/darc.py --tiny     # checks that it runs
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
    source_text, target_text = (BROKEN, WHOLE) if backwards else (WHOLE, BROKEN)
    source, target = aligned([parse(source_text), parse(target_text, target=True)])
    return stack([source]), stack([target])


def rows() -> dict[str, Method]:
    """Returns the method of each row."""
    darc = functools.partial(hs.DARC, SMALL, learning_rate=1e-3)
    each = (SMALL, SMALL, darc(), darc(weight=1.0), darc(noise_std=0.0), darc(weight=0.0))
    return dict(zip(ROWS, each, strict=True))


def learn(name: str, backwards: bool, steps: int, seeds: int) -> dict:
    """Returns target steps and source steps [point], returns in the target [seed][point], the seconds."""
    (source, target), method, key, start_time = (
        domains(backwards),
        rows()[name],
        keys(range(seeds)),
        time.perf_counter(),
    )
    where, beside = (source, None) if name == "source" else (target, source if isinstance(method, hs.DARC) else None)
    budget = steps // 10 if beside is not None else steps
    at, source_steps, returns = [], [], []
    for j in adapt(method, None, where, budget, [], key, POINTS, EPISODES, beside):
        if name == "source":  # trained there, evaluated in the target
            learner = method.learner(spec(target), target=True)
            j = j._replace(returns=evaluate_state(learner, j.state, target, EPISODES, key.evaluation))
        at.append(float(j.steps[0]))
        source_steps.append(float(j.source_steps[0]))
        returns.append(j.returns.mean(1))
    seconds = time.perf_counter() - start_time
    return jsonable({"steps": at, "source_steps": source_steps, "returns": np.stack(returns, 1), "seconds": seconds})


def measure(args: argparse.Namespace) -> dict[str, dict[str, dict]]:
    """Returns the curves of each row, in both directions, from the files or measured now."""
    results: dict[str, dict[str, dict]] = {}
    for direction, asked_for in {"broken target": ROWS, "broken source": ROWS[:3]}.items():
        results[direction] = {}
        for name in ("target", "DARC") if args.tiny else asked_for:
            slug = f"{direction}-{name}".replace(", ", "-").replace(" ", "-").lower()
            file = args.work / f"{slug}-{args.steps}-{args.seeds}.json"
            if not file.exists():
                write_json(file, learn(name, direction == "broken source", args.steps, args.seeds))
            results[direction][name] = one = read_json(file)
            print(f"  {direction}, {name}: {np.array(one['returns'])[:, -1].round(1)}", flush=True)
    return results


def summarise(results: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """Returns each row's final target return, in both directions, and its difference from training in the target."""
    record: dict[str, dict[str, dict]] = {}
    ends = {
        direction: {name: np.array(x["returns"])[:, -1] for name, x in each.items()}
        for direction, each in results.items()
    }
    pairs = [(direction, name) for direction, finals in ends.items() for name in finals if name != "target"]
    above = compared(
        {(direction, name): (ends[direction][name], ends[direction]["target"]) for direction, name in pairs}
    )
    for direction, each in results.items():
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
    """Measures missing rows; writes the record and the figure, and prints the table."""
    args = read(sized(flags(__doc__, RUNS / "darc"), 40_000))
    if args.tiny:
        args.steps, args.seeds = 1_000, 2
    results = measure(args)
    record = summarise(results)
    share = lambda one: np.linspace(0, 1, len(one["steps"]))
    lines = [line(name, share(one), np.array(one["returns"])) for name, one in results["broken target"].items()]
    title = f"A joint that is broken in the target ({args.seeds} seeds)"
    figure_curves(lines, args.out / "darc.svg", title, "share of the training", "return in the target")
    words = ["python benchmarks/darc.py", *["--tiny"] * args.tiny]
    data = {"seeds": args.seeds, "steps": args.steps, "rows": record, "judged_by": HOW, "curves": results}
    write_json(args.out / "darc.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table("", "", "return in the target", "above learning there", "worse by", "target steps")
    for direction, each in jsonable(record).items():
        for name, one in each.items():
            cells = (interval_text(one["return"]), shown(one["above target"]), f"{100 * one['worse by']:.0f} %")
            table.add_row(direction, name, *cells, f"{one['target steps']:.0f}")
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
