"""Worlds in pure JAX: small, fast, compiled whole, on any device; those that Gymnasium has equal it step by step.

Their physics is a page one can read, and every constant on it is a parameter. What they are not is rich: a method that
works here has shown that it is right, not that it is good.
"""

from collections.abc import Callable

from headstart.core.types import Env
from headstart.tasks.worlds.acrobot import Acrobot
from headstart.tasks.worlds.cartpole import CartPole
from headstart.tasks.worlds.cartpole_swingup import CartPoleSwingUp
from headstart.tasks.worlds.mountain_car import MountainCar
from headstart.tasks.worlds.mountain_car_continuous import MountainCarContinuous
from headstart.tasks.worlds.pendulum import Pendulum
from headstart.tasks.worlds.point_mass import PointMass

WORLDS: dict[str, Callable[[], Env]] = {
    "CartPole-v1": CartPole,
    "Pendulum-v1": Pendulum,
    "Acrobot-v1": Acrobot,
    "MountainCar-v0": MountainCar,
    "MountainCarContinuous-v0": MountainCarContinuous,
    "CartPoleSwingUp": CartPoleSwingUp,
    "PointMass": PointMass,
    "PointMass-4goals": lambda: PointMass(goals=4),
}

__all__ = [
    "WORLDS",
    "Acrobot",
    "CartPole",
    "CartPoleSwingUp",
    "MountainCar",
    "MountainCarContinuous",
    "Pendulum",
    "PointMass",
]
