"""Proximal policy optimisation (arXiv:1707.06347), for continuous and discrete actions.

Knowledge: `features` normalise vectors, or encode images by what both losses ask for; `policy` is a Gaussian or a
softmax, `value` a critic and the scale of returns. All three transfer, statistics and all: a policy is worth nothing
without the normaliser it was trained under.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Metrics, Record, Replay, Spec, Transition
from headstart.losses.policy_gradient import approximate_kl, clipped_surrogate, gae
from headstart.losses.weighted import standardize, weighted_mean
from headstart.nets.contract import feedforward_contract
from headstart.nets.encoders import encode, encoder, feature_dim, update_statistics
from headstart.nets.mlp import MLP, check_network, mlp
from headstart.nets.optimizers import clipped_adam
from headstart.nets.policies import mode, policy
from headstart.nets.running_statistics import RunningRMS, running_rms


class Critic(Record):
    """The value in units of the returns' scale, and that scale. A method may put another in its place."""

    net: MLP
    scale: RunningRMS

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, ""]:
        """-> the value, in units of the scale."""
        return self.net(x)[0]

    def value(self, x: Float[Array, " features"]) -> Float[Array, ""]:
        """-> the value as it is."""
        return self.scale.rms * self(x)

    def update(self, returns: Float[Array, "*n"], context: Float[Array, "*n context"], weight: Float[Array, "*n"]):
        """-> the critic, its scale that of the returns seen so far and of these."""
        return self.replace(scale=self.scale.update(returns.reshape(-1), weight.reshape(-1)))

    def normalize(self, returns: Float[Array, "*n"], context: Float[Array, "*n context"]) -> Float[Array, "*n"]:
        """-> returns in units of the scale."""
        return returns / self.scale.rms


@dataclasses.dataclass(frozen=True)
class PPO(Method):
    """Proximal policy optimisation with the customary details (arXiv:2005.12729 tells which of them matter)."""

    learning_rate: float = 3e-4  # Adam's step size, > 0
    anneal_learning_rate: bool = True  # learning rate falls linearly to 0 over the training
    discount: float = 0.99  # γ, in [0, 1]
    gae_lambda: float = 0.95  # λ of the advantage estimate, in [0, 1]
    clip_eps: float = 0.2  # ε of the surrogate, > 0
    entropy_coef: float = 0.0  # weight of the policy's entropy, >= 0
    value_coef: float = 0.5  # weight of the critic's loss, > 0
    max_grad_norm: float = 0.5  # the gradient's global norm is cut to this
    target_kl: float | None = None  # a rollout's updates stop when the policy has moved 1.5 times this far, nats
    num_steps: int = 128  # steps per copy and rollout
    num_envs: int = 16  # parallel worlds
    num_epochs: int = 10  # passes over a rollout
    batch_size: int = 64  # transitions per gradient step
    hidden: tuple[int, ...] = (64, 64)  # widths of the policy's and of the critic's hidden layers
    activation: str = "tanh"  # tanh, relu, swish or elu

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip_eps", "value_coef", "max_grad_norm", "target_kl"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        for name in ("discount", "gae_lambda"):
            check_range(self, name, 0.0, 1.0)
        for name in ("num_steps", "num_envs", "num_epochs", "batch_size"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "entropy_coef", 0.0, float("inf"))
        check_network(type(self).__name__, self.hidden, self.activation)

    def build(self, spec: Spec, target: bool) -> Learner:
        if target:
            return self.learner(spec)  # the same in both domains, and so compiled once
        return Learner(
            init=functools.partial(_init, self, spec),
            act=_act,
            prepare=functools.partial(_observe, self),
            loss=functools.partial(_loss, self),
            policy_contract=feedforward_contract,
            optimizer=optax.flatten(  # networks so small that it takes longer to go through them one by one
                clipped_adam(self.learning_rate, self.max_grad_norm, self.anneal_learning_rate, eps=1e-5)
            ),
            replay=Replay(self.num_steps, self.num_envs, self.batch_size, num_epochs=self.num_epochs),
            stop=None if self.target_kl is None else functools.partial(_moved, 1.5 * self.target_kl),
        )


def _init(ppo: PPO, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:
        return prior
    k_policy, k_value = jax.random.split(key)
    features = encoder(spec.observation_space, key, normalise=True)
    inputs = feature_dim(features, spec.observation_space) + spec.context_dim
    return Knowledge(
        features=features,
        policy=policy(inputs, ppo.hidden, spec.action_space, ppo.activation, k_policy),
        value=Critic(mlp((inputs, *ppo.hidden, 1), 1.0, ppo.activation, k_value), running_rms()),
    )


def _act(k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
    pi = k.policy(encode(k, obs, context))
    return jnp.where(explore > 0, pi.sample(key), mode(pi)), carry, {}


def _observe(
    ppo: PPO, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    """Statistics, advantages and value targets of a rollout [task, time, copy].

    Log-probabilities are taken under the statistics that the updates will use, so that their ratio starts at 1.
    Advantages are centred and normalised over the whole rollout here, not within a batch: a method that masks some
    of it afterwards keeps the baseline of all of it.
    """
    weight = fresh.weight.reshape(-1)
    k = k.replace(features=update_statistics(k.features, fresh.obs, weight))

    def look(t: Transition) -> tuple[Array, Array, Array]:
        x = encode(k, t.obs, t.context)
        return k.policy(x).log_prob(t.action), k.value.value(x), k.value.value(encode(k, t.next_obs, t.next_context))

    log_prob, v, v_next = jax.vmap(jax.vmap(jax.vmap(look)))(fresh)
    stream = functools.partial(gae, lam=ppo.gae_lambda)
    streams = jax.vmap(jax.vmap(stream, in_axes=1, out_axes=1))
    advantage = streams(fresh.reward, ppo.discount * fresh.discount, fresh.last, v, v_next)
    returns = advantage + v
    k = k.replace(value=k.value.update(returns, fresh.context, fresh.weight))

    seen = {
        "log_prob": log_prob,
        "advantage": standardize(jnp.where(fresh.weight > 0, advantage, 0.0), fresh.weight),
        "value_target": k.value.normalize(returns, fresh.context),
        "next_value": v_next,
    }
    return k, fresh.replace(extras={**fresh.extras, **seen})


def _loss(ppo: PPO, k: Knowledge, slow: None, batch: Transition, key: Key, progress: Array | float):
    def one(t: Transition) -> Metrics:
        x = encode(k, t.obs, t.context)
        pi = k.policy(x)
        log_ratio = pi.log_prob(t.action) - t.extras["log_prob"]
        return {
            "policy_loss": clipped_surrogate(log_ratio, t.extras["advantage"], ppo.clip_eps),
            "value_loss": jnp.square(k.value(x) - t.extras["value_target"]),
            "entropy": pi.entropy(),
            "kl": approximate_kl(log_ratio),
            "clipped": (jnp.abs(jnp.expm1(log_ratio)) > ppo.clip_eps).astype(jnp.float32),
        }

    each = jax.vmap(jax.vmap(one))(batch)
    mean = weighted_mean(each, batch.weight)
    return mean["policy_loss"] + ppo.value_coef * mean["value_loss"] - ppo.entropy_coef * mean["entropy"], mean


def _moved(limit: float, metrics: Metrics) -> Array:
    return metrics["kl"] > limit
