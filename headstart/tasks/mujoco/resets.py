"""Initial states of episodes: Gymnasium's reset distributions, in JAX for the compiled loop.

Each gives float32 positions and velocities (which `bits.to_double_halves` converts exactly to the simulator's float64),
and the derived quantities that follow from them, so that the first observation needs no simulator.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key

Positions = Float[Array, " nq"]
Velocities = Float[Array, " nv"]
Derived = dict[str, Any]


def _at_rest(qpos: Positions, rest: Derived) -> Derived:
    return rest


@dataclasses.dataclass(frozen=True)
class Reset:
    """A reset distribution: `draw(key, qpos, qvel)` gives an initial state from the XML's own.

    `derive(qpos, rest)` gives the derived quantities there, where `rest` holds those of the XML's own state. By default
    they are equal (or zero).
    """

    draw: Callable[[Key, Positions, Velocities], tuple[Positions, Velocities]]
    derive: Callable[[Positions, Derived], Derived] = _at_rest


def _uniform(key: Key, n: int, scale: float) -> Float[Array, " n"]:
    return jax.random.uniform(key, (n,), minval=-scale, maxval=scale)


def spread(scale: float, normal: bool = False) -> Reset:
    """Returns a reset with positions uniform within `scale` of the XML's.

    Velocities are uniform too, or normal with that standard deviation.
    """

    def draw(key: Key, qpos: Positions, qvel: Velocities) -> tuple[Positions, Velocities]:
        k_pos, k_vel = jax.random.split(key)
        noise = scale * jax.random.normal(k_vel, qvel.shape) if normal else _uniform(k_vel, qvel.size, scale)
        return qpos + _uniform(k_pos, qpos.size, scale), qvel + noise

    return Reset(draw)


def ant() -> Reset:
    """Returns `spread(0.1, normal=True)`, with the torso at the position of its free joint."""

    def derive(qpos: Positions, rest: Derived) -> Derived:
        return {**rest, "xpos": jnp.asarray(rest["xpos"], jnp.float32).at[1].set(qpos[:3])}

    return dataclasses.replace(spread(0.1, normal=True), derive=derive)


def reacher() -> Reset:
    """Returns a reset with the arm near its rest, and the target uniform in a disc of radius 0.2 m.

    Gymnasium draws from a square until the point falls inside, which is the same distribution.
    """

    def draw(key: Key, qpos: Positions, qvel: Velocities) -> tuple[Positions, Velocities]:
        k_arm, k_vel, k_radius, k_angle = jax.random.split(key, 4)
        radius = 0.2 * jnp.sqrt(jax.random.uniform(k_radius))
        angle = jax.random.uniform(k_angle, maxval=2 * jnp.pi)
        goal = radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        arm = qpos[:2] + _uniform(k_arm, 2, 0.1)
        return jnp.concatenate([arm, goal]), qvel.at[:2].add(_uniform(k_vel, 2, 0.005))

    def derive(qpos: Positions, rest: Derived) -> Derived:
        """Two links of 0.1 m and 0.11 m; the target's slides are its position."""
        first, angle_sum = qpos[0], qpos[0] + qpos[1]
        tip_x = 0.1 * jnp.cos(first) + 0.11 * jnp.cos(angle_sum)
        tip_y = 0.1 * jnp.sin(first) + 0.11 * jnp.sin(angle_sum)
        positions = jnp.stack([jnp.stack([tip_x, tip_y]), qpos[2:4]])
        return {"xpos": jnp.asarray(rest["xpos"], jnp.float32).at[3:5, :2].set(positions)}

    return Reset(draw, derive)


def pusher(object_body: int, goal: int) -> Reset:
    """Returns a reset with the arm at rest, and the object uniform in a rectangle, at least 0.17 m from the goal at 0.

    `object_body` and `goal` are the two bodies; each slides along y by its first joint and along x by its second.
    """

    def is_near_goal(place: Float[Array, " 2"]) -> Any:
        return jnp.sqrt(jnp.square(place).sum()) <= 0.17

    def place_object(key: Key) -> Float[Array, " 2"]:
        low, high = jnp.array([-0.3, -0.2]), jnp.array([0.0, 0.2])

        def redraw(carry: tuple[Key, Float[Array, " 2"]]) -> tuple[Key, Float[Array, " 2"]]:
            key, k = jax.random.split(carry[0])
            return key, jax.random.uniform(k, (2,), minval=low, maxval=high)

        return jax.lax.while_loop(lambda carry: is_near_goal(carry[1]), redraw, (key, jnp.zeros(2)))[1]

    def draw(key: Key, qpos: Positions, qvel: Velocities) -> tuple[Positions, Velocities]:
        k_object, k_vel = jax.random.split(key)
        start = jnp.concatenate([qpos[:-4], place_object(k_object), jnp.zeros(2)])
        arm = qvel.size - 4
        return start, qvel.at[:arm].add(_uniform(k_vel, arm, 0.005))

    def derive(qpos: Positions, rest: Derived) -> Derived:
        positions = jnp.asarray(rest["xpos"], jnp.float32)
        positions = positions.at[object_body, :2].add(qpos[-4:-2][::-1]).at[goal, :2].add(qpos[-2:][::-1])
        return {"xpos": positions}

    return Reset(draw, derive)
