"""Knowledge of several tasks: which of them is meant, what is known of it, and who teaches it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.errors import InputError
from headstart.core.types import Knowledge, Learner, PyTree, Record, Spec


def which(context: Float[Array, "*n context"]) -> Int[Array, "*n"]:
    """-> the source that a context names; the first where it names none, or where nothing is told."""
    told = context.shape[-1]
    return jnp.argmax(context, -1) if told else jnp.zeros(context.shape[:-1], jnp.int32)


def check_names(owner: str, spec: Spec) -> None:
    """Raises InputError where the context holds more than the names of tasks, and `owner` would take it for one."""
    if spec.told:
        raise InputError(
            f"{owner} tells tasks apart by their context, to which the method around it adds {spec.told} numbers; make "
            f"{owner} the outer one of the two, or choose another base."
        )


def of(k: PyTree, task: Int[Array, "*task"]) -> PyTree:
    """-> what is known of that task, or of those: every array has a task axis in front."""
    return jax.tree.map(lambda x: x[task], k)


class Experts(NamedTuple):
    """A learner that has learned each of some sources by itself."""

    learner: Learner
    sources: tuple[int, ...]

    def known(self, known: Knowledge, context: Float[Array, " context"]) -> Knowledge:
        """-> what the expert of the source that the context names knows, of what all of them do."""
        return of(known, which(context)) if context.size else known

    def teach(self, context: Float[Array, " context"]) -> Bool[Array, ""]:
        """-> whether one of them is meant."""
        return (which(context) == jnp.array(self.sources)).any()


class Taught(Record):
    """What only a student knows: its learner's own, its experts, and how to tell their features from its own."""

    own: PyTree
    experts: tuple[Knowledge, ...]  # of each group; with a task axis, where there are several sources
    maps: tuple[PyTree, ...]  # of each group: a linear layer for each source [source]; none where features do not count


def alone(k: Knowledge) -> Knowledge:
    """-> the student without its experts."""
    return k.replace(extra=k.extra.own) if isinstance(k.extra, Taught) else k
