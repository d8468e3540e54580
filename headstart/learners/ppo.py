"""Proximal policy optimisation (arXiv:1707.06347), for continuous and discrete actions.

Parts: `encoder` (images) or `normalizer` (vectors, running statistics), `policy`, `value`, and `returns`, the running
scale of returns that values are expressed in. All of them transfer. The statistics transfer too, since a policy depends
on the normalizer that it was trained with.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from headstart.core.errors import check_range
from headstart.core.types import Learner, Method, Metrics, Phase, Replay, Spec, Transition
from headstart.losses.policy_gradient import approximate_kl, clipped_surrogate, gae
from headstart.losses.weighted import standardize, weighted_mean
from headstart.nets.contract import feedforward_contract
from headstart.nets.encoders import encode, init_encoder, trained_parts, update_normalizer
from headstart.nets.mlp import check_network, mlp
from headstart.nets.optimizers import clipped_adam
from headstart.nets.policies import mode, policy
from headstart.nets.returns import return_scale


@dataclasses.dataclass(frozen=True)
class PPO(Method):
    """Proximal policy optimisation with the customary details (arXiv:2005.12729 measures which of them matter)."""

    learning_rate: float = 3e-4  # Adam's step size, > 0
    anneal_learning_rate: bool = True  # whether the learning rate falls linearly to 0 over the training
    discount: float = 0.99  # γ, in [0, 1]
    gae_lambda: float = 0.95  # λ of the advantage estimate, in [0, 1]
    clip_eps: float = 0.2  # ε of the clipped surrogate, > 0
    entropy_coef: float = 0.0  # weight of the policy's entropy, >= 0
    value_coef: float = 0.5  # weight of the value loss, > 0
    max_grad_norm: float = 0.5  # global norm to which the gradient is clipped, > 0
    target_kl: float | None = None  # a rollout's updates stop once the policy's KL exceeds 1.5 times this, nats, > 0
    num_steps: int = 128  # steps of each environment in a rollout, >= 1
    num_envs: int = 16  # parallel environments, >= 1
    num_epochs: int = 10  # passes over a rollout, >= 1
    batch_size: int = 64  # transitions per gradient step, >= 1
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers of the policy and of the value network
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

        def init(key, prior):
            if prior is not None:
                return prior
            k_policy, k_value = jax.random.split(key)
            parts, features = init_encoder(spec, key, normalize=True)
            return {
                **parts,
                "policy": policy(features, self.hidden, spec.action_space, self.activation, k_policy),
                "value": mlp((features, *self.hidden, 1), 1.0, self.activation, k_value),
                "returns": return_scale(),
            }

        def act(params, carry, obs, context, info):
            pi = params["policy"](encode(params, obs, context))
            return jnp.where(info.explore > 0, pi.sample(info.key), mode(pi)), carry, {}

        def value(params, obs, context):
            return params["returns"].value(params["value"](encode(params, obs, context)), context)

        def prepare(params, rollout, info):
            """Adds log-probabilities, advantages and value targets, under the statistics that the updates will use.

            So the probability ratio starts at 1. Advantages are standardized over the whole rollout, not over each
            batch: a method that masks a part of it afterwards keeps the baseline of all of it.
            """
            params = update_normalizer(params, rollout.obs, rollout.weight)

            def estimate(t: Transition):
                log_prob = params["policy"](encode(params, t.obs, t.context)).log_prob(t.action)
                return log_prob, value(params, t.obs, t.context), value(params, t.next_obs, t.next_context)

            log_prob, v, v_next = jax.vmap(jax.vmap(jax.vmap(estimate)))(rollout)
            streams = jax.vmap(jax.vmap(functools.partial(gae, lam=self.gae_lambda), in_axes=1, out_axes=1))
            advantage = streams(rollout.reward, self.discount * rollout.discount, rollout.last, v, v_next)
            returns = params["returns"].update(advantage + v, rollout.context, rollout.weight)
            extras = {
                "log_prob": log_prob,
                "advantage": standardize(jnp.where(rollout.weight > 0, advantage, 0.0), rollout.weight),
                "value_target": returns.normalize(advantage + v, rollout.context),
                "next_value": v_next,
            }
            return {**params, "returns": returns}, rollout.replace(extras={**rollout.extras, **extras})

        def loss(params, batch, info):
            def one(t: Transition) -> Metrics:
                x = encode(params, t.obs, t.context)
                pi = params["policy"](x)
                log_ratio = pi.log_prob(t.action) - t.extras["log_prob"]
                v = params["returns"].select(params["value"](x), t.context)
                return {
                    "policy_loss": clipped_surrogate(log_ratio, t.extras["advantage"], self.clip_eps),
                    "value_loss": jnp.square(v - t.extras["value_target"]),
                    "entropy": pi.entropy(),
                    "kl": approximate_kl(log_ratio),
                    "clipped": (jnp.abs(jnp.expm1(log_ratio)) > self.clip_eps).astype(jnp.float32),
                }

            mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
            entropy = self.entropy_coef * mean["entropy"]
            return mean["policy_loss"] + self.value_coef * mean["value_loss"] - entropy, mean

        # One flat array for Adam: on networks this small, going through the arrays one by one takes longer.
        adam = clipped_adam(self.learning_rate, self.max_grad_norm, self.anneal_learning_rate, eps=1e-5)
        limit = None if self.target_kl is None else 1.5 * self.target_kl
        stop = None if limit is None else lambda metrics: metrics["kl"] > limit
        train = (*trained_parts(spec), "policy", "value")
        return Learner(
            init=init,
            act=act,
            prepare=prepare,
            phases=(Phase(loss, train, optax.flatten(adam), stop=stop),),
            replay=Replay(self.num_steps, self.num_envs, self.batch_size, num_epochs=self.num_epochs),
            policy_contract=feedforward_contract,
        )
