"""Random policies: the floor that every transfer ratio is measured from, and the shift doctor's explorer."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.types import Box, Key, Learner, Method, Replay, Spec

REPEAT_PROBABILITY = 0.95  # of the last action, in the episodes of StickyRandom that repeat actions


def random_action(spec: Spec, key: Key) -> Array:
    """Returns an action drawn uniformly."""
    if isinstance(spec.action_space, Box):
        return jax.random.uniform(key, (spec.action_space.size,), minval=-1.0, maxval=1.0)
    return jax.random.randint(key, (), 0, spec.action_space.n)


@dataclasses.dataclass(frozen=True)
class Uniform(Method):
    """Acts uniformly at random, in training and in evaluation, and learns nothing."""

    def build(self, spec: Spec, target: bool) -> Learner:
        return Learner(
            init=lambda key, prior: {},
            act=lambda params, carry, obs, context, info: (random_action(spec, info.key), carry, {}),
            phases=(),
            replay=Replay(num_steps=1, num_envs=1, batch_size=1),
        )


@dataclasses.dataclass(frozen=True)
class StickyRandom(Method):
    """Acts at random; in half of its episodes it repeats each action for some 20 steps, and so travels farther."""

    def build(self, spec: Spec, target: bool) -> Learner:
        def init_carry(parameters, info):
            k_action, k_sticky = jax.random.split(info.key)
            return random_action(spec, k_action), jax.random.bernoulli(k_sticky)

        def act(params, carry, obs, context, info):
            (last, sticky), (k_action, k_repeat) = carry, jax.random.split(info.key)
            repeat = sticky & jax.random.bernoulli(k_repeat, REPEAT_PROBABILITY)
            action = jnp.where(repeat, last, random_action(spec, k_action))
            return action, (action, sticky), {}

        return Uniform().learner(spec)._replace(init_carry=init_carry, act=act)
