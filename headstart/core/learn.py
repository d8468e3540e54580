"""The gradient steps of one turn: what is drawn from memory, and what it changes."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core import memory as memories
from headstart.core.types import Key, Learner, Metrics, PyTree, Statistics, TrainState, Transition


def is_statistics(x: PyTree) -> bool:
    return isinstance(x, Statistics)


def split_statistics(knowledge: PyTree) -> tuple[PyTree, PyTree]:
    """Returns the weights, which gradients move, and the statistics; each with None in place of the other's leaves."""
    weights = jax.tree.map(lambda x: not is_statistics(x), knowledge, is_leaf=is_statistics)
    return eqx.partition(knowledge, weights)


def for_new_training(knowledge: PyTree) -> PyTree:
    """Returns a prior's knowledge as another training begins with it."""
    each = lambda x: x.for_new_training() if is_statistics(x) else x
    return jax.tree.map(each, knowledge, is_leaf=is_statistics)


def init_train_state(learner: Learner, knowledge: PyTree, optimizer: PyTree = None) -> TrainState:
    """Returns the state before the first gradient step; with a fresh optimizer unless one is given."""
    fresh = learner.optimizer.init(split_statistics(knowledge)[0]) if optimizer is None else optimizer
    return TrainState(knowledge, None if learner.tau is None else knowledge, fresh, jnp.int32(0))


def with_prepared(learner: Learner, state: TrainState, knowledge: PyTree) -> TrainState:
    """Returns the state with what `observe` made of its knowledge. The lagged copy's statistics are the newest too."""
    slow = learner.rescale_target(state.target, knowledge)
    if slow is not None:
        slow = eqx.combine(split_statistics(slow)[0], split_statistics(knowledge)[1])
    return state.replace(knowledge=knowledge, target=slow)


@functools.partial(jax.jit, static_argnames="learner", inline=True)  # traced once, however often it is asked for
def gradient_step(
    learner: Learner, state: TrainState, batch: Transition, key: Key, progress: Array | float
) -> tuple[TrainState, Metrics]:
    """One gradient step: the only place a gradient is taken. It moves weights, and leaves statistics alone."""
    weights, statistics = split_statistics(state.knowledge)

    def loss(weights: PyTree, batch: Transition, key: Key):
        return learner.loss(eqx.combine(weights, statistics), state.target, batch, key, progress)

    gradient_of = jax.value_and_grad(loss, has_aux=True)
    if learner.combine is None:
        (_, metrics), gradient = gradient_of(weights, batch, key)
    else:

        def of_task(batch: Transition, key: Key):
            alone = jax.tree.map(lambda x: x[None], batch)
            return gradient_of(weights, alone, key)

        k_combine, *k_tasks = jax.random.split(key, len(batch.weight) + 1)
        (losses, metrics), gradients = jax.vmap(of_task)(batch, jnp.stack(k_tasks))
        gradient, told = learner.combine(gradients, losses, k_combine)
        metrics = {**jax.tree.map(lambda x: x.mean(0), metrics), **told}
    optimizer = optax.with_extra_args_support(learner.optimizer)
    changes, moved = optimizer.update(gradient, state.optimizer, weights, progress=progress)
    weights = jax.tree.map(jnp.add, weights, changes)
    slow, taken = state.target, state.gradient_steps + 1
    if learner.tau is not None:
        share = jnp.where(taken % learner.target_update_period == 0, learner.tau, 0.0)
        lagged, known = split_statistics(slow)
        lagged = jax.tree.map(lambda new, old: share * new + (1 - share) * old, weights, lagged)
        slow = eqx.combine(lagged, known)
    return TrainState(eqx.combine(weights, statistics), slow, moved, taken), metrics


def run_updates(
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
    steps, owed, rows = memories.plan_updates(memory, learner.replay, gathered, owed, k_rows)

    def take(i: Array, state: TrainState) -> tuple[TrainState, Metrics]:
        batch = memories.gather(memory, rows(i))
        return gradient_step(learner, state, batch, jax.random.fold_in(k_steps, i), progress)

    def one(carry):
        state, sums, going = carry
        new, metrics = take(state.gradient_steps - before, state)
        then = new, jax.tree.map(jnp.add, sums, metrics)
        if learner.stop is not None:
            going = ~learner.stop(metrics)
            then = jax.tree.map(lambda new, old: jnp.where(going, new, old), then, (state, sums))
        return *then, going

    def more(carry):
        state, _, going = carry
        return going & (state.gradient_steps - before < steps)

    before = state.gradient_steps
    shapes = jax.eval_shape(lambda: take(jnp.int32(0), state)[1])
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    after, sums, _ = jax.lax.while_loop(more, one, (state, nothing, going))
    return after, owed, jax.tree.map(lambda x: x / (after.gradient_steps - before), sums)
