"""Which rows of memory each gradient step after a rollout draws."""

import abc
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from headstart.core.counting import due
from headstart.core.draw import Draw
from headstart.core.errors import InputError
from headstart.core.memory import Memory
from headstart.core.types import Key, Record, Replay, group_key

TRIES = 4  # rows drawn for each row of a batch, until one is a step and not a final observation


def uniform(memory: Memory, batch_size: int, key: Key, sequence_length: int = 1) -> Int[Array, "task batch"]:
    """Returns rows drawn uniformly among the steps whose next observation, or whose whole sequence, is stored.

    Of `TRIES` drawn rows it takes the first that is a step, so that a batch has next to no final observations; these
    have weight 0. Rows of a task without steps have weight 0 too.
    """
    num_envs, length = memory.num_envs, memory.length

    def one(key: Key, memory: Memory) -> Int[Array, " batch"]:
        ready = _ready(memory, sequence_length)
        edges = jnp.cumsum(ready)
        nth = jax.random.randint(key, (TRIES, batch_size), 0, jnp.maximum(edges[-1], 1))
        env = (nth[..., None] >= edges[None, None]).sum(-1) if num_envs > 1 else jnp.zeros_like(nth)
        age = nth - (edges - ready)[env]
        rows = (memory.position[env] - memory.size[env] + age) % length * num_envs + env
        first = jnp.argmax(memory.rows.weight[rows] > 0, axis=0)
        return jnp.take_along_axis(rows, first[None], axis=0)[0]

    return jax.vmap(one)(jax.random.split(key, len(memory.stored)), memory)


def _ready(memory: Memory, sequence_length: int) -> Int[Array, "*task env"]:
    """Returns how many of each environment's rows have their whole sequence and its next observation in memory."""
    return jnp.maximum(memory.size - sequence_length, 0)


class Sampler(Record):
    """Which rows each gradient step after a rollout draws."""

    memory: Memory
    offline: Memory | None
    replay: Replay = eqx.field(static=True)

    @abc.abstractmethod
    def rows(self, n: Array) -> Int[Array, "task batch"]:
        """Returns the rows, or the first rows of the sequences, of the n-th batch."""

    def draw(self, n: Array) -> Draw:
        """Returns what the n-th gradient step draws from."""
        return Draw(self.rows(n), self.memory, self.offline, self.replay.sequence_length)


class UniformSampler(Sampler):
    """Draws each batch uniformly from a memory of the past."""

    key: Key

    def rows(self, n: Array) -> Int[Array, "task batch"]:
        replay = self.replay
        key = jax.random.fold_in(self.key, n)
        return uniform(self.memory, sequences_per_batch(replay), key, replay.sequence_length)


class ShuffledSampler(Sampler):
    """Makes `num_epochs` shuffled passes through a rollout; the last batch of a pass wraps around.

    Sequences lie side by side. Where the rollout is no multiple of their length, the last overlaps the one before it.
    """

    starts: Int[Array, " start"]  # first rows
    order: Int[Array, "epoch task start"]
    count: Int[Array, " task"]  # how many starts of a pass have weight; they come first
    batches: Int[Array, ""]  # of a pass

    def rows(self, n: Array) -> Int[Array, "task batch"]:
        size, each = sequences_per_batch(self.replay), jnp.maximum(self.batches, 1)
        places = (n % each * size + jnp.arange(size))[None, :] % jnp.maximum(self.count, 1)[:, None]
        chosen = jnp.take_along_axis(self.order[n // each % self.replay.num_epochs], places, axis=1)
        return chosen if self.replay.sequence_length == 1 else self.starts[chosen]


def sequences_per_batch(replay: Replay) -> int:
    """Returns how many rows, or sequences, a batch holds of each task."""
    return max(replay.batch_size // replay.sequence_length, 1)


def plan_updates(
    memory: tuple[Memory, ...],
    replay: Replay,
    gathered: Array,
    pending: Array,
    key: Key,
    offline: tuple[Memory, ...] | None = None,
) -> tuple[Array, Array, tuple[Sampler, ...]]:
    """Returns how many updates follow a rollout, the fraction that stays pending, and the rows of each batch.

    Each group of tasks has a memory. On-policy, the group with the most batches says how many updates there are.
    Off-policy, `update_to_data` updates follow each transition that each task `gathered`, from `learning_starts` on.
    A fraction of an update stays `pending` until the next rollout. Transitions before `learning_starts`, or before each
    group has a transition to draw, add none.
    """
    each = tuple(zip(memory, offline or (None,) * len(memory), strict=True))
    keys = [group_key(key, g) for g in range(len(each))]
    if not replay.buffer_size:
        passes = tuple(_shuffled_sampler(*given, replay, key) for given, key in zip(each, keys, strict=True))
        return replay.num_epochs * jnp.stack([x.batches for x in passes]).max(), pending, passes
    updates, rest = due(replay.update_rate, gathered, pending)
    ready = lambda x: (x.stored.max() >= replay.learning_starts) & (_ready(x, replay.sequence_length).max() > 0)
    enough = jnp.stack([ready(x) for x in memory]).all()
    samplers = tuple(UniformSampler(*given, replay, key) for given, key in zip(each, keys, strict=True))
    return jnp.where(enough, updates, 0), jnp.where(enough, rest, pending), samplers


def _shuffled_sampler(memory: Memory, offline: Memory | None, replay: Replay, key: Key) -> ShuffledSampler:
    weight, sequence, num_envs = memory.rows.weight > 0, replay.sequence_length, memory.num_envs
    if sequence > memory.length:
        raise InputError(
            f"A sequence of {sequence} steps does not fit into a rollout of {memory.length}; increase the learner's "
            "num_steps, or reduce sequence_length."
        )
    if sequence == 1:
        starts, counts = jnp.arange(weight.shape[1]), weight
    else:
        first = jnp.minimum(jnp.arange(-(-memory.length // sequence)) * sequence, memory.length - sequence)
        starts = (first[:, None] * num_envs + jnp.arange(num_envs)[None]).reshape(-1)
        counts = weight[:, starts[:, None] + num_envs * jnp.arange(sequence)[None]].any(-1)
    order = jax.vmap(functools.partial(_shuffled, counts))(jax.random.split(key, replay.num_epochs))
    batches = -(-counts.sum(1).max() // sequences_per_batch(replay))
    return ShuffledSampler(memory, offline, replay, starts, order, counts.sum(1), batches)


def _shuffled(counts: Bool[Array, "task row"], key: Key) -> Int[Array, "task row"]:
    """Returns the rows that count in random order, and then the others.

    Each row is one number to sort by: whether it counts, random bits, and the row itself in the lowest bits. XLA on
    CPUs sorts such numbers several times as fast as pairs of a random number and a row.
    """
    row = jax.lax.broadcasted_iota(jnp.uint32, counts.shape, 1)
    high_bit, row_bits = jnp.uint32(1 << 31), jnp.uint32((1 << counts.shape[1].bit_length()) - 1)
    random_bits = jax.random.bits(key, counts.shape) & (high_bit - 1) & ~row_bits
    return (jnp.sort(jnp.where(counts, 0, high_bit) | random_bits | row, axis=1) & row_bits).astype(jnp.int32)
