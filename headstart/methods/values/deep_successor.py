"""Deep successor features: a network of them for the policy of each source; in the target only their worth is learned.

Transfers: every source policy's successor features (value) and what encodes images for them (features).
Assumes: sources and target differ in the rewards' weights alone, and rewards are φ · w.
Fails when: dynamics differ, φ does not hold what a task pays for, or no source's policy is of use in the target.
Source: arXiv:1606.05312, sections 4.2 and 5.2 (SFDQN), with generalized policy improvement over all sources' policies.
Departs from it in: sources are learned side by side, each policy from the experience of all; weights are solutions of
least squares, not of gradient steps; before the target has paid anything, they are the sources' mean; exploration and
the step size fall in the course of the training.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import (
    RATES,
    Discrete,
    Key,
    Knowledge,
    Learner,
    Method,
    Metrics,
    Replay,
    Spec,
    Transition,
    no_loss,
)
from headstart.learners.dqn import DQN
from headstart.learners.teachers import check_task_context, task_index
from headstart.losses.successor import gpi_action, least_squares, successor_target
from headstart.losses.weighted import weighted_mean
from headstart.nets.encoders import encode, encoder, feature_dim
from headstart.nets.exploration import epsilon_greedy, epsilon_schedule
from headstart.nets.mlp import check_network
from headstart.nets.optimizers import clipped_adam
from headstart.nets.successors import SuccessorNetworks, successor_networks


@dataclasses.dataclass(frozen=True)
class DeepSuccessorFeatures(Method):
    """Q-learning of vectors: what each source's policy will come by, by a network of its own."""

    learning_rate: float = 1e-3  # Adam's step size, > 0
    anneal_learning_rate: bool = True  # learning rate falls linearly to 0 over the training
    discount: float = 0.95  # γ, in [0, 1]
    epsilon: float = 0.1  # share of random actions at last, in [0, 1]; 1 at first
    exploration_fraction: float = 0.2  # share of the training in which that share falls, in (0, 1]
    ridge: float = 1e-2  # steps' worth of doubt that keeps the target's weights at the sources' mean, > 0
    tau: float = 1.0  # share of the new in the lagged network when it moves, in (0, 1]
    target_update_period: int = 100  # gradient steps between two moves of the lagged network, >= 1
    max_grad_norm: float = 10.0  # the gradient's global norm is cut to this
    update_to_data: float = 0.25  # gradient steps for each step that a source gathers, within [1e-6, 1e4]
    batch_size: int = 64  # transitions of each source in one of them
    buffer_size: int = 50_000  # transitions kept of each source
    learning_starts: int = 1_000  # steps in the sources before the first gradient step
    num_steps: int = 4  # steps per copy between gradient steps
    num_envs: int = 4  # parallel worlds
    hidden: tuple[int, ...] = (128, 128)  # widths of the hidden layers of each policy's network
    activation: str = "relu"  # tanh, relu, swish or elu

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_grad_norm", "ridge"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        for name in ("tau", "exploration_fraction"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        for name in ("discount", "epsilon"):
            check_range(self, name, 0.0, 1.0)
        check_range(self, "learning_starts", 0, float("inf"))
        for name in ("target_update_period", "batch_size", "buffer_size", "num_steps", "num_envs"):
            check_range(self, name, 1, float("inf"))
        check_network(type(self).__name__, self.hidden, self.activation)

    def base_learner(self) -> Method:
        """Returns DQN with the same settings: this with one task, and one number to learn of each choice."""
        mine = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return DQN(**{field.name: mine[field.name] for field in dataclasses.fields(DQN) if field.name in mine})

    def build(self, spec: Spec, target: bool) -> Learner:
        check_task_context("DeepSuccessorFeatures", spec)
        if not isinstance(spec.action_space, Discrete):
            raise InputError("Successor features are of choices, and this task takes real numbers; use SAC or PPO.")
        common = Learner(
            init=functools.partial(_init, self, spec),
            act=functools.partial(_act, self, target),
            prepare=functools.partial(_observe, self, target),
            loss=no_loss,
            optimizer=optax.identity(),
            replay=Replay(num_steps=1, num_envs=1, batch_size=1),
        )
        return (
            common
            if target
            else common._replace(
                loss=functools.partial(_loss, self),
                optimizer=clipped_adam(self.learning_rate, self.max_grad_norm, self.anneal_learning_rate),
                replay=Replay(
                    self.num_steps,
                    self.num_envs,
                    self.batch_size,
                    1,
                    self.buffer_size,
                    self.update_to_data,
                    self.learning_starts,
                ),
                tau=self.tau,
                target_update_period=self.target_update_period,
            )
        )


