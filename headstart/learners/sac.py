"""Soft actor-critic (arXiv:1812.05905), with twin critics and a learned temperature.

Parts: `encoder` (images), `policy`, `value` (twin critics) and `log_alpha`, which one loss trains; `target`, the lagged
copy of encoder and critics; and `env_steps`, the count that ends the random actions at the start. Images are encoded by
what the critics' loss trains; the policy uses the encoder without training it.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from headstart.core.counting import count_of
from headstart.core.errors import InputError, check_range
from headstart.core.names import select_parts
from headstart.core.types import RATES, Box, Learner, Method, Metrics, Phase, Replay, Spec, Transition
from headstart.losses.maximum_entropy import soft_policy_loss, soft_target, temperature_loss
from headstart.losses.weighted import weighted_mean
from headstart.nets.contract import feedforward_contract
from headstart.nets.critics import twin
from headstart.nets.encoders import encode, init_encoder, trained_parts
from headstart.nets.mlp import check_network
from headstart.nets.policies import squashed_gaussian
from headstart.nets.targets import polyak


@dataclasses.dataclass(frozen=True)
class SAC(Method):
    """Soft actor-critic with twin critics and a temperature that keeps the policy's entropy."""

    learning_rate: float = 3e-4  # Adam's step size, > 0
    discount: float = 0.99  # γ, in [0, 1]
    tau: float = 0.005  # step of the target network towards the critics at each gradient step, in (0, 1]
    temperature: float | None = None  # α, > 0; None: learned
    target_entropy: float | None = None  # nats; None: minus the number of action dimensions
    update_to_data: float = 1.0  # gradient steps per environment step, in [1e-6, 1e4]
    batch_size: int = 256  # transitions per gradient step, >= 1
    buffer_size: int = 1_000_000  # transitions in the replay buffer, >= 1
    learning_starts: int = 1_000  # steps of random actions, and before the first gradient step in the source, >= 0
    num_steps: int = 1  # steps of each environment between updates, >= 1
    num_envs: int = 1  # parallel environments, >= 1
    hidden: tuple[int, ...] = (256, 256)  # widths of the hidden layers of the policy and of the critics
    activation: str = "relu"  # tanh, relu, swish or elu

    def __post_init__(self) -> None:
        for name in ("learning_rate", "temperature"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        check_range(self, "discount", 0.0, 1.0)
        check_range(self, "target_entropy", float("-inf"), float("inf"))
        check_range(self, "tau", 0.0, 1.0, open_low=True)
        check_range(self, "learning_starts", 0, float("inf"))
        for name in ("batch_size", "buffer_size", "num_steps", "num_envs"):
            check_range(self, name, 1, float("inf"))
        check_network(type(self).__name__, self.hidden, self.activation)

    def build(self, spec: Spec, target: bool) -> Learner:
        if not isinstance(spec.action_space, Box):
            raise InputError("SAC needs continuous actions, and this task's are discrete; use DQN or PPO.")
        if spec.action_space.unbounded:
            raise InputError(
                "SAC needs bounded actions, and this task's have no bounds for "
                f"{', '.join(spec.action_space.unbounded)}; wrap the env by gymnasium.wrappers.TransformAction, with a "
                "Box that has finite bounds, or use PPO."
            )
        space = spec.action_space
        action_size = space.size
        lagged = (*trained_parts(spec), "value")
        target_entropy = -float(action_size) if self.target_entropy is None else self.target_entropy

        def init(key, prior):
            if prior is not None:  # its temperature is kept, and no random actions are taken again
                env_steps, starts = prior["env_steps"], count_of(self.learning_starts)
                env_steps = jax.tree.map(functools.partial(jnp.where, env_steps.less(starts)), starts, env_steps)
                return {**prior, "target": select_parts(prior, lagged), "env_steps": env_steps}
            k_policy, k_value = jax.random.split(key)
            parts, features = init_encoder(spec, key, normalize=False)
            parts |= {
                "policy": squashed_gaussian(features, self.hidden, space, self.activation, k_policy),
                "value": twin(features, action_size, self.hidden, self.activation, k_value),
                "log_alpha": jnp.log(jnp.float32(1.0 if self.temperature is None else self.temperature)),
                "env_steps": count_of(0),
            }
            return {**parts, "target": select_parts(parts, lagged)}

        def act(params, carry, obs, context, info):
            x = encode(params, obs, context)
            sampled, _ = params["policy"].sample(x, info.key)
            uniform = jax.random.uniform(info.key, sampled.shape, minval=-1.0, maxval=1.0)
            explored = jnp.where(params["env_steps"].less(count_of(self.learning_starts)), uniform, sampled)
            return jnp.where(info.explore > 0, explored, params["policy"].mode(x)), carry, {}

        def prepare(params, rollout, info):
            return {**params, "env_steps": params["env_steps"].add(rollout.weight.sum())}, rollout

        def loss(params, batch, info):
            fixed = jax.lax.stop_gradient(params)
            alpha = jnp.exp(fixed["log_alpha"])

            def one(t: Transition, key) -> Metrics:
                k_now, k_next = jax.random.split(key)
                x = encode(params, t.obs, t.context)
                x_policy = encode(fixed, t.obs, t.context)  # the policy's loss does not train the encoder
                action, log_prob = params["policy"].sample(x_policy, k_now)
                x_next = encode(params, t.next_obs, t.next_context)
                action_next, log_prob_next = jax.lax.stop_gradient(params["policy"].sample(x_next, k_next))
                lagged_next = encode(fixed["target"], t.next_obs, t.next_context)
                q_next = fixed["target"]["value"](lagged_next, action_next).min()
                td_target = soft_target(t.reward, self.discount * t.discount, q_next, log_prob_next, alpha)
                q = params["value"](x, t.action)
                q_policy = fixed["value"](jax.lax.stop_gradient(x), action).min()
                return {
                    "value_loss": 0.5 * jnp.square(q - jax.lax.stop_gradient(td_target)).sum(),
                    "policy_loss": soft_policy_loss(q_policy, log_prob, alpha),
                    "temperature_loss": temperature_loss(params["log_alpha"], log_prob, target_entropy),
                    "q": q.mean(),
                    "entropy": -log_prob,
                }

            each = jax.vmap(jax.vmap(one))(batch, jax.random.split(info.key, batch.weight.shape))
            mean = weighted_mean(each, batch.weight)
            total = mean["value_loss"] + mean["policy_loss"]
            if self.temperature is None:
                total = total + mean["temperature_loss"]
            return total, {**mean, "alpha": alpha}

        def after(params, info):
            return polyak(params, "target", lagged, self.tau)

        train = (*lagged, "policy", "log_alpha")
        replay = Replay(
            self.num_steps,
            self.num_envs,
            self.batch_size,
            buffer_size=self.buffer_size,
            update_to_data=self.update_to_data,
            learning_starts=1 if target else self.learning_starts,  # in the target, it learns from the first episode on
        )
        return Learner(
            init=init,
            act=act,
            prepare=prepare,
            phases=(Phase(loss, train, optax.adam(self.learning_rate), after=after),),
            replay=replay,
            policy_contract=feedforward_contract,
        )
