"""The limit: how fast a learner could be here, if nothing took time but the physics and the networks' products.

    bound = 1 / (1 / physics + FLOPs / peak)

`physics` is mujoco.rollout's steps a second with a thread for each core (for CartPole, which MuJoCo does not step,
headstart's own loop with random actions), `peak` the most float32 FLOP/s that XLA or numpy keep up here in products of
the learner's shapes, and FLOPs what its equations ask for in each environment step, counted from the networks' shapes.
Both are kept up for some seconds, as learning is, and not the best of many short moments.

    cd benchmarks; python -m rates.limit "PPO on Hopper-v5" --out limit.json
"""

import argparse
import itertools
import os
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from mujoco import rollout

from headstart.core.types import Array
from headstart.lab.checkpoint.files import write_json
from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.mujoco.physics import physics
from rates.ours import stepping
from rates.settings import CARTPOLE_PPO, HOPPER_PPO, HOPPER_SAC, PPO, SAC

EPISODE = 32  # environment steps of an episode: about as long as an untrained robot stands
ROWS = 64


def forward(sizes: tuple[int, ...]) -> int:
    """Returns FLOPs of a network of those widths for one row: a multiplication and an addition for each weight."""
    return 2 * sum(n * m for n, m in itertools.pairwise(sizes))


def gradient(sizes: tuple[int, ...]) -> int:
    """Returns FLOPs of a network and of the gradient of its weights for one row; its inputs need none."""
    return 3 * forward(sizes) - forward(sizes[:2])


def ppo_flops(settings: PPO, observation: int, action: int) -> int:
    """Returns FLOPs for each environment step: acting and valuing once, and a gradient of both in each epoch."""
    policy, critic = (observation, *settings.hidden, action), (observation, *settings.hidden, 1)
    return forward(policy) + forward(critic) + settings.num_epochs * (gradient(policy) + gradient(critic))


def sac_flops(settings: SAC, observation: int, action: int) -> int:
    """Returns FLOPs for each environment step: acting once, and the gradient steps.

    For each row, a gradient step asks for the gradient of two critics, for their target (policy and lagged critics),
    and for the policy's gradient, through both critics back to the action.
    """
    policy, critic = (observation, *settings.hidden, 2 * action), (observation + action, *settings.hidden, 1)
    critics = 2 * gradient(critic) + forward(policy) + 2 * forward(critic)
    actor = gradient(policy) + 2 * 2 * forward(critic)
    return forward(policy) + settings.update_to_data * settings.batch_size * (critics + actor)


def sustained(run: Callable[[], object], work: float, seconds: float) -> float:
    """Returns the work a second of as many runs as take about so long."""
    run()
    done, start_time = 0.0, time.perf_counter()
    while time.perf_counter() < start_time + seconds:
        run()
        done += work
    return done / (time.perf_counter() - start_time)


def physics_rate(robot: str, seconds: float) -> float:
    """Returns environment steps a second of MuJoCo alone, in all threads."""
    simulator, cores = physics(robot), os.cpu_count() or 1
    model, skip = simulator.model, simulator.robot.frame_skip
    data, rng = [mujoco.MjData(model) for _ in range(cores)], np.random.default_rng(0)
    state = np.zeros((ROWS, mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))))
    state[:, 1 : 1 + model.nq] = data[0].qpos + rng.uniform(-5e-3, 5e-3, (ROWS, model.nq))
    action = np.repeat(rng.uniform(-1, 1, (ROWS, EPISODE, model.nu)), skip, axis=1)
    with rollout.Rollout(nthread=cores) as pool:
        return sustained(lambda: pool.rollout(model, data, state, action), ROWS * EPISODE, seconds)


def peak(batch: int, width: int, seconds: float) -> float:
    """Returns the most FLOP/s of [batch, width] times [width, width]: by XLA, on one core or on each, or by numpy."""
    turns = max(1, 50_000_000 // (batch * width * width))
    work, cores = 2.0 * batch * width * width * turns, os.cpu_count() or 1

    @jax.jit
    def chain(x: Array, weight: Array) -> Array:
        return jax.lax.fori_loop(0, turns, lambda i, x: x @ weight, x)

    def by_numpy() -> None:
        for _ in range(turns):
            np.matmul(x, weight, out=out)

    rng = np.random.default_rng(0)
    x, out = rng.normal(size=(batch, width)).astype(np.float32), np.empty((batch, width), np.float32)
    weight = np.linalg.qr(rng.normal(size=(width, width)))[0].astype(np.float32)
    many = [jnp.broadcast_to(a, (cores, *a.shape)) for a in (x, weight)]
    return max(
        sustained(lambda: jax.block_until_ready(chain(x, weight)), work, seconds),
        sustained(lambda: jax.block_until_ready(chain(*many)), work * cores, seconds),
        sustained(by_numpy, work, seconds),
    )


def main() -> None:
    """Measures, counts, writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=LEARNS, help="what is limited")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--seed", type=int, default=0, help="ignored; all programs take it")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    args = parser.parse_args()
    if "CartPole" in args.row:
        stepped = stepping("CartPole-v1", CARTPOLE_PPO.num_envs, round(100_000 * args.seconds), seed=0)
        results = {"physics": stepped["steps"] / stepped["seconds"]}
    else:
        results = {"physics": physics_rate("Hopper-v5", args.seconds)}
    bound = 1.0 / results["physics"]
    if learns := LEARNS[args.row]:
        results |= {"flops": learns.flops, "peak": peak(learns.batch, learns.width, args.seconds)}
        bound += results["flops"] / results["peak"]
    write_json(args.out, {**results, "bound": 1.0 / bound})


class Learns(NamedTuple):
    """What a learner computes."""

    flops: int  # for each environment step
    batch: int
    width: int  # of a hidden layer


LEARNS: dict[str, Learns | None] = {
    "PPO on Hopper-v5": Learns(ppo_flops(HOPPER_PPO, 11, 3), HOPPER_PPO.batch_size, HOPPER_PPO.hidden[0]),
    "SAC on Hopper-v5": Learns(sac_flops(HOPPER_SAC, 11, 3), HOPPER_SAC.batch_size, HOPPER_SAC.hidden[0]),
    "PPO on CartPole-v1": Learns(ppo_flops(CARTPOLE_PPO, 4, 2), CARTPOLE_PPO.batch_size, CARTPOLE_PPO.hidden[0]),
    "Hopper-v5 stepped": None,
}

if __name__ == "__main__":
    main()
