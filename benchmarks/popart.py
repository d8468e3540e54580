"""PopArt: four tasks whose rewards are 1, 10, 100 and 1000 times as large, for one learner.

PPO learns four goals, and DQN, which has a lagged copy, four carts whose motors differ. Each task's return is told as a
share of the way from acting at random to what a learner that has it alone comes to with as many steps (`Separate`,
judged in the same episodes).

    python benchmarks/popart.py            # 5 seeds: a quarter of an hour on 2 cores
    python benchmarks/popart.py --tiny     # checks that it runs
"""

import math
from collections.abc import Callable

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared, shown
from rich.table import Table
from side_by_side import line
from together import EPISODES, measure

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.types import Method, Task, spec
from headstart.lab.checkpoint.files import jsonable, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.learners.uniform import Uniform
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import keys
from headstart.tasks.task_ids import stack_tasks

TIMES = (1.0, 10.0, 100.0, 1000.0)
AROUND = 0.7  # m, from the middle
FORCES = (10.0, -10.0, 5.0, -20.0)  # N
PPO = hs.PPO(num_envs=4, num_steps=64, batch_size=64, num_epochs=4, anneal_learning_rate=False, learning_rate=1e-3)
DQN = hs.DQN(num_envs=4, num_steps=4, update_to_data=0.25, hidden=(128, 128))


def goals() -> Task:
    """Returns four tasks, whose goals stand around the start and whose rewards grow."""
    place = lambda i: {
        "goal_1_x": round(AROUND * math.cos(i * math.pi / 2), 4),
        "goal_1_y": round(AROUND * math.sin(i * math.pi / 2), 4),
    }
    return stack_tasks([hs.task("PointMass", w=(times, times), **place(i)) for i, times in enumerate(TIMES)])  # pyright: ignore[reportArgumentType]


def carts() -> Task:
    """Returns four tasks, whose motors differ in strength and direction and whose rewards grow."""
    return stack_tasks([hs.task("CartPole-v1", w=(x,), force=force) for x, force in zip(TIMES, FORCES, strict=True)])  # pyright: ignore[reportArgumentType]


WORLDS: dict[str, tuple[Method, Callable[[], Task]]] = {"": (PPO, goals), "DQN, ": (DQN, carts)}


def rows(world: str, tiny: bool) -> dict[str, tuple[Method, Task]]:
    """Returns what is compared; `tiny`: two of them."""
    base, tasks = WORLDS[world]
    methods = {"separate": hs.Separate(base), "joint": base, "joint, PopArt": hs.PopArt(base)}
    return {world + name: (methods[name], tasks()) for name in (("separate", "joint, PopArt") if tiny else methods)}


def shares(world: str, results: dict[str, dict], seeds: int) -> dict[str, np.ndarray]:
    """Returns of each row, how far each task came [seed, point, task]: 0 is at random, 1 as far as alone."""
    tasks, key = WORLDS[world][1](), keys(range(seeds))
    chance = Uniform().learner(spec(tasks))
    random = np.asarray(
        evaluate(chance, jax.vmap(lambda k: chance.init(k, None))(key.evaluation), tasks, EPISODES, key.evaluation)
    )
    none = random.mean((0, 2))[None, None]
    alone = np.array(results[world + "separate"]["returns"])[:, -1].mean(0)[None, None]
    return {name: (np.array(one["returns"]) - none) / (alone - none) for name, one in results.items()}


def above_joint(returns: dict[str, np.ndarray]) -> dict[str, list[dict]]:
    """Returns for each row that uses PopArt how far each task is above joint learning; `returns` are [seed, task]."""
    rows = {name: name.removesuffix(", PopArt") for name in returns if name.endswith(", PopArt")}
    pairs = [(name, i) for name, joint in rows.items() if joint in returns for i in range(len(TIMES))]
    results = compared({(name, i): (returns[name][:, i], returns[rows[name]][:, i]) for name, i in pairs})
    return {name: [results[name, i] for i in range(len(TIMES))] for name in dict.fromkeys(name for name, _ in pairs)}


def summarise(results: dict[str, dict]) -> dict[str, dict]:
    """Returns the returns of each task at the end, in rewards x 1, and how far PopArt is above joint learning."""
    returns = {name: np.array(one["returns"])[:, -1] / np.array(TIMES)[None] for name, one in results.items()}
    paid = {name: [bootstrap(each[:, i])._asdict() for i in range(len(TIMES))] for name, each in returns.items()}
    return {"returns": paid, "above joint": above_joint(returns), "judged_by": HOW}


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    args = read(sized(flags(__doc__, RUNS / "popart"), 400_000))
    if args.tiny:
        args.steps, args.seeds = 4_096, 2
    results, scores = {}, {}
    for world in ("DQN, ",) if args.tiny else WORLDS:
        each = measure(rows(world, args.tiny), args)
        results |= each
        scores |= shares(world, each, args.seeds)
    record = {name: [bootstrap(each[:, -1, i])._asdict() for i in range(len(TIMES))] for name, each in scores.items()}
    verdicts = summarise(results)
    drawn = [name for name in scores if args.tiny or not name.startswith("DQN")]
    lines = [line(name, np.array(results[name]["steps"]), scores[name].min(2)) for name in drawn]
    title = f"Rewards x 1 to x 1000: the task that came least far ({args.seeds} seeds)"
    figure_curves(lines, args.out / "popart.svg", title, "environment steps, of all tasks", "share of single-task")
    words = ["python benchmarks/popart.py", *["--tiny"] * args.tiny]
    data = {
        "seeds": args.seeds,
        "steps": args.steps,
        "times": TIMES,
        "shares": record,
        **verdicts,
        "found": results,
    }
    write_json(args.out / "popart.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    table = Table("rewards", *(f"x {times:g}" for times in TIMES), title="share of the way from random to single-task")
    for name, each in jsonable(record).items():
        table.add_row(name, *map(interval_text, each))
    plainly = Table("rewards", *(f"x {times:g}" for times in TIMES), title="return, in rewards x 1")
    for name, each in jsonable(verdicts["returns"]).items():
        plainly.add_row(name, *map(interval_text, each))
    for name, each in jsonable(verdicts["above joint"]).items():
        plainly.add_row(f"{name}, above joint", *map(shown, each))
    print_tables(table, plainly)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
