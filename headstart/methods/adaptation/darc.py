"""DARC: train in the source with a reward penalty for transitions that the target would not produce.

Transfers: policy and value, trained on source transitions with corrected rewards, with ten source steps for each target
step; target rewards are never used.
Assumes: what is best in the target is possible in the source, and nearly best there too.
Fails when: the source can do less than the target (a broken source and a whole target).
Source: arXiv:2006.13916, algorithm 1 and equation 4; constants of github.com/google-research/google-research, darc.
Departs from it in: classifiers are given normalized inputs, and s' - s for s'; their noise is in those units and on
s' - s alone, where the authors' is on s and a too; target steps begin at once; `weight` scales Δr alone and is 0.1,
where the authors scale the sum r + Δr by 0.1.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Box, Info, Learner, Method, Metrics, Params, Phase, Spec, Transition
from headstart.learners.sac import SAC
from headstart.losses.domain_gap import domain_loss, reward_correction
from headstart.losses.weighted import weighted_mean
from headstart.nets.mlp import check_network, mlp
from headstart.nets.running_statistics import running_mean_std


@dataclasses.dataclass(frozen=True)
class DARC(Method):
    """The base learner on source transitions, with rewards corrected by two domain classifiers."""

    base: Method = dataclasses.field(default_factory=SAC)  # the learner: SAC or DQN
    source_steps_per_target_step: int = 10  # source steps per target step, >= 1
    weight: float = 0.1  # factor on the reward correction Δr, >= 0
    warmup_fraction: float = 0.1  # fraction of the training without the correction, in [0, 1]
    noise_std: float = 1.0  # added to s' - s in the classifiers' training, in standard deviations, >= 0
    learning_rate: float = 3e-4  # Adam's step size for the classifiers, > 0
    hidden: tuple[int, ...] = (32,)  # widths of the classifiers' hidden layers

    def __post_init__(self) -> None:
        check_range(self, "source_steps_per_target_step", 1, float("inf"))
        check_range(self, "warmup_fraction", 0.0, 1.0)
        check_range(self, "learning_rate", 0.0, float("inf"), open_low=True)
        for name in ("weight", "noise_std"):
            check_range(self, name, 0.0, float("inf"))
        check_network(type(self).__name__, self.hidden, "relu")

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec._replace(num_tasks=1), target)
        if not inner.replay.buffer_size or not isinstance(spec.observation_space, Box):
            raise InputError(
                f"DARC needs vector observations and a learner with a replay buffer, and its base is {self.base!r}; "
                "use SAC or DQN, or another task."
            )
        inner.replay.check_next("DARC")
        size = spec.observation_space.size
        pair = size + spec.action_space.size

        def init(key, prior):
            k_pair, k_transition = jax.random.split(jax.random.fold_in(key, ord("d")))
            net = lambda inputs, key: mlp((inputs, *self.hidden, 1), 0.1, "relu", key)
            own = {
                "darc": {"state_action": net(pair, k_pair), "transition": net(pair + size, k_transition)},
                "darc_state": running_mean_std(size),
                "darc_change": running_mean_std(size),
            }
            return {**own, **inner.init(key, prior)}

        def prepare(params, rollout, info):
            rows = lambda x: (x.reshape(-1, size), rollout.weight.reshape(-1))
            state = params["darc_state"].update(*rows(rollout.obs))
            change = params["darc_change"].update(*rows(rollout.next_obs - rollout.obs))
            return inner.prepare({**params, "darc_state": state, "darc_change": change}, rollout, info)

        def classify(params, batch, info):
            def one(t: Transition, key) -> Metrics:
                logit, logit_pair = classifier_logits(params, t, spec, self.noise_std, key)
                correct = (logit > 0) == (t.domain == 1)
                losses = domain_loss(logit, t.domain) + domain_loss(logit_pair, t.domain)
                return {"classifier_loss": losses, "classifier_accuracy": correct.astype(jnp.float32)}

            each = jax.vmap(jax.vmap(one))(batch, jax.random.split(info.key, batch.weight.shape))
            mean = weighted_mean(each, batch.weight)
            return mean["classifier_loss"], mean

        def correction(params: Params, batch: Transition) -> Array:
            one = lambda t: reward_correction(*classifier_logits(params, t, spec))
            return jax.lax.stop_gradient(jax.vmap(jax.vmap(one))(batch))

        def corrected(phase: Phase) -> Phase:
            def loss(params: Params, batch: Transition, info: Info):
                delta, source = correction(params, batch), batch.weight * (batch.domain == 0)
                weight = jnp.where(info.progress >= self.warmup_fraction, self.weight, 0.0)
                batch = batch.replace(reward=batch.reward + weight * delta, weight=source)
                total, metrics = phase.loss(params, batch, info)
                return total, {**metrics, **weighted_mean({"reward_correction": delta}, source)}

            return phase._replace(loss=loss)

        period = self.source_steps_per_target_step if spec.num_tasks > 1 else 1  # a target alone is stepped always
        classifiers = Phase(classify, ("darc",), optax.adam(self.learning_rate))
        return inner._replace(
            init=init,
            prepare=prepare,
            phases=(*map(corrected, inner.phases), classifiers),
            replay=inner.replay.with_source_steps_per_target_step(period),
        )


def classifier_logits(
    params: Params, t: Transition, spec: Spec, noise_std: float = 0.0, key: Array | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns log p(target) − log p(source) of a transition, and of its state and action alone. Noise needs a key.

    With noise on s' − s, classifiers see s' as that uncertain in both domains: next states that differ by d standard
    deviations have a gap of −d²/(2 noise_std²). Noise on s and a as well would hide which s' to expect.
    """
    pair = jnp.concatenate([params["darc_state"].normalize(t.obs), spec.action_space.to_features(t.action)])
    change = params["darc_change"].normalize(t.next_obs - t.obs)
    if key is not None:
        change = change + noise_std * jax.random.normal(key, change.shape)
    of_pair = params["darc"]["state_action"](pair)[0]
    return of_pair + params["darc"]["transition"](jnp.concatenate([pair, change]))[0], of_pair
