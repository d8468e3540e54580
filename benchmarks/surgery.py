"""Transfer to another body by component names: an arm of two links to one of three, and Hopper to Walker2d.

Parameters of components with the same name in both bodies are copied (`core/space_matching.py`): all that the smaller
body observes and does. The rest is initialized. The other rows train in the target from scratch, with equal target
steps, and, as a control of the names, from the same params with shuffled names.

    python benchmarks/surgery.py            # 5 seeds: half an hour on 2 cores
    python benchmarks/surgery.py --tiny     # checks that it runs
"""

import argparse
import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core import space_matching
from headstart.core.spaces import Box
from headstart.core.stages import learn_source
from headstart.core.types import Method, Spec, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.checkpoint.transfer_summary import TransferSummary
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import commit, provenance
from headstart.protocol.metrics import averaged_return
from headstart.protocol.prior import Training, move_to_spaces
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import adapt, keys, to_curve

SHOTS, POINTS, JUDGED = (0, 1, 10), 12, 10


class Pair(NamedTuple):
    """The source body and the target body."""

    source: str
    target: str
    base: Method
    source_steps: int
    target_steps: int


PAIRS = {
    "reacher": Pair("PlanarReacher-2", "PlanarReacher-3", hs.PPO(anneal_learning_rate=False), 400_000, 200_000),
    "walker": Pair("Hopper-v5", "Walker2d-v5", hs.PPO(anneal_learning_rate=False), 400_000, 300_000),
}
ROWS = {"finetune": "by name", "shuffled": "names shuffled", "scratch": "from nothing"}


def shuffled(spec_to_shuffle: Spec) -> Spec:
    """Returns the same spaces with the names of components shifted: as many are copied, all to wrong places."""
    turn = lambda space: dataclasses.replace(
        space, components=tuple(c._replace(unit="") for c in (*space.components[1:], space.components[0]))
    )
    assert isinstance(spec_to_shuffle.observation_space, Box)
    return spec_to_shuffle._replace(
        observation_space=turn(spec_to_shuffle.observation_space), action_space=turn(spec_to_shuffle.action_space)
    )


def learn(pair: Pair, rows: list[str], steps: tuple[int, int], seeds: int) -> dict[str, dict]:
    """Returns curves of each row [seed][point], returns by shots [seed], and the summary of the transfer."""
    source, target = (stack([hs.task(name)]) for name in (pair.source, pair.target))
    target, key, results = target.replace(domain=target.domain + 1), keys(range(seeds)), {}
    *_, learned = learn_source(pair.base, source, steps[0], key.source)
    for row in rows:
        method, prior, extra = hs.Finetune(pair.base), None, {}
        if row != "scratch":
            source_spec = spec(source) if row == "finetune" else shuffled(spec(source))
            plan = space_matching.plan(pair.base, source_spec, spec(target))
            prior = move_to_spaces(
                Training(pair.base, source_spec, False), learned.state, plan, method, spec(target), key.target
            )
        evaluations = list(adapt(method, prior, target, steps[1], SHOTS, key, POINTS, JUDGED))
        if prior is not None:
            counts = space_matching.count_transferred(plan, learned.params, evaluations[0].state.params)
            extra = {"moved": TransferSummary(plan, counts, False).data}
        done = to_curve(evaluations)
        results[row] = {
            "steps": done.steps[0],
            "returns": done.returns,
            "shots": done.shots,
            **extra,
            "commit": commit(),
        }
    return jsonable(results)


def measure(args: argparse.Namespace) -> dict[str, dict[str, dict]]:
    """Returns the rows' curves of each pair, from the files or measured now."""
    results = {}
    for name in args.only:
        pair = PAIRS[name]
        steps = (args.steps, args.steps) if args.steps else (pair.source_steps, pair.target_steps)
        file = args.work / f"{name}-{steps[0]}-{steps[1]}-{args.seeds}.json"
        if not file.exists():
            write_json(file, learn(pair, ["finetune", "scratch"] if args.tiny else list(ROWS), steps, args.seeds))
        results[name] = read_json(file)
        for row, one in results[name].items():
            print(f"  {name}, {row}: {np.array(one['returns'])[:, -1].round(1)}", flush=True)
    return results


def summarise(results: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """Returns for each pair and row: returns by shots, the average along the curve, its difference from scratch."""
    means = {pair: averages(rows) for pair, rows in results.items()}
    pairs = [(pair, row) for pair, each in means.items() for row in each if row != "scratch"]
    above = compared({(pair, row): (means[pair][row], means[pair]["scratch"]) for pair, row in pairs})
    return {
        pair: {
            row: {
                "shots": {n: bootstrap(np.array(values))._asdict() for n, values in one["shots"].items()},
                "average": bootstrap(means[pair][row])._asdict(),
                "final": bootstrap(np.array(one["returns"])[:, -1])._asdict(),
                "above scratch": above.get((pair, row)),
            }
            for row, one in rows.items()
        }
        for pair, rows in results.items()
    }


def averages(rows: dict[str, dict]) -> dict[str, np.ndarray]:
    """Returns each row's return averaged along its curve [seed]."""
    budget = min(one["steps"][-1] for one in rows.values())
    return {
        row: np.array([averaged_return(np.array(one["steps"]), np.array(x), budget) for x in one["returns"]])
        for row, one in rows.items()
    }


def main() -> None:
    """Measures missing rows; writes the record and the figures, and prints the table."""
    parser = sized(flags(__doc__, RUNS / "surgery"), 0)
    parser.add_argument("--only", nargs="+", choices=PAIRS, default=[*PAIRS], help="which bodies")
    args = read(parser)
    if args.tiny:
        args.steps, args.seeds = 2_048, 2
    results = measure(args)
    record = summarise(results)
    table = Table("", "", *(f"{n} shots" for n in SHOTS), "at the end", "on average", "above scratch")
    for name in args.only:
        pair = PAIRS[name]
        title = f"{pair.source}, then {pair.target} ({args.seeds} seeds)"
        lines = [line(ROWS[row], np.array(x["steps"]), np.array(x["returns"])) for row, x in results[name].items()]
        figure_curves(lines, args.out / f"surgery-{name}.svg", title, "target steps", "return")
        for row, one in jsonable(record[name]).items():
            shots = [interval_text(one["shots"][str(n)]) for n in SHOTS]
            rest = [interval_text(one["final"]), interval_text(one["average"]), shown(one["above scratch"])]
            table.add_row(f"{pair.source}, {pair.target}", ROWS[row], *shots, *rest)
    some = ["--only", *args.only] if len(args.only) < len(PAIRS) else []
    words = ["python benchmarks/surgery.py", *["--tiny"] * args.tiny, *some]
    data = {"seeds": args.seeds, "pairs": {name: str(pair) for name, pair in PAIRS.items()}, "rows": record}
    data["judged_by"] = HOW
    write_json(
        args.out / "surgery.json", jsonable({**data, "curves": results, "provenance": provenance(" ".join(words))})
    )
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
