"""Distillation: four experts on four carts with opposing motors, and one student that imitates all of them.

The carts' motors differ in strength, and two push the other way. Experts train by DQN, one on each cart. A student
trains on their outputs in the last fifth of the steps. The record holds its return on each cart as a share of its
teachers' return there. The rows compare the student's loss (KL, NLL, MSE), the policy that collects its experience, a
student of a quarter of the width, Actor-Mimic's constants, experts with all of the steps, and DQN on all four carts at
once with as many. A fifth cart, which no policy has seen, is then learned from the student, from a new head on its
features, and from scratch.

    python benchmarks/distil.py            # 5 seeds: an hour on 2 cores
    python benchmarks/distil.py --tiny     # checks that it runs
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
    """Returns the four sources, each with its task id as context."""
    return stack_tasks([hs.task("CartPole-v1", force=force) for force in FORCES])


def students() -> dict[str, Method]:
    """Returns all methods that train on experts."""
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
    """Returns the method of each row."""
    methods, tasks = {"experts": hs.Separate(BASE), **students(), "joint": BASE}, carts()
    return {name: Row(method, tasks) for name, method in methods.items()}


def teachers(args: argparse.Namespace) -> dict:
    """Returns the teachers' returns [seed][task]. They train again, by the same keys as in the students' trainings."""
    file = args.work / f"teachers-{args.steps}-{args.seeds}.json"
    if not file.exists():
        tasks, key = carts(), keys(range(args.seeds))
        (part,) = hs.Distil(BASE).pretraining(spec(tasks))
        own = jax.vmap(lambda k: jax.random.fold_in(k, 1))(key.source)
        *_, learned = learn_source(part.method, tasks, round(part.fraction * args.steps), own)
        judge = part.method.learner(spec(tasks), target=True)
        returns = np.asarray(evaluate(judge, learned.params, tasks, EPISODES, key.evaluation)).mean(2)
        write_json(file, jsonable({"returns": returns, "share": part.fraction}))
    return read_json(file)


def onwards(args: argparse.Namespace) -> dict[str, dict]:
    """Returns steps [point] and returns [seed][point] on the left-out cart, from the student and from scratch."""
    fields = {"domain": jnp.int32(1), "context": jnp.zeros(len(FORCES))}
    target = stack([hs.task("CartPole-v1", force=LEFT_OUT).replace(**fields)])
    student, sources, results = hs.Distil(BASE), carts(), {}
    shared: Learned = {}
    starts = {"student": student, "student, new head": hs.Finetune(student, reset_head=True), "nothing": BASE}
    for name, method in starts.items():
        file = args.work / f"onwards-{name.replace(', ', '-').replace(' ', '-')}-{args.steps}-{args.seeds}.json"
        if not file.exists():
            key, prior = keys(range(args.seeds)), None
            if name != "nothing":
                *_, learned = learn_source(method, sources, args.steps, key.source, learned=shared)
                prior = learned.state
            evaluations = list(adapt(method, prior, target, args.steps // 5, [], key, POINTS, EPISODES))
            returns = np.stack([evaluation.returns.mean(1) for evaluation in evaluations], 1)
            write_json(
                file,
                jsonable({"steps": [float(evaluation.steps[0]) for evaluation in evaluations], "returns": returns}),
            )
        results[name] = read_json(file)
    return results


def summarise(results: dict[str, dict], taught: dict) -> dict[str, dict]:
    """Returns the share of the teachers' returns of each row: its mean over carts, and that of the worst cart."""
    experts = np.array(taught["returns"])
    share = {name: np.array(one["returns"]) / experts for name, one in results.items()}
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
        for name, one in results.items()
    }


def areas(further: dict[str, dict]) -> dict[str, dict]:
    """Returns the mean return on the fifth cart for each start, and its difference from training from scratch."""
    mean = {name: np.array(one["returns"]).mean(1) for name, one in further.items()}
    above = compared({name: (x, mean["nothing"]) for name, x in mean.items() if name != "nothing"})
    return {name: {"mean": bootstrap(x)._asdict(), "above nothing": above.get(name)} for name, x in mean.items()}


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    parser, all_of_it = sized(flags(__doc__, RUNS / "distil"), 500_000), [*rows(), FIFTH]
    parser.add_argument("--only", nargs="+", choices=all_of_it, default=all_of_it, help="which rows, beside experts")
    args = read(parser)
    if args.tiny:
        args.steps, args.seeds, args.only = 4_000, 2, ["KL", FIFTH]
    results = measure({k: x for k, x in rows().items() if k in {"experts", *args.only}}, carts(), args, EPISODES)
    taught = teachers(args)
    record, further = summarise(results, taught), onwards(args) if FIFTH in args.only else {}
    lines = [line(name, np.array(one["steps"]), np.array(one["returns"])) for name, one in further.items()]
    if lines:
        title = f"A fifth cart, from the student of four ({args.seeds} seeds)"
        figure_curves(lines, args.out / "distil.svg", title, "target steps", "return")
    some = ["--only", *args.only] if not args.tiny and len(args.only) < len(all_of_it) else []
    words = ["python", "benchmarks/distil.py", *["--tiny"] * args.tiny, *some]
    data = {
        "seeds": args.seeds,
        "steps": args.steps,
        "forces": FORCES,
        "rows": record,
        "found": results,
        "teachers": taught,
    }
    area = areas(further)
    data |= {"left out": LEFT_OUT, "onwards": further, "area": area, "judged_by": HOW}
    write_json(args.out / "distil.json", jsonable({**data, "provenance": provenance(shlex.join(words))}))
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
