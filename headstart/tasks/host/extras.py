"""Packages of envs with an extra of headstart: which ids they provide, and how their envs are made.

Importing such a package registers its ids with Gymnasium. Two are handled here instead: Atari games with the usual
preprocessing (`atari`), and Meta-World's tasks by name, which have no ids (`metaworld`).
"""

import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium

from headstart.core.errors import InputError


class Extra(NamedTuple):
    """One package, and how its ids begin."""

    name: str  # of the extra: headstart[name]
    module: str
    ids: tuple[str, ...]


EXTRAS = (
    Extra("atari", "ale_py", ("ALE/",)),
    Extra("box2d", "Box2D", ("BipedalWalker", "CarRacing", "LunarLander")),
    Extra("metaworld", "metaworld", ("Meta-World/",)),
    Extra("minigrid", "minigrid", ("BabyAI-", "MiniGrid-")),
    Extra(
        "robotics", "gymnasium_robotics", ("Adroit", "AntMaze_", "Fetch", "Franka", "HandM", "HandReach", "PointMaze_")
    ),
)


def import_package(env_id: str) -> None:
    """Imports the package of an id, which registers it. Raises InputError if it is not installed."""
    for extra in EXTRAS:
        if env_id.startswith(extra.ids):
            if importlib.util.find_spec(extra.module) is None:
                raise InputError(
                    f'{env_id} needs {extra.module}, which is not installed: `pip install "headstart[{extra.name}]"`.'
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(extra.module)


def constructor(env_id: str) -> Callable[..., gymnasium.Env] | None:
    """Returns the constructor of an env that Gymnasium does not make; None for all other ids."""
    namespace, _, name = env_id.rpartition("/")
    if namespace == "ALE" and name.endswith("-v5") and env_id in gymnasium.registry:
        from headstart.tasks.host.atari import Game, default_switches

        registered: dict[str, Any] = gymnasium.registry[env_id].kwargs
        mode, difficulty = default_switches(registered["game"])
        return functools.partial(Game, **registered, mode=mode, difficulty=difficulty)
    if namespace == "Meta-World" and name in _metaworld_tasks():
        from headstart.tasks.host.metaworld import MetaWorld

        return functools.partial(MetaWorld, name=name)
    return None


def extra_ids() -> list[str]:
    """Returns the ids of imported packages that only `constructor` knows."""
    return [f"Meta-World/{name}" for name in _metaworld_tasks()]


def _metaworld_tasks() -> list[str]:
    module = sys.modules.get("metaworld")
    return [] if module is None else list(module.ALL_V3_ENVIRONMENTS)
