"""C MuJoCo as two functions that a compiled loop can call."""

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
    """One robot in C MuJoCo. Its carry is the float64 state of `Physics`, as uint32 halves."""

    def __init__(self, name: str):
        self.name, self.physics = name, physics(name)
        self.robot = self.physics.robot
        self.rewards = len(self.robot.rewards)
        rest = self.physics.rest
        self.observed = self.robot.observe(np, Reading(rest.qpos[None], rest.qvel[None], _as_rows(rest))).shape[-1]

    def start(
        self, params: EnvParams, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
    ) -> tuple[UInt32[Array, " carried"], Float[Array, " observation"]]:
        """Returns the carry and the observation at the start of an episode."""
        rest = jnp.zeros(self.physics.carried - qpos.size - qvel.size)
        carry = to_double_halves(jnp.concatenate([jnp.zeros(1), qpos, qvel, rest]))
        if not self.robot.starts_in_c:
            derived = self.robot.reset.derive(qpos, self.physics.rest.derived)
            return carry, self.robot.observe(jnp, Reading(qpos, qvel, derived)).astype(jnp.float32)
        names, values = _vector(params)
        shapes = (ShapeDtypeStruct((self.observed,), jnp.float32),)
        (observation,) = self._on_host("start", self._fill_start, names, shapes, qpos, qvel, values)
        return carry, observation

    def step(self, params: EnvParams, carry: UInt32[Array, " carried"], action: Float[Array, " nu"]) -> Outcome:
        """Returns the result of one environment step."""
        names, values = _vector(params)
        reads = [ShapeDtypeStruct((2 * size,), jnp.uint32) for size in self.physics.sizes]
        shapes = (ShapeDtypeStruct(carry.shape, jnp.uint32), ShapeDtypeStruct((), jnp.bool_), *reads, *reads)
        next_state, bad, *readings = self._on_host("step", self._fill_step, names, shapes, carry, action, values)
        with jax.enable_x64(True):  # as Gymnasium does, because rewards are differences of positions
            reading_before, reading_after = (
                self._reading(*x) for x in ((carry, readings[: len(reads)]), (next_state, readings[len(reads) :]))
            )
            return self._outcome(
                doubles(carry), reading_before, doubles(next_state), reading_after, action.astype(jnp.float64), bad
            )

    def _reading(self, carry: UInt32[Array, " carried"], readings: Sequence[Array]) -> Reading:
        state, nq, nv = doubles(carry), self.physics.model.nq, self.physics.model.nv
        shapes = (value.shape for value in self.physics.rest.derived.values())
        values = (doubles(halves).reshape(shape) for halves, shape in zip(readings, shapes, strict=True))
        derived = dict(zip(self.robot.reads, values, strict=True))
        return Reading(state[1 : 1 + nq], state[1 + nq : 1 + nq + nv], derived)

    def _outcome(
        self,
        state: Array,
        reading_before: Reading,
        next_state: Array,
        reading_after: Reading,
        action: Array,
        bad: Array,
    ) -> Outcome:
        """Returns a row's result, in float32 except for the carry; NaN and terminal if it is `bad`."""
        previous_place = state[-1]
        if self.robot.place:  # a new episode has no previous place
            previous_place = jnp.where(state[0] == 0.0, self.robot.place(jnp, reading_before), previous_place)
        result = outcome(jnp, self.robot, reading_after, previous_place, action, self.physics.dt)
        carry = to_halves(jnp.where(bad, jnp.nan, next_state.at[-1].set(result.place)))
        observation, rewards = (
            jnp.where(bad, jnp.nan, x).astype(jnp.float32) for x in (result.observation, result.rewards)
        )
        return carry, observation, rewards, ~result.healthy | bad

    def _fill_start(self, names: Names, arguments: Sequence[np.ndarray], out: Sequence[np.ndarray]) -> None:
        (observation,) = out
        qpos, qvel, values = map(_rows, arguments)
        _rows(observation)[:] = self.physics.start(qpos, qvel, names, values)

    def _fill_step(self, names: Names, arguments: Sequence[np.ndarray], out: Sequence[np.ndarray]) -> None:
        carry, action, values = map(_rows, arguments)
        next_state, bad, *readings = out
        doubles = [_rows(x).view(np.float64) for x in (carry, next_state, *readings)]
        self.physics.step(doubles[0], action, names, values, doubles[1], bad.reshape(-1), doubles[2:])

    def _on_host(self, what: str, fill: Callable[..., None], names: Names, shapes: Shapes, *args: Array) -> Any:
        """Returns what `fill` writes, from within a compiled program; any leading axes of `args` are passed on.

        If JAX runs on the CPU, numpy reads and writes XLA's own memory. `pure_callback` would pass JAX arrays, which is
        slower and can deadlock with the program that waits for the callback (jax#24255).
        """
        fill = functools.partial(fill, names)
        if jax.default_backend() == "cpu":
            name = f"headstart/{self.name}/{what}({','.join(names)})"
            foreign.register(name, fill)
            return foreign.call(name, shapes, *args)

        def host(*args: Any) -> tuple[np.ndarray, ...]:
            arguments = [np.asarray(x) for x in args]
            leading = arguments[0].shape[:-1]
            out = tuple(np.empty((*leading, *shape.shape), shape.dtype) for shape in shapes)
            fill(arguments, out)
            return out

        return jax.pure_callback(host, shapes, *args, vmap_method="broadcast_all")


def _vector(params: EnvParams) -> tuple[Names, Float[Array, " name"]]:
    """Returns the parameters in the order of their names."""
    names = tuple(sorted(params))
    return names, jnp.array([params[name] for name in names], jnp.float32)


def _rows(x: np.ndarray) -> np.ndarray:
    """Returns a view of [... n] as [row n]."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _as_rows(reading: Reading) -> dict[str, np.ndarray]:
    return {name: value[None] for name, value in reading.derived.items()}


@functools.cache
def c_simulator(name: str) -> CSimulator:
    """Returns the robot of this name in C MuJoCo."""
    return CSimulator(name)
