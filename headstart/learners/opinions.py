"""What knowledge would do, in words that another's can be compared with."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError
from headstart.core.types import Knowledge
from headstart.losses.distillation import Leaning, Opinion, Preferences
from headstart.nets.mlp import MLP
from headstart.nets.policies import Categorical, Gaussian, Squashed
from headstart.nets.values import Choices, Dueling

Speaker = Gaussian | Categorical | Squashed | Choices | Dueling


def speaker(k: Knowledge) -> Speaker:
    """-> what says how to act: the policy, or Q-values. Raises InputError where that is no network of these."""
    says = k.value if k.policy is None else k.policy
    if not isinstance(says, Speaker):
        raise InputError("One of these learners acts by something else than a plain network; use PPO, SAC or DQN.")
    return says


def network(k: Knowledge) -> MLP:
    """-> the network of what says how to act."""
    return speaker(k).net


def opinion(k: Knowledge, x: Float[Array, " features"], temperature: float = 1.0) -> Opinion:
    """-> what knowledge would do. `temperature` divides Q-values; policies are taken as they are."""
    says = speaker(k)
    if isinstance(says, Squashed):
        return Leaning(*says.spread(x), squashed=True)
    if isinstance(says, Gaussian):
        return Leaning(says.net(x), jnp.exp(says.log_std), squashed=False)
    return Preferences(says.net(x) if isinstance(says, Categorical) else says(x) / temperature)
