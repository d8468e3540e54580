"""Separate: a learner for each task, in one program and without sharing. The control of every multi-task method.

Transfers: all parts of the source that the target is; of the first source, where it is none of them.
Assumes: nothing; K tasks cost K times the experience.
Fails when: tasks have something in common that would be worth sharing.
Source: CS 285, where multi-task learning is compared with it; the "independent" rows of arXiv:2001.06782.
Departs from it in: the learners train side by side, not one after another.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax
from jaxtyping import Array

from headstart.core.draw import Draw
from headstart.core.errors import InputError
from headstart.core.types import Info, Key, Learner, Method, Params, Phase, PyTree, Spec, Task, Transition
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
            return inner.act(select_task(params, task_index(context)), carry, obs, context[:0], _without_id(info))

        def prepare(params, rollout, info):
            tasks = task_index(rollout.context[:, 0, 0])

            rollout = rollout.replace(context=rollout.context[..., :0])  # rows are stored without the task's id
            own, rows = _of_each_task(inner.prepare, params, rollout, info, tasks)
            params = jax.tree.map(lambda x, new: x.at[tasks].set(new), params, own)
            return params, jax.tree.map(lambda x: x[:, 0], rows)

        def policy_contract(params):
            """Returns the base learner's contract with the arrays of the task that the context names."""
            acting = inner.policy_contract(params)
            if acting is None:
                return None
            own = lambda steps: tuple({**step, "of": "task"} if "arrays" in step else step for step in steps)
            select = step("which", ("context",), "task"), step("slice", ("context",), "context", start=0, stop=0)
            return dataclasses.replace(acting, steps=(*select, *own(acting.steps)), update=own(acting.update))

        def init_carry(parameters, info):
            return inner.init_carry(parameters, _without_id(info))

        return inner._replace(
            init=init,
            act=act,
            init_carry=init_carry,
            prepare=prepare,
            phases=tuple(map(_each_on_its_own, inner.phases)),
            policy_contract=policy_contract,
        )


def _each_on_its_own(phase: Phase) -> Phase:
    """Returns the phase with a batch, a loss, an optimizer and `after` for each task."""

    def sample(params: Params, draw: Draw, info: Info) -> Transition:
        return jax.tree.map(lambda x: x[:, 0], _of_each_task(phase.sample, params, draw, info))

    def loss(params: Params, batch: Transition, info: Info):
        losses, metrics = _of_each_task(phase.loss, params, batch, info)
        return losses.sum(), jax.tree.map(lambda x: x.mean(0), metrics)  # a sum, so that each keeps its whole gradient

    optimizer = optax.with_extra_args_support(phase.optimizer)

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        return jax.vmap(lambda u, s, p: optimizer.update(u, s, p, **extra))(updates, state, params)

    def after(params: Params, info: Info) -> Params:
        return jax.vmap(lambda params: phase.after(params, _without_id(info)))(params)

    each = optax.GradientTransformationExtraArgs(jax.vmap(optimizer.init), update)
    return phase._replace(sample=sample, loss=loss, optimizer=each, after=after)


def _of_each_task(
    function: Callable[..., Any], params: Params, data: PyTree, info: Info, tasks: Array | None = None
) -> Any:
    """Returns what the base learner's function makes of each task's own params and data [task].

    The function is given data with a task axis of length 1, and no task's id. `tasks` are the indices of the tasks;
    None: those of `info.task`.
    """
    if tasks is None:
        assert info.task is not None
        tasks = task_index(info.task.context)

    def one(params: Params, data: PyTree, task: Task | None, key: Key) -> Any:
        data, task = jax.tree.map(lambda x: x[None], (data, task))
        return function(params, data, _without_id(info._replace(task=task, key=key)))

    keys = jax.random.split(info.key, len(tasks))
    return jax.vmap(one)(select_task(params, tasks), data, info.task, keys)


def _without_id(info: Info) -> Info:
    """Returns what the base learner is given of the task: nothing that says which one it is."""
    if info.task is None:
        return info
    return info._replace(task=info.task.replace(context=info.task.context[..., :0]))
