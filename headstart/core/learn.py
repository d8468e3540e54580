"""The gradient steps of one turn: what is drawn from memory, and what it changes."""

from typing import cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core import memory as memories
from headstart.core.types import Key, Learner, Metrics, PyTree, TrainState, Transition


def update(
    learner: Learner, state: TrainState, batch: Transition, key: Key, progress: Array | float
) -> tuple[TrainState, Metrics]:
    """One gradient step: the only place a gradient is taken."""
    gradient_of = jax.grad(learner.loss, has_aux=True)
    if learner.combine is None:
        gradient, metrics = gradient_of(state.knowledge, state.slow, batch, key, progress)
    else:

        def of_task(batch: Transition):
            alone = jax.tree.map(lambda x: x[None], batch)
            return gradient_of(state.knowledge, state.slow, alone, key, progress)

        gradients, metrics = jax.vmap(of_task)(batch)
        gradient = learner.combine(gradients, key)
        metrics = jax.tree.map(lambda x: x.mean(0), metrics)
    optimizer = optax.with_extra_args_support(learner.optimizer)
    changes, moved = optimizer.update(gradient, state.optimizer, cast(PyTree, state.knowledge), progress=progress)
    knowledge = jax.tree.map(jnp.add, state.knowledge, changes)
    slow, tau = state.slow, learner.tau
    if tau is not None:
        slow = jax.tree.map(lambda new, old: tau * new + (1 - tau) * old, knowledge, slow)
    return TrainState(knowledge, slow, moved), metrics


def learn(
    learner: Learner,
    state: TrainState,
    memory: memories.Memory,
    gathered: Array,
    key: Key,
    progress: Array,
    going: Array,
) -> tuple[TrainState, Metrics, Array]:
    """-> the state after a rollout's gradient steps (none unless `going`), their mean metrics, how many were taken."""
    k_rows, k_steps = jax.random.split(key)
    steps, rows = memories.schedule(memory, learner.replay, gathered, k_rows)

    def take(i: Array, state: TrainState) -> tuple[TrainState, Metrics]:
        batch = memories.take(memory, rows(i))
        return update(learner, state, batch, jax.random.fold_in(k_steps, i), progress)

    def one(carry):
        state, sums, taken, going = carry
        new, metrics = take(taken, state)
        then = new, jax.tree.map(jnp.add, sums, metrics), taken + 1
        if learner.stop is not None:
            going = ~learner.stop(metrics)
            then = jax.tree.map(lambda new, old: jnp.where(going, new, old), then, (state, sums, taken))
        return *then, going

    def more(carry):
        _, _, taken, going = carry
        return going & (taken < steps)

    shapes = jax.eval_shape(lambda: take(jnp.int32(0), state)[1])
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    state, sums, taken, _ = jax.lax.while_loop(more, one, (state, nothing, jnp.int32(0), going))
    total = jnp.float32(taken)
    return state, jax.tree.map(lambda x: x / jnp.maximum(total, 1.0), sums), total
