"""Stable-Baselines3's PPO on one Gymnasium MuJoCo task: the peer that headstart's PPO is measured against.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/sb3_ppo.py Hopper-v5 --steps 1e6 --seed 0 --out sb3.json

Without flags, the hyper-parameters are SB3's own defaults (stable_baselines3/ppo/ppo.py), with VecNormalize around the
environments as its documentation advises for MuJoCo. Judged is the deterministic policy, on rewards as the task gives
them, under the observation statistics of that moment; the same start states at every point. Judging stops the clock.
"""

import argparse
import json
import pathlib
import platform
import time
from importlib.metadata import version

# The peers are not installed beside headstart, where types are checked.
import torch  # pyright: ignore[reportMissingImports]
from stable_baselines3 import PPO  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.callbacks import BaseCallback  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.evaluation import evaluate_policy  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.vec_env import VecNormalize  # pyright: ignore[reportMissingImports]

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "swish": torch.nn.SiLU, "elu": torch.nn.ELU}
JUDGE_SEED = 1_000_000  # the judged episodes' seeds start here, far from any training seed


def count(text: str) -> int:
    """-> a number of steps, which may be written 1e6."""
    return int(float(text))


def arguments() -> argparse.Namespace:
    """-> what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", help="a Gymnasium id, such as Hopper-v5")
    parser.add_argument("--steps", type=count, default=1_000_000, help="environment steps to train for, at least")
    parser.add_argument("--every", type=count, default=50_000, help="environment steps between two judgements")
    parser.add_argument("--episodes", type=int, default=10, help="episodes in one judgement")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")

    settings = parser.add_argument_group("hyper-parameters (SB3's defaults)")
    settings.add_argument("--n-envs", type=int, default=1)
    settings.add_argument("--n-steps", type=int, default=2048)
    settings.add_argument("--batch-size", type=int, default=64)
    settings.add_argument("--n-epochs", type=int, default=10)
    settings.add_argument("--learning-rate", type=float, default=3e-4)
    settings.add_argument("--anneal", action="store_true", help="let the learning rate fall linearly to 0")
    settings.add_argument("--gamma", type=float, default=0.99)
    settings.add_argument("--gae-lambda", type=float, default=0.95)
    settings.add_argument("--clip", type=float, default=0.2)
    settings.add_argument("--ent-coef", type=float, default=0.0)
    settings.add_argument("--vf-coef", type=float, default=0.5)
    settings.add_argument("--max-grad-norm", type=float, default=0.5)
    settings.add_argument("--target-kl", type=float, default=None)
    settings.add_argument("--hidden", type=int, nargs="+", default=[64, 64], help="widths of both networks' layers")
    settings.add_argument("--activation", choices=ACTIVATIONS, default="tanh")
    return parser.parse_args()


def learner(asked: argparse.Namespace) -> PPO:
    """-> SB3's PPO in its normalised environments, as asked for."""
    worlds = VecNormalize(make_vec_env(asked.env, asked.n_envs, seed=asked.seed), gamma=asked.gamma)
    rate = asked.learning_rate
    return PPO(
        "MlpPolicy",
        worlds,
        learning_rate=(lambda left: rate * left) if asked.anneal else rate,
        n_steps=asked.n_steps,
        batch_size=asked.batch_size,
        n_epochs=asked.n_epochs,
        gamma=asked.gamma,
        gae_lambda=asked.gae_lambda,
        clip_range=asked.clip,
        ent_coef=asked.ent_coef,
        vf_coef=asked.vf_coef,
        max_grad_norm=asked.max_grad_norm,
        target_kl=asked.target_kl,
        policy_kwargs={"net_arch": asked.hidden, "activation_fn": ACTIVATIONS[asked.activation]},
        seed=asked.seed,
        device="cpu",
    )


class Judge(BaseCallback):
    """Judges between rollouts, when the policy has just been updated, and keeps the training's own clock."""

    def __init__(self, asked: argparse.Namespace) -> None:
        super().__init__()
        self.asked = asked
        self.worlds = VecNormalize(make_vec_env(asked.env, asked.episodes), training=False, norm_reward=False)
        self.next = 0
        self.judging = 0.0
        self.points: list[dict] = []
        self.started = time.perf_counter()

    def _on_training_start(self) -> None:
        self.started = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.next:
            self.judge()
            self.next += self.asked.every

    def _on_training_end(self) -> None:
        if self.points[-1]["steps"] < self.num_timesteps:
            self.judge()

    def _on_step(self) -> bool:
        return True

    def judge(self) -> None:
        """Adds one point to the curve."""
        paused = time.perf_counter()
        self.worlds.obs_rms = self.training_env.obs_rms  # pyright: ignore[reportAttributeAccessIssue]
        self.worlds.seed(JUDGE_SEED)
        episodes, _ = evaluate_policy(
            self.model, self.worlds, self.asked.episodes, deterministic=True, return_episode_rewards=True
        )
        returns = [float(x) for x in episodes]  # pyright: ignore[reportGeneralTypeIssues]
        seconds = paused - self.started - self.judging
        self.judging += time.perf_counter() - paused
        mean = sum(returns) / len(returns)
        self.points.append({"steps": self.num_timesteps, "return": mean, "episodes": returns, "seconds": seconds})
        print(f"{self.num_timesteps:>9} steps  {seconds:8.1f} s  return {mean:9.2f}", flush=True)


def main() -> None:
    """Trains, judges on the way, writes the JSON."""
    asked = arguments()
    torch.set_num_threads(asked.threads)
    judge = Judge(asked)
    learner(asked).learn(asked.steps, callback=judge)
    last = judge.points[-1]
    result = {
        "env": asked.env,
        "seed": asked.seed,
        "settings": {k: v for k, v in vars(asked).items() if k not in ("env", "seed", "out")},
        "steps": [point["steps"] for point in judge.points],
        "returns": [point["return"] for point in judge.points],
        "episode_returns": [point["episodes"] for point in judge.points],
        "seconds": [point["seconds"] for point in judge.points],
        "judging_seconds": judge.judging,
        "steps_per_second": last["steps"] / last["seconds"],
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("stable-baselines3", "torch", "gymnasium", "mujoco", "numpy")},
        },
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
