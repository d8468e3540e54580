"""What experience is kept, and how gradient steps draw from it.

Rows whose weight is 0 are never kept, so a rollout of which only one episode counts is as good as that episode.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

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


def schedule(
    memory: Memory, replay: Replay, gathered: Array, key: Key
) -> tuple[Int[Array, ""], Callable[[Array], Int[Array, "task batch"]]]:
    """-> how many gradient steps follow a rollout, and which rows the i-th of them sees.

    On-policy: `epochs` shuffled passes through the rows there are; the last batch of a pass wraps around. Off-policy:
    `updates` uniform draws for each of the transitions that each task `gathered`, once it holds `least`.
    """
    tasks, capacity = memory.rows.weight.shape
    there = jnp.maximum(memory.filled, 1)[:, None]
    if replay.capacity:
        enough = memory.filled.max() >= max(replay.least, 1)
        steps = jnp.floor(replay.updates * gathered + 1e-4)  # 0.1 · 30 is 3

        def draw(i: Array) -> Int[Array, "task batch"]:
            return jax.random.randint(jax.random.fold_in(key, i), (tasks, replay.batch), 0, there)

        return jnp.where(enough, steps, 0.0).astype(jnp.int32), draw

    def one_pass(key: Key) -> Int[Array, "task row"]:
        luck = jax.random.uniform(key, (tasks, capacity))
        return jnp.argsort(jnp.where(jnp.arange(capacity)[None, :] < there, luck, 2.0), axis=1)

    passes = jax.vmap(one_pass)(jax.random.split(key, replay.epochs))
    batches = -(-memory.filled.max() // replay.batch)

    def walk(i: Array) -> Int[Array, "task batch"]:
        each = jnp.maximum(batches, 1)
        places = (i % each * replay.batch + jnp.arange(replay.batch))[None, :] % there
        return jnp.take_along_axis(passes[i // each], places, axis=1)

    return replay.epochs * batches, walk


def take(memory: Memory, rows: Int[Array, "task batch"]) -> Transition:
    """-> those rows [task, batch]."""
    return jax.vmap(lambda memory, at: jax.tree.map(lambda x: x[at], memory))(memory.rows, rows)
