"""Target networks: lagged copies of parts, which `Phase.after` moves."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.names import select_parts
from headstart.core.types import Info, Params


def polyak(params: Params, target: str, parts: tuple[str, ...], tau: Array | float) -> Params:
    """Returns params whose part `target`, a copy of `parts`, has moved towards them by the share `tau`."""
    move = lambda new, old: tau * new + (1 - tau) * old
    return {**params, target: jax.tree.map(move, select_parts(params, parts), params[target])}


def periodic_polyak(params: Params, info: Info, target: str, parts: tuple[str, ...], tau: float, period: int) -> Params:
    """Does so after every `period`-th update, and else returns params as they are."""
    due = (jnp.asarray(info.updates) + 1) % period == 0
    return polyak(params, target, parts, jnp.where(due, tau, 0.0))
