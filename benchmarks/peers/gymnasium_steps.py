"""Gymnasium's vector of one MuJoCo robot, another torso mass in each row, stepped by random actions: how fast it is.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/gymnasium_steps.py Hopper-v5 --rows 64 --steps 100000 --out gymnasium.json

`--processes` is its AsyncVectorEnv, a process for each row, instead of its SyncVectorEnv.
"""

import argparse
import functools
import json
import pathlib
import platform
import time
from importlib.metadata import version

import gymnasium
import numpy as np

ACTIONS = 256  # drawn ahead, then over and over
TORSO = 1  # the body whose mass differs


def arguments() -> argparse.Namespace:
    """Returns the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", help="one of Gymnasium's MuJoCo robots, such as Hopper-v5")
    parser.add_argument("--rows", type=int, default=64, help="parallel environments")
    parser.add_argument("--masses", type=float, nargs=2, default=(3.0, 9.0), help="of the torso, from the first row on")
    parser.add_argument("--warmup", type=int, default=0, help="environment steps before the clock starts")
    parser.add_argument("--steps", type=int, required=True, help="environment steps of all rows together")
    parser.add_argument("--processes", action="store_true", help="one for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def robot(name: str, mass: float) -> gymnasium.Env:
    """Returns the robot with that mass of its torso."""
    env = gymnasium.make(name)
    env.unwrapped.model.body_mass[TORSO] = mass  # pyright: ignore[reportAttributeAccessIssue]
    return env


def main() -> None:
    """Steps, measures, writes the JSON."""
    args = arguments()
    masses = np.linspace(args.masses[0], args.masses[1], args.rows)
    makers = [functools.partial(robot, args.env, float(mass)) for mass in masses]
    kind = gymnasium.vector.AsyncVectorEnv if args.processes else gymnasium.vector.SyncVectorEnv
    worlds = kind(makers)
    space = worlds.action_space
    worlds.reset(seed=args.seed)
    space.seed(args.seed)
    actions = [space.sample() for _ in range(ACTIONS)]
    warmup, turns = args.warmup // args.rows, args.steps // args.rows
    start_time = 0.0
    for i in range(warmup + turns):
        if i == warmup:
            start_time = time.perf_counter()
        worlds.step(actions[i % ACTIONS])
    seconds = time.perf_counter() - start_time
    worlds.close()
    versions = {name: version(name) for name in ("gymnasium", "mujoco", "numpy")}
    result = {
        "env": args.env,
        "seed": args.seed,
        "settings": {"rows": args.rows, "masses": list(args.masses), "processes": args.processes},
        "warmup": warmup * args.rows,
        "steps": turns * args.rows,
        "seconds": seconds,
        "versions": {"python": platform.python_version(), **versions},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
