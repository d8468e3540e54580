"""The output of a policy or a Q-network, in the form that distillation losses compare."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError
from headstart.core.types import Params
from headstart.losses.distillation import GaussianOutput, Logits, PolicyOutput
from headstart.nets.mlp import MLP
from headstart.nets.policies import Categorical, Gaussian, SquashedGaussian
from headstart.nets.values import DuelingQNetwork, QNetwork

OutputHead = Gaussian | Categorical | SquashedGaussian | QNetwork | DuelingQNetwork


def output_head(params: Params) -> OutputHead:
    """Returns what decides the action: the policy, or else the Q-network.

    Raises InputError where it is neither.
    """
    head = params.get("policy", params.get("value"))
    if not isinstance(head, OutputHead):
        raise InputError("One of these learners has neither a plain policy nor a Q-network; use PPO, SAC or DQN.")
    return head


def output_network(params: Params) -> MLP:
    """Returns the network of what decides the action."""
    return output_head(params).net


def policy_output(params: Params, x: Float[Array, " features"], temperature: float = 1.0) -> PolicyOutput:
    """Returns the policy's distribution, or Q-values divided by `temperature`, which leaves policies alone."""
    head = output_head(params)
    if isinstance(head, SquashedGaussian):
        return GaussianOutput(*head.mean_and_std(x), squashed=True)
    if isinstance(head, Gaussian):
        return GaussianOutput(head.net(x), jnp.exp(head.log_std), squashed=False)
    return Logits(head.net(x) if isinstance(head, Categorical) else head(x) / temperature)
