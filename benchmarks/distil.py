"""Distillation: four experts of four carts that want opposite things, and one student that does as each of them does.

The carts' motors differ in strength, and two push the other way. Experts learn by DQN, each its cart; a student learns
from them in the last fifth of the steps. Told is its return on each cart as a share of its teachers' there. Compared
are: what a student minimises (KL, NLL, MSE), who gathers its experience, a student a quarter as wide, Actor-Mimic's
constants, experts who have all of the steps, and DQN on all four carts at once, in as many. Then a fifth cart, which
none has seen: learned from the student, from a new head on its features, and from nothing.

    python benchmarks/distil.py            # 5 seeds: an hour on 2 cores
    python benchmarks/distil.py --tiny     # does it still run?
"""

import argparse
import dataclasses
import shlex

import jax
import jax.numpy as jnp
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, shown
from pretrained import Row, measure
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.stages import Learned, learn_source
from headstart.core.types import Method, Task, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import adapt, keys
from headstart.tasks.task_ids import stack_tasks

FORCES, LEFT_OUT = (10.0, -10.0, 5.0, -20.0), -5.0  # N
EPISODES, POINTS = 20, 20
FIFTH = "a fifth cart"
BASE = hs.DQN(num_envs=4, num_steps=4, update_to_data=0.25, hidden=(128, 128))


def carts() -> Task:
    """Returns the four sources, each told which one it is."""
    return stack_tasks([hs.task("CartPole-v1", force=force) for force in FORCES])


def students() -> dict[str, Method]:
    """Returns all that learns from experts."""
    small = dataclasses.replace(BASE, hidden=(32, 32))
    return {
        "KL": hs.Distil(BASE),
        "KL, experts act": hs.Distil(BASE, rollout_policy="teachers"),
        "NLL": hs.Distil(BASE, loss="nll"),
        "MSE": hs.Distil(BASE, loss="mse"),
        "KL, a quarter as wide": hs.Distil(small, (BASE,)),
        "Actor-Mimic": hs.Distil(BASE, temperature=1.0, feature_coef=0.01, epsilon=0.1),
    }


def rows() -> dict[str, Row]:
    """Returns what is compared."""
    methods, tasks = {"experts": hs.Separate(BASE), **students(), "joint": BASE}, carts()
    return {name: Row(method, tasks) for name, method in methods.items()}


def teachers(asked: argparse.Namespace) -> dict:
    """Returns returns [seed][task] of those who teach: learned anew by the keys that students learn them by."""
    file = asked.work / f"teachers-{asked.steps}-{asked.seeds}.json"
    if not file.exists():
        tasks, key = carts(), keys(range(asked.seeds))
        (part,) = hs.Distil(BASE).pretraining(spec(tasks))
        own = jax.vmap(lambda k: jax.random.fold_in(k, 1))(key.source)
        *_, learned = learn_source(part.method, tasks, round(part.fraction * asked.steps), own)
        judge = part.method.learner(spec(tasks), target=True)
        returns = np.asarray(evaluate(judge, learned.params, tasks, EPISODES, key.evaluation)).mean(2)
        write_json(file, jsonable({"returns": returns, "share": part.fraction}))
    return read_json(file)


