"""The random policy: every action as likely as any other. The floor that every transfer ratio is measured from."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
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
            prepare=lambda k, fresh, key, progress: (k, fresh),
            loss=no_loss,
            optimizer=optax.identity(),
            replay=Replay(num_steps=1, num_envs=1, batch_size=1),
        )


def _act(spec: Spec, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
    if isinstance(spec.action_space, Box):
        return jax.random.uniform(key, (spec.action_space.size,), minval=-1.0, maxval=1.0), carry, {}
    return jax.random.randint(key, (), 0, spec.action_space.n), carry, {}


REPEAT_PROBABILITY = 0.95  # the chance that a wanderer who keeps an action keeps it at the next step


@dataclasses.dataclass(frozen=True)
class StickyRandom(Method):
    """Acts at random, and in half of its episodes keeps each action for some 20 steps: so it comes farther."""

    def build(self, spec: Spec, target: bool) -> Learner:
        random = Uniform().learner(spec)

        def fresh(key: Key) -> Array:
            return _act(spec, Knowledge(), (), jnp.zeros(0), jnp.zeros(0), key, 1.0)[0]

        def begin(key: Key, parameters: Array):
            k_action, k_keeps = jax.random.split(key)
            return fresh(k_action), jax.random.bernoulli(k_keeps)

        def act(k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
            (before, keeps), (k_action, k_keep) = carry, jax.random.split(key)
            action = jnp.where(keeps & jax.random.bernoulli(k_keep, REPEAT_PROBABILITY), before, fresh(k_action))
            return action, (action, keeps), {}

        return random._replace(init_carry=begin, act=act)
