"""C MuJoCo as two functions that JAX can compile a loop around."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import ShapeDtypeStruct
from jaxtyping import Array, Float, UInt32

from headstart.core.types import EnvParams
from headstart.tasks.mujoco import foreign
from headstart.tasks.mujoco.bits import doubles, to_double_halves, to_halves
from headstart.tasks.mujoco.physics import Names, physics
from headstart.tasks.mujoco.robot import Reading, outcome

Shapes = tuple[ShapeDtypeStruct, ...]
Outcome = tuple[Array, Array, Array, Array]  # carry, observation, rewards, terminal


class CSimulator:
    """One robot in C MuJoCo. What it carries from step to step is the float64 state of `Physics`, as uint32 halves."""

    def __init__(self, name: str):
        self.name, self.physics = name, physics(name)
        self.robot = self.physics.robot
        self.rewards = len(self.robot.rewards)
        rest = self.physics.rest
        self.observed = self.robot.observe(np, Reading(rest.qpos[None], rest.qvel[None], _as_rows(rest))).shape[-1]

    def start(
        self, params: EnvParams, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
    ) -> tuple[UInt32[Array, " carried"], Float[Array, " observation"]]:
        """Returns what is carried from an episode's first moment, and what is observed then."""
        rest = jnp.zeros(self.physics.carried - qpos.size - qvel.size)
        carry = to_double_halves(jnp.concatenate([jnp.zeros(1), qpos, qvel, rest]))
        if not self.robot.starts_in_c:
            derived = self.robot.reset.derive(qpos, self.physics.rest.derived)
            return carry, self.robot.observe(jnp, Reading(qpos, qvel, derived)).astype(jnp.float32)
        names, values = _vector(params)
        shapes = (ShapeDtypeStruct((self.observed,), jnp.float32),)
        (seen,) = self._on_host("start", self._fill_start, names, shapes, qpos, qvel, values)
        return carry, seen

    def step(self, params: EnvParams, carry: UInt32[Array, " carried"], action: Float[Array, " nu"]) -> Outcome:
        """Returns one environment step on."""
        names, values = _vector(params)
        reads = [ShapeDtypeStruct((2 * size,), jnp.uint32) for size in self.physics.sizes]
        shapes = (ShapeDtypeStruct(carry.shape, jnp.uint32), ShapeDtypeStruct((), jnp.bool_), *reads, *reads)
        after, bad, *read = self._on_host("step", self._fill_step, names, shapes, carry, action, values)
        with jax.enable_x64(True):  # as Gymnasium does: speeds and falls are told by differences
            before, now = (self._reading(*x) for x in ((carry, read[: len(reads)]), (after, read[len(reads) :])))
            return self._outcome(doubles(carry), before, doubles(after), now, action.astype(jnp.float64), bad)

    def _reading(self, carry: UInt32[Array, " carried"], read: Sequence[Array]) -> Reading:
        state, nq, nv = doubles(carry), self.physics.model.nq, self.physics.model.nv
        shapes = (value.shape for value in self.physics.rest.derived.values())
        each = (doubles(halves).reshape(shape) for halves, shape in zip(read, shapes, strict=True))
        derived = dict(zip(self.robot.reads, each, strict=True))
        return Reading(state[1 : 1 + nq], state[1 + nq : 1 + nq + nv], derived)

    def _outcome(self, state: Array, before: Reading, after: Array, now: Reading, action: Array, bad: Array) -> Outcome:
        """Returns what a row has come to, in float32 but for what it carries; NaN, and the end, for one that is `bad`."""
        was = state[-1]
        if self.robot.place:  # none is known of an episode that begins
            was = jnp.where(state[0] == 0.0, self.robot.place(jnp, before), was)
        told = outcome(jnp, self.robot, now, was, action, self.physics.dt)
        carry = to_halves(jnp.where(bad, jnp.nan, after.at[-1].set(told.place)))
        seen, earned = (jnp.where(bad, jnp.nan, x).astype(jnp.float32) for x in (told.observation, told.rewards))
        return carry, seen, earned, ~told.healthy | bad

    def _fill_start(self, names: Names, given: Sequence[np.ndarray], out: Sequence[np.ndarray]) -> None:
        (seen,) = out
        qpos, qvel, values = map(_rows, given)
        _rows(seen)[:] = self.physics.start(qpos, qvel, names, values)

    def _fill_step(self, names: Names, given: Sequence[np.ndarray], out: Sequence[np.ndarray]) -> None:
        carry, action, values = map(_rows, given)
        after, bad, *read = out
        doubles = [_rows(x).view(np.float64) for x in (carry, after, *read)]
        self.physics.step(doubles[0], action, names, values, doubles[1], bad.reshape(-1), doubles[2:])

    def _on_host(self, what: str, fill: Callable[..., None], names: Names, shapes: Shapes, *args: Array) -> Any:
        """What `fill` writes, from within a compiled program; any leading axes of `args` are the call's own.

        Where JAX itself runs on the CPU, numpy reads and writes XLA's own memory. `pure_callback` would hand over JAX
        arrays: slower, and seen to wait for the very program that is waiting for the callback (jax#24255).
        """
        fill = functools.partial(fill, names)
        if jax.default_backend() == "cpu":
            name = f"headstart/{self.name}/{what}({','.join(names)})"
            foreign.register(name, fill)
            return foreign.call(name, shapes, *args)

        def host(*args: Any) -> tuple[np.ndarray, ...]:
            given = [np.asarray(x) for x in args]
            lead = given[0].shape[:-1]
            out = tuple(np.empty((*lead, *shape.shape), shape.dtype) for shape in shapes)
            fill(given, out)
            return out

        return jax.pure_callback(host, shapes, *args, vmap_method="broadcast_all")


def _vector(params: EnvParams) -> tuple[Names, Float[Array, " name"]]:
    """The parameters in the order of their names."""
    names = tuple(sorted(params))
    return names, jnp.array([params[name] for name in names], jnp.float32)


def _rows(x: np.ndarray) -> np.ndarray:
    """[... n] -> [row n], the same memory."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _as_rows(reading: Reading) -> dict[str, np.ndarray]:
    return {name: value[None] for name, value in reading.derived.items()}


@functools.cache
def c_simulator(name: str) -> CSimulator:
    """Returns the robot of this name in C MuJoCo."""
    return CSimulator(name)
