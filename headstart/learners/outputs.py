"""What knowledge would do, in words that another's can be compared with."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError
from headstart.core.types import Knowledge
from headstart.losses.distillation import GaussianOutput, Logits, PolicyOutput
from headstart.nets.mlp import MLP
from headstart.nets.policies import Categorical, Gaussian, SquashedGaussian
from headstart.nets.values import DuelingQNetwork, QNetwork

OutputHead = Gaussian | Categorical | SquashedGaussian | QNetwork | DuelingQNetwork


def output_head(k: Knowledge) -> OutputHead:
    """-> what says how to act: the policy, or Q-values. Raises InputError where that is no network of these."""
    says = k.value if k.policy is None else k.policy
    if not isinstance(says, OutputHead):
        raise InputError("One of these learners acts by something else than a plain network; use PPO, SAC or DQN.")
    return says


def output_network(k: Knowledge) -> MLP:
    """-> the network of what says how to act."""
    return output_head(k).net


def policy_output(k: Knowledge, x: Float[Array, " features"], temperature: float = 1.0) -> PolicyOutput:
    """-> what knowledge would do. `temperature` divides Q-values; policies are taken as they are."""
    says = output_head(k)
    if isinstance(says, SquashedGaussian):
        return GaussianOutput(*says.mean_and_std(x), squashed=True)
    if isinstance(says, Gaussian):
        return GaussianOutput(says.net(x), jnp.exp(says.log_std), squashed=False)
    return Logits(says.net(x) if isinstance(says, Categorical) else says(x) / temperature)
