"""Successor features: the expected sums of each policy's features φ; a new task is new reward weights on them.

Transfers: every policy's successor features; the reward weights are learned again, by regression.
Assumes: source and target differ in the weights of rewards alone, and rewards are φ · w.
Fails when: dynamics differ, or φ does not contain what a task rewards.
Source: arXiv:1606.05312, algorithm 3 (generalized policy improvement over the policies of all tasks so far).
Departs from it in: nothing, except that a full library overwrites its newest policy.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from headstart.core.errors import check_choices, check_range
from headstart.core.types import Learner, Method, Record, Replay, Spec, Transition
from headstart.learners.qlearning import INITIAL_RANGE, QLearning, require_named_states, state_index, time_ordered
from headstart.losses.successor import gpi_action, reward_step, successor_target
from headstart.nets.exploration import epsilon_greedy


@dataclasses.dataclass(frozen=True)
class SuccessorFeatures(Method):
    """Tables of successor features, one for each task so far; the newest starts as a copy of the one before it."""

    max_policies: int = 20  # tables in the library, >= 1
    act_by: Literal["gpi", "last"] = "gpi"  # act by the best of all policies, or by the newest one
    learning_rate: float = 0.5  # α of successor features, in (0, 1]
    reward_learning_rate: float = 0.5  # α of the reward weights, in (0, 1]
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
        """Returns Q-learning with a table: this method with one task and one cumulant."""
        return QLearning(self.learning_rate, self.discount, self.epsilon)

    def build(self, spec: Spec, target: bool) -> Learner:
        states, n = require_named_states("SuccessorFeatures", spec), spec.action_space.size
        uniform = functools.partial(jax.random.uniform, minval=-INITIAL_RANGE, maxval=INITIAL_RANGE)

        def init(key, prior):
            k_psi, k_w = jax.random.split(key)
            w = uniform(k_w, (spec.num_cumulants,))
            if prior is None:
                psi = jnp.zeros((self.max_policies, states, n, spec.num_cumulants))
                psi = psi.at[0].set(uniform(k_psi, psi.shape[1:]))
                weights = jnp.zeros((self.max_policies, spec.num_cumulants)).at[0].set(w)
                return {"library": Library(psi, weights, jnp.int32(0))}
            known: Library = prior["library"]
            newest = jnp.minimum(known.newest + 1, self.max_policies - 1)
            psi = known.psi.at[newest].set(known.psi[known.newest])
            return {**prior, "library": Library(psi, known.w.at[newest].set(w), newest)}

        def choose(known: Library, state: Array) -> tuple[Array, Array]:
            """Returns the best action in a state, and the policy that it comes from."""
            psi, w = known.psi[:, state], known.w[known.newest]
            if self.act_by == "last":
                return jnp.argmax(psi[known.newest] @ w), known.newest
            return gpi_action(psi, w, known.newest + 1)

        def act(params, carry, obs, context, info):
            greedy, _ = choose(params["library"], state_index(spec, obs))
            return epsilon_greedy(greedy, n, info.explore * self.epsilon, info.key), carry, {}

        def prepare(params, rollout, info):
            """For each step, updates the newest policy's reward weights and ψ, and ψ of the policy that was followed.

            The newest policy's next action is that of all policies. The one that was followed, if it is another, learns
            for its own task's w, with its own next action.
            """

            def learn(known: Library, t: Transition) -> tuple[Library, None]:
                state, next_state = state_index(spec, t.obs), state_index(spec, t.next_obs)
                newest, counts = known.newest, (t.weight > 0).astype(jnp.float32)
                w = reward_step(known.w[newest], t.cumulants, t.reward, counts * self.reward_learning_rate)
                known = known.replace(w=known.w.at[newest].set(w))
                _, followed = choose(known, state)
                next_action, _ = choose(known, next_state)
                own_action = jnp.argmax(known.psi[followed, next_state] @ known.w[followed])

                def change(policy: Array, action: Array) -> Array:
                    psi_next = known.psi[policy, next_state, action]
                    wanted = successor_target(t.cumulants, self.discount * t.discount, psi_next)
                    return counts * self.learning_rate * (wanted - known.psi[policy, state, t.action])

                own = jnp.where(followed != newest, change(followed, own_action), 0.0)
                both, changes = jnp.stack([newest, followed]), jnp.stack([change(newest, next_action), own])
                # One write after all reads, so that XLA needs no second copy of the table.
                return known.replace(psi=known.psi.at[both, state, t.action].add(changes)), None

            return {**params, "library": jax.lax.scan(learn, params["library"], time_ordered(rollout))[0]}, rollout

        replay = Replay(num_steps=1, num_envs=1, batch_size=1)
        return Learner(init=init, act=act, prepare=prepare, phases=(), replay=replay)


class Library(Record):
    """The successor features of each policy, and the reward weights of its task."""

    psi: Float[Array, "*seed policy state action cumulant"]
    w: Float[Array, "*seed policy cumulant"]
    newest: Int[Array, "*seed"]  # the policy that is trained
