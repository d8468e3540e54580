"""EnvPool's vector of one task, stepped by random actions: how fast it is.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/envpool_steps.py Hopper-v5 --rows 64 --steps 500000 --out envpool.json

All rows have the nominal masses: EnvPool has no way to give each another. It brings a MuJoCo of its own, newer than
Gymnasium's. `--ahead` is its asynchronous mode: half of the rows are stepped while the other half is being read.
"""

import argparse
import json
import os
import pathlib
import platform
import time
from importlib.metadata import version

# The peers are not installed beside headstart, where types are checked.
import envpool  # pyright: ignore[reportMissingImports]
import numpy as np

ACTIONS = 256  # drawn ahead, then over and over


def arguments() -> argparse.Namespace:
    """Returns the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", help="one of EnvPool's tasks, such as Hopper-v5")
    parser.add_argument("--rows", type=int, default=64, help="parallel environments")
    parser.add_argument("--warmup", type=int, default=0, help="environment steps before the clock starts")
    parser.add_argument("--steps", type=int, required=True, help="environment steps of all rows together")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ahead", action="store_true", help="asynchronous")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def play(worlds, actions: np.ndarray, steps: int, ahead: bool) -> int:
    """Steps the rows -> how many steps that were."""
    batch = actions.shape[1]
    if not ahead:
        for i in range(steps // batch):
            worlds.step(actions[i % ACTIONS])
        return steps // batch * batch
    for i in range(steps // batch):
        info = worlds.recv()[-1]
        worlds.send(actions[i % ACTIONS], info["env_id"])
    return steps // batch * batch


def main() -> None:
    """Steps, measures, writes the JSON."""
    args = arguments()
    batch = args.rows // 2 if args.ahead else args.rows
    sizes = {"num_envs": args.rows, "batch_size": batch, "num_threads": args.threads, "seed": args.seed}
    worlds = envpool.make(args.env, env_type="gymnasium", **sizes)
    space = worlds.action_space
    shape = (ACTIONS, batch, *space.shape)
    actions = np.random.default_rng(args.seed).uniform(space.low, space.high, shape).astype(space.dtype)
    worlds.async_reset() if args.ahead else worlds.reset()
    warmup = play(worlds, actions, args.warmup, args.ahead)
    start_time = time.perf_counter()
    steps = play(worlds, actions, args.steps, args.ahead)
    seconds = time.perf_counter() - start_time
    result = {
        "env": args.env,
        "seed": args.seed,
        "settings": {"rows": args.rows, "threads": args.threads, "ahead": args.ahead},
        "warmup": warmup,
        "steps": steps,
        "seconds": seconds,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("envpool", "numpy")}},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
