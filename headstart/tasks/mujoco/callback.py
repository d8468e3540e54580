"""C MuJoCo as two functions that JAX can compile a loop around."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import ShapeDtypeStruct
from jax.experimental.buffer_callback import buffer_callback
from jaxtyping import Array, Float, UInt32

from headstart.core.types import Params
from headstart.tasks.mujoco.bits import widen
from headstart.tasks.mujoco.physics import Names, physics
from headstart.tasks.mujoco.robot import Reading

Outcome = tuple[Array, Array, Array, Array]  # carry, observation, rewards, terminal


class CSimulator:
    """One robot in C MuJoCo. What it carries from step to step is the float64 state of `Physics`, as uint32 halves."""

    def __init__(self, name: str):
        self.physics = physics(name)
        self.robot = self.physics.robot
        self.rewards = len(self.robot.rewards)
        rest = self.physics.rest
        self.observed = self.robot.observe(np, Reading(rest.qpos[None], rest.qvel[None], _as_rows(rest))).shape[-1]

    def start(
        self, params: Params, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
    ) -> tuple[UInt32[Array, " carried"], Float[Array, " observation"]]:
        """-> what is carried from an episode's first moment, and what is observed then."""
        rest = jnp.zeros(self.physics.carried - qpos.size - qvel.size)
        carry = widen(jnp.concatenate([jnp.zeros(1), qpos, qvel, rest]))
        if not self.robot.starts_in_c:
            derived = self.robot.reset.derive(qpos, self.physics.rest.derived)
            return carry, self.robot.observe(jnp, Reading(qpos, qvel, derived)).astype(jnp.float32)
        names, values = _vector(params)
        shapes = (ShapeDtypeStruct((self.observed,), jnp.float32),)
        (seen,) = _on_host(functools.partial(self._host_start, names), shapes, qpos, qvel, values)
        return carry, seen

    def step(self, params: Params, carry: UInt32[Array, " carried"], action: Float[Array, " nu"]) -> Outcome:
        """-> one environment step on."""
        names, values = _vector(params)
        shapes = (
            ShapeDtypeStruct(carry.shape, jnp.uint32),
            ShapeDtypeStruct((self.observed,), jnp.float32),
            ShapeDtypeStruct((self.rewards,), jnp.float32),
            ShapeDtypeStruct((), jnp.bool_),
        )
        return _on_host(functools.partial(self._host_step, names), shapes, carry, action, values)

    def _host_start(self, names: Names, qpos: np.ndarray, qvel: np.ndarray, values: np.ndarray) -> tuple[np.ndarray]:
        lead = qpos.shape[:-1]
        seen = self.physics.start(_rows(qpos), _rows(qvel), names, _rows(values))
        return (seen.astype(np.float32).reshape(*lead, -1),)

    def _host_step(
        self, names: Names, carry: np.ndarray, action: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        lead = carry.shape[:-1]
        after = self.physics.step(_rows(carry).view(np.float64), _rows(action), names, _rows(values))
        with np.errstate(over="ignore", invalid="ignore"):
            seen, earned = after.observation.astype(np.float32), after.rewards.astype(np.float32)
        return (
            after.state.view(np.uint32).reshape(carry.shape),
            seen.reshape(*lead, self.observed),
            earned.reshape(*lead, self.rewards),
            after.terminal.reshape(lead),
        )


def _on_host(call: Callable[..., tuple[np.ndarray, ...]], shapes: tuple[ShapeDtypeStruct, ...], *args: Array) -> Any:
    """call(*args) as numpy, from within a compiled program; any leading axes of `args` are the call's own.

    Where JAX itself runs on the CPU, numpy reads and writes XLA's own buffers. `pure_callback` would hand over JAX
    arrays: slower, and seen to wait for the very program that is waiting for the callback (jax#24255).
    """

    def host(*args: Any) -> tuple[np.ndarray, ...]:
        return call(*map(np.asarray, args))

    def fill(_: object, out: tuple[Any, ...], *args: Any) -> None:
        for buffer, result in zip(out, host(*args), strict=True):
            np.asarray(buffer)[...] = result

    if jax.default_backend() != "cpu":
        return jax.pure_callback(host, shapes, *args, vmap_method="broadcast_all")

    return buffer_callback(fill, shapes, vmap_method="broadcast_all")(*args)


def _vector(params: Params) -> tuple[Names, Float[Array, " name"]]:
    """The parameters in the order of their names."""
    names = tuple(sorted(params))
    return names, jnp.array([params[name] for name in names], jnp.float32)


def _rows(x: np.ndarray) -> np.ndarray:
    """[... n] -> [row n], without a copy where it can be."""
    return np.ascontiguousarray(x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1]))


def _as_rows(reading: Reading) -> dict[str, np.ndarray]:
    return {name: value[None] for name, value in reading.derived.items()}


@functools.cache
def c_simulator(name: str) -> CSimulator:
    """-> the robot of this name in C MuJoCo."""
    return CSimulator(name)
