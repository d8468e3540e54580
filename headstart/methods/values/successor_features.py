"""Successor features: what each policy will come by, kept apart from what that is worth; a new task is a new worth.

Transfers: every policy's successor features; what they are worth is learned anew, by regression.
Assumes: source and target differ in the rewards' weights alone, and rewards are φ · w.
Fails when: dynamics differ, or φ does not hold what a task pays for.
Source: arXiv:1606.05312, algorithm 3 (generalized policy improvement over the policies of all tasks so far).
Departs from it in: nothing but that a full library gives its newest policy's place away.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from headstart.core.errors import check_choices, check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Record, Replay, Spec, Transition, no_loss
from headstart.learners.qlearning import SMALL, QLearning, require_named_states, state_index, time_ordered
from headstart.losses.successor import gpi_action, reward_step, successor_target
from headstart.nets.exploration import epsilon_greedy


@dataclasses.dataclass(frozen=True)
class SuccessorFeatures(Method):
    """Tables of successor features, one for each task so far; the newest begins as a copy of the one before it."""

    max_policies: int = 20  # places in the library, >= 1
    act_by: Literal["gpi", "last"] = "gpi"  # act by the best of all policies, or by the newest alone
    learning_rate: float = 0.5  # α of successor features, in (0, 1]
    reward_learning_rate: float = 0.5  # α of what they are worth, in (0, 1]
    discount: float = 0.95  # γ, in [0, 1]
    epsilon: float = 0.15  # share of random actions, in [0, 1]

    def __post_init__(self) -> None:
        check_choices(self, "act_by")
        check_range(self, "max_policies", 1, float("inf"))
        for name in ("learning_rate", "reward_learning_rate"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        for name in ("discount", "epsilon"):
            check_range(self, name, 0.0, 1.0)

    def base_learner(self) -> Method:
        """Returns Q-learning in a table: what is left of this with one task, and one number to learn of each choice."""
        return QLearning(self.learning_rate, self.discount, self.epsilon)

    def build(self, spec: Spec, target: bool) -> Learner:
        states = require_named_states("SuccessorFeatures", spec)
        return Learner(
            init=functools.partial(_init, self, states, spec),
            act=functools.partial(_act, self, spec),
            prepare=functools.partial(_observe, self, spec),
            loss=no_loss,
            optimizer=optax.identity(),
            replay=Replay(num_steps=1, num_envs=1, batch_size=1),
        )


class Library(Record):
    """What each policy will come by, and what that is worth in its task."""

    psi: Float[Array, "*seed policy state choice cumulant"]
    w: Float[Array, "*seed policy cumulant"]
    newest: Int[Array, "*seed"]  # the policy that learns


def _init(sf: SuccessorFeatures, states: int, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    k_psi, k_w = jax.random.split(key)
    small = functools.partial(jax.random.uniform, minval=-SMALL, maxval=SMALL)
    worth = small(k_w, (spec.num_cumulants,))
    if prior is None:
        psi = jnp.zeros((sf.max_policies, states, spec.action_space.size, spec.num_cumulants))
        psi = psi.at[0].set(small(k_psi, psi.shape[1:]))
        return Knowledge(
            value=Library(psi, jnp.zeros((sf.max_policies, spec.num_cumulants)).at[0].set(worth), jnp.int32(0))
        )
    known: Library = prior.value
    newest = jnp.minimum(known.newest + 1, sf.max_policies - 1)
    psi = known.psi.at[newest].set(known.psi[known.newest])
    return prior.replace(value=Library(psi, known.w.at[newest].set(worth), newest))


def _choose(sf: SuccessorFeatures, known: Library, state: Array) -> tuple[Array, Array]:
    """-> the best choice in that state, and the policy it is taken from."""
    psi, w = known.psi[:, state], known.w[known.newest]
    if sf.act_by == "last":
        return jnp.argmax(psi[known.newest] @ w), known.newest
    return gpi_action(psi, w, known.newest + 1)


def _act(
    sf: SuccessorFeatures, spec: Spec, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float
):
    best, _ = _choose(sf, k.value, state_index(spec, obs))
    return epsilon_greedy(best, spec.action_space.size, explore * sf.epsilon, key), carry, {}


def _observe(
    sf: SuccessorFeatures, spec: Spec, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """Of each step, what the newest policy's features are, what they are worth, and what the policy followed learns.

    The newest policy goes on by the choice of all; the one that was followed, if it is another, by its own for its own
    task's w.
    """

    def learn(known: Library, t: Transition) -> tuple[Library, None]:
        here, there = state_index(spec, t.obs), state_index(spec, t.next_obs)
        newest, counts = known.newest, (t.weight > 0).astype(jnp.float32)
        worth = reward_step(known.w[newest], t.cumulants, t.reward, counts * sf.reward_learning_rate)
        known = known.replace(w=known.w.at[newest].set(worth))
        _, followed = _choose(sf, known, here)
        goes_on, _ = _choose(sf, known, there)
        own = jnp.argmax(known.psi[followed, there] @ known.w[followed])

        def change(policy: Array, choice: Array) -> Array:
            target = successor_target(t.cumulants, sf.discount * t.discount, known.psi[policy, there, choice])
            return counts * sf.learning_rate * (target - known.psi[policy, here, t.action])

        both = jnp.stack([newest, followed])
        changes = jnp.stack([change(newest, goes_on), jnp.where(followed != newest, change(followed, own), 0.0)])
        # One write after all reading: so XLA needs no second copy of the table.
        return known.replace(psi=known.psi.at[both, here, t.action].add(changes)), None

    return k.replace(value=jax.lax.scan(learn, k.value, time_ordered(fresh))[0]), fresh
