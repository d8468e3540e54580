"""A transfer study written with Stable-Baselines3, Hopper to a heavier Hopper in five rows: how long it takes.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/sb3_study.py --seeds 5 --source-steps 40000 --out study.json

The rows are learning from scratch, the source's policy as it is (naive), learning on from it (finetune), the same with
new last layers (reset), and learning on from an ensemble (randomize). It is written as someone would who minds the
time: the source is learned once for naive, finetune and reset, and `--processes` seeds learn side by side, with one of
torch's threads each. It keeps less than headstart's study does: no shots between, no checkpoints, no report.
"""

import argparse
import concurrent.futures
import copy
import functools
import json
import multiprocessing
import os
import pathlib
import platform
import time
from importlib.metadata import version

import gymnasium
import numpy as np

# The peers are not installed beside headstart, where types are checked.
import torch  # pyright: ignore[reportMissingImports]
from stable_baselines3 import PPO  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.evaluation import evaluate_policy  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.monitor import Monitor  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # pyright: ignore[reportMissingImports]
from words import setting

ROBOT, TORSO, NOMINAL, HEAVY, ENSEMBLE = "Hopper-v5", 1, (3.6651914, 3.6651914), (9.0, 9.0), (3.0, 9.0)
HEADS = ("action_net", "value_net")


class Massive(gymnasium.Wrapper):
    """A robot whose torso has another mass in each episode."""

    def __init__(self, masses: tuple[float, float], seed: int) -> None:
        super().__init__(gymnasium.make(ROBOT))
        self.masses, self.luck = masses, np.random.default_rng(seed)

    def reset(self, **keywords):
        self.unwrapped.model.body_mass[TORSO] = self.luck.uniform(*self.masses)  # pyright: ignore
        return self.env.reset(**keywords)


def arguments() -> argparse.Namespace:
    """Returns what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--source-steps", type=int, default=40_000)
    parser.add_argument("--target-steps", type=int, default=20_000)
    parser.add_argument("--evals", type=int, default=12, help="points of each curve")
    parser.add_argument("--eval-episodes", type=int, default=10, help="episodes by which a point is judged")
    parser.add_argument("--copies", type=int, default=1, help="parallel environments")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="seeds side by side")
    parser.add_argument("--set", type=setting, nargs="*", default=[], metavar="NAME=VALUE", help="SB3's own keywords")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def worlds(masses: tuple[float, float], copies: int, seed: int, **keywords) -> VecNormalize:
    """Returns parallel robots, normalised."""
    make = lambda i: lambda: Monitor(Massive(masses, 1000 * seed + i))
    vector = DummyVecEnv([make(i) for i in range(copies)])
    vector.seed(1000 * seed)
    return VecNormalize(vector, **keywords)


def judge(learner: PPO, args: argparse.Namespace) -> float:
    """Returns the mean return of the deterministic policy on the target."""
    seen = worlds(HEAVY, args.eval_episodes, 1_000, training=False, norm_reward=False)
    seen.obs_rms = learner.get_env().obs_rms  # pyright: ignore
    return float(np.mean(evaluate_policy(learner, seen, args.eval_episodes, return_episode_rewards=True)[0]))


def adapt(learner: PPO, args: argparse.Namespace) -> list[float]:
    """Learns in the target -> the curve."""
    curve, each = [judge(learner, args)], args.target_steps // args.evals
    for i in range(args.evals):
        learner.learn(each, reset_num_timesteps=i == 0)
        curve.append(judge(learner, args))
    return curve


def onward(source: PPO, args: argparse.Namespace, seed: int, reset: bool = False) -> PPO:
    """Returns a learner in the target that knows what the source does; `reset`: but for its last layers."""
    target = worlds(HEAVY, args.copies, seed)
    source_env = source.get_env()
    target.obs_rms, target.ret_rms = copy.deepcopy(source_env.obs_rms), copy.deepcopy(source_env.ret_rms)  # pyright: ignore
    learner = PPO("MlpPolicy", target, seed=seed, device="cpu", **dict(args.set))
    fresh = learner.policy.state_dict()
    head = lambda name: reset and (name == "log_std" or name.startswith(HEADS))
    state = {name: fresh[name] if head(name) else x for name, x in source.policy.state_dict().items()}
    learner.policy.load_state_dict(state)
    return learner


def study(args: argparse.Namespace, seed: int) -> dict[str, list[float]]:
    """Returns the curve of each row, of one seed."""
    torch.set_num_threads(1)
    new = lambda masses: PPO("MlpPolicy", worlds(masses, args.copies, seed), seed=seed, device="cpu", **dict(args.set))
    source, ensemble = new(NOMINAL).learn(args.source_steps), new(ENSEMBLE).learn(args.source_steps)
    return {
        "scratch": adapt(new(HEAVY), args),
        "naive": [judge(source, args)],
        "finetune": adapt(onward(source, args, seed), args),
        "reset": adapt(onward(source, args, seed, reset=True), args),
        "randomize": adapt(onward(ensemble, args, seed), args),
    }


def main() -> None:
    """Runs the study, measures, writes the JSON."""
    args, start_time = arguments(), time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(args.processes, mp_context=context) as pool:
        curves = list(pool.map(functools.partial(study, args), range(args.seeds)))
    result = {
        "settings": {**{k: v for k, v in vars(args).items() if k != "out"}, "set": dict(args.set)},
        "curves": {name: [curve[name] for curve in curves] for name in curves[0]},
        "seconds": time.perf_counter() - start_time,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("stable-baselines3", "torch", "gymnasium", "mujoco", "numpy")},
        },
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