def onwards(asked: argparse.Namespace) -> dict[str, dict]:
    """Returns the left-out cart: steps [point] and returns [seed][point], from the student and from nothing."""
    told = {"domain": jnp.int32(1), "context": jnp.zeros(len(FORCES))}
    target = stack([hs.task("CartPole-v1", force=LEFT_OUT).replace(**told)])
    student, sources, found = hs.Distil(BASE), carts(), {}
    shared: Learned = {}
    starts = {"student": student, "student, new head": hs.Finetune(student, reset_head=True), "nothing": BASE}
    for name, method in starts.items():
        file = asked.work / f"onwards-{name.replace(', ', '-').replace(' ', '-')}-{asked.steps}-{asked.seeds}.json"
        if not file.exists():
            key, prior = keys(range(asked.seeds)), None
            if name != "nothing":
                *_, learned = learn_source(method, sources, asked.steps, key.source, learned=shared)
                prior = learned.state
            judged = list(adapt(method, prior, target, asked.steps // 5, [], key, POINTS, EPISODES))
            returns = np.stack([j.returns.mean(1) for j in judged], 1)
            write_json(file, jsonable({"steps": [float(j.steps[0]) for j in judged], "returns": returns}))
        found[name] = read_json(file)
    return found


def summarise(found: dict[str, dict], taught: dict) -> dict[str, dict]:
    """Returns of each row, its share of the teachers' returns: on the average over carts, and on the worst of them."""
    experts = np.array(taught["returns"])
    share = {name: np.array(one["returns"]) / experts for name, one in found.items()}
    mean = {name: x.mean(1) for name, x in share.items()}
    above = compared({name: (x, mean["experts"]) for name, x in mean.items() if name != "experts"})
    return {
        name: {
            "mean": bootstrap(share[name].mean(1))._asdict(),
            "worst": bootstrap(share[name].min(1))._asdict(),
            "return": bootstrap(np.array(one["returns"]).mean(1))._asdict(),
            "above experts": above.get(name),
            "numbers": one["numbers"],
            "seconds": one["seconds"],
            "method": one["method"],
        }
        for name, one in found.items()
    }


def areas(further: dict[str, dict]) -> dict[str, dict]:
    """Returns for each start the mean return on the fifth cart, and how far that is above starting from nothing."""
    mean = {name: np.array(one["returns"]).mean(1) for name, one in further.items()}
    above = compared({name: (x, mean["nothing"]) for name, x in mean.items() if name != "nothing"})
    return {name: {"mean": bootstrap(x)._asdict(), "above nothing": above.get(name)} for name, x in mean.items()}


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    parser, all_of_it = sized(flags(__doc__, RUNS / "distil"), 500_000), [*rows(), FIFTH]
    parser.add_argument("--only", nargs="+", choices=all_of_it, default=all_of_it, help="which rows, beside experts")
    asked = read(parser)
    if asked.tiny:
        asked.steps, asked.seeds, asked.only = 4_000, 2, ["KL", FIFTH]
    found = measure({k: x for k, x in rows().items() if k in {"experts", *asked.only}}, carts(), asked, EPISODES)
    taught = teachers(asked)
    record, further = summarise(found, taught), onwards(asked) if FIFTH in asked.only else {}
    lines = [line(name, np.array(one["steps"]), np.array(one["returns"])) for name, one in further.items()]
    if lines:
        title = f"A fifth cart, from the student of four ({asked.seeds} seeds)"
        figure_curves(lines, asked.out / "distil.svg", title, "target steps", "return")
    some = ["--only", *asked.only] if not asked.tiny and len(asked.only) < len(all_of_it) else []
    words = ["python", "benchmarks/distil.py", *["--tiny"] * asked.tiny, *some]
    data = {
        "seeds": asked.seeds,
        "steps": asked.steps,
        "forces": FORCES,
        "rows": record,
        "found": found,
        "teachers": taught,
    }
    area = areas(further)
    data |= {"left out": LEFT_OUT, "onwards": further, "area": area, "judged_by": HOW}
    write_json(asked.out / "distil.json", jsonable({**data, "provenance": provenance(shlex.join(words))}))
    table = Table("", "share of the teachers' returns", "of the worst cart", "return", "numbers")
    for name, one in jsonable(record).items():
        table.add_row(name, *(interval_text(one[what]) for what in ("mean", "worst", "return")), str(one["numbers"]))
    after = Table("a fifth cart, from", "mean return on the way", "above nothing")
    for name, one in jsonable(area).items():
        after.add_row(name, interval_text(one["mean"]), shown(one["above nothing"]))
    print_tables(table, *[after] * bool(area))


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
