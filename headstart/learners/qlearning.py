"""Q-learning with a table (Watkins and Dayan 1992), where states are so few that each can have a row.

Knowledge: `value` is the table. It learns from each step as it comes, and by no gradient: all of it is in `observe`.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Box, Discrete, Key, Knowledge, Learner, Method, Replay, Spec, Transition, no_loss
from headstart.nets.exploration import epsilon_greedy

SMALL = 0.01  # how far from 0 values begin, so that no choice is always the first
MOST = 2**24  # states that a table may have


@dataclasses.dataclass(frozen=True)
class QLearning(Method):
    """Q-learning in a table, step by step."""

    learning_rate: float = 0.5  # α, in (0, 1]
    discount: float = 0.95  # γ, in [0, 1]
    epsilon: float = 0.15  # share of random actions, in [0, 1]

    def __post_init__(self) -> None:
        check_range(self, "learning_rate", 0.0, 1.0, open_low=True)
        check_range(self, "discount", 0.0, 1.0)
        check_range(self, "epsilon", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        states = require_named_states("QLearning", spec)
        return Learner(
            init=functools.partial(_init, states, spec),
            act=functools.partial(_act, self, spec),
            prepare=functools.partial(_observe, self, spec),
            loss=no_loss,
            optimizer=optax.identity(),
            replay=Replay(num_steps=1, num_envs=1, batch_size=1),
        )


def require_named_states(owner: str, spec: Spec) -> int:
    """-> how many rows a table has. Raises InputError where states are no names, actions no choices, tasks several."""
    seen = spec.observation_space
    if not isinstance(seen, Box) or seen.num_states is None or not isinstance(spec.action_space, Discrete):
        raise InputError(
            f"{owner} keeps a table, for which states must be names (as in FourRooms or GridWall) and actions choices; "
            "use DQN, or another learner with a network."
        )
    if seen.num_states > MOST:
        raise InputError(f"{owner} keeps a table, and {seen.num_states:.0e} states are too many for one; use DQN.")
    if spec.num_tasks > 1:
        raise InputError(f"{owner} learns one task after the other; give it one source, not {spec.num_tasks} together.")
    return seen.num_states


def state_index(spec: Spec, obs: Array) -> Array:
    """-> the state that is seen."""
    assert isinstance(spec.observation_space, Box)
    return spec.observation_space.index(obs)


def time_ordered(fresh: Transition) -> Transition:
    """-> steps one after the other [step], of experience [task, time, copy]."""
    by_time = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), fresh)
    return jax.tree.map(lambda x: x.reshape(math.prod(x.shape[:3]), *x.shape[3:]), by_time)


def _init(states: int, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:
        return prior
    return Knowledge(value=jax.random.uniform(key, (states, spec.action_space.size), minval=-SMALL, maxval=SMALL))


def _act(q: QLearning, spec: Spec, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
    return (
        epsilon_greedy(jnp.argmax(k.value[state_index(spec, obs)]), spec.action_space.size, explore * q.epsilon, key),
        carry,
        {},
    )


def _observe(
    q: QLearning, spec: Spec, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """Q(s, a) ← Q(s, a) + α (r + γ max_b Q(s', b) − Q(s, a)), for one step after the other."""

    def learn(table: Float[Array, "state choice"], t: Transition) -> tuple[Float[Array, "state choice"], None]:
        here, follows = state_index(spec, t.obs), table[state_index(spec, t.next_obs)].max()
        target = t.reward + jnp.where(t.discount > 0, q.discount * follows, 0.0)
        change = jnp.where(t.weight > 0, q.learning_rate * (target - table[here, t.action]), 0.0)
        return table.at[here, t.action].add(change), None

    return k.replace(value=jax.lax.scan(learn, k.value, time_ordered(fresh))[0]), fresh
