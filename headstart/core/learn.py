"""Updates: which rows of memory each of them draws, and what it changes in params."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool

from headstart.core.memory import Memory
from headstart.core.names import select_parts
from headstart.core.sampling import Sampler, plan_updates
from headstart.core.types import (
    Info,
    Key,
    Learner,
    Metrics,
    Params,
    Phase,
    PyTree,
    Statistics,
    Task,
    Tasks,
    TrainState,
    Transition,
    group_key,
    groups,
)

SAMPLE = 1 << 16  # folded into a phase's key: what `Phase.sample` draws is independent of what its loss draws
Reported = dict[str, Bool[Array, ""]]  # whether a metric has a value; those that always have one may be left out


def for_new_training(params: Params) -> Params:
    """Returns a prior's params with the statistics as another training starts with them."""
    is_statistics = lambda x: isinstance(x, Statistics)
    start = lambda x: x.for_new_training() if is_statistics(x) else x
    return jax.tree.map(start, params, is_leaf=is_statistics)


def init_train_state(learner: Learner, params: Params, optimizers: tuple[PyTree, ...] | None = None) -> TrainState:
    """Returns the state before the first update, with fresh optimizer states unless some are given."""
    fresh = tuple(phase.optimizer.init(select_parts(params, phase.train)) for phase in learner.phases)
    return TrainState(params, fresh if optimizers is None else optimizers, jnp.int32(0))


