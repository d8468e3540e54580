"""The memory of transitions, and how gradient steps draw from it.

Transitions of weight 0 are never drawn, and a ring buffer does not store them. Where sequences are drawn, the buffer
stores all of them, so that the next step of an environment is always `num_envs` rows later. It draws no
sequences without weight.
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
    """A ring buffer of transitions per task, in the order of time; each step has one row per environment."""

    rows: Transition  # [task, capacity]
    position: Int[Array, " task"]  # where the next row goes
    size: Int[Array, " task"]  # rows in use


Sampler = Callable[[Array], Int[Array, "task batch *time"]]  # the rows of the i-th batch


def empty(like: Transition, capacity: int) -> Memory:
    """Returns an empty memory for transitions like those of `like` [task, time, env] (shapes suffice)."""
    tasks = like.weight.shape[0]
    rows = jax.tree.map(lambda x: jnp.zeros((tasks, capacity, *x.shape[3:]), x.dtype), like)
    return Memory(rows, jnp.zeros(tasks, jnp.int32), jnp.zeros(tasks, jnp.int32))


def from_rollout(fresh: Transition) -> Memory:
    """Returns a memory of this rollout [task, time, env] alone, rows of weight 0 included."""
    rows = jax.tree.map(_flatten_time, fresh)
    tasks, capacity = rows.weight.shape
    return Memory(rows, jnp.zeros(tasks, jnp.int32), jnp.full(tasks, capacity))


def _flatten_time(x: Array) -> Array:
    """Returns [task, time · env, …] of [task, time, env, …]."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:])


def add(memory: Memory, fresh: Transition, segment: int = 1) -> Memory:
    """Returns the memory with the rollout `fresh` [task, time, env] added; it overwrites the oldest rows."""
    capacity = memory.rows.weight.shape[1]

    def one(rows: Transition, at: Array, filled: Array, new: Transition) -> tuple[Transition, Array, Array]:
        kept = ((new.weight > 0) | (segment > 1)).astype(jnp.int32)
        order = jnp.cumsum(kept)
        fits = (kept > 0) & (
            kept.sum() - order < capacity
        )  # two rows must not go to one place: which one stays would be undefined
        place = jnp.where(fits, (at + order - 1) % capacity, capacity)
        rows = jax.tree.map(lambda old, x: old.at[place].set(x, mode="drop"), rows, new)
        return rows, (at + kept.sum()) % capacity, jnp.minimum(filled + kept.sum(), capacity)

    return Memory(*jax.vmap(one)(memory.rows, memory.position, memory.size, jax.tree.map(_flatten_time, fresh)))


def cut_episodes(memory: Memory, num_envs: int) -> Memory:
    """Returns the memory in which each environment's newest row ends its episode: truncated, not terminated."""
    capacity = memory.rows.weight.shape[1]

    def one(last: Array, at: Array, filled: Array) -> Array:
        newest = jnp.where(filled > 0, (at - 1 - jnp.arange(num_envs)) % capacity, capacity)
        return last.at[newest].set(True, mode="drop")

    last = jax.vmap(one)(memory.rows.last, memory.position, memory.size)
    return memory.replace(rows=memory.rows.replace(last=last))


def plan_updates(
    memory: Memory, replay: Replay, gathered: Array, pending: Array, key: Key
) -> tuple[Array, Array, Sampler]:
    """Returns how many updates follow a rollout, the fraction that stays pending, and the rows of each batch."""
    if replay.buffer_size:
        return _plan_off_policy(memory, replay, gathered, pending, key)
    updates, sampler = _plan_on_policy(memory, replay, key)
    return updates, pending, sampler


def _plan_off_policy(
    memory: Memory, replay: Replay, gathered: Array, pending: Array, key: Key
) -> tuple[Array, Array, Sampler]:
    """Draws `update_to_data` uniform batches for each transition that each task `gathered`, from `learning_starts` on.

    A fraction of an update stays `pending` until the next rollout. Transitions before `learning_starts` add none.
    """
    tasks, capacity = memory.rows.weight.shape
    oldest = (memory.position - memory.size)[:, None]
    held, there, age = (
        _segments(memory, replay, oldest) if replay.sequence_length > 1 else (*[memory.size] * 2, _itself)
    )
    updates, rest = due(replay.update_rate, gathered, pending)
    enough = (held.max() >= replay.learning_starts) & (there.max() > 0)

    def draw(i: Array) -> Int[Array, "task batch *time"]:
        shape, key_i = (tasks, rows_per_update(replay)), jax.random.fold_in(key, i)
        luck = jax.random.randint(key_i, shape, 0, jnp.maximum(there, 1)[:, None])
        return _onwards((oldest + age(luck)) % capacity, replay, capacity)

    return jnp.where(enough, updates, 0), jnp.where(enough, rest, pending), draw


def _itself(nth: Int[Array, "task batch"]) -> Int[Array, "task batch"]:
    return nth


def _segments(memory: Memory, replay: Replay, oldest: Int[Array, "task 1"]) -> tuple[Array, Array, Callable]:
    """Returns the number of rows with weight, of sequences with some weight [task], and where the n-th one begins.

    A sequence begins at any row from the oldest one on that enough steps follow; its place counts from the oldest row.
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


def _plan_on_policy(memory: Memory, replay: Replay, key: Key) -> tuple[Int[Array, ""], Sampler]:
    """Makes `num_epochs` shuffled passes through the rollout; the last batch of a pass wraps around.

    Sequences lie side by side. Where the rollout is no multiple of their length, the last overlaps the one before it.
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
        rows = jnp.take_along_axis(passes[i // each % replay.num_epochs], places, axis=1)
        return rows if replay.sequence_length == 1 else _onwards(starts[rows], replay, capacity)

    return replay.num_epochs * batches, walk


def _shuffled(counts: Bool[Array, "task row"], key: Key) -> Int[Array, "task row"]:
    """Returns the rows that count in random order, and then the others.

    Each row is one number to sort by: whether it counts, random bits, and the row itself in the lowest bits. XLA on
    CPUs sorts such numbers several times as fast as pairs of a random number and a row.
    """
    row = jax.lax.broadcasted_iota(jnp.uint32, counts.shape, 1)
    first, those = jnp.uint32(1 << 31), jnp.uint32((1 << counts.shape[1].bit_length()) - 1)
    luck = jax.random.bits(key, counts.shape) & (first - 1) & ~those
    return (jnp.sort(jnp.where(counts, 0, first) | luck | row, axis=1) & those).astype(jnp.int32)


def rows_per_update(replay: Replay) -> int:
    """Returns how many rows, or sequences, a batch holds of each task."""
    return max(replay.batch_size // replay.sequence_length, 1)


def _onwards(rows: Int[Array, "task batch"], replay: Replay, capacity: int) -> Int[Array, "task batch *time"]:
    """Returns those rows; where sequences are drawn, each with the rows of the steps that follow."""
    if replay.sequence_length == 1:
        return rows
    later = replay.num_envs * jnp.arange(replay.sequence_length)
    return (rows[..., None] + later[None, None]) % capacity


def gather(memory: Memory, rows: Int[Array, "task batch *time"]) -> Transition:
    """Returns those rows [task, batch], or sequences [task, batch, time]."""
    return jax.vmap(lambda memory, at: jax.tree.map(lambda x: x[at], memory))(memory.rows, rows)
