"""Transfer and multi-task reinforcement learning: what gets task B in the fewest episodes of B?

`import headstart as hs` is light: JAX is imported with the first thing that is asked for.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from headstart.core.errors import InputError
    from headstart.core.types import Method, Task
    from headstart.lab.api import Transferred, compare, evaluate, play, train, transfer
    from headstart.lab.checkpoint.save_load import load, save
    from headstart.lab.checkpoint.trained import Trained
    from headstart.learners.dqn import DQN
    from headstart.learners.ppo import PPO
    from headstart.learners.qlearning import QLearning
    from headstart.learners.sac import SAC
    from headstart.methods.adaptation.dann import DANN
    from headstart.methods.adaptation.darc import DARC
    from headstart.methods.adaptation.mmd import MMD
    from headstart.methods.forward.finetune import Finetune
    from headstart.methods.forward.maxent import MaxEnt
    from headstart.methods.forward.smerl import SMERL
    from headstart.methods.multitask.active import ActiveSampling
    from headstart.methods.multitask.distil import Distil
    from headstart.methods.multitask.her import HER
    from headstart.methods.multitask.joint import Joint
    from headstart.methods.multitask.popart import PopArt
    from headstart.methods.multitask.separate import Separate
    from headstart.methods.randomization.epopt import EPOpt
    from headstart.methods.randomization.randomize import Randomize
    from headstart.methods.randomization.recurrent import Recurrent
    from headstart.methods.randomization.universal import UniversalPolicy
    from headstart.methods.randomization.uposi import UPOSI
    from headstart.methods.values.deep_successor import DeepSuccessorFeatures
    from headstart.methods.values.successor_features import SuccessorFeatures
    from headstart.tasks.gymnasium import to_gymnasium
    from headstart.tasks.host.registry import host
    from headstart.tasks.registry import parameters, task

_HOMES = {
    "core.errors": ["InputError"],
    "core.types": ["Method", "Task"],
    "lab.api": ["Transferred", "compare", "evaluate", "play", "train", "transfer"],
    "lab.checkpoint.save_load": ["load", "save"],
    "lab.checkpoint.trained": ["Trained"],
    "learners.dqn": ["DQN"],
    "learners.ppo": ["PPO"],
    "learners.qlearning": ["QLearning"],
    "learners.sac": ["SAC"],
    "methods.adaptation.dann": ["DANN"],
    "methods.adaptation.darc": ["DARC"],
    "methods.adaptation.mmd": ["MMD"],
    "methods.forward.finetune": ["Finetune"],
    "methods.forward.maxent": ["MaxEnt"],
    "methods.forward.smerl": ["SMERL"],
    "methods.multitask.active": ["ActiveSampling"],
    "methods.multitask.distil": ["Distil"],
    "methods.multitask.her": ["HER"],
    "methods.multitask.joint": ["Joint"],
    "methods.multitask.popart": ["PopArt"],
    "methods.multitask.separate": ["Separate"],
    "methods.randomization.epopt": ["EPOpt"],
    "methods.randomization.randomize": ["Randomize"],
    "methods.randomization.recurrent": ["Recurrent"],
    "methods.randomization.universal": ["UniversalPolicy"],
    "methods.randomization.uposi": ["UPOSI"],
    "methods.values.deep_successor": ["DeepSuccessorFeatures"],
    "methods.values.successor_features": ["SuccessorFeatures"],
    "tasks.gymnasium": ["to_gymnasium"],
    "tasks.host.registry": ["host"],
    "tasks.registry": ["parameters", "task"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "DANN",
    "DARC",
    "DQN",
    "HER",
    "MMD",
    "PPO",
    "SAC",
    "SMERL",
    "UPOSI",
    "ActiveSampling",
    "DeepSuccessorFeatures",
    "Distil",
    "EPOpt",
    "Finetune",
    "InputError",
    "Joint",
    "MaxEnt",
    "Method",
    "PopArt",
    "QLearning",
    "Randomize",
    "Recurrent",
    "Separate",
    "SuccessorFeatures",
    "Task",
    "Trained",
    "Transferred",
    "UniversalPolicy",
    "compare",
    "evaluate",
    "host",
    "load",
    "parameters",
    "play",
    "save",
    "task",
    "to_gymnasium",
    "train",
    "transfer",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"headstart.{_HOME[name]}"), name)
    if "jax" in sys.modules:
        importlib.import_module("headstart.lab.compilation_cache").enable()
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
