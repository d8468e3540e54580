"""Q-learning with a table (Watkins and Dayan 1992), for states so few that each can have a row.

The only part is `value`, the table. It learns from each step in turn and without gradients, in `prepare`.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Box, Discrete, Learner, Method, Replay, Spec, Transition
from headstart.nets.exploration import epsilon_greedy

INITIAL_RANGE = 0.01  # of initial values, so that ties between actions are broken at random
MAX_STATES = 2**24


@dataclasses.dataclass(frozen=True)
class QLearning(Method):
    """Q-learning with a table, step by step."""

    learning_rate: float = 0.5  # α, in (0, 1]
    discount: float = 0.95  # γ, in [0, 1]
    epsilon: float = 0.15  # share of random actions, in [0, 1]

    def __post_init__(self) -> None:
        check_range(self, "learning_rate", 0.0, 1.0, open_low=True)
        check_range(self, "discount", 0.0, 1.0)
        check_range(self, "epsilon", 0.0, 1.0)

    def build(self, spec: Spec, target: bool) -> Learner:
        states, n = require_named_states("QLearning", spec), spec.action_space.size

        def init(key, prior):
            table = jax.random.uniform(key, (states, n), minval=-INITIAL_RANGE, maxval=INITIAL_RANGE)
            return {"value": table} if prior is None else prior

        def act(params, carry, obs, context, info):
            greedy = jnp.argmax(params["value"][state_index(spec, obs)])
            return epsilon_greedy(greedy, n, info.explore * self.epsilon, info.key), carry, {}

        def prepare(params, rollout, info):
            """Q(s, a) ← Q(s, a) + α (r + γ max_b Q(s', b) − Q(s, a)), step by step."""

            def learn(table: Float[Array, "state action"], t: Transition):
                state, next_value = state_index(spec, t.obs), table[state_index(spec, t.next_obs)].max()
                td_target = t.reward + jnp.where(t.discount > 0, self.discount * next_value, 0.0)
                change = jnp.where(t.weight > 0, self.learning_rate * (td_target - table[state, t.action]), 0.0)
                return table.at[state, t.action].add(change), None

            table, _ = jax.lax.scan(learn, params["value"], time_ordered(rollout))
            return {**params, "value": table}, rollout

        replay = Replay(num_steps=1, num_envs=1, batch_size=1)
        return Learner(init=init, act=act, prepare=prepare, phases=(), replay=replay)


def require_named_states(owner: str, spec: Spec) -> int:
    """Returns the number of states. Raises InputError where a table does not fit the spaces, or tasks are several."""
    space = spec.observation_space
    if not isinstance(space, Box) or space.num_states is None or not isinstance(spec.action_space, Discrete):
        raise InputError(
            f"{owner} keeps a table, which needs enumerable states (as in FourRooms or GridWall) and discrete actions; "
            "use DQN, or another learner with a network."
        )
    if space.num_states > MAX_STATES:
        raise InputError(f"{owner} keeps a table, and {space.num_states:.0e} states are too many for one; use DQN.")
    if spec.num_tasks > 1:
        raise InputError(f"{owner} learns one task at a time; give it one source, not {spec.num_tasks} together.")
    return space.num_states


def state_index(spec: Spec, obs: Array) -> Array:
    """Returns the index of the observed state."""
    assert isinstance(spec.observation_space, Box)
    return spec.observation_space.index(obs)


def time_ordered(rollout: Transition) -> Transition:
    """Returns the steps of a rollout [task, time, env] one after another [step]."""
    by_time = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), rollout)
    return jax.tree.map(lambda x: x.reshape(math.prod(x.shape[:3]), *x.shape[3:]), by_time)
