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
from headstart.core.types import (
    RATES,
    Key,
    Knowledge,
    Learner,
    Method,
    Metrics,
    PyTree,
    Replay,
    Spec,
    Stage,
    Transition,
)
from headstart.learners.outputs import output_head, output_network, policy_output
from headstart.learners.ppo import PPO
from headstart.learners.teachers import StudentParams, TeacherGroup, check_task_context, task_index, without_teachers
from headstart.losses.distillation import agreement, distillation_loss, squared_error
from headstart.losses.weighted import weighted_mean
from headstart.methods.multitask.separate import Separate
from headstart.nets.encoders import encode, update_statistics
from headstart.nets.exploration import epsilon_greedy
from headstart.nets.mlp import orthogonal


@dataclasses.dataclass(frozen=True)
class Distil(Method):
    """First the experts learn, each its source; then a student learns to do as they do."""

    base: Method = dataclasses.field(default_factory=PPO)  # what the student is; it learns on by it in the target
    teachers: tuple[Method, ...] = ()  # who learns a source: one for all, or one for each; none: as the base does
    loss: Literal["kl", "nll", "mse"] = "kl"  # what the student minimises
    temperature: float = 0.01  # τ that experts' Q-values are divided by (but for mse), > 0
    feature_coef: float = 0.0  # β, weight of telling an expert's last hidden layer from the student's, >= 0
    rollout_policy: Literal["student", "teachers"] = "student"  # who gathers the experience
    epsilon: float = 0.05  # share of random actions of who acts by Q-values, in [0, 1]
    distillation_fraction: float = 0.2  # of the source's steps, for distilling, in (0, 1)
    learning_rate: float = 1e-3  # of the student, while it does as experts do: Adam's step size, > 0
    update_to_data: float = 1.0  # gradient steps for each step that a source gathers, within [1e-6, 1e4]
    batch_size: int = 64  # transitions of each source in one of them, >= 1
    buffer_size: int = 50_000  # transitions kept of each source, >= 1

    def __post_init__(self) -> None:
        check_choices(self, "loss", "rollout_policy")
        for name in ("temperature", "learning_rate"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        check_range(self, "distillation_fraction", 0.0, 1.0, open_low=True, open_high=True)
        check_range(self, "epsilon", 0.0, 1.0)
        check_range(self, "feature_coef", 0.0, float("inf"))
        for name in ("batch_size", "buffer_size"):
            check_range(self, name, 1, float("inf"))

    def pretraining(self, spec: Spec) -> tuple[Stage, ...]:
        groups, share = self.teacher_groups(spec), (1.0 - self.distillation_fraction) / max(spec.context_dim, 1)
        return tuple(Stage(m, share * len(taught), taught if spec.context_dim else None) for m, taught in groups)

    def teacher_groups(self, spec: Spec) -> list[tuple[Method, tuple[int, ...]]]:
        """-> what learns experts together, and of which sources. Raises InputError where not each has one."""
        sources, experts = max(spec.context_dim, 1), self.teachers or (self.base,)
        if len(experts) not in (1, sources):
            raise InputError(f"Distil has {len(experts)} experts for {sources} sources; name one, or one for each.")
        each = experts * sources if len(experts) == 1 else experts
        return [(Separate(one), tuple(i for i, x in enumerate(each) if x == one)) for one in dict.fromkeys(each)]

    def build(self, spec: Spec, target: bool) -> Learner:
        check_task_context("Distil", spec)
        inner = self.base.learner(spec._replace(num_tasks=1), target)
        if target:
            return inner._replace(
                init=lambda key, prior: inner.init(key, prior and without_teachers(prior)),
                act=lambda k, *seen: inner.act(without_teachers(k), *seen),  # a student may be judged as it is
                policy_contract=lambda k: inner.policy_contract(without_teachers(k)),
            )
        by = Distillation(
            self, spec, inner, tuple(TeacherGroup(m.learner(spec), taught) for m, taught in self.teacher_groups(spec))
        )
        return Learner(
            init=functools.partial(_init, by),
            act=functools.partial(_act, by),
            prepare=lambda k, fresh, *_: (
                k.replace(features=update_statistics(k.features, fresh.obs, fresh.weight)),
                fresh,
            ),
            loss=functools.partial(_loss, by),
            optimizer=optax.adam(self.learning_rate),
            replay=Replay(
                inner.replay.num_steps, inner.replay.num_envs, self.batch_size, 1, self.buffer_size, self.update_to_data
            ),
        )


class Distillation(NamedTuple):
    """How somebody learns from whom."""

    config: Distil
    spec: Spec
    student: Learner
    teachers: tuple[TeacherGroup, ...]


def _init(by: Distillation, key: Key, prior: Knowledge | None) -> Knowledge:
    k_student, k_experts, k_maps = jax.random.split(key, 3)
    student = by.student.init(k_student, by.student.init(k_student, None))  # one that need not begin at random
    if output_head(student) is student.value:  # it acts by Q-values
        student = student.replace(extra=student.extra.replace(epsilon=jnp.float32(by.config.epsilon)))
    experts = tuple(one.learner.init(k_experts, None) for one in by.teachers) if prior is None else prior.extra
    maps, keys = [], jax.random.split(k_maps, max(by.spec.context_dim, 1))
    for one, known in zip(by.teachers, experts, strict=True):
        expert = one.params_for(known, jnp.zeros(by.spec.context_dim))
        sizes = (output_network(x).last.weight.shape[0] for x in (student, expert))
        maps.append(jax.vmap(functools.partial(orthogonal, *sizes, 1.0))(keys))
    return student.replace(extra=StudentParams(student.extra, experts, tuple(maps) if by.config.feature_coef else ()))


def _act(by: Distillation, k: Knowledge, carry: PyTree, obs: Array, context: Array, key: Key, explore: Array | float):
    """The student's action, or the expert's: a policy's own way to explore, or a share of random choices."""
    k_act, k_bold = jax.random.split(key)

    def by_one(learner: Learner, known: Knowledge) -> Array:
        if known.policy is not None:
            return learner.act(known, (), obs, context, k_act, explore)[0]
        best = learner.act(known, (), obs, context, k_act, 0.0)[0]
        return epsilon_greedy(best, by.spec.action_space.size, explore * by.config.epsilon, k_bold)

    if by.config.rollout_policy == "student":
        return by_one(by.student, without_teachers(k)), carry, {}
    told = [by_one(one.learner, known) for one, known in zip(by.teachers, k.extra.teachers, strict=True)]
    return jnp.select([one.is_responsible(context) for one in by.teachers], told), carry, {}


def _loss(by: Distillation, k: Knowledge, slow: PyTree, batch: Transition, key: Key, progress: Array | float):
    how, experts = by.config, jax.lax.stop_gradient(k.extra.teachers)
    temperature = 1.0 if how.loss == "mse" else how.temperature

    def one(t: Transition) -> Metrics:
        x = encode(k, t.obs, t.context)
        said, lost, apart, alike = policy_output(k, x), jnp.zeros(()), jnp.zeros(()), jnp.zeros(())
        hidden = output_network(k).hidden(x)
        for i, known in enumerate(experts):
            expert, counts = by.teachers[i].params_for(known, t.context), by.teachers[i].is_responsible(t.context)
            x_expert = encode(expert, t.obs, t.context[:0])
            wanted = policy_output(expert, x_expert, temperature)
            lost += counts * distillation_loss(how.loss, wanted, said)
            alike += counts * agreement(wanted, said)
            if how.feature_coef:
                told = jax.vmap(lambda source: source(hidden))(k.extra.feature_maps[i])
                apart += counts * squared_error(output_network(expert).hidden(x_expert), told[task_index(t.context)])
        return {"distillation_loss": lost, "features_loss": apart, "agreement": alike}

    mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
    return mean["distillation_loss"] + how.feature_coef * mean["features_loss"], mean
