"""Brax's PPO, a training as a few JAX programs, on Gymnasium's Hopper-v5 in MJX: how fast it trains.

Stands alone: it imports nothing of headstart and runs in an environment of its own (`make bench` builds it):

    .venv-peers/bin/python benchmarks/peers/brax_ppo.py --steps 2000000 --out brax.json

Brax's own Hopper is another robot; the one here has Gymnasium's file, frame skip, observation, rewards and falls. Its
wrapper puts a copy that fell back to where it stood first. It judges nothing on the way, and clips no value loss.
"""

import argparse
import functools
import json
import pathlib
import platform
import time
from importlib.metadata import version

# The peers are not installed beside headstart, where types are checked.
import gymnasium
import jax  # headstart has it too
import jax.numpy as jnp
import mujoco
from brax.envs.base import Env, State  # pyright: ignore[reportMissingImports]
from brax.training.agents.ppo import train as ppo  # pyright: ignore[reportMissingImports]
from brax.training.agents.ppo.networks import make_ppo_networks  # pyright: ignore[reportMissingImports]
from mujoco import mjx
from words import setting

FILE = pathlib.Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "hopper.xml"
SKIP, NOISE, EFFORT = 4, 5e-3, 1e-3


def replicated(tree: object, devices: list) -> object:
    """Returns a copy for each device. Brax 0.14 asks JAX for it, and JAX 0.10 has it no more."""
    return jax.tree.map(lambda x: jnp.stack([jnp.asarray(x)] * len(devices)), tree)


setattr(jax, "device_put_replicated", replicated)  # noqa: B010 (there is no such attribute)


class Hopper(Env):
    """Gymnasium's Hopper-v5, as Brax wants it."""

    def __init__(self) -> None:
        model = mujoco.MjModel.from_xml_path(str(FILE))  # pyright: ignore[reportAttributeAccessIssue]
        self.dt = float(model.opt.timestep) * SKIP
        self.model = mjx.put_model(model)

    def reset(self, rng: jax.Array) -> State:
        place, speed = jax.random.split(rng)
        spread = functools.partial(jax.random.uniform, minval=-NOISE, maxval=NOISE)
        qpos = self.model.qpos0 + spread(place, (self.model.nq,))
        data = mjx.make_data(self.model).replace(qpos=qpos, qvel=spread(speed, (self.model.nv,)))
        return State(data, self._observe(data), jnp.zeros(()), jnp.zeros(()))

    def step(self, state: State, action: jax.Array) -> State:
        action = jnp.clip(action, -1.0, 1.0)
        was = state.pipeline_state
        data = jax.lax.fori_loop(0, SKIP, lambda _, d: mjx.step(self.model, d), was.replace(ctrl=action))
        forward = (data.qpos[0] - was.qpos[0]) / self.dt
        bounded = jnp.abs(jnp.concatenate([data.qpos[2:], data.qvel])) < 100.0
        stands = bounded.all() & (data.qpos[1] > 0.7) & (jnp.abs(data.qpos[2]) < 0.2)
        reward = forward + stands - EFFORT * jnp.square(action).sum()
        return state.replace(
            pipeline_state=data, obs=self._observe(data), reward=reward, done=1.0 - stands.astype(jnp.float32)
        )

    def _observe(self, data: mjx.Data) -> jax.Array:
        return jnp.concatenate([data.qpos[1:], jnp.clip(data.qvel, -10.0, 10.0)])

    @property
    def observation_size(self) -> int:
        return self.model.nq - 1 + self.model.nv

    @property
    def action_size(self) -> int:
        return self.model.nu

    @property
    def backend(self) -> str:
        return "mjx"


def arguments() -> argparse.Namespace:
    """Returns what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, required=True, help="environment steps to measure")
    parser.add_argument("--hidden", type=int, nargs="+", default=(64, 64), help="of the policy, and of the critic")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", type=setting, nargs="*", default=[], metavar="NAME=VALUE", help="Brax's own keywords")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Trains in three parts, the first two of which compile; measures the third, writes the JSON."""
    args = arguments()
    parts: list[tuple[int, float]] = []
    networks = functools.partial(
        make_ppo_networks,
        policy_hidden_layer_sizes=tuple(args.hidden),
        value_hidden_layer_sizes=tuple(args.hidden),
        activation=jnp.tanh,
        distribution_type="normal",
    )
    ppo.train(
        Hopper(),
        num_timesteps=3 * args.steps,
        episode_length=1000,
        normalize_observations=True,
        network_factory=networks,
        seed=args.seed,
        num_evals=4,  # one before, and one after each part; none is run
        run_evals=False,
        progress_fn=lambda steps, metrics: parts.append((int(steps), time.perf_counter())),
        **dict(args.set),
    )
    _, (first, start_time), (last, ended) = parts
    versions = {name: version(name) for name in ("brax", "mujoco-mjx", "jax", "flax", "numpy")}
    result = {
        "env": "Hopper-v5",
        "seed": args.seed,
        "settings": dict(args.set),
        "device": jax.devices()[0].device_kind,
        "warmup": first,
        "steps": last - first,
        "seconds": ended - start_time,
        "versions": {"python": platform.python_version(), **versions},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
