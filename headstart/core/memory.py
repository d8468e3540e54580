"""What experience is kept, and how gradient steps draw from it.

Rows whose weight is 0 are never drawn, so a rollout of which only one episode counts is as good as that episode, and
in a ring they take no room. Where segments are drawn, all are kept, so that a step's next one is always as many rows
later as there are copies; segments without any weight are not drawn.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from headstart.core.counting import due
from headstart.core.errors import InputError
from headstart.core.types import Key, Record, Replay, Transition


class Memory(Record):
    """A ring of transitions per task, in the order of time, and in each step of all copies."""

    rows: Transition  # [task, capacity]
    position: Int[Array, " task"]  # where the next row goes
    size: Int[Array, " task"]  # rows that hold something


Draw = Callable[[Array], Int[Array, "task batch *time"]]  # which rows the i-th gradient step sees


def empty(like: Transition, capacity: int) -> Memory:
    """-> a memory with no rows, for experience of the shape of `like` [task, time, copy] (shapes are enough)."""
    tasks = like.weight.shape[0]
    rows = jax.tree.map(lambda x: jnp.zeros((tasks, capacity, *x.shape[3:]), x.dtype), like)
    return Memory(rows, jnp.zeros(tasks, jnp.int32), jnp.zeros(tasks, jnp.int32))


def from_rollout(fresh: Transition) -> Memory:
    """-> a memory of this experience [task, time, copy] alone, as it is, rows without weight and all."""
    rows = jax.tree.map(_flatten_time, fresh)
    tasks, capacity = rows.weight.shape
    return Memory(rows, jnp.zeros(tasks, jnp.int32), jnp.full(tasks, capacity))


def _flatten_time(x: Array) -> Array:
    """-> [task, time · copy, …] of [task, time, copy, …]."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:])


def add(memory: Memory, fresh: Transition, segment: int = 1) -> Memory:
    """-> the memory with the rows of `fresh` [task, time, copy] that are kept; the oldest give way."""
    capacity = memory.rows.weight.shape[1]

    def one(rows: Transition, at: Array, filled: Array, new: Transition) -> tuple[Transition, Array, Array]:
        kept = ((new.weight > 0) | (segment > 1)).astype(jnp.int32)
        order = jnp.cumsum(kept)
        fits = (kept > 0) & (kept.sum() - order < capacity)  # no two rows in one place: which one stayed would be luck
        place = jnp.where(fits, (at + order - 1) % capacity, capacity)
        rows = jax.tree.map(lambda old, x: old.at[place].set(x, mode="drop"), rows, new)
        return rows, (at + kept.sum()) % capacity, jnp.minimum(filled + kept.sum(), capacity)

    return Memory(*jax.vmap(one)(memory.rows, memory.position, memory.size, jax.tree.map(_flatten_time, fresh)))


def cut_episodes(memory: Memory, copies: int) -> Memory:
    """-> the memory in which every copy's newest row is its episode's last: cut short, which is no end of the MDP."""
    capacity = memory.rows.weight.shape[1]

    def one(last: Array, at: Array, filled: Array) -> Array:
        newest = jnp.where(filled > 0, (at - 1 - jnp.arange(copies)) % capacity, capacity)
        return last.at[newest].set(True, mode="drop")

    last = jax.vmap(one)(memory.rows.last, memory.position, memory.size)
    return memory.replace(rows=memory.rows.replace(last=last))


def plan_updates(memory: Memory, replay: Replay, gathered: Array, owed: Array, key: Key) -> tuple[Array, Array, Draw]:
    """Returns how many gradient steps follow a rollout, what is owed after them, and which rows each of them sees."""
    if replay.buffer_size:
        return _draws(memory, replay, gathered, owed, key)
    steps, draw = _passes(memory, replay, key)
    return steps, owed, draw


def _draws(memory: Memory, replay: Replay, gathered: Array, owed: Array, key: Key) -> tuple[Array, Array, Draw]:
    """Off-policy: `updates` uniform draws for each transition that each task `gathered`, once it holds `least`.

    A part of a draw stays `owed` to the next rollout. Nothing is owed for what was gathered before there was enough.
    """
    tasks, capacity = memory.rows.weight.shape
    oldest = (memory.position - memory.size)[:, None]
    held, there, age = (
        _segments(memory, replay, oldest) if replay.sequence_length > 1 else (*[memory.size] * 2, _itself)
    )
    steps, rest = due(replay.update_rate, gathered, owed)
    enough = (held.max() >= replay.learning_starts) & (there.max() > 0)

    def draw(i: Array) -> Int[Array, "task batch *time"]:
        shape, key_i = (tasks, rows_per_update(replay)), jax.random.fold_in(key, i)
        luck = jax.random.randint(key_i, shape, 0, jnp.maximum(there, 1)[:, None])
        return _onwards((oldest + age(luck)) % capacity, replay, capacity)

    return jnp.where(enough, steps, 0), jnp.where(enough, rest, owed), draw


