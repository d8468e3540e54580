"""Distil: an expert for each source, and one student that does as they do: policy distillation, and Actor-Mimic.

Transfers: the student's policy (or Q-network) and features; its critic, where the policy is apart from it, starts anew.
Assumes: each source can be learned by itself; one network can hold what all experts do.
Fails when: experts do opposite things where the student cannot tell them apart, or were no good themselves.
Source: arXiv:1511.06295, equations 1 to 3; arXiv:1511.06342, equations 2 to 5 (features, the student acts).
Departs from it in: sources are told by the context, not by an output layer each; experts may be policies too, taken as
they are (no temperature); experience is replayed of all sources alike, not game by game.
"""

import dataclasses
import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import RATES, Key, Knowledge, Learner, Method, Metrics, Part, PyTree, Replay, Spec, Transition
from headstart.learners.groups import Experts, Taught, alone, check_names, which
from headstart.learners.opinions import network, opinion, speaker
from headstart.learners.ppo import PPO
from headstart.losses.average import average
from headstart.losses.distillation import agree, differ, squared_error
from headstart.methods.multitask.separate import Separate
from headstart.nets.encoders import include, see
from headstart.nets.exploration import bold
from headstart.nets.mlp import orthogonal


@dataclasses.dataclass(frozen=True)
class Distil(Method):
    """First the experts learn, each its source; then a student learns to do as they do."""

    base: Method = dataclasses.field(default_factory=PPO)  # what the student is; it learns on by it in the target
    experts: tuple[Method, ...] = ()  # who learns a source: one for all, or one for each; none: as the base does
    loss: Literal["kl", "nll", "mse"] = "kl"  # what the student minimises
    temperature: float = 0.01  # τ that experts' Q-values are divided by (but for mse), > 0
    features: float = 0.0  # β, weight of telling an expert's last hidden layer from the student's, >= 0
    acts: Literal["student", "experts"] = "student"  # who gathers the experience
    epsilon: float = 0.05  # share of random actions of who acts by Q-values, in [0, 1]
    share: float = 0.2  # of the source's steps, for distilling, in (0, 1)
    learning_rate: float = 1e-3  # of the student, while it does as experts do: Adam's step size, > 0
    updates: float = 1.0  # gradient steps for each step that a source gathers, within [1e-6, 1e4]
    batch: int = 64  # transitions of each source in one of them, >= 1
    capacity: int = 50_000  # transitions kept of each source, >= 1

    def __post_init__(self) -> None:
        check_choices(self, "loss", "acts")
        for name in ("temperature", "learning_rate"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "updates", *RATES)
        check_range(self, "share", 0.0, 1.0, open_low=True, open_high=True)
        check_range(self, "epsilon", 0.0, 1.0)
        check_range(self, "features", 0.0, float("inf"))
        for name in ("batch", "capacity"):
            check_range(self, name, 1, float("inf"))

    def before(self, spec: Spec) -> tuple[Part, ...]:
        groups, share = self.groups(spec), (1.0 - self.share) / max(spec.context, 1)
        return tuple(Part(m, share * len(taught), taught if spec.context else None) for m, taught in groups)

    def groups(self, spec: Spec) -> list[tuple[Method, tuple[int, ...]]]:
        """-> what learns experts together, and of which sources. Raises InputError where not each has one."""
        sources, experts = max(spec.context, 1), self.experts or (self.base,)
        if len(experts) not in (1, sources):
            raise InputError(f"Distil has {len(experts)} experts for {sources} sources; name one, or one for each.")
        each = experts * sources if len(experts) == 1 else experts
        return [(Separate(one), tuple(i for i, x in enumerate(each) if x == one)) for one in dict.fromkeys(each)]

    def build(self, spec: Spec, target: bool) -> Learner:
        check_names("Distil", spec)
        inner = self.base.learner(spec._replace(tasks=1), target)
        if target:
            return inner._replace(
                init=lambda key, prior: inner.init(key, prior and alone(prior)),
                act=lambda k, *seen: inner.act(alone(k), *seen),  # a student may be judged as it is
                contract=lambda k: inner.contract(alone(k)),
            )
        by = Teaching(self, spec, inner, tuple(Experts(m.learner(spec), taught) for m, taught in self.groups(spec)))
        return Learner(
            init=functools.partial(_init, by),
            act=functools.partial(_act, by),
            observe=lambda k, fresh, *_: (k.replace(features=include(k.features, fresh.obs, fresh.weight)), fresh),
            loss=functools.partial(_loss, by),
            optimizer=optax.adam(self.learning_rate),
            replay=Replay(inner.replay.length, inner.replay.copies, self.batch, 1, self.capacity, self.updates),
        )


