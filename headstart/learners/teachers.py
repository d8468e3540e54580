"""Knowledge of several tasks: which of them is meant, what is known of it, and who teaches it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.errors import InputError
from headstart.core.types import Knowledge, Learner, PyTree, Record, Spec


def task_index(context: Float[Array, "*n context"]) -> Int[Array, "*n"]:
    """-> the source that a context names; the first where it names none, or where nothing is told."""
    told = context.shape[-1]
    return jnp.argmax(context, -1) if told else jnp.zeros(context.shape[:-1], jnp.int32)


def check_task_context(owner: str, spec: Spec) -> None:
    """Raises InputError where the context holds more than the names of tasks, and `owner` would take it for one."""
    if spec.encoded_dim:
        raise InputError(
            f"{owner} tells tasks apart by their context, to which the method around it adds "
            f"{spec.encoded_dim} numbers; make {owner} the outer one of the two, or choose another base."
        )


def select_task(k: PyTree, task: Int[Array, "*task"]) -> PyTree:
    """-> what is known of that task, or of those: every array has a task axis in front."""
    return jax.tree.map(lambda x: x[task], k)


class TeacherGroup(NamedTuple):
    """A learner that has learned each of some sources by itself."""

    learner: Learner
    tasks: tuple[int, ...]

    def params_for(self, known: Knowledge, context: Float[Array, " context"]) -> Knowledge:
        """-> what the expert of the source that the context names knows, of what all of them do."""
        return select_task(known, task_index(context)) if context.size else known

    def is_responsible(self, context: Float[Array, " context"]) -> Bool[Array, ""]:
        """-> whether one of them is meant."""
        return (task_index(context) == jnp.array(self.tasks)).any()


class StudentParams(Record):
    """What only a student knows: its learner's own, its experts, and how to tell their features from its own."""

    own: PyTree
    teachers: tuple[Knowledge, ...]  # of each group; with a task axis, where there are several sources
    feature_maps: tuple[
        PyTree, ...
    ]  # of each group: a linear layer for each source [source]; none where features do not count


def without_teachers(k: Knowledge) -> Knowledge:
    """-> the student without its experts."""
    return k.replace(extra=k.extra.own) if isinstance(k.extra, StudentParams) else k