def _itself(nth: Int[Array, "task batch"]) -> Int[Array, "task batch"]:
    return nth


def _segments(memory: Memory, replay: Replay, oldest: Int[Array, "task 1"]) -> tuple[Array, Array, Callable]:
    """-> rows that have weight, segments that have some [task], and how many rows after the oldest the n-th begins.

    A segment begins anywhere from the oldest row on to where so many steps follow.
    """
    capacity = memory.rows.weight.shape[1]
    ages = jnp.arange(capacity)[None]
    weight = jnp.take_along_axis(memory.rows.weight, (oldest + ages) % capacity, axis=1) > 0
    some = jnp.stack([jnp.roll(weight, -step * replay.num_envs, axis=1) for step in range(replay.sequence_length)]).any(
        0
    )
    follow = ages < (memory.size - (replay.sequence_length - 1) * replay.num_envs)[:, None]
    order = jnp.cumsum(some & follow, axis=1)
    nth = jax.vmap(functools.partial(jnp.searchsorted, side="right"))
    return weight.sum(1), order[:, -1], functools.partial(nth, order)


def _passes(memory: Memory, replay: Replay, key: Key) -> tuple[Int[Array, ""], Draw]:
    """On-policy: `epochs` shuffled passes through the rows there are; the last batch of a pass wraps around.

    Segments lie side by side; where the rollout is no multiple of them, the last overlaps the one before it.
    """
    capacity = memory.rows.weight.shape[1]
    if replay.sequence_length * replay.num_envs > capacity:
        raise InputError(
            f"A sequence of {replay.sequence_length} steps does not fit into a rollout of "
            f"{capacity // replay.num_envs}; increase the learner's num_steps, or reduce sequence_length."
        )
    if replay.sequence_length == 1:
        starts, counts = jnp.arange(capacity), memory.rows.weight > 0
    else:
        length = capacity // replay.num_envs
        first = jnp.minimum(
            jnp.arange(-(-length // replay.sequence_length)) * replay.sequence_length, length - replay.sequence_length
        )
        starts = (first[:, None] * replay.num_envs + jnp.arange(replay.num_envs)[None]).reshape(-1)
        weight = memory.rows.weight[:, _onwards(starts[None], replay, capacity)[0]]
        counts = weight.any(-1)
    there, batch = jnp.maximum(counts.sum(1), 1)[:, None], rows_per_update(replay)

    passes = jax.vmap(functools.partial(_shuffled, counts))(jax.random.split(key, replay.num_epochs))
    batches = -(-counts.sum(1).max() // batch)

    def walk(i: Array) -> Int[Array, "task batch *time"]:
        each = jnp.maximum(batches, 1)
        places = (i % each * batch + jnp.arange(batch))[None, :] % there
        rows = jnp.take_along_axis(passes[i // each], places, axis=1)
        return rows if replay.sequence_length == 1 else _onwards(starts[rows], replay, capacity)

    return replay.num_epochs * batches, walk


def _shuffled(counts: Bool[Array, "task row"], key: Key) -> Int[Array, "task row"]:
    """-> the rows that count, in an order by chance, and then the others.

    Each row is one number: whether it counts, luck, and the row itself, from the highest bits down to the lowest. XLA
    for CPUs sorts these several times as fast as luck and rows side by side.
    """
    row = jax.lax.broadcasted_iota(jnp.uint32, counts.shape, 1)
    first, those = jnp.uint32(1 << 31), jnp.uint32((1 << counts.shape[1].bit_length()) - 1)
    luck = jax.random.bits(key, counts.shape) & (first - 1) & ~those
    return (jnp.sort(jnp.where(counts, 0, first) | luck | row, axis=1) & those).astype(jnp.int32)


def rows_per_update(replay: Replay) -> int:
    """-> how many rows, or segments, a gradient step draws from each task."""
    return max(replay.batch_size // replay.sequence_length, 1)


def _onwards(rows: Int[Array, "task batch"], replay: Replay, capacity: int) -> Int[Array, "task batch *time"]:
    """-> those rows; where segments are asked for, each with those of the steps that follow."""
    if replay.sequence_length == 1:
        return rows
    later = replay.num_envs * jnp.arange(replay.sequence_length)
    return (rows[..., None] + later[None, None]) % capacity


def gather(memory: Memory, rows: Int[Array, "task batch *time"]) -> Transition:
    """-> those rows [task, batch], or segments [task, batch, time]."""
    return jax.vmap(lambda memory, at: jax.tree.map(lambda x: x[at], memory))(memory.rows, rows)