def weights(known: SuccessorNetworks, ridge: float) -> Float[Array, "task cumulant"]:
    """-> what φ is worth in each task. No gradient reaches it."""
    fit = functools.partial(least_squares, ridge=ridge)
    gram, paid = known.rewards.gram, known.rewards.reward_features
    sources = jax.vmap(fit, in_axes=(0, 0, None))(gram[:-1], paid[:-1], jnp.zeros(paid.shape[1]))
    target = fit(gram[-1], paid[-1], sources.mean(0))
    return jax.lax.stop_gradient(jnp.concatenate([sources, target[None]]))


def _slot(context: Float[Array, "*n context"], target: bool, tasks: int) -> Array:
    """-> whose weights are meant: those of the source that the context names; in a target that is none, its own."""
    own = target & (context.sum(-1) == 0)
    return jnp.where(own, tasks - 1, task_index(context))


def _init(deep: DeepSuccessorFeatures, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:
        return prior.replace(value=prior.value.forget_target(), extra=prior.extra.for_transfer())
    features = encoder(spec.observation_space, key, normalise=False)
    layers, sizes = (
        (feature_dim(features, spec.observation_space), *deep.hidden),
        (max(spec.context_dim, 1), spec.action_space.size),
    )
    known = successor_networks(layers, *sizes, spec.num_cumulants, deep.activation, key)
    return Knowledge(features, value=known, extra=epsilon_schedule())


def _act(deep: DeepSuccessorFeatures, target: bool, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore):
    worth = weights(k.value, deep.ridge)
    psi = k.value.psi(encode(k, obs, context[:0]))
    best, _ = gpi_action(psi, worth[_slot(context, target, len(worth))], len(psi))
    return epsilon_greedy(best, psi.shape[1], explore * k.extra.epsilon, key), carry, {}


def _observe(
    deep: DeepSuccessorFeatures, target: bool, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
):
    tasks, d = k.value.rewards.reward_features.shape
    whose = jax.nn.one_hot(_slot(fresh.context, target, tasks), tasks) * fresh.weight[..., None]
    phi = jnp.where(fresh.weight[..., None] > 0, fresh.cumulants, 0.0).reshape(-1, d)
    reward = jnp.where(fresh.weight > 0, fresh.reward, 0.0).reshape(-1)
    value = k.value.update(phi, reward, whose.reshape(-1, tasks))
    return k.replace(value=value, extra=k.extra.decay(deep.epsilon, deep.exploration_fraction, progress)), fresh


def _loss(
    deep: DeepSuccessorFeatures, k: Knowledge, slow: Knowledge, batch: Transition, key: Key, progress: Array | float
):
    """Each policy learns, from the experience of all, what it would come by if it went on by its own best choice."""
    worth = weights(k.value, deep.ridge)[:-1]

    def one(t: Transition) -> Metrics:
        none = t.context[:0]
        psi, ahead = k.value.psi(encode(k, t.obs, none)), k.value.psi(encode(k, t.next_obs, none))
        lagged = slow.value.psi(encode(slow, t.next_obs, none))

        def of_policy(psi: Array, ahead: Array, lagged: Array, w: Array) -> Array:
            goes_on = lagged[jnp.argmax(ahead @ w)]
            wanted = successor_target(t.cumulants, deep.discount * t.discount, goes_on)
            return jnp.square(psi[t.action] - jax.lax.stop_gradient(wanted)).sum()

        return {"value_loss": jax.vmap(of_policy)(psi, ahead, lagged, worth).mean()}

    mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
    return mean["value_loss"], {**mean, "epsilon": k.extra.epsilon}
