"""Labels for supervised losses: true numbers of a state, as cumulants of weight 0.

A loss reads them in `Transition.cumulants`, in the order of `Env.cumulant_names`, so that supervised and reinforcement
learning share one loop. No reward contains them, since their weight in `Task.w` is 0 unless a task sets another.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.env import Env, EnvParams, PyTree
from headstart.core.wrapper import Wrapper


class Labelled(Wrapper):
    """An env with labels of each state as additional cumulants.

    `labels` is a function of (params, state) of the inner env, which returns one number for each of `names`. The labels
    of a transition are those of the state that its `obs` shows.
    """

    env: Env = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    labels: Callable[[EnvParams, PyTree], Float[Array, " label"]] = eqx.field(static=True)

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return (*self.env.cumulant_names, *self.names)

    @property
    def label_names(self) -> tuple[str, ...]:
        return (*self.env.label_names, *self.names)

    def cumulants(
        self, params: EnvParams, state: PyTree, action: Array, next_state: PyTree
    ) -> Float[Array, " cumulant"]:
        labels = self.labels(self.inner_params(params), self.inner_state(state))
        return jnp.concatenate([super().cumulants(params, state, action, next_state), labels])


def default_weights(env: Env) -> dict[str, float]:
    """Returns the weight of each cumulant in a task that sets none: 0 of a label, else 1."""
    return {name: float(name not in env.label_names) for name in env.cumulant_names}
