"""Several tasks at once: one policy for all of them, and what becomes of their gradients on the way.

They help where tasks have something in common. They fail where tasks want opposite things of the same weights
(conflict), or where one task's gradients drown the others' (the winner takes all).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def which(context: Float[Array, "*n context"]) -> Int[Array, "*n"]:
    """-> the source that a context names; the first where it names none, or where nothing is told."""
    told = context.shape[-1]
    return jnp.argmax(context, -1) if told else jnp.zeros(context.shape[:-1], jnp.int32)
