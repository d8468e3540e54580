"""Every method, as small as it still makes sense, and tasks that it fits."""

from typing import Any

import jax.numpy as jnp
import probes
import pytest
from numpyro import distributions as dist

from headstart.core.types import Method, Task
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.learners.uniform import Uniform
from headstart.methods import CLASSES
from headstart.methods.adaptation.dann import DANN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.adaptation.mmd import MMD
from headstart.methods.forward.finetune import Finetune
from headstart.methods.forward.maxent import MaxEnt
from headstart.methods.forward.smerl import SMERL
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.her import HER
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.randomize import Randomize
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.methods.values.deep_successor import DeepSuccessorFeatures
from headstart.methods.values.successor_features import SuccessorFeatures
from headstart.tasks.worlds import RandomMDP
from headstart.tasks.worlds.bit_flip import BitFlip

SMALL = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, num_epochs=1)
BASES: dict[type, Method] = {
    PPO: SMALL,
    SAC: SAC(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=4),
    DQN: DQN(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=4, update_to_data=1.0),
    QLearning: QLearning(),
    Uniform: Uniform(),
    SuccessorFeatures: SuccessorFeatures(max_policies=3),
}
BASES[HER] = HER(BASES[DQN])
BASES[MaxEnt] = MaxEnt(BASES[SAC])
BASES[SMERL] = SMERL(BASES[SAC], num_skills=2, hidden=(4,))
BASES[DARC] = DARC(BASES[SAC], source_steps_per_target_step=2)
BASES[DeepSuccessorFeatures] = DeepSuccessorFeatures(
    hidden=(4,), num_envs=2, batch_size=4, buffer_size=64, learning_starts=4, update_to_data=1.0
)
OTHERS: dict[type, dict[str, Any]] = {
    EPOpt: {"num_envs": 4, "num_steps": 4, "batch_size": 4},
    UPOSI: {"update_to_data": 1.0, "batch_size": 4, "hidden": (4,), "buffer_size": 64},
    Recurrent: {"hidden_size": 3, "sequence_length": 2},
    Distil: {"update_to_data": 1.0, "batch_size": 4, "buffer_size": 64},
}


def small(kind: Any) -> Method:
    """Returns the method, as small as it still makes sense."""
    return BASES[kind] if kind in BASES else kind(SMALL, **OTHERS.get(kind, {}))


def fits(kind: Any, discrete: bool) -> bool:
    """Returns whether it acts by such actions."""
    by_choices = (DQN, HER, QLearning, SuccessorFeatures, DeepSuccessorFeatures, DANN, MMD)
    return kind not in (SAC, DARC, MaxEnt, SMERL) if discrete else kind not in by_choices


def tasks_for(method: Method, discrete: bool) -> tuple[Task, Task]:
    """Returns a small source and target: images, enumerable states with cumulants, or a corridor, as it needs them."""
    if isinstance(method, DANN | MMD):
        return probes.task(probes.Pixel()), probes.task(probes.Pixel(), target=True, swap=1.0)
    if isinstance(method, QLearning | SuccessorFeatures | DeepSuccessorFeatures):
        few = RandomMDP(states=3, actions=2, branching=1, features=2)
        return probes.task(few, seed=1), probes.task(few, target=True, seed=2)
    if isinstance(method, HER):
        return probes.task(BitFlip(3)), probes.task(BitFlip(3), target=True, slip=0.2)
    env = probes.Corridor(length=3, discrete=discrete)
    law = lambda low, high: dist.Uniform(jnp.float32(low), jnp.float32(high))
    return probes.task(env, push=law(0.5, 1.5)), probes.task(env, target=True, push=law(0.3, 0.3001))


LEARNT = [pytest.param(small(kind), fits(kind, True), id=name) for name, kind in CLASSES.items()] + [
    pytest.param(Finetune(BASES[SAC], layers="last"), False, id="Finetune-SAC"),
    pytest.param(Finetune(BASES[DQN], reset_head=True), True, id="Finetune-DQN"),
]
OTHERWISE: dict[str, tuple[Method, bool]] = {  # by the other kind of action, or over another learner
    "PPO": (SMALL, False),
    "UPOSI": (small(UPOSI), False),
    "Recurrent": (small(Recurrent), False),
    "Recurrent-history-SAC": (Recurrent(BASES[SAC], memory="history"), False),
    "UniversalPolicy-SAC": (UniversalPolicy(BASES[SAC]), False),
    "Distil": (small(Distil), False),
    "Randomize-SAC": (Randomize(BASES[SAC]), False),
    "MaxEnt-PPO": (MaxEnt(SMALL), True),
    "Randomize-DQN": (Randomize(BASES[DQN]), True),
}
