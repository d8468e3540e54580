"""The memory of experience.

A memory is laid out as a rollout is, with time and environments in one axis: the row of step t in environment e is at
`t * num_envs + e`. Off-policy, each environment has a ring: its newest rows overwrite its oldest. An observation is
stored once, since a row's next observation is the `obs` of the environment's next row. The last step of an episode is
followed by a row of weight 0 that holds the final observation. Other steps of weight 0 are not stored.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from headstart.core.errors import InputError
from headstart.core.experience import Record, Step, Transition
from headstart.core.replay import Replay

NEVER = -1  # in `Memory.end`: the episode goes on
MAX_STORED = 2**30  # at which `Memory.stored` stops counting


class Memory(Record):
    """Experience [task, row], and where each episode ends. Slots are counted within the ring of an environment."""

    rows: Step  # on-policy a Transition, with its own next observation
    position: Int[Array, "*task env"]  # the slot of the next row
    size: Int[Array, "*task env"]  # rows in use
    stored: Int[Array, "*task"]  # steps stored so far
    episode: Int[Array, "*task row"]  # the number of each row's episode, modulo the length of a ring
    end: Int[Array, "*task row"]  # by this number and environment: the slot of the episode's last step, or NEVER
    current: Int[Array, "*task env"]  # the number of the episode that goes on

    @property
    def num_envs(self) -> int:
        return self.size.shape[-1]

    @property
    def length(self) -> int:
        """How many rows the ring of an environment has."""
        return self.rows.weight.shape[-1] // self.num_envs


def empty(like: Transition, replay: Replay) -> Memory:
    """Returns an empty memory for transitions like those of `like` [task, time, env] (shapes suffice).

    Raises InputError if it is too small for the sequences that are drawn from it.
    """
    tasks, num_envs = like.weight.shape[0], replay.num_envs
    length = max(replay.buffer_size // num_envs, 1) + 1  # the newest observation needs a place too
    if length <= replay.sequence_length:
        raise InputError(
            f"A buffer of {replay.buffer_size} transitions of {num_envs} environments has no room for a sequence of "
            f"{replay.sequence_length} steps; increase buffer_size, or reduce num_envs or sequence_length."
        )
    shapes = jax.eval_shape(Transition.without_next, like)
    rows = jax.tree.map(lambda x: jnp.zeros((tasks, length * num_envs, *x.shape[3:]), x.dtype), shapes)
    by_env = jnp.zeros((tasks, num_envs), jnp.int32)
    by_row = jnp.zeros((tasks, length * num_envs), jnp.int32)
    return Memory(rows, by_env, by_env, jnp.zeros(tasks, jnp.int32), by_row, jnp.full_like(by_row, NEVER), by_env)


def from_rollout(fresh: Transition) -> Memory:
    """Returns a memory of this rollout [task, time, env] alone, steps of weight 0 included."""
    tasks, time, num_envs = fresh.weight.shape
    ends = jnp.cumsum(fresh.last, axis=1)
    slots, envs = (jax.lax.broadcasted_iota(jnp.int32, fresh.last.shape, axis) for axis in (1, 2))
    entry = jnp.where(fresh.last, (ends - 1) * num_envs + envs, time * num_envs)
    end = jnp.full((tasks, time * num_envs), NEVER)
    end = jax.vmap(lambda end, entry, slot: end.at[entry].set(slot, mode="drop"))(end, _flat(entry), _flat(slots))
    zeros = jnp.zeros((tasks, num_envs), jnp.int32)
    return Memory(
        rows=jax.tree.map(_flat, fresh),
        position=zeros,
        size=jnp.full_like(zeros, time),
        stored=jnp.full(tasks, time * num_envs),
        episode=_flat(ends - fresh.last),
        end=end,
        current=ends[:, -1],
    )


def from_log(transitions: Transition) -> Memory:
    """Returns a memory of logged experience [task, time, env], to be drawn from beside what a training gathers.

    Steps of weight 0 are left out. An episode that has no last step in the log ends at its newest one but one.
    """
    num_envs = transitions.weight.shape[2]
    capacity = 2 * transitions.weight.shape[1] * num_envs  # as many final observations as steps
    store = lambda log: cut_episodes(add(empty(log, Replay(1, num_envs, 1, buffer_size=capacity)), log))
    return jax.jit(store)(transitions)


def _flat(x: Array) -> Array:
    """Returns [task, time · env, …] of [task, time, env, …]."""
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:])


def add(memory: Memory, fresh: Transition) -> Memory:
    """Returns the memory with the rollout `fresh` [task, time, env] added; the newest rows overwrite the oldest.

    A rollout of whole episodes may have another number of environments than the memory: their episodes then follow one
    another.
    """
    num_envs, length = memory.num_envs, memory.length
    fresh = fresh if fresh.weight.shape[2] == num_envs else _side_by_side(fresh, num_envs)

    def one(memory: Memory, new: Transition) -> Memory:
        """Does so for one task; `new` is [time, env]."""
        envs, size = jnp.arange(num_envs)[None], length * num_envs
        counts = new.weight > 0
        ends = counts & new.last
        kept = jnp.stack([counts, ends], axis=1).reshape(-1, num_envs)  # of each step: its row, its final observation
        order = jnp.cumsum(kept.astype(jnp.int32), axis=0)
        fits = kept & (order[-1:] - order < length)  # two rows must not go to one place: which one stays is undefined
        slot = (memory.position[None] + order - 1) % length
        place = jnp.where(fits, slot * num_envs + envs, size).reshape(-1)

        numbers = (memory.current[None] + jnp.cumsum(ends, axis=0) - ends).astype(jnp.int32)  # of the episodes
        entry = lambda number: number % length * num_envs + envs
        end = memory.end.at[jnp.where(ends, entry(numbers + 1), size)].set(NEVER, mode="drop")  # another one starts
        fits_last = ends & fits.reshape(-1, 2, num_envs)[:, 0]
        end = end.at[jnp.where(fits_last, entry(numbers), size)].set(slot[::2], mode="drop")
        episode = memory.episode.at[place].set(jnp.repeat(numbers, 2, axis=0).reshape(-1) % length, mode="drop")

        rows = new.without_next()
        final = jax.tree.map(jnp.zeros_like, rows).replace(
            obs=new.next_obs, context=new.next_context, domain=new.domain, last=jnp.zeros_like(new.last)
        )
        both = jax.tree.map(lambda *x: jnp.stack(x, axis=1).reshape(len(place), *x[0].shape[2:]), rows, final)
        return Memory(
            jax.tree.map(lambda old, x: old.at[place].set(x, mode="drop"), memory.rows, both),
            (memory.position + order[-1]) % length,
            jnp.minimum(memory.size + order[-1], length),
            jnp.minimum(memory.stored + counts.sum(), MAX_STORED),
            episode,
            end,
            (memory.current + ends.sum(0)) % length,
        )

    return jax.vmap(one)(memory, fresh)


def _side_by_side(fresh: Transition, num_envs: int) -> Transition:
    """Returns a rollout of `num_envs` environments, in which the episodes of the others follow in time."""
    copies = -(-fresh.weight.shape[2] // num_envs)

    def one(x: Array) -> Array:
        missing = copies * num_envs - x.shape[2]
        x = jnp.pad(x, [(0, 0), (0, 0), (0, missing), *[(0, 0)] * (x.ndim - 3)])
        x = x.reshape(*x.shape[:2], copies, num_envs, *x.shape[3:])
        return jnp.swapaxes(x, 1, 2).reshape(x.shape[0], copies * x.shape[1], num_envs, *x.shape[4:])

    return jax.tree.map(one, fresh)


def cut_episodes(memory: Memory) -> Memory:
    """Returns the memory in which no episode goes on: each environment's newest observation is a final one.

    It is for environments that are left in the midst of an episode. What the newest step led to was never stored, so
    that its row keeps the observation only, and the step before it ends the episode (truncated, not terminated).
    """
    num_envs, length = memory.num_envs, memory.length

    def one(memory: Memory) -> Memory:
        envs, size, rows = jnp.arange(num_envs), length * num_envs, memory.rows
        place = lambda slot: slot % length * num_envs + envs
        newest, before = place(memory.position - 1), place(memory.position - 2)
        running = (memory.size > 0) & (rows.weight[newest] > 0)
        ends = running & (memory.size > 1) & (rows.weight[before] > 0)
        drop = lambda where, index: jnp.where(where, index, size)
        rows = rows.replace(
            weight=rows.weight.at[drop(running, newest)].set(0.0, mode="drop"),
            last=rows.last.at[drop(ends, before)].set(True, mode="drop"),
        )
        end = memory.end.at[drop(running, place(memory.current + 1))].set(NEVER, mode="drop")
        end = end.at[drop(running, place(memory.current))].set((memory.position - 2) % length, mode="drop")
        return memory.replace(rows=rows, end=end, current=(memory.current + running) % length)

    return jax.vmap(one)(memory)
