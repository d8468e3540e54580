"""Rejax's PPO, a whole training as one JAX program, on one of gymnax's tasks: how fast it trains.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/rejax_ppo.py CartPole-v1 --steps 1000000 --out rejax.json

Compiled ahead, then run once before the clock starts. It judges nothing on the way. Its gradients are clipped component
by component, and its value loss is clipped too: it has no other.
"""

import argparse
import json
import pathlib
import platform
import time
from importlib.metadata import version

# The peers are not installed beside headstart, where types are checked.
import jax  # headstart has it too
from rejax import PPO  # pyright: ignore[reportMissingImports]
from words import setting


def arguments() -> argparse.Namespace:
    """Returns what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", help="one of gymnax's tasks, such as CartPole-v1")
    parser.add_argument("--steps", type=int, required=True, help="environment steps of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", type=setting, nargs="*", default=[], metavar="NAME=VALUE", help="rejax's own keywords")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Trains twice, measures the second time, writes the JSON."""
    args = arguments()
    keywords = {**dict(args.set), "total_timesteps": args.steps, "eval_freq": args.steps}
    learner = PPO.create(env=args.env, skip_initial_evaluation=True, **keywords)
    learner = learner.replace(eval_callback=lambda algorithm, state, key: ())
    train = jax.jit(learner.train)
    first, second = jax.random.split(jax.random.key(args.seed))
    jax.block_until_ready(train(first))
    start_time = time.perf_counter()
    state, _ = jax.block_until_ready(train(second))
    seconds = time.perf_counter() - start_time
    versions = {name: version(name) for name in ("rejax", "gymnax", "jax", "flax", "numpy")}
    result = {
        "env": args.env,
        "seed": args.seed,
        "settings": dict(args.set),
        "warmup": int(state.global_step),
        "steps": int(state.global_step),
        "seconds": seconds,
        "versions": {"python": platform.python_version(), **versions},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
