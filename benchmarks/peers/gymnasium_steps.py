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
    """Returns what was asked for on the command line."""
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
    asked = arguments()
    masses = np.linspace(asked.masses[0], asked.masses[1], asked.rows)
    makers = [functools.partial(robot, asked.env, float(mass)) for mass in masses]
    kind = gymnasium.vector.AsyncVectorEnv if asked.processes else gymnasium.vector.SyncVectorEnv
    worlds = kind(makers)
    space = worlds.action_space
    worlds.reset(seed=asked.seed)
    space.seed(asked.seed)
    actions = [space.sample() for _ in range(ACTIONS)]
    warmup, turns = asked.warmup // asked.rows, asked.steps // asked.rows
    began = 0.0
    for i in range(warmup + turns):
        if i == warmup:
            began = time.perf_counter()
        worlds.step(actions[i % ACTIONS])
    seconds = time.perf_counter() - began
    worlds.close()
    versions = {name: version(name) for name in ("gymnasium", "mujoco", "numpy")}
    result = {
        "env": asked.env,
        "seed": asked.seed,
        "settings": {"rows": asked.rows, "masses": list(asked.masses), "processes": asked.processes},
        "warmup": warmup * asked.rows,
        "steps": turns * asked.rows,
        "seconds": seconds,
        "versions": {"python": platform.python_version(), **versions},
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
