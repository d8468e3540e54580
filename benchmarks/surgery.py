"""Transfer to another body: an arm of two links and then of three, Hopper and then Walker2d, by names.

What was learned on the source begins in the target with whatever has the same name in both (`core/space_matching.py`):
all that the smaller body sees and does, and none of the rest. Beside it is learning the target from nothing, in equal
steps of it; and, as a control of what the names are worth, the same params with their names shuffled.

    python benchmarks/surgery.py            # 5 seeds: half an hour on 2 cores
    python benchmarks/surgery.py --tiny     # does it still run?
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
    """A body that is learned first, and the one that counts."""

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


def shuffled(known: Spec) -> Spec:
    """Returns the same spaces, each component under the name of the next one: as many come along, none to its place."""
    turn = lambda space: dataclasses.replace(
        space, components=tuple(c._replace(unit="") for c in (*space.components[1:], space.components[0]))
    )
    assert isinstance(known.observation_space, Box)
    return known._replace(observation_space=turn(known.observation_space), action_space=turn(known.action_space))


def learn(pair: Pair, rows: list[str], steps: tuple[int, int], seeds: int) -> dict[str, dict]:
    """Returns curves of each row [seed][point], returns by shots [seed], and what came along."""
    source, target = (stack([hs.task(name)]) for name in (pair.source, pair.target))
    target, key, found = target.replace(domain=target.domain + 1), keys(range(seeds)), {}
    *_, learned = learn_source(pair.base, source, steps[0], key.source)
    for row in rows:
        how, prior, told = hs.Finetune(pair.base), None, {}
        if row != "scratch":
            known = spec(source) if row == "finetune" else shuffled(spec(source))
            plan = space_matching.plan(pair.base, known, spec(target))
            prior = move_to_spaces(
                Training(pair.base, known, False), learned.state, plan, how, spec(target), key.target
            )
        judged = list(adapt(how, prior, target, steps[1], SHOTS, key, POINTS, JUDGED))
        if prior is not None:
            came = space_matching.count_transferred(plan, learned.params, judged[0].state.params)
            told = {"moved": TransferSummary(plan, came, False).data}
        done = to_curve(judged)
        found[row] = {"steps": done.steps[0], "returns": done.returns, "shots": done.shots, **told, "commit": commit()}
    return jsonable(found)


def measure(asked: argparse.Namespace) -> dict[str, dict[str, dict]]:
    """Returns of each pair, its rows' curves, from the files or now."""
    found = {}
    for name in asked.only:
        pair = PAIRS[name]
        steps = (asked.steps, asked.steps) if asked.steps else (pair.source_steps, pair.target_steps)
        file = asked.work / f"{name}-{steps[0]}-{steps[1]}-{asked.seeds}.json"
        if not file.exists():
            write_json(file, learn(pair, ["finetune", "scratch"] if asked.tiny else list(ROWS), steps, asked.seeds))
        found[name] = read_json(file)
        for row, one in found[name].items():
            print(f"  {name}, {row}: {np.array(one['returns'])[:, -1].round(1)}", flush=True)
    return found


def summarise(found: dict[str, dict[str, dict]]) -> dict[str, dict[str, dict]]:
    """Returns for each pair and row: returns by shots, the average along the curve, how far above scratch that is."""
    means = {pair: averages(rows) for pair, rows in found.items()}
    judged = [(pair, row) for pair, each in means.items() for row in each if row != "scratch"]
    above = compared({(pair, row): (means[pair][row], means[pair]["scratch"]) for pair, row in judged})
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
        for pair, rows in found.items()
    }


def averages(rows: dict[str, dict]) -> dict[str, np.ndarray]:
    """Returns each row's return averaged along its curve [seed]."""
    budget = min(one["steps"][-1] for one in rows.values())
    return {
        row: np.array([averaged_return(np.array(one["steps"]), np.array(x), budget) for x in one["returns"]])
        for row, one in rows.items()
    }


def main() -> None:
    """Runs what is not there yet; writes the record and the figures, and prints the table."""
    parser = sized(flags(__doc__, RUNS / "surgery"), 0)
    parser.add_argument("--only", nargs="+", choices=PAIRS, default=[*PAIRS], help="which bodies")
    asked = read(parser)
    if asked.tiny:
        asked.steps, asked.seeds = 2_048, 2
    found = measure(asked)
    record = summarise(found)
    table = Table("", "", *(f"{n} shots" for n in SHOTS), "at the end", "on average", "above scratch")
    for name in asked.only:
        pair = PAIRS[name]
        title = f"{pair.source}, then {pair.target} ({asked.seeds} seeds)"
        lines = [line(ROWS[row], np.array(x["steps"]), np.array(x["returns"])) for row, x in found[name].items()]
        figure_curves(lines, asked.out / f"surgery-{name}.svg", title, "target steps", "return")
        for row, one in jsonable(record[name]).items():
            shots = [interval_text(one["shots"][str(n)]) for n in SHOTS]
            rest = [interval_text(one["final"]), interval_text(one["average"]), shown(one["above scratch"])]
            table.add_row(f"{pair.source}, {pair.target}", ROWS[row], *shots, *rest)
    some = ["--only", *asked.only] if len(asked.only) < len(PAIRS) else []
    words = ["python benchmarks/surgery.py", *["--tiny"] * asked.tiny, *some]
    data = {"seeds": asked.seeds, "pairs": {name: str(pair) for name, pair in PAIRS.items()}, "rows": record}
    data["judged_by"] = HOW
    write_json(
        asked.out / "surgery.json", jsonable({**data, "curves": found, "provenance": provenance(" ".join(words))})
    )
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
