"""What a gradient step may draw from memory: rows, what came before and after them, and logged experience."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from headstart.core.experience import Record, Step, Transition
from headstart.core.memory import NEVER, Memory


class Draw(Record):
    """What a phase may draw its batch from in one gradient step. Rows are places in memory, [task, batch] or more."""

    rows: Int[Array, "task batch"]  # those of this gradient step; the first rows, where sequences are drawn
    memory: Memory
    offline: Memory | None = None  # logged experience (`train(…, offline=…)`)
    sequence_length: int = eqx.field(static=True, default=1)

    def batch(self) -> Transition:
        """Returns the batch of this gradient step: [task, batch], or sequences [task, batch, time]."""
        if self.sequence_length == 1:
            return self.take(self.rows)
        return self.take(self.later(self.rows[..., None], jnp.arange(self.sequence_length)))

    def take(self, rows: Int[Array, "task *n"]) -> Transition:
        """Returns the transitions of these rows, each with its next observation."""
        return take(self.memory, rows)

    def later(self, rows: Int[Array, "task *n"], steps: Int[Array, "*k"] | int) -> Int[Array, "task *m"]:
        """Returns the rows that came so many steps later in the same environment."""
        return _later(self.memory, rows, steps)

    def steps_left(self, rows: Int[Array, "task *n"]) -> tuple[Int[Array, "task *n"], Bool[Array, "task *n"]]:
        """Returns how many steps after each row its episode has its last step, and whether that is its end.

        The last step of an episode that goes on is the newest one whose next observation is known.
        """
        memory, length, num_envs = self.memory, self.memory.length, self.memory.num_envs
        env = rows % num_envs
        last = (_gather(memory.position, env) - 1 - (type(memory.rows) is Step)) % length
        end = _gather(memory.end, _gather(memory.episode, rows) * num_envs + env)
        ended = end != NEVER
        return (jnp.where(ended, end, last) - rows // num_envs) % length, ended

    def steps_before(self, rows: Int[Array, "task *n"]) -> Int[Array, "task *n"]:
        """Returns how many steps of each row's episode came before it, as far as they are stored."""
        memory, length, num_envs = self.memory, self.memory.length, self.memory.num_envs
        env = rows % num_envs
        end = _gather(memory.end, (_gather(memory.episode, rows) - 1) % length * num_envs + env)  # of the one before
        age = (rows // num_envs - _gather(memory.position, env) + _gather(memory.size, env)) % length
        before = (rows // num_envs - end - 1 - (type(memory.rows) is Step)) % length  # a final observation lies between
        return jnp.where(end == NEVER, age, jnp.minimum(before, age))


def _gather(tree: Any, rows: Int[Array, "task *n"]) -> Any:
    return jax.vmap(lambda tree, rows: jax.tree.map(lambda x: x[rows], tree))(tree, rows)


def take(memory: Memory, rows: Int[Array, "task *n"]) -> Transition:
    """Returns the transitions of these rows of a memory, each with its next observation and next context."""
    steps = _gather(memory.rows, rows)
    if isinstance(steps, Transition):
        return steps
    next_obs, next_context = _gather((memory.rows.obs, memory.rows.context), _later(memory, rows, 1))
    return steps.with_next(next_obs, next_context)


def _later(memory: Memory, rows: Int[Array, "task *n"], steps: Int[Array, "*k"] | int) -> Int[Array, "task *m"]:
    steps = jnp.asarray(steps)
    steps = steps.reshape((1,) * (rows.ndim - steps.ndim) + steps.shape)
    return (rows + steps * memory.num_envs) % (memory.length * memory.num_envs)
