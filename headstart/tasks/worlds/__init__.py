"""Envs in pure JAX: small and fast, on any device; those that Gymnasium has too equal it step by step.

Their physics fits on a page, and every constant in it is a parameter. They are simple: that a method works here shows
that it is implemented correctly, not that it is useful.
"""

import functools
from collections.abc import Callable

from headstart.core.types import Env
from headstart.tasks.worlds.acrobot import Acrobot
from headstart.tasks.worlds.bit_flip import BitFlip
from headstart.tasks.worlds.cartpole import CartPole
from headstart.tasks.worlds.cartpole_swingup import CartPoleSwingUp
from headstart.tasks.worlds.four_rooms import FourRooms
from headstart.tasks.worlds.goal_point_mass import GoalPointMass
from headstart.tasks.worlds.grid_wall import GridWall
from headstart.tasks.worlds.minatar import Asterix, Breakout, Freeway, Seaquest, SpaceInvaders
from headstart.tasks.worlds.mountain_car import MountainCar
from headstart.tasks.worlds.mountain_car_continuous import MountainCarContinuous
from headstart.tasks.worlds.pendulum import Pendulum
from headstart.tasks.worlds.planar_pusher import PlanarPusher
from headstart.tasks.worlds.planar_reacher import PlanarReacher
from headstart.tasks.worlds.point_mass import PointMass
from headstart.tasks.worlds.random_mdp import RandomMDP
from headstart.tasks.worlds.rendered_reach import RenderedReach

WORLDS: dict[str, Callable[[], Env]] = {
    "CartPole-v1": CartPole,
    "Pendulum-v1": Pendulum,
    "Acrobot-v1": Acrobot,
    "MountainCar-v0": MountainCar,
    "MountainCarContinuous-v0": MountainCarContinuous,
    "CartPoleSwingUp": CartPoleSwingUp,
    "PointMass": PointMass,
    "PointMass-4goals": functools.partial(PointMass, goals=4),
    "GoalPointMass": GoalPointMass,
    **{f"PlanarReacher-{n}": functools.partial(PlanarReacher, n) for n in (2, 3, 4, 7)},
    "PlanarPusher": PlanarPusher,
    "FourRooms": FourRooms,
    "GridWall": GridWall,
    **{f"BitFlip-{n}": functools.partial(BitFlip, n) for n in (8, 15, 25)},
    "RandomMDP": RandomMDP,
    "RenderedReach": RenderedReach,
    "Asterix-MinAtar": Asterix,
    "Breakout-MinAtar": Breakout,
    "Freeway-MinAtar": Freeway,
    "Seaquest-MinAtar": Seaquest,
    "SpaceInvaders-MinAtar": SpaceInvaders,
}

__all__ = [
    "WORLDS",
    "Acrobot",
    "Asterix",
    "BitFlip",
    "Breakout",
    "CartPole",
    "CartPoleSwingUp",
    "FourRooms",
    "Freeway",
    "GoalPointMass",
    "GridWall",
    "MountainCar",
    "MountainCarContinuous",
    "Pendulum",
    "PlanarPusher",
    "PlanarReacher",
    "PointMass",
    "RandomMDP",
    "RenderedReach",
    "Seaquest",
    "SpaceInvaders",
]
