"""The gradient steps of one turn: what is drawn from memory, and what it changes."""

import functools
from typing import cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core import memory as memories
from headstart.core.types import Key, Learner, Metrics, PyTree, TrainState, Transition


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, however often it is asked for
def update(
    learner: Learner, state: TrainState, batch: Transition, key: Key, progress: Array | float
) -> tuple[TrainState, Metrics]:
    """One gradient step: the only place a gradient is taken."""
    gradient_of = jax.value_and_grad(learner.loss, has_aux=True)
    if learner.combine is None:
        (_, metrics), gradient = gradient_of(state.knowledge, state.slow, batch, key, progress)
    else:

        def of_task(batch: Transition, key: Key):
            alone = jax.tree.map(lambda x: x[None], batch)
            return gradient_of(state.knowledge, state.slow, alone, key, progress)

        k_combine, *k_tasks = jax.random.split(key, len(batch.weight) + 1)
        (losses, metrics), gradients = jax.vmap(of_task)(batch, jnp.stack(k_tasks))
        gradient, told = learner.combine(gradients, losses, k_combine)
        metrics = {**jax.tree.map(lambda x: x.mean(0), metrics), **told}
    optimizer = optax.with_extra_args_support(learner.optimizer)
    changes, moved = optimizer.update(gradient, state.optimizer, cast(PyTree, state.knowledge), progress=progress)
    knowledge = jax.tree.map(jnp.add, state.knowledge, changes)
    slow, taken = state.slow, state.taken + 1
    if learner.tau is not None:
        share = jnp.where(taken % learner.every == 0, learner.tau, 0.0)
        slow = jax.tree.map(lambda new, old: share * new + (1 - share) * old, knowledge, slow)
    return TrainState(knowledge, slow, moved, taken), metrics


def learn(
    learner: Learner,
    state: TrainState,
    memory: memories.Memory,
    gathered: Array,
    owed: Array,
    key: Key,
    progress: Array,
    going: Array,
) -> tuple[TrainState, Array, Metrics]:
    """Returns the state after a rollout's gradient steps (none unless `going`), what is owed, and mean metrics.

    Where no gradient step was taken, metrics are NaN.
    """
    k_rows, k_steps = jax.random.split(key)
    steps, owed, rows = memories.schedule(memory, learner.replay, gathered, owed, k_rows)

    def take(i: Array, state: TrainState) -> tuple[TrainState, Metrics]:
        batch = memories.take(memory, rows(i))
        return update(learner, state, batch, jax.random.fold_in(k_steps, i), progress)

    def one(carry):
        state, sums, going = carry
        new, metrics = take(state.taken - before, state)
        then = new, jax.tree.map(jnp.add, sums, metrics)
        if learner.stop is not None:
            going = ~learner.stop(metrics)
            then = jax.tree.map(lambda new, old: jnp.where(going, new, old), then, (state, sums))
        return *then, going

    def more(carry):
        state, _, going = carry
        return going & (state.taken - before < steps)

    before = state.taken
    shapes = jax.eval_shape(lambda: take(jnp.int32(0), state)[1])
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    after, sums, _ = jax.lax.while_loop(more, one, (state, nothing, going))
    return after, owed, jax.tree.map(lambda x: x / (after.taken - before), sums)
