"""DARC: learn in the source, paid less for what could not happen in the target; two classifiers tell the domains apart.

Transfers: nothing that was learned before: source and target are learned side by side, ten steps of one for one of the
other, and target rewards are never seen.
Assumes: what is best in the target can happen in the source, and is nearly best there too.
Fails when: the source can do less than the target (a broken source and a whole target).
Source: arXiv:2006.13916, algorithm 1 and equation 4; constants of github.com/google-research/google-research, darc.
Departs from it in: classifiers see normalised inputs, and s' - s for s'; their noise is in those units, and on s' - s
alone, where theirs is on s and a too; target steps are taken from the beginning; `weight` scales Δr alone, and is 0.1,
where the authors scale the sum r + Δr by 0.1.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import Box, Key, Knowledge, Learner, Method, Metrics, PyTree, Record, Spec, Transition
from headstart.learners.sac import SAC
from headstart.losses.domain_gap import domain_loss, reward_correction
from headstart.losses.weighted import weighted_mean
from headstart.nets.mlp import MLP, check_network, mlp
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std


@dataclasses.dataclass(frozen=True)
class DARC(Method):
    """The base learner on the source's experience, its rewards corrected by what classifiers say of each step."""

    base: Method = dataclasses.field(default_factory=SAC)  # learns; SAC or DQN
    source_steps_per_target_step: int = 10  # steps in the source for each in the target, >= 1
    weight: float = 0.1  # scales the correction Δr that is added to the reward, >= 0
    warmup_fraction: float = 0.1  # share of the training before the correction counts, in [0, 1]
    noise_std: float = 1.0  # on the s' - s that classifiers see while they learn, in standard deviations, >= 0
    hidden: tuple[int, ...] = (32,)  # widths of the classifiers' hidden layers

    def __post_init__(self) -> None:
        check_range(self, "source_steps_per_target_step", 1, float("inf"))
        check_range(self, "warmup_fraction", 0.0, 1.0)
        for name in ("weight", "noise_std"):
            check_range(self, name, 0.0, float("inf"))
        check_network(type(self).__name__, self.hidden, "relu")

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec._replace(num_tasks=1), target)
        if not inner.replay.buffer_size or not isinstance(spec.observation_space, Box):
            raise InputError(
                f"DARC needs vectors to see, and a learner that keeps its experience; {self.base!r} is to "
                "learn, so use SAC or DQN, or another task."
            )
        inner.replay.check_next("DARC")
        spare = self.source_steps_per_target_step if spec.num_tasks > 1 else 1  # alone, a target waits for nobody
        return inner._replace(
            init=functools.partial(_init, self, inner, spec),
            prepare=functools.partial(_observe, self, inner, spec),
            loss=functools.partial(_loss, self, inner, spec),
            replay=inner.replay.with_source_steps_per_target_step(spare),
        )


class Classifiers(Record):
    """log p(target) − log p(source) of (s, a), and what s' adds to that; and what they have seen."""

    state_action: MLP
    transition: MLP
    state: RunningMeanStd
    change: RunningMeanStd


def _init(darc: DARC, inner: Learner, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    k = inner.init(key, prior)
    if isinstance(k.model, Classifiers):
        return k
    k_choice, k_added = jax.random.split(jax.random.fold_in(key, ord("d")))
    size = spec.observation_space.size
    pair = size + spec.action_space.size
    net = lambda inputs, key: mlp((inputs, *darc.hidden, 1), 0.1, "relu", key)
    known = Classifiers(net(pair, k_choice), net(pair + size, k_added), running_mean_std(size), running_mean_std(size))
    return k.with_model("DARC", known)


def _observe(
    darc: DARC, inner: Learner, spec: Spec, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    seen: Classifiers = k.model
    rows, weight = fresh.obs.reshape(-1, spec.observation_space.size), fresh.weight.reshape(-1)
    changes = (fresh.next_obs - fresh.obs).reshape(rows.shape)
    k, batch = inner.prepare(k, fresh, key, progress)
    return k.replace(
        model=seen.replace(state=seen.state.update(rows, weight), change=seen.change.update(changes, weight))
    ), batch


def classifier_logits(
    known: Classifiers, t: Transition, spec: Spec, noise: float = 0.0, key: Key | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """-> what the classifiers say of a step, and of its choice alone. `noise` takes a key.

    It is as if s' were that uncertain in both domains: a step which they make d apart, in standard deviations, has a
    gap of -d²/2noise², and 0 where they agree. Noise on s and a as well would hide what s' should have been.
    """
    pair = jnp.concatenate([known.state.normalize(t.obs), spec.action_space.to_features(t.action)])
    change = known.change.normalize(t.next_obs - t.obs)
    if key is not None:
        change = change + noise * jax.random.normal(key, change.shape)
    of_choice = known.state_action(pair)[0]
    return of_choice + known.transition(jnp.concatenate([pair, change]))[0], of_choice


def _loss(
    darc: DARC,
    inner: Learner,
    spec: Spec,
    k: Knowledge,
    slow: PyTree,
    batch: Transition,
    key: Key,
    progress: Array | float,
) -> tuple[Array, Metrics]:
    """The base learner's loss on the source's rows, corrected; and both classifiers' on all of them."""
    k_inner, k_noise = jax.random.split(key)

    def one(t: Transition, key: Key) -> Metrics:
        of_step, of_choice = classifier_logits(k.model, t, spec, darc.noise_std, key)
        right = (of_step > 0) == (t.domain == 1)
        losses = domain_loss(of_step, t.domain) + domain_loss(of_choice, t.domain)
        return {"classifier_loss": losses, "classifier_accuracy": right.astype(jnp.float32)}

    told = weighted_mean(jax.vmap(jax.vmap(one))(batch, jax.random.split(k_noise, batch.weight.shape)), batch.weight)
    gap = jax.lax.stop_gradient(
        jax.vmap(jax.vmap(lambda t: reward_correction(*classifier_logits(k.model, t, spec))))(batch)
    )
    counts = jnp.where(progress >= darc.warmup_fraction, darc.weight, 0.0)
    ours = batch.weight * (batch.domain == 0)
    loss, metrics = inner.loss(
        k, slow, batch.replace(reward=batch.reward + counts * gap, weight=ours), k_inner, progress
    )
    gap = weighted_mean({"gap": gap}, ours)["gap"]
    return loss + told["classifier_loss"], {**metrics, **told, "reward_gap": gap}