class Teaching(NamedTuple):
    """How somebody learns from whom."""

    how: Distil
    spec: Spec
    student: Learner
    experts: tuple[Experts, ...]


def _init(by: Teaching, key: Key, prior: Knowledge | None) -> Knowledge:
    k_student, k_experts, k_maps = jax.random.split(key, 3)
    student = by.student.init(k_student, by.student.init(k_student, None))  # one that need not begin at random
    if speaker(student) is student.value:  # it acts by Q-values
        student = student.replace(extra=student.extra.replace(epsilon=jnp.float32(by.how.epsilon)))
    experts = tuple(one.learner.init(k_experts, None) for one in by.experts) if prior is None else prior.extra
    maps, keys = [], jax.random.split(k_maps, max(by.spec.context, 1))
    for one, known in zip(by.experts, experts, strict=True):
        expert = one.known(known, jnp.zeros(by.spec.context))
        sizes = (network(x).last.weight.shape[0] for x in (student, expert))
        maps.append(jax.vmap(functools.partial(orthogonal, *sizes, 1.0))(keys))
    return student.replace(extra=Taught(student.extra, experts, tuple(maps) if by.how.features else ()))


def _act(by: Teaching, k: Knowledge, carry: PyTree, obs: Array, context: Array, key: Key, explore: Array | float):
    """The student's action, or the expert's: a policy's own way to explore, or a share of random choices."""
    k_act, k_bold = jax.random.split(key)

    def by_one(learner: Learner, known: Knowledge) -> Array:
        if known.policy is not None:
            return learner.act(known, (), obs, context, k_act, explore)[0]
        best = learner.act(known, (), obs, context, k_act, 0.0)[0]
        return bold(best, by.spec.action.size, explore * by.how.epsilon, k_bold)

    if by.how.acts == "student":
        return by_one(by.student, alone(k)), carry, {}
    told = [by_one(one.learner, known) for one, known in zip(by.experts, k.extra.experts, strict=True)]
    return jnp.select([one.teach(context) for one in by.experts], told), carry, {}


def _loss(by: Teaching, k: Knowledge, slow: PyTree, batch: Transition, key: Key, progress: Array | float):
    how, experts = by.how, jax.lax.stop_gradient(k.extra.experts)
    temperature = 1.0 if how.loss == "mse" else how.temperature

    def one(t: Transition) -> Metrics:
        x = see(k, t.obs, t.context)
        said, lost, apart, alike = opinion(k, x), jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
        hidden = network(k).hidden(x)
        for i, known in enumerate(experts):
            expert, counts = by.experts[i].known(known, t.context), by.experts[i].teach(t.context)
            x_expert = see(expert, t.obs, t.context[:0])
            wanted = opinion(expert, x_expert, temperature)
            lost += counts * differ(how.loss, wanted, said)
            alike += counts * agree(wanted, said)
            if how.features:
                told = jax.vmap(lambda source: source(hidden))(k.extra.maps[i])
                apart += counts * squared_error(network(expert).hidden(x_expert), told[which(t.context)])
        return {"distillation_loss": lost, "features_loss": apart, "agreement": alike}

    mean = average(jax.vmap(jax.vmap(one))(batch), batch.weight)
    return mean["distillation_loss"] + how.features * mean["features_loss"], mean
