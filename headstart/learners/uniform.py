"""The random policy: every action as likely as any other. The floor that every transfer ratio is measured from."""

import dataclasses
import functools

import jax
import optax
from jaxtyping import Array

from headstart.core.types import Box, Key, Knowledge, Learner, Method, Replay, Spec, no_loss


@dataclasses.dataclass(frozen=True)
class Uniform(Method):
    """Acts uniformly at random, judged or not, and learns nothing."""

    def build(self, spec: Spec, target: bool) -> Learner:
        return Learner(
            init=lambda key, prior: Knowledge(),
            act=functools.partial(_act, spec),
            observe=lambda k, fresh, key, progress: (k, fresh),
            loss=no_loss,
            optimizer=optax.identity(),
            replay=Replay(length=1, copies=1, batch=1),
        )


def _act(spec: Spec, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
    if isinstance(spec.action, Box):
        return jax.random.uniform(key, (spec.action.size,), minval=-1.0, maxval=1.0), carry, {}
    return jax.random.randint(key, (), 0, spec.action.n), carry, {}
