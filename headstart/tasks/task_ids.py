"""Several tasks of one env, learned together: each says by its context which of them it is."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.errors import InputError
from headstart.core.types import Task, stack
from headstart.tasks.registry import aligned
from headstart.tasks.strings import describe

TASK_SEPARATOR = " + "  # between the strings of several tasks that are learned together


def stack_tasks(tasks: Sequence[Task]) -> Task:
    """Returns the tasks, stacked. Of several, each has a context of as many numbers, all 0 but its own; one has none.

    Raises InputError where they are tasks of different envs, or do not draw the same parameters by laws of one kind.
    """
    tasks = aligned(tasks)
    kinds = {jax.tree.structure(task) for task in tasks}
    if len(kinds) > 1:
        raise InputError(
            f"The tasks of {tasks[0].env.name} cannot be learned together, since one draws what another fixes, or "
            "draws it otherwise; give each of them a number, or a law of the same kind, for the same parameters."
        )
    names = jax.device_put(np.eye(len(tasks), len(tasks) if len(tasks) > 1 else 0, dtype=np.float32))
    return stack([task.replace(context=name) for task, name in zip(tasks, names, strict=True)])


def with_task_id(task: Task, known: Sequence[str]) -> Task:
    """Returns the task, told which of the known ones (strings, in a context's order) it is; zeros where it is none of them.

    Where there are none, nothing is told.
    """
    if not known:
        return task
    here = describe(task)
    return task.replace(context=jnp.array([float(here == name) for name in known]))
