"""Separate: a learner for each task, in one program and without sharing. The control of every multi-task method.

Transfers: all parts of the source that the target is; of the first source, where it is none of them.
Assumes: nothing; K tasks cost K times the experience.
Fails when: tasks have something in common that would be worth sharing.
Source: CS 285, where multi-task learning is compared with it; the "independent" rows of arXiv:2001.06782.
Departs from it in: the learners train side by side, not one after another.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from headstart.core.errors import InputError
from headstart.core.types import Info, Learner, Method, Params, Phase, PyTree, Spec, Transition
from headstart.learners.ppo import PPO
from headstart.learners.teachers import check_task_context, select_task, task_index
from headstart.nets.contract import step


@dataclasses.dataclass(frozen=True)
class Separate(Method):
    """The base learner once for each source; every array of params has a leading task axis."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner of each source

    def build(self, spec: Spec, target: bool) -> Learner:
        check_task_context("Separate", spec)
        inner = self.base.learner(spec._replace(num_tasks=1, context_dim=0), target)
        if spec.context_dim == 0:
            return inner
        if any(phase.stop is not None for phase in inner.phases):
            raise InputError("Separate cannot stop one task's updates and continue the others'; leave target_kl out.")

        def init(key, prior):
            return jax.vmap(inner.init)(jax.random.split(key, spec.context_dim), prior)

        def act(params, carry, obs, context, info):
            return inner.act(select_task(params, task_index(context)), carry, obs, context[:0], info)

        def prepare(params, rollout, info):
            tasks = task_index(rollout.context[:, 0, 0])

            def one(params: Params, rollout: Transition, key) -> tuple[Params, Transition]:
                params, rows = inner.prepare(params, _alone(rollout), info._replace(key=key))
                return params, jax.tree.map(lambda x: x[0], rows)

            keys = jax.random.split(info.key, len(tasks))
            own, rows = jax.vmap(one)(select_task(params, tasks), rollout, keys)
            params = jax.tree.map(lambda x, new: x.at[tasks].set(new), params, own)
            context = jnp.broadcast_to(rollout.context[:, :1, :1], (*rows.weight.shape, rollout.context.shape[-1]))
            return params, rows.replace(context=context)

        def policy_contract(params):
            """Returns the base learner's contract with the arrays of the task that the context names."""
            acting = inner.policy_contract(params)
            if acting is None:
                return None
            own = lambda steps: tuple({**step, "of": "task"} if "arrays" in step else step for step in steps)
            select = step("which", ("context",), "task"), step("slice", ("context",), "context", start=0, stop=0)
            return dataclasses.replace(acting, steps=(*select, *own(acting.steps)), update=own(acting.update))

        return inner._replace(
            init=init,
            act=act,
            prepare=prepare,
            phases=tuple(map(_of_each_task, inner.phases)),
            policy_contract=policy_contract,
        )


def _of_each_task(phase: Phase) -> Phase:
    """Returns the phase with a loss, an optimizer and `after` for each task."""

    def loss(params: Params, batch: Transition, info: Info):
        tasks = task_index(batch.context[:, 0])

        def one(params: Params, batch: Transition, key):
            return phase.loss(params, _alone(batch), info._replace(key=key))

        keys = jax.random.split(info.key, len(tasks))
        losses, metrics = jax.vmap(one)(select_task(params, tasks), batch, keys)
        return losses.sum(), jax.tree.map(lambda x: x.mean(0), metrics)  # a sum, so that each keeps its whole gradient

    optimizer = optax.with_extra_args_support(phase.optimizer)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        return jax.vmap(lambda u, s, p: optimizer.update(u, s, p, **extra))(updates, state, params)

    def after(params: Params, info: Info) -> Params:
        return jax.vmap(lambda params: phase.after(params, info))(params)

    each = optax.GradientTransformationExtraArgs(jax.vmap(optimizer.init), update)
    return phase._replace(loss=loss, optimizer=each, after=after)


def _alone(experience: Transition) -> Transition:
    """Returns one task's experience with a task axis of length 1, and without the task's id."""
    alone = jax.tree.map(lambda x: x[None], experience)
    return alone.replace(context=alone.context[..., :0])
