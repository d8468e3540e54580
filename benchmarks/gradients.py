"""Gradient surgery: CAGrad's toy of two objectives, and eight opposing goals for one policy.

The toy is that of arXiv:2110.14048 (its authors' `toy.py`): Adam, 100 000 steps from each of three starts, in float64.
The mean loss has its minimum -15.092 at (0, -8.355).

The goals stand around the shoulder of an arm of two links, so each goal opposes another one at the start. One policy
receives the goal as context, and each row combines its gradients in another way. Two more rows are eight policies that
share nothing: with as many parameters in total, and each as large as the joint one. All rows have equal steps per task.
(On PointMass, all of them reach the optimum within 50 000 steps and do not differ.)

    python benchmarks/gradients.py            # 5 seeds: about twenty minutes on 2 cores
    python benchmarks/gradients.py --tiny     # checks that it runs
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flags import RUNS, flags, read, sized
from jaxtyping import Array
from judging import HOW, compared, shown
from rich.table import Table
from together import lines, measure

import headstart as hs
from headstart.core.types import Method, Task
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.losses.surgery import SURGERIES
from headstart.protocol.statistics import bootstrap
from headstart.tasks.task_ids import stack_tasks

STARTS = ((-8.5, 7.5), (-8.5, -5.0), (9.0, 9.0))
LEAST = -15.092  # the mean loss at its optimum
TOY_STEPS, TOY_RATE = 100_000, 1e-3
GOALS, AROUND = 8, 0.7  # m, from the shoulder
JOINT = hs.PPO(num_envs=4, num_steps=64, batch_size=64, num_epochs=4, anneal_learning_rate=False, learning_rate=1e-3)
NARROW = (20, 20)  # widths with which eight policies have about as many numbers as the joint one


def losses(x: Array) -> Array:
    """Returns the toy's two objectives at a point."""
    floor = lambda y: jnp.log(jnp.maximum(jnp.abs(y), 5e-6)) + 6
    bowl = lambda side: ((side - x[0]) ** 2 + 0.1 * (-x[1] - 8) ** 2) / 10 - 20
    f = floor(0.5 * (-x[0] - 7) - jnp.tanh(-x[1])), floor(0.5 * (-x[0] + 3) + jnp.tanh(-x[1]) + 2)
    up, down = jnp.maximum(jnp.tanh(0.5 * x[1]), 0), jnp.maximum(jnp.tanh(-0.5 * x[1]), 0)
    return jnp.stack([f[0] * up + bowl(7.0) * down, f[1] * up + bowl(-7.0) * down])


