"""headstart's side of `speed.py`: one measurement in a process of its own, as each of the peers has one.

    cd benchmarks
    python -m rates.ours learn ppo:num_envs=16 Hopper-v5 --warmup 8192 --steps 49152 --out ours.json
    python -m rates.ours step Hopper-v5 --rows 64 --steps 500000 --out ours.json
    python -m rates.ours until ppo Hopper-v5 --level 2000 --out ours.json

What is compiled is compiled before the clock starts.
"""

import argparse
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

import headstart as hs
from headstart.core.counting import count_of
from headstart.core.episode import Episode, reset, step
from headstart.core.iterations import steps_per_iteration
from headstart.core.rollout import evaluate, num_tasks
from headstart.core.train import enter_envs, init_loop_state, train, train_chunk, train_loop
from headstart.core.types import Array, Box, Key, Task, spec, stack
from headstart.lab.checkpoint.files import write_json
from headstart.methods.strings import find_learner
from headstart.protocol.transfer import keys

ACTIONS = 256  # drawn ahead, then over and over
MASSES = (3.0, 9.0)  # kg, of a robot's torso, from the first row on


def learn(args: argparse.Namespace) -> dict:
    """Returns how many steps of learning (of all seeds and masses), after the warm-up, took how many seconds."""
    tasks = _heavier(args.env, args.masses, args.physics) if args.masses else stack([hs.task(args.env, args.physics)])
    learner = find_learner(args.learner).learner(spec(tasks))
    turn, budget = (
        steps_per_iteration(learner, tasks) * args.seeds,
        count_of((args.warmup + args.steps) // args.seeds),
    )
    warmup, measured = (-(-steps // turn) for steps in (args.warmup, args.steps))
    seeds = range(args.seed * args.seeds, (args.seed + 1) * args.seeds)
    run = enter_envs(learner, tasks, init_loop_state(learner, keys(seeds).source))
    run, _ = jax.block_until_ready(train_chunk(learner, tasks, run, jnp.int32(warmup), budget))
    start_time = time.perf_counter()
    jax.block_until_ready(train_chunk(learner, tasks, run, jnp.int32(measured), budget))
    counts = {"warmup": warmup * turn, "steps": measured * turn, "seconds": time.perf_counter() - start_time}
    return {**counts, "device": jax.devices()[0].device_kind}


def _heavier(env: str, rows: int, physics: str = "auto") -> Task:
    """Returns the robot with another torso mass in each of so many rows, stacked."""
    return stack([hs.task(env, physics, torso_mass=float(mass)) for mass in np.linspace(*MASSES, rows)])


@jax.jit
def play(tasks: Task, episodes: Episode, actions: Array, keys: Key) -> tuple[Episode, Array]:
    """One step of every row for each of `actions` [time, row, …] -> the episodes then, and the rewards' sum."""

    def tick(episodes: Episode, now: tuple[Array, Key]) -> tuple[Episode, Array]:
        action, key = now
        episodes, seen = jax.vmap(step)(tasks, episodes, action, jax.random.split(key, num_tasks(tasks)))
        return episodes, seen.reward.sum()

    episodes, rewards = jax.lax.scan(tick, episodes, (actions, jax.random.split(keys, len(actions))))
    return episodes, rewards.sum()


def stepping(env: str, rows: int, steps: int, seed: int) -> dict:
    """Returns how many steps by random actions took how many seconds; robots have another torso mass in each row."""
    one = hs.task(env)
    heavy = "torso_mass" in {parameter.name for parameter in one.env.parameters}
    tasks = _heavier(env, rows) if heavy else stack([one] * rows)
    key, shape, space = jax.random.key(seed), (ACTIONS, rows), tasks.env.action_space
    if isinstance(space, Box):
        actions = jax.random.uniform(key, (*shape, space.size), minval=-1.0, maxval=1.0)
    else:
        actions = jax.random.randint(key, shape, 0, space.size)
    episodes = jax.vmap(reset)(tasks, jax.random.split(key, rows))
    size = ACTIONS * rows
    turns = -(-steps // size)
    episodes, _ = jax.block_until_ready(play(tasks, episodes, actions, key))
    start_time = time.perf_counter()
    for i in range(turns):
        episodes, _ = jax.block_until_ready(play(tasks, episodes, actions, jax.random.fold_in(key, i)))
    return {"warmup": size, "steps": turns * size, "seconds": time.perf_counter() - start_time}


def step_only(args: argparse.Namespace) -> dict:
    """Returns as `stepping`."""
    return stepping(args.env, args.rows, args.steps, args.seed)


def until(args: argparse.Namespace) -> dict:
    """Returns the seconds of training until an evaluation reaches the level, without evaluating and compiling."""
    tasks, key = stack([hs.task(args.env)]), keys([args.seed])
    learner = find_learner(args.learner).learner(spec(tasks))
    run = enter_envs(
        learner, tasks, init_loop_state(learner, key.source, None)
    )  # as `train` calls them: it compiles nothing then
    jax.block_until_ready(next(train_loop(learner, tasks, run, 1, count_of(args.steps), 1)))
    seconds, steps, returns = 0.0, [], []
    points = train(learner, tasks, args.steps, key.source, num_points=args.steps // args.every)
    while not returns or (returns[-1] < args.level and steps[-1] < args.steps):
        start_time = time.perf_counter()
        point = jax.block_until_ready(next(points))
        seconds += time.perf_counter() - start_time
        steps.append(float(point.steps[0]))
        returns.append(float(evaluate(learner, point.params, tasks, args.episodes, key.evaluation).mean()))
    return {"seconds": seconds, "steps": steps, "returns": returns, "reached": returns[-1] >= args.level}


def arguments() -> argparse.Namespace:
    """Returns the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    for name, measure in (("learn", learn), ("step", step_only), ("until", until)):
        kind = kinds.add_parser(name, help=measure.__doc__)
        kind.set_defaults(measure=measure)
        if name != "step":
            kind.add_argument("learner", help="such as ppo:num_envs=16")
        kind.add_argument("env", help="a task string")
        kind.add_argument("--steps", type=int, default=1_000_000, help="environment steps to measure, or at most")
        kind.add_argument("--warmup", type=int, default=0, help="environment steps before the clock starts")
        kind.add_argument("--rows", type=int, default=64, help="parallel environments")
        kind.add_argument("--seeds", type=int, default=1, help="that learn side by side")
        kind.add_argument("--physics", default="auto", help="what steps a robot: c, mjx, or mjx on a GPU alone (auto)")
        kind.add_argument("--masses", type=int, default=0, help="tasks of a robot whose torso's mass differs")
        kind.add_argument("--level", type=float, default=2000.0, help="the return to reach")
        kind.add_argument("--every", type=int, default=20_480, help="environment steps between two judgements")
        kind.add_argument("--episodes", type=int, default=10, help="of one evaluation")
        kind.add_argument("--seed", type=int, default=0)
        kind.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    args = arguments()
    write_json(args.out, args.measure(args))
