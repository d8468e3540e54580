"""Deep successor features in four rooms: policies of four tasks serve tasks that weigh the objects otherwise.

Each source pays for the goal and one class of objects, or for the goal alone. The targets weigh the classes at random
in ±1, as in arXiv:1606.05312. `deep_sf` learns there what the classes are worth, and nothing else; beside it are
finetuning from DQN on the same four sources in as many steps, and DQN from nothing. Told is the mean return over the
targets after a few episodes of each, and on the way to its 20 000th step.

    python benchmarks/deep_successor.py            # 10 seeds: an hour and three quarters on 2 cores
    python benchmarks/deep_successor.py --tiny     # does it still run?
"""

import argparse
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.stages import learn_source
from headstart.core.types import Method, Task, TrainState, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import Evaluation, adapt, keys, to_curve
from headstart.tasks.task_ids import stack_tasks

SOURCES = ((1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0))
TARGETS, STEPS, SHOTS, POINTS, EPISODES = 6, 20_000, (1, 3, 10), 8, 5
BASE = hs.DQN(discount=0.95, update_to_data=0.25, num_envs=4, num_steps=4)
ROWS: dict[str, Method] = {"deep_sf": hs.DeepSuccessorFeatures(), "finetune": hs.Finetune(BASE), "scratch": BASE}


def room(w: tuple[float, ...]) -> Task:
    return hs.task("FourRooms", w=list(w))


def sources() -> Task:
    """Returns the four, each told which one it is."""
    return stack_tasks([room(w) for w in SOURCES])


def targets(number: int) -> list[Task]:
    """Returns tasks that are none of the sources."""
    drawn = np.random.default_rng(0).uniform(-1, 1, (number, 3))
    told = {"domain": jnp.int32(1), "context": jnp.zeros(len(SOURCES))}
    return [stack([room((*map(float, w), 1.0)).replace(**told)]) for w in drawn]


def learn(method: Method, prior: bool, asked: argparse.Namespace) -> dict:
    """Returns after so many episodes, and on the way: returns [seed][target][point]."""
    key, known, began = keys(range(asked.seeds)), None, time.perf_counter()
    if prior:
        *_, last = learn_source(method, sources(), asked.steps, key.source, num_points=1)
        known = last.state
    each = [list(judged(method, known, target, asked)) for target in targets(asked.targets)]
    shots = {n: np.stack([after(one, n) for one in each], 1) for n in (0, *SHOTS)}
    at, returns = zip(*((c.steps, c.returns) for c in map(to_curve, each)), strict=True)
    told = {"shots": shots, "steps": np.mean(at, (0, 1)), "returns": np.stack(returns, 1)}
    return jsonable({**told, "seconds": time.perf_counter() - began, "method": repr(method)})


def judged(method: Method, prior: TrainState | None, target: Task, asked: argparse.Namespace) -> Iterator[Evaluation]:
    """Yields how the target goes."""
    return adapt(method, prior, target, asked.target_steps, SHOTS, keys(range(asked.seeds)), POINTS, EPISODES)


def after(judgements: list[Evaluation], shots: int) -> np.ndarray:
    """Returns mean returns [seed] after just so many episodes."""
    (one,) = [j for j in judgements if j.shots == shots]
    return one.returns.mean(1)


def measure(asked: argparse.Namespace) -> dict[str, dict]:
    """Returns what each row came to, from the files or now."""
    found = {}
    for name in ("deep_sf", "scratch") if asked.tiny else ROWS:
        method = ROWS[name]
        file = asked.work / f"{name}-{asked.steps}-{asked.target_steps}-{asked.seeds}.json"
        if not file.exists():
            write_json(file, learn(method, name != "scratch", asked))
        found[name] = one = read_json(file)
        means = {n: round(float(np.mean(x)), 2) for n, x in one["shots"].items()}
        print(f"  {name}: {means}, at last {np.mean(np.array(one['returns'])[..., -1]):.2f}", flush=True)
    return found


def summarise(found: dict[str, dict]) -> dict[str, dict]:
    """Returns of each row: mean returns over targets, and how far deep_sf is above it."""
    each = {name: of_targets(one) for name, one in found.items()}
    record: dict[str, dict] = {name: {n: bootstrap(x)._asdict() for n, x in own.items()} for name, own in each.items()}
    others = [name for name in found if name != "deep_sf"]
    for n, ours in each["deep_sf"].items():
        for name, one in compared({name: (ours, each[name][n]) for name in others}).items():
            record[name].setdefault("deep_sf above it", {})[n] = one
    return record


def of_targets(one: dict) -> dict[str, np.ndarray]:
    """Returns mean returns over targets [seed], after so many episodes and at last."""
    return {n: np.mean(x, 1) for n, x in one["shots"].items()} | {"last": np.array(one["returns"])[..., -1].mean(1)}


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    asked = read(sized(flags(__doc__, RUNS / "deep_successor"), 800_000, seeds=10))
    asked.targets, asked.target_steps = TARGETS, STEPS
    if asked.tiny:
        asked.steps, asked.seeds, asked.targets, asked.target_steps = 6_000, 2, 1, 3_000
    found = measure(asked)
    record = summarise(found)
    lines = [line(name, np.array(one["steps"]), np.array(one["returns"]).mean(1)) for name, one in found.items()]
    title = f"Four rooms, objects weighed anew ({asked.seeds} seeds)"
    figure_curves(lines, asked.out / "deep_successor.svg", title, "target steps", "return")
    words = ["python benchmarks/deep_successor.py", *["--tiny"] * asked.tiny]
    data = {"seeds": asked.seeds, "steps": asked.steps, "target_steps": asked.target_steps, "sources": SOURCES}
    data |= {"targets": asked.targets, "rows": record, "judged_by": HOW, "found": found}
    write_json(asked.out / "deep_successor.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    columns = [*map(str, (0, *SHOTS)), "last"]
    table = Table("", *(f"{n}-shot" for n in columns[:-1]), "at last", title="mean return over the targets")
    for name, one in jsonable(record).items():
        table.add_row(name, *(interval_text(one[n]) for n in columns))
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