def descend(how: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the end point of each start, and the mean loss there."""
    optimizer = optax.adam(TOY_RATE)
    combine = SURGERIES[how] if how != "cagrad" else lambda gram, key: SURGERIES[how](gram, key, 0.5)

    @jax.jit
    def run(start: Array) -> tuple[Array, Array]:
        def one(carry: Any, key: Array) -> tuple[Any, None]:
            x, state = carry
            g = jax.jacrev(losses)(x)
            updates, state = optimizer.update(combine(g @ g.T, key) @ g, state)
            return (optax.apply_updates(x, updates), state), None

        rng = jax.random.split(jax.random.key(0), steps)
        (x, _), _ = jax.lax.scan(one, (start, optimizer.init(start)), rng)
        return x, losses(x).mean()

    with jax.enable_x64(True):
        ends, means = jax.vmap(run)(jnp.array(STARTS, jnp.float64))
        return np.asarray(ends), np.asarray(means)


def goals() -> Task:
    """Returns eight tasks, whose goals stand around the shoulder."""
    angles = [2 * math.pi * i / GOALS for i in range(GOALS)]
    place = lambda f, angle: round(AROUND * f(angle), 4)
    at = lambda a: {"goal_x": place(math.cos, a), "goal_y": place(math.sin, a), "goal_spread": 0.0}
    return stack_tasks([hs.task("PlanarReacher-2", **at(a)) for a in angles])  # pyright: ignore[reportArgumentType]


def rows(tiny: bool) -> dict[str, tuple[Method, Task]]:
    """Returns the method of each row; `tiny`: two of them."""
    methods = {
        "separate, as many numbers": hs.Separate(dataclasses.replace(JOINT, hidden=NARROW)),
        "separate, each as large": hs.Separate(JOINT),
        **{f"joint, {combine}": hs.Joint(JOINT, surgery=combine) for combine in SURGERIES},  # pyright: ignore[reportArgumentType]
    }
    return {name: (methods[name], goals()) for name in (("joint, mean", "joint, cagrad") if tiny else methods)}


def summarise(results: dict[str, dict]) -> dict[str, dict]:
    """Returns for each row the mean and the worst task at the end and the mean along the curve, and the joint mean."""
    over = {name: np.array(one["returns"]) for name, one in results.items()}  # [seed, point, task]
    kinds = {
        "mean": lambda x: x[:, -1].mean(1),
        "worst task": lambda x: x[:, -1].min(1),
        "on the way": lambda x: x.mean((1, 2)),
    }
    control, record = over["joint, mean"], {}
    others = {name: returns for name, returns in over.items() if name != "joint, mean"}
    above = {kind: compared({name: (of(x), of(control)) for name, x in others.items()}) for kind, of in kinds.items()}
    for name, returns in over.items():
        record[name] = {kind: bootstrap(of(returns))._asdict() for kind, of in kinds.items()}
        differences = {kind: each.get(name) for kind, each in above.items()}
        record[name] |= {"above joint, mean": differences, "of each task": returns[:, -1].mean(0)}
        record[name] |= {key: results[name][key] for key in ("numbers", "told", "seconds")}
    return record


def tell(toy: dict[str, dict], record: dict[str, dict]) -> None:
    """Prints both tables."""
    table = Table("toy", *(f"from {start}" for start in STARTS), title=f"where it ends; the least mean loss is {LEAST}")
    for combine, one in toy.items():
        cells = [f"({x:.2f}, {y:.2f})  {loss:.2f}" for (x, y), loss in zip(one["ends"], one["mean"], strict=True)]
        table.add_row(combine, *cells)
    goals = Table("goals", "mean", "worst task", "on the way", "above joint, mean", "conflict", "numbers", "seconds")
    for name, one in record.items():
        conflict = one["told"].get("policy_conflict")
        cells = [interval_text(one[kind]) for kind in ("mean", "worst task", "on the way")]
        above = shown(one["above joint, mean"]["on the way"])
        share = "" if conflict is None else f"{100 * np.mean(conflict):.0f} %"
        goals.add_row(name, *cells, above, share, str(one["numbers"]), f"{one['seconds']:.0f}")
    print_tables(table, goals)


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the tables."""
    args = read(sized(flags(__doc__, RUNS / "gradients"), 1_000_000))
    if args.tiny:
        args.steps, args.seeds = 4_096, 2
    toy, file = {}, args.work / f"toy-{args.steps}.json"
    if not file.exists():
        for combine in ("mean", "cagrad") if args.tiny else SURGERIES:
            ends, mean = descend(combine, 1_000 if args.tiny else TOY_STEPS)
            toy[combine] = {"ends": ends, "mean": mean}
        write_json(file, jsonable(toy))
    toy = read_json(file)
    results = measure(rows(args.tiny), args)
    record = summarise(results)
    curves = {name: {key: one[key] for key in ("steps", "returns")} for name, one in results.items()}
    words = ["python benchmarks/gradients.py", *["--tiny"] * args.tiny]
    data = {"seeds": args.seeds, "steps": args.steps, "toy": toy, "goals": record, "judged_by": HOW, "curves": curves}
    write_json(args.out / "gradients.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    title = f"Eight opposing goals: mean return ({args.seeds} seeds)"
    figure_curves(lines(results), args.out / "gradients.svg", title, "environment steps, of all tasks", "return")
    tell(toy, jsonable(record))


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
