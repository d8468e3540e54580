"""Distil: a teacher for each source, and one student trained to act as they do: policy distillation and Actor-Mimic.

Transfers: the student's policy (or Q-network) and encoder or normalizer; a critic beside it is newly initialized.
Assumes: each source can be learned by itself; one network can represent what all teachers do.
Fails when: teachers act in opposite ways where the student cannot tell sources apart, or are bad themselves.
Source: arXiv:1511.06295, equations 1 to 3; arXiv:1511.06342, equations 2 to 5 (features, the student acts).
Departs from it in: the context tells the student which source it is, not an output layer for each; teachers may be
policies too, whose outputs have no temperature; the replay buffer mixes all sources, not game by game.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import RATES, Info, Learner, Method, Metrics, Params, Phase, Replay, Spec, Stage, Transition
from headstart.learners.outputs import output_network, policy_output
from headstart.learners.ppo import PPO
from headstart.learners.teachers import TeacherGroup, check_task_context, task_index
from headstart.losses.distillation import agreement, distillation_loss, squared_error
from headstart.losses.weighted import weighted_mean
from headstart.methods.multitask.separate import Separate
from headstart.nets.encoders import encode, update_normalizer
from headstart.nets.exploration import epsilon_greedy
from headstart.nets.mlp import orthogonal


@dataclasses.dataclass(frozen=True)
class Distil(Method):
    """First a teacher trains on each source, then one student learns to act as they do."""

    base: Method = dataclasses.field(default_factory=PPO)  # the student's learner, which also trains in the target
    teachers: tuple[Method, ...] = ()  # learners of the sources: one for all, or one for each; none: the base
    loss: Literal["kl", "nll", "mse"] = "kl"  # the distillation loss
    temperature: float = 0.01  # τ by which teachers' Q-values are divided (not for mse), > 0
    feature_coef: float = 0.0  # β, weight of predicting a teacher's last hidden layer from the student's, >= 0
    rollout_policy: Literal["student", "teachers"] = "student"  # which policy collects the data
    epsilon: float = 0.05  # share of random actions of a policy given by Q-values, in [0, 1]
    distillation_fraction: float = 0.2  # of the source steps, for the student, in (0, 1)
    learning_rate: float = 1e-3  # Adam's step size in distillation, > 0
    update_to_data: float = 1.0  # gradient steps per step of a source, in [1e-6, 1e4]
    batch_size: int = 64  # transitions of each source in a gradient step, >= 1
    buffer_size: int = 50_000  # transitions of each source in the replay buffer, >= 1

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
        fraction = (1.0 - self.distillation_fraction) / max(spec.context_dim, 1)
        groups = self.teacher_groups(spec)
        return tuple(Stage(m, fraction * len(tasks), tasks if spec.context_dim else None) for m, tasks in groups)

    def teacher_groups(self, spec: Spec) -> list[tuple[Method, tuple[int, ...]]]:
        """Returns the methods that train teachers together, and on which sources.

        Raises InputError where not every source has a teacher.
        """
        sources, teachers = max(spec.context_dim, 1), self.teachers or (self.base,)
        if len(teachers) not in (1, sources):
            raise InputError(f"Distil has {len(teachers)} teachers for {sources} sources; name one, or one for each.")
        each = teachers * sources if len(teachers) == 1 else teachers
        return [(Separate(one), tuple(i for i, x in enumerate(each) if x == one)) for one in dict.fromkeys(each)]

    def build(self, spec: Spec, target: bool) -> Learner:
        check_task_context("Distil", spec)
        student = self.base.learner(spec._replace(num_tasks=1), target)
        if target:
            return student._replace(init=lambda key, prior: student.init(key, prior and without_teachers(prior)))
        groups = tuple(TeacherGroup(m.learner(spec), tasks) for m, tasks in self.teacher_groups(spec))
        temperature = 1.0 if self.loss == "mse" else self.temperature

        def init(key, prior):
            k_student, k_teachers, k_maps = jax.random.split(key, 3)
            # From a prior, so that it does not begin with random actions; the prior is another newly initialized one.
            params = student.init(k_student, student.init(k_student, None))
            if "epsilon" in params:
                params["epsilon"] = params["epsilon"].replace(epsilon=jnp.float32(self.epsilon))
            fresh = tuple(group.learner.init(k_teachers, None) for group in groups)
            teachers = fresh if prior is None else prior["pretraining"]
            maps, keys = [], jax.random.split(k_maps, max(spec.context_dim, 1))
            for group, known in zip(groups, teachers, strict=True):
                teacher = group.params_for(known, jnp.zeros(spec.context_dim))
                sizes = (output_network(x).last.weight.shape[0] for x in (params, teacher))
                maps.append(jax.vmap(functools.partial(orthogonal, *sizes, 1.0))(keys))
            feature_maps = {"feature_maps": tuple(maps)} if self.feature_coef else {}
            return {**params, "teachers": teachers, **feature_maps}

        def act(params, carry, obs, context, info):
            """Acts by the student or the teacher: a policy explores in its own way, Q-values by random actions."""
            k_act, k_random = jax.random.split(info.key)

            def action_of(learner: Learner, params: Params) -> Array:
                if "policy" in params:
                    return learner.act(params, (), obs, context, info._replace(key=k_act))[0]
                greedy = learner.act(params, (), obs, context, Info(k_act, explore=0.0))[0]
                return epsilon_greedy(greedy, spec.action_space.size, info.explore * self.epsilon, k_random)

            if self.rollout_policy == "student":
                return action_of(student, params), carry, {}
            each = [action_of(group.learner, known) for group, known in zip(groups, params["teachers"], strict=True)]
            return jnp.select([group.is_responsible(context) for group in groups], each), carry, {}

        def loss(params, batch, info):
            def one(t: Transition) -> Metrics:
                x = encode(params, t.obs, t.context)
                output, hidden = policy_output(params, x), output_network(params).hidden(x)
                total = {name: jnp.zeros(()) for name in ("distillation_loss", "features_loss", "agreement")}
                for i, known in enumerate(params["teachers"]):
                    teacher, counts = groups[i].params_for(known, t.context), groups[i].is_responsible(t.context)
                    x_teacher = encode(teacher, t.obs, t.context[:0])
                    wanted = policy_output(teacher, x_teacher, temperature)
                    total["distillation_loss"] += counts * distillation_loss(self.loss, wanted, output)
                    total["agreement"] += counts * agreement(wanted, output)
                    if self.feature_coef:
                        maps = jax.vmap(lambda linear: linear(hidden))(params["feature_maps"][i])
                        apart = squared_error(output_network(teacher).hidden(x_teacher), maps[task_index(t.context)])
                        total["features_loss"] += counts * apart
                return total

            mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
            return mean["distillation_loss"] + self.feature_coef * mean["features_loss"], mean

        trained = dict.fromkeys(name for phase in student.phases for name in phase.train)
        train = (*trained, "feature_maps") if self.feature_coef else tuple(trained)
        buffer = (self.batch_size, 1, self.buffer_size, self.update_to_data)
        return Learner(
            init=init,
            act=act,
            prepare=lambda params, rollout, info: (update_normalizer(params, rollout.obs, rollout.weight), rollout),
            phases=(Phase(loss, train, optax.adam(self.learning_rate)),),
            replay=Replay(student.replay.num_steps, student.replay.num_envs, *buffer),
            policy_contract=student.policy_contract,
        )


def without_teachers(params: Params) -> Params:
    """Returns the student's own params."""
    return {name: x for name, x in params.items() if name not in ("teachers", "feature_maps")}
