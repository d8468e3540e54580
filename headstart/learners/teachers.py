"""Params of several tasks: which task a context names, its params, and the teachers of a student."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.errors import InputError
from headstart.core.types import Learner, Params, PyTree, Spec


def task_index(context: Float[Array, "*n context"]) -> Int[Array, "*n"]:
    """Returns the index of the task that a context names; 0 where it names none, or is empty."""
    return jnp.argmax(context, -1) if context.shape[-1] else jnp.zeros(context.shape[:-1], jnp.int32)


def check_task_context(owner: str, spec: Spec) -> None:
    """Raises InputError where the context holds more than the task's id, which `owner` would take it for."""
    if spec.encoded_dim:
        raise InputError(
            f"{owner} tells tasks apart by their context, to which the method around it adds "
            f"{spec.encoded_dim} numbers; make {owner} the outer one of the two, or choose another base."
        )


def select_task(params: PyTree, task: Int[Array, "*task"]) -> PyTree:
    """Returns the params of that task, or of those tasks: every array has a leading task axis."""
    return jax.tree.map(lambda x: x[task], params)


class TeacherGroup(NamedTuple):
    """A learner that has trained on each of some tasks separately."""

    learner: Learner
    tasks: tuple[int, ...]

    def params_for(self, params: Params, context: Float[Array, " context"]) -> Params:
        """Returns the params of the teacher of the task that the context names."""
        return select_task(params, task_index(context)) if context.size else params

    def is_responsible(self, context: Float[Array, " context"]) -> Bool[Array, ""]:
        """Returns whether the context names one of its tasks."""
        return (task_index(context) == jnp.array(self.tasks)).any()
