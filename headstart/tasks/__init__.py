"""Tasks. A task is an MDP, and it is data.

Its env is code and shared. Everything in which tasks of one env differ (a mass, a delay, the weights of the rewards) is
an array, so that many tasks, or a task whose parameters are drawn for each episode, are one compiled program. There are
three kinds of env with one interface, `headstart.core.types.Env`: `worlds` in pure JAX; `mujoco`'s robots, stepped by
the C simulator from within the compiled loop, or by MJX; and `host`, which steps any Gymnasium env in the same loop.
`disturbances` wraps any of them.

Parameters are not enough if source and target differ in something else (another body, other sensors), or if the varied
parameter does not matter: ask the shift doctor first.

`strings` reads and writes `Hopper-v5@torso_mass=3..9`. `registry` makes tasks by name, `distributions` checks their
values, `sampling` draws fixed tasks from random ones, `task_ids` stacks tasks with a task id as context, and
`gymnasium` makes a Gymnasium env of any task.
"""

from headstart.tasks.disturbances import Disturbed, disturb
from headstart.tasks.gymnasium import TaskEnv, to_gymnasium
from headstart.tasks.registry import aligned, make, parameters, task, tasks, value_of
from headstart.tasks.sampling import held_out, in_range, is_ensemble, nominal, sample_params
from headstart.tasks.strings import describe, parse
from headstart.tasks.task_ids import stack_tasks, with_task_id

__all__ = [
    "Disturbed",
    "TaskEnv",
    "aligned",
    "describe",
    "disturb",
    "held_out",
    "in_range",
    "is_ensemble",
    "make",
    "nominal",
    "parameters",
    "parse",
    "sample_params",
    "stack_tasks",
    "task",
    "tasks",
    "to_gymnasium",
    "value_of",
    "with_task_id",
]
