"""Growth: the cost of environments, tasks, seeds, random parameters and methods, and of starting a program.

It measures the seconds of one iteration of PPO on Hopper-v5 (a rollout and its gradient steps) by the number of each,
and the seconds of a small study by the number of methods. It also measures the time of compiling, importing and
`headstart --help`, and the memory of an environment and of a row of SAC's replay buffer. Run it on an idle machine.

    python benchmarks/growth.py            # 5 repetitions: about half an hour on 2 cores
    python benchmarks/growth.py --tiny     # checks that it runs
"""

import argparse
import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from flags import RESULTS, flags, read
from rates.running import slug
from rates.table import machine
from rich.table import Table

import headstart as hs
from headstart.core.counting import count_of
from headstart.core.run import LoopState
from headstart.core.train import enter_envs, init_loop_state, train_chunk
from headstart.core.types import Learner, Task, spec, stack
from headstart.lab.checkpoint.files import read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.line_chart import Series
from headstart.lab.report.terminal_tables import print_tables
from headstart.lab.study.provenance import provenance
from headstart.lab.watch.progress_bar import short_number
from headstart.protocol.transfer import keys
from headstart.tasks.mujoco.physics import physics

GOALS = {"import headstart": 1.2, "--help": 0.3}  # seconds
IMPORTS = {
    "import headstart": "import headstart",
    "and all that a training needs": "import headstart as hs; hs.train, hs.PPO, hs.task",
    "JAX alone": "import jax",
}
PARAMETERS = ("torso_mass", "thigh_mass", "leg_mass", "foot_mass", "friction", "damping", "power", "gravity")
METHODS = ("naive", "scratch", "finetune", "finetune:reset_head=true", "randomize", "epopt")  # the first two always
STUDY = ("--source", "Hopper-v5", "--target", "Hopper-v5@torso_mass=9", "--ensemble", "Hopper-v5@torso_mass=3..9")
COMMAND = str(pathlib.Path(sys.executable).with_name("headstart"))


class Sweep(NamedTuple):
    """A quantity, its values, and the training with each value."""

    upto: int
    make: Callable[[int], tuple[hs.Method, Task, int]]  # a number -> method, stacked tasks, seeds


def alone(parameters: int = 0) -> Task:
    """Returns Hopper with so many random parameters, each within a tenth of its nominal value."""
    nominal = {parameter.name: parameter.nominal for parameter in hs.task("Hopper-v5").env.parameters}
    law = lambda x: dist.Uniform(min(0.9 * x, 1.1 * x), max(0.9 * x, 1.1 * x))
    return hs.task("Hopper-v5", **{name: law(nominal[name]) for name in PARAMETERS[:parameters]})


def several(n: int) -> Task:
    """Returns n Hoppers with different torso masses."""
    return stack([hs.task("Hopper-v5", torso_mass=float(mass)) for mass in np.linspace(3, 9, n)])


SWEEPS = {
    "copies": Sweep(64, lambda n: (hs.PPO(num_envs=n), stack([alone()]), 1)),
    "tasks": Sweep(16, lambda n: (hs.PPO(), several(n), 1)),
    "seeds": Sweep(16, lambda n: (hs.PPO(), stack([alone()]), n)),
    "random parameters": Sweep(8, lambda n: (hs.PPO(), stack([alone(n)]), 1)),
}


def ready(method: hs.Method, tasks: Task, seeds: int) -> tuple[Learner, LoopState]:
    """Returns the learner, and loop states whose environments have started."""
    learner = method.learner(spec(tasks))
    return learner, enter_envs(learner, tasks, init_loop_state(learner, keys(range(seeds)).source))


def turns(method: hs.Method, tasks: Task, seeds: int, repetitions: int) -> dict[str, list[float]]:
    """Returns the seconds of one iteration [repetition], and of the first one, which includes compiling."""
    jax.clear_caches()  # of another number, which may have asked for the same
    start_time = time.perf_counter()
    learner, run = ready(method, tasks, seeds)
    go = functools.partial(train_chunk, learner, tasks, iterations=jnp.int32(1), budget=count_of(10**6))
    run, _ = jax.block_until_ready(go(run))
    results: dict[str, list[float]] = {"first": [time.perf_counter() - start_time], "turn": []}
    for _ in range(repetitions):
        start_time = time.perf_counter()
        run, _ = jax.block_until_ready(go(run))
        results["turn"].append(time.perf_counter() - start_time)
    return results


def sweep(name: str, args: argparse.Namespace) -> dict[str, dict]:
    """Returns the seconds of one iteration for each value, from the files or measured now."""
    results = {}
    upto = 2 if args.tiny else SWEEPS[name].upto
    for n in (2**i for i in range(upto.bit_length())):
        file = args.work / f"{slug(name)}-{n}.json"
        if not file.exists():
            write_json(file, turns(*SWEEPS[name].make(n), args.seeds))
        results[str(n)] = read_json(file)
        print(f"  {n} {name}: {np.median(results[str(n)]['turn']):.3g} s a turn", flush=True)
    return results


def methods(args: argparse.Namespace) -> dict[str, dict]:
    """Returns the seconds of a small study by its number of methods, including naive and scratch.

    And the seconds of the same study with its compiled programs in the cache.
    """
    results = {}
    for n in range(2, 3 if args.tiny else len(METHODS) + 1):
        file = args.work / f"methods-{n}.json"
        if not file.exists():
            write_json(file, small_study(METHODS[:n]))
        results[str(n)] = read_json(file)
        first, again = (results[str(n)][which][0] for which in ("turn", "again"))
        print(f"  {n} methods: {first:.3g} s a study, again {again:.3g} s", flush=True)
    return results


