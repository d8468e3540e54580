"""Deep Q-learning (Mnih et al. 2015), double (arXiv:1509.06461) and, if asked, dueling (arXiv:1511.06581).

Knowledge: `value` is the Q-network, `features` what encodes images for it (nothing for vectors), and `extra` how often
it acts at random. There is no policy but the best choice.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import RATES, Discrete, Key, Knowledge, Learner, Method, Metrics, Replay, Spec, Transition
from headstart.losses.q_learning import double_q_target, huber, n_step
from headstart.losses.weighted import weighted_mean
from headstart.nets.contract import feedforward_contract
from headstart.nets.encoders import encode, encoder, feature_dim
from headstart.nets.exploration import epsilon_greedy, epsilon_schedule
from headstart.nets.mlp import check_network
from headstart.nets.optimizers import clipped_adam
from headstart.nets.values import q_network


@dataclasses.dataclass(frozen=True)
class DQN(Method):
    """Deep Q-learning for choices, with a lagged copy of the network and replayed experience."""

    learning_rate: float = 1e-3  # Adam's step size, > 0
    anneal_learning_rate: bool = True  # learning rate falls linearly to 0 over the training
    discount: float = 0.99  # γ, in [0, 1]
    epsilon: float = 0.05  # share of random actions at last, in [0, 1]; 1 at first
    exploration_fraction: float = 0.2  # share of the training in which that share falls, in (0, 1]
    tau: float = 1.0  # share of the new in the lagged network when it moves, in (0, 1]
    target_update_period: int = 100  # gradient steps between two moves of the lagged network, >= 1
    n_step: int = 1  # steps of reward before the lagged network is asked, >= 1, <= length
    huber_delta: float | None = None  # errors beyond this count linearly, not squared, > 0; None: all are squared
    dueling: bool = False  # whether the network tells a state's value and its choices' advantages apart
    max_grad_norm: float = 10.0  # the gradient's global norm is cut to this
    update_to_data: float = 0.5  # gradient steps for each environment step, within [1e-6, 1e4]
    batch_size: int = 128  # transitions per gradient step
    buffer_size: int = 100_000  # transitions kept
    learning_starts: int = 1_000  # steps in the source before the first gradient step
    num_steps: int = 4  # steps per copy between gradient steps
    num_envs: int = 1  # parallel worlds
    hidden: tuple[int, ...] = (128, 128)  # widths of the hidden layers
    activation: str = "relu"  # tanh, relu, swish or elu

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_grad_norm", "huber_delta"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        for name in ("exploration_fraction", "tau"):
            check_range(self, name, 0.0, 1.0, open_low=True)
        for name in ("discount", "epsilon"):
            check_range(self, name, 0.0, 1.0)
        check_range(self, "learning_starts", 0, float("inf"))
        for name in ("target_update_period", "batch_size", "buffer_size", "num_steps", "num_envs"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "n_step", 1, self.num_steps)
        check_network(type(self).__name__, self.hidden, self.activation)

    def build(self, spec: Spec, target: bool) -> Learner:
        if not isinstance(spec.action_space, Discrete):
            raise InputError("DQN acts by choices, and this task takes real numbers; use SAC or PPO.")
        least = 1 if target else self.learning_starts  # in the target, one episode is to be learned from
        return Learner(
            init=functools.partial(_init, self, spec),
            act=functools.partial(_act, spec.action_space),
            prepare=functools.partial(_observe, self),
            loss=functools.partial(_loss, self),
            policy_contract=feedforward_contract,
            optimizer=clipped_adam(self.learning_rate, self.max_grad_norm, self.anneal_learning_rate),
            replay=Replay(
                self.num_steps,
                self.num_envs,
                self.batch_size,
                buffer_size=self.buffer_size,
                update_to_data=self.update_to_data,
                learning_starts=least,
                n_step=self.n_step,
            ),
            tau=self.tau,
            target_update_period=self.target_update_period,
        )


def _init(dqn: DQN, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:
        return prior.replace(extra=prior.extra.for_transfer())
    features = encoder(spec.observation_space, key, normalise=False)
    inputs = feature_dim(features, spec.observation_space) + spec.context_dim
    net = q_network(inputs, dqn.hidden, spec.action_space.size, dqn.activation, dqn.dueling, key)
    return Knowledge(features, value=net, extra=epsilon_schedule())


def _act(space: Discrete, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
    best = jnp.argmax(k.value(encode(k, obs, context)))
    return epsilon_greedy(best, space.n, explore * k.extra.epsilon, key), carry, {}


def _observe(
    dqn: DQN, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """Sums each transition's next n rewards, as far as its episode and this rollout go."""
    ahead = functools.partial(n_step, n=dqn.n_step)
    streams = jax.vmap(jax.vmap(ahead, in_axes=1, out_axes=1))
    reward, follows, then = streams(fresh.reward, dqn.discount * fresh.discount, fresh.last, fresh.next_obs)
    less = k.extra.decay(dqn.epsilon, dqn.exploration_fraction, progress)
    batch = fresh.replace(reward=reward, next_obs=then, extras={**fresh.extras, "discount": follows})
    returns = jax.vmap(jax.vmap(jax.vmap(functools.partial(_td_target, k, k))))(batch)
    value = k.value.update(returns, batch.context, batch.weight)
    return k.replace(value=value, extra=less), batch


def _td_target(k: Knowledge, slow: Knowledge, t: Transition) -> Float[Array, ""]:
    """-> what a choice should come to: the rewards until the lagged network is asked, and what that says."""
    q_next, q_slow = (known.value.value(encode(known, t.next_obs, t.next_context)) for known in (k, slow))
    return double_q_target(t.reward, t.extras["discount"], q_next, q_slow)


def _loss(dqn: DQN, k: Knowledge, slow: Knowledge, batch: Transition, key: Key, progress: Array | float):
    def one(t: Transition) -> Metrics:
        x = encode(k, t.obs, t.context)
        target = k.value.normalize(_td_target(k, slow, t), t.context)
        error = k.value(x)[t.action] - jax.lax.stop_gradient(target)
        return {"value_loss": huber(error, dqn.huber_delta), "q": k.value.value(x)[t.action]}

    mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
    return mean["value_loss"], {**mean, "epsilon": k.extra.epsilon}
