"""Several tasks of one env that are learned together: the context of each is its one-hot task id."""

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
    """Returns the tasks, stacked. Several tasks get their one-hot task ids as contexts; a single one gets none.

    Raises InputError if their envs differ, or if they do not draw the same parameters from the same distributions.
    """
    tasks = aligned(tasks)
    structures = {jax.tree.structure(task) for task in tasks}
    if len(structures) > 1:
        raise InputError(
            f"The tasks of {tasks[0].env.name} cannot be learned together, because one draws what another fixes, or "
            "draws it differently; give each of them a number, or the same distribution, for the same parameters."
        )
    ids = jax.device_put(np.eye(len(tasks), len(tasks) if len(tasks) > 1 else 0, dtype=np.float32))
    return stack([task.replace(context=task_id) for task, task_id in zip(tasks, ids, strict=True)])


def with_task_id(task: Task, known: Sequence[str]) -> Task:
    """Returns the task with its id among the known tasks (strings, in the order of ids) as context.

    The id is all zeros if the task is none of them. Without known tasks the context is left as it is.
    """
    if not known:
        return task
    text = describe(task)
    return task.replace(context=jnp.array([float(text == name) for name in known]))
