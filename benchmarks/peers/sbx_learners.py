"""SBX's PPO or SAC (Stable-Baselines3's loop around JAX's gradients) on one Gymnasium task: how fast it trains.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/sbx_learners.py sac Hopper-v5 --warmup 1500 --steps 3000 --out sbx.json

Measured are the steps after the warm-up, in which JAX compiles. Around PPO's environments is VecNormalize, as in
`sb3.py`. Where nothing is set, the hyper-parameters are SBX's own defaults.
"""

import argparse
import json
import pathlib
import platform
from importlib.metadata import version

# The peers are not installed beside headstart, where types are checked.
from clock import speed
from sbx import PPO, SAC  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.vec_env import VecNormalize  # pyright: ignore[reportMissingImports]
from words import setting

ALGORITHMS = {"ppo": PPO, "sac": SAC}


def arguments() -> argparse.Namespace:
    """Returns what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithm", choices=ALGORITHMS)
    parser.add_argument("env", help="a Gymnasium id, such as Hopper-v5")
    parser.add_argument("--warmup", type=int, required=True, help="environment steps before the clock starts, at least")
    parser.add_argument("--steps", type=int, required=True, help="environment steps to measure, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--copies", type=int, default=1, help="parallel environments")
    parser.add_argument("--set", type=setting, nargs="*", default=[], metavar="NAME=VALUE", help="SBX's own keywords")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Trains, measures, writes the JSON."""
    args = arguments()
    worlds = make_vec_env(args.env, args.copies, seed=args.seed)
    if args.algorithm == "ppo":
        worlds = VecNormalize(worlds, gamma=dict(args.set).get("gamma", 0.99))
    learner = ALGORITHMS[args.algorithm]("MlpPolicy", worlds, seed=args.seed, **dict(args.set))
    versions = {name: version(name) for name in ("sbx-rl", "stable-baselines3", "jax", "flax", "gymnasium", "mujoco")}
    result = {
        "env": args.env,
        "seed": args.seed,
        "settings": {"algorithm": args.algorithm, "copies": args.copies, "set": dict(args.set)},
        **speed(learner, args.warmup, args.steps),
        "versions": {"python": platform.python_version(), **versions},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
