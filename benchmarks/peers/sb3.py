"""Stable-Baselines3's PPO, SAC or DQN on one Gymnasium task: the peer that headstart's learners are measured against.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/sb3.py ppo Hopper-v5 --steps 1e6 --seed 0 --out sb3.json
    .venv-peers/bin/python benchmarks/peers/sb3.py dqn CartPole-v1 --set learning_rate=2.3e-3 --out sb3.json

Where nothing is set, the hyper-parameters are SB3's own defaults. Around PPO's environments is VecNormalize, as SB3's
documentation advises for MuJoCo. Judged is the deterministic policy, on rewards as the task gives them, under the
observation statistics of that moment; the same start states at every point. Judging stops the clock. `--until` stops
at the first evaluation that reaches a return; `--warmup` evaluates nothing, and measures the speed after so
many steps.
"""

import argparse
import json
import pathlib
import platform
import time
from importlib.metadata import version

# The peers are not installed beside headstart, where types are checked.
import torch  # pyright: ignore[reportMissingImports]
from clock import speed
from stable_baselines3 import DQN, PPO, SAC  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.base_class import BaseAlgorithm  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.callbacks import BaseCallback  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.evaluation import evaluate_policy  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.vec_env import VecNormalize  # pyright: ignore[reportMissingImports]
from words import setting

ALGORITHMS = {"ppo": PPO, "sac": SAC, "dqn": DQN}
JUDGE_SEED = 1_000_000  # the evaluation episodes' seeds start here, far from any training seed


def count(text: str) -> int:
    """Returns a number of steps, which may be written 1e6."""
    return int(float(text))


def arguments() -> argparse.Namespace:
    """Returns the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithm", choices=ALGORITHMS)
    parser.add_argument("env", help="a Gymnasium id, such as Hopper-v5")
    parser.add_argument("--steps", type=count, default=1_000_000, help="environment steps to train for, at least")
    parser.add_argument("--until", type=float, help="stop at the first evaluation that reaches this return")
    parser.add_argument("--warmup", type=count, help="judge nothing, and measure --steps after this many")
    parser.add_argument("--every", type=count, default=50_000, help="environment steps between two judgements")
    parser.add_argument("--episodes", type=int, default=10, help="episodes of one evaluation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--copies", type=int, default=1, help="parallel environments")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--set", type=setting, nargs="*", default=[], metavar="NAME=VALUE", help="SB3's own keywords")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def learner(args: argparse.Namespace) -> BaseAlgorithm:
    """Returns SB3's algorithm in its environments, with the settings of the command line."""
    worlds = make_vec_env(args.env, args.copies, seed=args.seed)
    if args.algorithm == "ppo":
        worlds = VecNormalize(worlds, gamma=dict(args.set).get("gamma", 0.99))
    return ALGORITHMS[args.algorithm]("MlpPolicy", worlds, seed=args.seed, device="cpu", **dict(args.set))


class Judge(BaseCallback):
    """Judges between rollouts, when the policy has just been updated, and keeps the training's own clock."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__()
        self.args = args
        self.worlds = make_vec_env(args.env, args.episodes)
        if args.algorithm == "ppo":
            self.worlds = VecNormalize(self.worlds, training=False, norm_reward=False)
        self.next = 0
        self.judging = 0.0
        self.points: list[dict] = []
        self.started = time.perf_counter()

    def _on_training_start(self) -> None:
        self.started = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.next:
            self.judge()
            self.next += self.args.every

    def _on_training_end(self) -> None:
        if self.points[-1]["steps"] < self.num_timesteps:
            self.judge()

    def _on_step(self) -> bool:
        return not (self.args.until is not None and self.points and self.points[-1]["return"] >= self.args.until)

    def judge(self) -> None:
        """Adds one point to the curve."""
        paused = time.perf_counter()
        if isinstance(self.worlds, VecNormalize):
            self.worlds.obs_rms = self.training_env.obs_rms  # pyright: ignore[reportAttributeAccessIssue]
        self.worlds.seed(JUDGE_SEED)
        episodes, _ = evaluate_policy(
            self.model, self.worlds, self.args.episodes, deterministic=True, return_episode_rewards=True
        )
        returns = [float(x) for x in episodes]  # pyright: ignore[reportGeneralTypeIssues]
        seconds = paused - self.started - self.judging
        self.judging += time.perf_counter() - paused
        mean = sum(returns) / len(returns)
        self.points.append({"steps": self.num_timesteps, "return": mean, "episodes": returns, "seconds": seconds})
        print(f"{self.num_timesteps:>9} steps  {seconds:8.1f} s  return {mean:9.2f}", flush=True)


def curve(args: argparse.Namespace) -> dict:
    """Returns the learning curve, by the training's own clock."""
    judge = Judge(args)
    learner(args).learn(args.steps, callback=judge)
    last = judge.points[-1]
    return {
        "steps": [point["steps"] for point in judge.points],
        "returns": [point["return"] for point in judge.points],
        "episode_returns": [point["episodes"] for point in judge.points],
        "seconds": [point["seconds"] for point in judge.points],
        "judging_seconds": judge.judging,
        "steps_per_second": last["steps"] / last["seconds"],
    }


def main() -> None:
    """Trains, judges on the way or measures the speed, writes the JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    metadata = {
        "env": args.env,
        "seed": args.seed,
        "settings": {
            **{k: v for k, v in vars(args).items() if k not in ("env", "seed", "out")},
            "set": dict(args.set),
        },
    }
    versions = {name: version(name) for name in ("stable-baselines3", "torch", "gymnasium", "mujoco", "numpy")}
    results = curve(args) if args.warmup is None else speed(learner(args), args.warmup, args.steps)
    result = {**metadata, **results, "versions": {"python": platform.python_version(), **versions}}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