def small_study(methods: tuple[str, ...]) -> dict[str, list[float]]:
    """Returns the seconds of a study with these methods, with an empty and with a full compilation cache."""
    with tempfile.TemporaryDirectory() as folder:
        named = ("--methods", ",".join(methods), "--no-oracle", "--shots", "0")
        sizes = ("--source-steps", "8192", "--target-steps", "8192", "--seeds", "1")
        words = (COMMAND, "compare", *STUDY, *named, *sizes)
        env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/compiled"}
        return {which: [wall(*words, "--out", f"{folder}/{which}", env=env)] for which in ("turn", "again")}


def wall(*words: str, env: dict[str, str] | None = None) -> float:
    """Returns the wall-clock seconds of a command."""
    start_time = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=env)
    return time.perf_counter() - start_time


def starting(repetitions: int) -> dict[str, list[float]]:
    """Returns the seconds of imports, beyond the start of Python, and of --help [repetition]."""
    bare = lambda: wall(sys.executable, "-c", "")
    importing = lambda code: [wall(sys.executable, "-c", code) - bare() for _ in range(repetitions)]
    seconds_by_import = {name: importing(code) for name, code in IMPORTS.items()}
    return {**seconds_by_import, "--help": [wall(COMMAND, "--help") for _ in range(repetitions)]}


def memory() -> dict[str, float]:
    """Returns the bytes of an environment, of its own parameters in MuJoCo, and of a row of SAC's replay buffer."""
    size = lambda tree: sum(x.nbytes for x in jax.tree.leaves(tree))
    _, on_policy = ready(hs.PPO(num_envs=16), stack([alone()]), 1)
    _, off_policy = ready(hs.SAC(buffer_size=1000), stack([alone()]), 1)
    assert off_policy.memory is not None
    model = physics("Hopper-v5").model.nbuffer
    return {
        "copy": size(on_policy.env_states) / 16,
        "copy's own model": float(model),
        "replay row": size(off_policy.memory[0].rows) / 1000,
    }


def draw(results: dict[str, dict[str, dict]], out: pathlib.Path) -> None:
    """Writes the figure: each line in multiples of its first point."""
    lines = []
    for name, points in results.items():
        at = np.array([float(n) for n in points])
        each = [np.array(point["turn"]) / np.median(next(iter(points.values()))["turn"]) for point in points.values()]
        middle, low, high = (np.array([f(x) for x in each]) for f in (np.median, np.min, np.max))
        lines.append(Series(name, at / at[0], middle, low, high))
    title = "What a turn costs as things grow, in multiples of one"
    figure_curves(lines, out, title, "times as many", "times as long")


def tell(results: dict[str, dict[str, dict]], start: dict[str, list[float]], bytes_of: dict[str, float]) -> None:
    """Prints the one table."""
    table = Table("", "median", "goal", title="growth, starting, memory")
    for name, points in results.items():
        costs = [f"{n}: {short_number(float(np.median(point['turn'])))} s" for n, point in points.items()]
        table.add_row(name, "   ".join(costs), "")
    for n, point in results.get("methods", {}).items():
        table.add_row(f"the study of {n} methods again", f"{short_number(point['again'][0])} s", "")
    for name, each in start.items():
        met = "met" if np.median(each) <= GOALS.get(name, np.inf) else "not met"
        table.add_row(name, f"{np.median(each):.2f} s", f"{GOALS[name]} s: {met}" if name in GOALS else "")
    if "seeds" in results:
        one = results["seeds"]["1"]
        compiling, million = one["first"][0] - np.median(one["turn"]), 1e6 / 2048 * np.median(one["turn"])
        share = 100 * compiling / (compiling + million)
        table.add_row("compiling PPO", f"{compiling:.1f} s, {share:.0f} % of 1 M steps", "")
    for name, size in bytes_of.items():
        table.add_row(f"memory, {name}", f"{short_number(size)} bytes", "")
    print_tables(table)


def main() -> None:
    """Measures missing values; writes the record and the figure, and prints the table."""
    parser = flags(__doc__, RESULTS / "growth")
    parser.add_argument("--seeds", type=int, default=5, help="repetitions")
    parser.add_argument("--only", nargs="+", choices=[*SWEEPS, "methods"], help="just these numbers")
    args = read(parser)
    args.seeds = 2 if args.tiny else args.seeds
    results = {name: sweep(name, args) for name in SWEEPS if name in (args.only or SWEEPS)}
    if "methods" in (args.only or ["methods"]):
        results["methods"] = methods(args)
    start, bytes_of = starting(args.seeds), memory()
    record = {"seeds": args.seeds, "turns": results, "start": start, "bytes": bytes_of, "machine": machine()}
    words = ["--tiny"] * args.tiny + (["--only", *args.only] if args.only else [])
    command = " ".join(["python benchmarks/growth.py", *words])
    write_json(args.out / "growth.json", {**record, "goals": GOALS, "provenance": provenance(command)})
    draw(results, args.out / "growth.svg")
    tell(results, start, bytes_of)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_enable_compilation_cache", False)  # compiling is part of what is measured
    main()