def gradient_step(
    phase: Phase, params: Params, optimizer: PyTree, batches: tuple[Transition, ...], infos: tuple[Info, ...]
) -> tuple[Params, PyTree, Metrics]:
    """Takes one gradient step on the batch of each group of tasks: the only place where a gradient is taken.

    It minimizes the mean of the groups' losses. Returns the params after it, the optimizer's state, and metrics. It
    changes the parts that the phase trains, and what its `after` changes.
    """
    trained = select_parts(params, phase.train)

    def loss(trained: Params, batches: tuple[Transition, ...], infos: tuple[Info, ...]) -> tuple[Array, Metrics]:
        each = [phase.loss({**params, **trained}, *given) for given in zip(batches, infos, strict=True)]
        return each[0] if len(each) == 1 else jax.tree.map(lambda *x: sum(x) / len(x), *each)

    gradient_of = jax.value_and_grad(loss, has_aux=True)
    if phase.combine is None:
        (_, metrics), gradient = gradient_of(trained, batches, infos)
    else:

        def of_task(info: Info, batch: Transition, task: Task | None, key: Key):
            batch, task = jax.tree.map(lambda x: x[None], (batch, task))
            return gradient_of(trained, (batch,), (info._replace(key=key, task=task),))

        keys, each = [jax.random.split(info.key, len(x.weight) + 1) for x, info in zip(batches, infos, strict=True)], []
        for batch, info, own in zip(batches, infos, keys, strict=True):
            each.append(jax.vmap(functools.partial(of_task, info))(batch, info.task, own[1:]))
        (losses, metrics), gradients = jax.tree.map(lambda *x: jnp.concatenate(x), *each)
        gradient, more = phase.combine(gradients, losses, keys[0][0])
        metrics = {**jax.tree.map(lambda x: x.mean(0), metrics), **more}
    info = infos[0]
    update = optax.with_extra_args_support(phase.optimizer).update
    changes, optimizer = update(gradient, optimizer, trained, progress=info.progress)
    params = {**params, **jax.tree.map(jnp.add, trained, changes)}
    return phase.after(params, info), optimizer, metrics


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, though called twice
def update(
    learner: Learner,
    tasks: Tasks | None,
    state: TrainState,
    samplers: tuple[Sampler, ...],
    i: Array | int,
    info: Info,
) -> tuple[TrainState, Metrics, Reported, Bool[Array, ""]]:
    """Runs all phases: the i-th update after a rollout. Each group of tasks has a sampler.

    Returns the state, metrics, which of those of phases with `every` above 1 were reported, and whether a phase says to
    stop.
    """
    params, optimizers, stop = state.params, list(state.optimizers), jnp.array(False)
    metrics: Metrics = {}
    reported: Reported = {}
    for p, phase in enumerate(learner.phases):
        own_info = info._replace(key=info.key if p == 0 else jax.random.fold_in(info.key, p), updates=state.updates)
        steps = functools.partial(_steps, phase, tasks, samplers, jnp.asarray(i) // phase.every * phase.times, own_info)
        carry = params, optimizers[p]
        due: Array | bool = True
        if phase.every == 1:
            carry, own = steps(carry)
        else:
            due, skip = state.updates % phase.every == 0, functools.partial(_skip, jax.eval_shape(steps, carry)[1])
            carry, own = jax.lax.cond(due, steps, skip, carry)
            reported |= dict.fromkeys(own, due)
        params, optimizers[p] = carry
        if phase.stop is not None:
            stop = stop | (due & phase.stop(own))
        metrics |= own
    return TrainState(params, tuple(optimizers), state.updates + 1), metrics, reported, stop


def _steps(
    phase: Phase,
    tasks: Tasks | None,
    samplers: tuple[Sampler, ...],
    first: Array,
    info: Info,
    carry: tuple[Params, PyTree],
) -> tuple[tuple[Params, PyTree], Metrics]:
    """Takes the `times` gradient steps of a phase, each on batches of its own, from the `first` one on."""
    stacks = (None,) if tasks is None else groups(tasks)

    def one(carry: tuple[Params, PyTree], each: tuple[Array, Key]):
        (params, optimizer), (n, key) = carry, each
        infos = tuple(info._replace(key=group_key(key, g), task=task) for g, task in enumerate(stacks))
        batches = tuple(
            phase.sample(params, sampler.draw(n), own._replace(key=jax.random.fold_in(own.key, SAMPLE)))
            for sampler, own in zip(samplers, infos, strict=True)
        )
        params, optimizer, reported = gradient_step(phase, params, optimizer, batches, infos)
        return (params, optimizer), reported

    if phase.times == 1:
        return one(carry, (first, info.key))
    each = first + jnp.arange(phase.times), jax.random.split(info.key, phase.times)
    carry, reported = jax.lax.scan(one, carry, each)
    return carry, jax.tree.map(lambda x: x.mean(0), reported)


def _skip(shapes: PyTree, carry: tuple[Params, PyTree]) -> tuple[tuple[Params, PyTree], Metrics]:
    return carry, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def run_updates(
    learner: Learner,
    tasks: Tasks | None,
    state: TrainState,
    memory: tuple[Memory, ...],
    gathered: Array,
    pending: Array,
    info: Info,
    active: Array,
    offline: tuple[Memory, ...] | None = None,
) -> tuple[TrainState, Array, Metrics, Reported]:
    """Runs the updates that follow a rollout; none unless `active`.

    Returns the state, the fraction of an update that stays pending, mean metrics, and which of them were reported.
    """
    k_rows, k_steps = jax.random.split(info.key)
    updates, pending, samplers = plan_updates(memory, learner.replay, gathered, pending, k_rows, offline)

    def take(i: Array, state: TrainState) -> tuple[TrainState, Metrics, Reported, Array]:
        return update(learner, tasks, state, samplers, i, info._replace(key=jax.random.fold_in(k_steps, i)))

    def one(carry):
        state, sums, counts, active = carry
        new, metrics, reported, stop = take(state.updates - before, state)
        then = new, jax.tree.map(jnp.add, sums, metrics), jax.tree.map(jnp.add, counts, reported)
        if any(phase.stop is not None for phase in learner.phases):
            active = ~stop
            then = jax.tree.map(lambda new, old: jnp.where(active, new, old), then, (state, sums, counts))
        return *then, active

    def more(carry):
        state, _, _, active = carry
        return active & (state.updates - before < updates)

    before = state.updates
    _, shapes, rare, _ = jax.eval_shape(lambda: take(jnp.int32(0), state))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    none = dict.fromkeys(rare, jnp.int32(0))
    result: Any = jax.lax.while_loop(more, one, (state, zeros, none, active))
    after, sums, counts, _ = result
    counts = {**dict.fromkeys(shapes, after.updates - before), **counts}
    means = {name: total / counts[name] for name, total in sums.items()}
    return after, pending, means, {name: n > 0 for name, n in counts.items()}
