"""What experience is kept, and how gradient steps draw from it.

Rows whose weight is 0 are never kept, so a rollout of which only one episode counts is as good as that episode.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from headstart.core.types import Key, Record, Replay, Transition


class Memory(Record):
    """A ring of transitions per task."""

    rows: Transition  # [task, capacity]
    at: Int[Array, " task"]  # where the next row goes
    filled: Int[Array, " task"]  # rows that hold something


def empty(like: Transition, capacity: int) -> Memory:
    """-> a memory with no rows, for experience of the shape of `like` [task, time, copy] (shapes are enough)."""
    tasks = like.weight.shape[0]
    rows = jax.tree.map(lambda x: jnp.zeros((tasks, capacity, *x.shape[3:]), x.dtype), like)
    return Memory(rows, jnp.zeros(tasks, jnp.int32), jnp.zeros(tasks, jnp.int32))


def add(memory: Memory, fresh: Transition) -> Memory:
    """-> the memory with the rows of `fresh` [task, time, copy] whose weight is not 0; the oldest give way."""
    capacity = memory.rows.weight.shape[1]

    def one(rows: Transition, at: Array, filled: Array, new: Transition) -> tuple[Transition, Array, Array]:
        new = jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), new)
        kept = (new.weight > 0).astype(jnp.int32)
        order = jnp.cumsum(kept)
        fits = (kept > 0) & (kept.sum() - order < capacity)  # no two rows in one place: which one stayed would be luck
        place = jnp.where(fits, (at + order - 1) % capacity, capacity)
        rows = jax.tree.map(lambda old, x: old.at[place].set(x, mode="drop"), rows, new)
        return rows, (at + kept.sum()) % capacity, jnp.minimum(filled + kept.sum(), capacity)

    return Memory(*jax.vmap(one)(memory.rows, memory.at, memory.filled, fresh))


def schedule(memory: Memory, replay: Replay, key: Key) -> tuple[Int[Array, "step task batch"], Bool[Array, " step"]]:
    """-> which rows each gradient step sees, and whether the step is to be taken at all.

    On-policy: `epochs` shuffled passes through the rows there are; the last batch of a pass wraps around, and the
    steps that a short rollout leaves over are not taken. Off-policy: `updates` uniform draws.
    """
    tasks, capacity = memory.rows.weight.shape
    there = jnp.maximum(memory.filled, 1)
    if replay.capacity:
        high = jnp.broadcast_to(there[:, None], (tasks, replay.batch))
        draws = [jax.random.randint(k, high.shape, 0, high) for k in jax.random.split(key, replay.updates)]
        return jnp.stack(draws), jnp.broadcast_to(memory.filled.max() > 0, (replay.updates,))

    steps = -(-capacity // replay.batch)
    places = jnp.arange(steps * replay.batch).reshape(steps, 1, replay.batch)

    def one_pass(key: Key) -> Int[Array, "step task batch"]:
        luck = jax.random.uniform(key, (tasks, capacity))
        order = jnp.argsort(jnp.where(jnp.arange(capacity)[None, :] < there[:, None], luck, 2.0), axis=1)
        at = jnp.broadcast_to(places % there[None, :, None], (steps, tasks, replay.batch))
        return jax.vmap(lambda at: jnp.take_along_axis(order, at, axis=1))(at)

    rows = jax.vmap(one_pass)(jax.random.split(key, replay.epochs))
    taken = jnp.arange(steps) * replay.batch < memory.filled.max()
    return rows.reshape(-1, tasks, replay.batch), jnp.tile(taken, replay.epochs)


def take(memory: Memory, rows: Int[Array, "task batch"]) -> Transition:
    """-> those rows [task, batch]."""
    return jax.vmap(lambda memory, at: jax.tree.map(lambda x: x[at], memory))(memory.rows, rows)
