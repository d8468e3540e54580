"""The definition of a robot: a record of pure functions, in the array namespace of its simulator.

Each function takes that namespace (`xp`: jax.numpy, in float64 for C MuJoCo, in float32 for MJX; numpy outside of
compiled code) and arrays whose leading axes are rows, so that one definition serves both simulators.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from headstart.tasks.mujoco.naming import Names
from headstart.tasks.mujoco.resets import Reset

XP = Any  # an array namespace
Rows = Any  # an array of that namespace, whose leading axes are rows


class Reading(NamedTuple):
    """The simulator's state at one moment."""

    qpos: Rows  # [*rows nq] m, rad
    qvel: Rows  # [*rows nv] m/s, rad/s
    derived: dict[str, Rows]  # other quantities that the robot `reads`, by MuJoCo's name, such as xpos [*rows nbody 3]


class Step(NamedTuple):
    """One step, for its reward."""

    now: Reading
    healthy: Rows  # [*rows] bool
    action: Rows  # [*rows nu]
    speed: Rows  # [*rows] m/s, of `Robot.place` over the step


@dataclasses.dataclass(frozen=True)
class Robot:
    """One of Gymnasium's MuJoCo environments."""

    xml: str  # in Gymnasium's folder of assets
    frame_skip: int  # simulator steps per environment step
    reset: Reset
    observe: Callable[[XP, Reading], Rows]
    names: Names  # of the observation's components
    healthy: Callable[[XP, Reading], Rows]  # the episode ends if it is false
    rewards: dict[str, Callable[[XP, Step], Rows]]  # by name; they sum to Gymnasium's reward
    place: Callable[[XP, Reading], Rows] | None = None  # its position (m), for its speed
    reads: tuple[str, ...] = ()  # fields of MjData (or `body_mass`) that the functions above need
    starts_in_c: bool = False  # whether its first observation needs the simulator


class Outcome(NamedTuple):
    """The results of a step, and the position from which the next step's speed is measured."""

    observation: Rows  # [*rows observation]
    rewards: Rows  # [*rows reward]
    healthy: Rows  # [*rows] bool
    place: Rows  # [*rows] m; 0 for robots whose reward needs no speed


def outcome(xp: XP, robot: Robot, reading: Reading, previous_place: Rows, action: Rows, dt: float) -> Outcome:
    """Returns the results of a step; `previous_place` is the position before it (m), `dt` its duration (s)."""
    healthy = robot.healthy(xp, reading)
    place = robot.place(xp, reading) if robot.place else xp.zeros(healthy.shape)
    step = Step(reading, healthy, action, (place - previous_place) / dt)
    rewards = xp.stack([reward(xp, step) for reward in robot.rewards.values()], -1)
    return Outcome(robot.observe(xp, reading), rewards, healthy, place)


# ------------------------------------------------------------------------------------------------ what robots share


def clipped(xp: XP, x: Rows, limit: float) -> Rows:
    return xp.clip(x, -limit, limit)


def flattened(r: Rows) -> Rows:
    """[*rows a b] -> [*rows a·b]"""
    return r.reshape(*r.shape[:-2], r.shape[-2] * r.shape[-1])


def norm(xp: XP, v: Rows) -> Rows:
    return xp.sqrt(xp.square(v).sum(-1))


def always(xp: XP, r: Reading) -> Rows:
    return xp.ones(r.qpos.shape[:-1], bool)


def along_x(xp: XP, r: Reading) -> Rows:
    return r.qpos[..., 0]


def forward(weight: float = 1.0) -> Callable[[XP, Step], Rows]:
    return lambda xp, s: weight * s.speed


def effort(weight: float) -> Callable[[XP, Step], Rows]:
    return lambda xp, s: -weight * xp.square(s.action).sum(-1)


def survive(bonus: float = 1.0) -> Callable[[XP, Step], Rows]:
    return lambda xp, s: bonus * s.healthy


def positions_and_velocities(hidden: int, limit: float = float("inf")) -> Callable[[XP, Reading], Rows]:
    """Observes all joints, without the first `hidden` positions, with velocities clipped to `limit`."""
    return lambda xp, r: xp.concatenate([r.qpos[..., hidden:], clipped(xp, r.qvel, limit)], -1)
