"""Separate: a learner for each task, all in one program, which share nothing. The control of every multi-task method.

Transfers: policy, value and features of the source that the target is; of the first one where it is none of them.
Assumes: nothing; so many tasks cost so many times the experience.
Fails when: tasks have something in common that would be worth sharing.
Source: CS 285, where multi-task learning is compared with it; the "independent" rows of arXiv:2001.06782.
Departs from it in: the learners take turns with one another, not one after the other.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core.errors import InputError
from headstart.core.types import Key, Knowledge, Learner, Method, Metrics, PyTree, Spec, Transition, no_loss
from headstart.learners.ppo import PPO
from headstart.learners.teachers import check_task_context, select_task, task_index
from headstart.nets.contract import PolicyContract, step


@dataclasses.dataclass(frozen=True)
class Separate(Method):
    """The base learner once for each source; every array of what is known has a task axis in front."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns each of them

    def build(self, spec: Spec, target: bool) -> Learner:
        check_task_context("Separate", spec)
        inner = self.base.learner(spec._replace(num_tasks=1, context_dim=0), target)
        if spec.context_dim == 0:
            return inner
        if inner.stop is not None:
            raise InputError("Separate cannot stop one task's updates and go on with the others'; leave target_kl out.")
        optimizer = optax.with_extra_args_support(inner.optimizer)
        return inner._replace(
            init=functools.partial(_init, inner, spec.context_dim),
            act=functools.partial(_act, inner),
            prepare=functools.partial(_observe, inner),
            loss=no_loss if inner.loss is no_loss else functools.partial(_loss, inner),
            rescale_target=jax.vmap(inner.rescale_target),
            policy_contract=functools.partial(_contract, inner),
            optimizer=optax.GradientTransformationExtraArgs(
                jax.vmap(optimizer.init), functools.partial(_update, optimizer)
            ),
        )


def _init(inner: Learner, tasks: int, key: Key, prior: Knowledge | None) -> Knowledge:
    return jax.vmap(inner.init)(jax.random.split(key, tasks), prior)


def _act(inner: Learner, k: Knowledge, carry: PyTree, obs: Array, context: Array, key: Key, explore: Array | float):
    return inner.act(select_task(k, task_index(context)), carry, obs, context[:0], key, explore)


def _contract(inner: Learner, k: Knowledge) -> PolicyContract | None:
    """Returns how the learner acts by the arrays of the task that is meant, without a word about which one it is."""
    acts = inner.policy_contract(k)
    if acts is None:
        return None
    its_own = lambda steps: tuple({**one, "of": "task"} if "arrays" in one else one for one in steps)
    meant = step("which", ("context",), "task"), step("slice", ("context",), "context", start=0, stop=0)
    return dataclasses.replace(acts, steps=(*meant, *its_own(acts.steps)), remember=its_own(acts.remember))


def _observe(
    inner: Learner, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    tasks = task_index(fresh.context[:, 0, 0])

    def one(k: Knowledge, fresh: Transition, key: Key) -> tuple[Knowledge, Transition]:
        k, batch = inner.prepare(k, _alone(fresh), key, progress)
        return k, jax.tree.map(lambda x: x[0], batch)

    known, batch = jax.vmap(one)(select_task(k, tasks), fresh, jax.random.split(key, len(tasks)))
    k = jax.tree.map(lambda all_of, x: all_of.at[tasks].set(x), k, known)
    context = jnp.broadcast_to(fresh.context[:, :1, :1], (*batch.weight.shape, fresh.context.shape[-1]))
    return k, batch.replace(context=context)


def _loss(
    inner: Learner, k: Knowledge, slow: PyTree, batch: Transition, key: Key, progress: Array | float
) -> tuple[Array, Metrics]:
    tasks = task_index(batch.context[:, 0])

    def one(k: Knowledge, slow: PyTree, batch: Transition, key: Key) -> tuple[Array, Metrics]:
        return inner.loss(k, slow, _alone(batch), key, progress)

    keys = jax.random.split(key, len(tasks))
    losses, metrics = jax.vmap(one)(select_task(k, tasks), select_task(slow, tasks), batch, keys)
    return losses.sum(), jax.tree.map(lambda x: x.mean(0), metrics)  # a sum: each keeps its whole gradient


def _alone(experience: Transition) -> Transition:
    """-> one task's experience with a task axis of length 1, and without a word about which task it is."""
    alone = jax.tree.map(lambda x: x[None], experience)
    return alone.replace(context=alone.context[..., :0])


def _update(
    optimizer: optax.GradientTransformationExtraArgs,
    updates: PyTree,
    state: PyTree,
    params: PyTree = None,
    **extra: Any,
) -> tuple[PyTree, PyTree]:
    return jax.vmap(lambda u, s, p: optimizer.update(u, s, p, **extra))(updates, state, params)
