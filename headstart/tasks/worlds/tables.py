"""Exact tables of MDPs with few states: for planning, and for checking what was learned."""

import jax
from jaxtyping import Array, Float, Int

from headstart.core.types import Record


class Tables(Record):
    """An MDP as tables. A terminal state leads to itself, with cumulants of 0."""

    transitions: Float[Array, "state action next"]  # probabilities; each row sums to 1
    cumulants: Float[Array, "state action next cumulant"]


def chances(leads: Int[Array, "state action"], slip: Float[Array, ""]) -> Float[Array, "state action next"]:
    """Returns the transitions where each action leads to one state, except for slips as in `slipped`."""
    sure = jax.nn.one_hot(leads, leads.shape[0])
    return (1 - slip) * sure + slip * sure.mean(1, keepdims=True)


def slipped(key: Array, action: Int[Array, ""], choices: int, slip: Float[Array, ""]) -> Int[Array, ""]:
    """Returns the action, or with probability `slip` a uniformly random one."""
    k_whether, k_which = jax.random.split(key)
    anything = jax.random.randint(k_which, (), 0, choices)
    return jax.numpy.where(jax.random.bernoulli(k_whether, slip), anything, action)
