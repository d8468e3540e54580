"""What is exactly known of worlds with few states: for planning, and for judging what was learned."""

import jax
from jaxtyping import Array, Float, Int

from headstart.core.types import Record


class Tables(Record):
    """An MDP in full. A state in which it ends leads to itself, and is worth nothing from then on."""

    transitions: Float[Array, "state action next"]  # chances; each row sums to 1
    cumulants: Float[Array, "state action next cumulant"]


def chances(leads: Int[Array, "state action"], slip: Float[Array, ""]) -> Float[Array, "state action next"]:
    """Returns the transitions where each action leads to one state, but slips by `slipped`."""
    sure = jax.nn.one_hot(leads, leads.shape[0])
    return (1 - slip) * sure + slip * sure.mean(1, keepdims=True)


def slipped(key: Array, action: Int[Array, ""], choices: int, slip: Float[Array, ""]) -> Int[Array, ""]:
    """Returns the action, or with the chance `slip` any of the choices, itself among them."""
    k_whether, k_which = jax.random.split(key)
    anything = jax.random.randint(k_which, (), 0, choices)
    return jax.numpy.where(jax.random.bernoulli(k_whether, slip), anything, action)
