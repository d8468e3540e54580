"""Soft actor-critic (arXiv:1812.05905), for continuous actions.

Knowledge: `policy` is a squashed Gaussian, `value` twin critics, `extra` the temperature and how many steps were seen.
`features` encode images (nothing for vectors), and learn by the critics' loss alone (arXiv:1910.01741).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.counting import Count, count_of
from headstart.core.errors import InputError, check_range
from headstart.core.types import RATES, Box, Key, Knowledge, Learner, Method, Metrics, Record, Replay, Spec, Transition
from headstart.losses.maximum_entropy import soft_policy_loss, soft_target, temperature_loss
from headstart.losses.weighted import weighted_mean
from headstart.nets.contract import feedforward_contract
from headstart.nets.critics import Twin, twin
from headstart.nets.encoders import encode, encoder, feature_dim
from headstart.nets.mlp import check_network
from headstart.nets.policies import SquashedGaussian, squashed_gaussian


class Temperature(Record):
    """How much entropy is worth, and the steps seen so far, which say when acting at random ends."""

    log_alpha: Float[Array, "*seed"]
    env_steps: Count


@dataclasses.dataclass(frozen=True)
class SAC(Method):
    """Soft actor-critic with twin critics and a temperature that keeps the policy's entropy."""

    learning_rate: float = 3e-4  # Adam's step size, > 0
    discount: float = 0.99  # γ, in [0, 1]
    tau: float = 0.005  # share of the new in the lagged critics at each gradient step, in (0, 1]
    temperature: float | None = None  # α, > 0; None: learned
    target_entropy: float | None = None  # nats; None: minus the number of action components
    update_to_data: float = 1.0  # gradient steps for each environment step, within [1e-6, 1e4]
    batch_size: int = 256  # transitions per gradient step
    buffer_size: int = 1_000_000  # transitions kept
    learning_starts: int = 1_000  # steps at random before the policy acts, and before the source's first gradient step
    num_steps: int = 1  # steps per copy between gradient steps
    num_envs: int = 1  # parallel worlds
    hidden: tuple[int, ...] = (256, 256)  # widths of the policy's and of the critics' hidden layers
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
            raise InputError("SAC acts by real numbers, and this task takes one of some choices; use DQN or PPO.")
        if spec.action_space.unbounded:
            raise InputError(
                f"SAC acts within bounds, and this task's actions have none for "
                f"{', '.join(spec.action_space.unbounded)}; "
                "wrap the env by gymnasium.wrappers.TransformAction, with a Box that has finite bounds, or use PPO."
            )
        least = 1 if target else self.learning_starts  # in the target, one episode is to be learned from
        replay = Replay(
            self.num_steps,
            self.num_envs,
            self.batch_size,
            buffer_size=self.buffer_size,
            update_to_data=self.update_to_data,
            learning_starts=least,
        )
        return Learner(
            init=functools.partial(_init, self, spec),
            act=functools.partial(_act, self),
            prepare=_observe,
            loss=functools.partial(_loss, self, spec),
            policy_contract=feedforward_contract,
            optimizer=optax.adam(self.learning_rate),
            replay=replay,
            tau=self.tau,
        )


def _init(sac: SAC, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None:  # its temperature comes along; it need not act at random once more
        seen, least = prior.extra.env_steps, count_of(sac.learning_starts)
        seen = jax.tree.map(functools.partial(jnp.where, seen.less(least)), least, seen)
        return prior.replace(extra=prior.extra.replace(env_steps=seen))
    assert isinstance(spec.action_space, Box)
    k_policy, k_value = jax.random.split(key)
    features = encoder(spec.observation_space, key, normalise=False)
    inputs = feature_dim(features, spec.observation_space) + spec.context_dim
    alpha = 1.0 if sac.temperature is None else sac.temperature
    return Knowledge(
        features=features,
        policy=squashed_gaussian(inputs, sac.hidden, spec.action_space, sac.activation, k_policy),
        value=twin(inputs, spec.action_space.size, sac.hidden, sac.activation, k_value),
        extra=Temperature(jnp.log(jnp.float32(alpha)), count_of(0)),
    )


def _act(sac: SAC, k: Knowledge, carry, obs: Array, context: Array, key: Key, explore: Array | float):
    policy: SquashedGaussian = k.policy
    x = encode(k, obs, context)
    sampled, _ = policy.sample(x, key)
    anywhere = jax.random.uniform(key, sampled.shape, minval=-1.0, maxval=1.0)
    bold = jnp.where(k.extra.env_steps.less(count_of(sac.learning_starts)), anywhere, sampled)
    return jnp.where(explore > 0, bold, policy.mode(x)), carry, {}


def _observe(k: Knowledge, fresh: Transition, key: Key, progress: Array | float) -> tuple[Knowledge, Transition]:
    return k.replace(extra=k.extra.replace(env_steps=k.extra.env_steps.add(fresh.weight.sum()))), fresh


def _loss(sac: SAC, spec: Spec, k: Knowledge, slow: Knowledge, batch: Transition, key: Key, progress: Array | float):
    policy, critics, lagged = k.policy, k.value, slow.value
    watched = jax.lax.stop_gradient(k)
    trusted: Twin = watched.value
    log_alpha = k.extra.log_alpha
    alpha = jax.lax.stop_gradient(jnp.exp(log_alpha))
    wanted = -float(spec.action_space.size) if sac.target_entropy is None else sac.target_entropy

    def one(t: Transition, key: Key) -> Metrics:
        k_now, k_next = jax.random.split(key)
        x = encode(k, t.obs, t.context)
        told = encode(watched, t.obs, t.context)  # the policy looks through the critics' eyes
        action, log_prob = policy.sample(told, k_now)
        action_next, log_prob_next = jax.lax.stop_gradient(policy.sample(encode(k, t.next_obs, t.next_context), k_next))
        q_next = lagged(encode(slow, t.next_obs, t.next_context), action_next).min()
        target = soft_target(t.reward, sac.discount * t.discount, q_next, log_prob_next, alpha)
        q = critics(x, t.action)
        return {
            "value_loss": 0.5 * jnp.square(q - jax.lax.stop_gradient(target)).sum(),
            "policy_loss": soft_policy_loss(trusted(jax.lax.stop_gradient(x), action).min(), log_prob, alpha),
            "temperature_loss": temperature_loss(log_alpha, log_prob, wanted),
            "q": q.mean(),
            "entropy": -log_prob,
        }

    tasks, size = batch.weight.shape
    each = jax.vmap(jax.vmap(one))(batch, jax.random.split(key, (tasks, size)))
    mean = weighted_mean(each, batch.weight)
    loss = mean["value_loss"] + mean["policy_loss"]
    if sac.temperature is None:
        loss = loss + mean["temperature_loss"]
    return loss, {**mean, "alpha": alpha}
