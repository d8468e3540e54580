"""Tasks: what is learned, and what is transferred to. A task is an MDP and it is data.

Its env is code and shared; everything in which tasks of one env differ (a mass, a delay, the weights of the rewards) is
an array, so that many tasks, or one drawn anew for each episode, are one compiled program. There are two kinds of env
behind one face, `headstart.core.types.Env`: `worlds` in pure JAX, and `mujoco`'s robots, stepped by the C simulator
from within the compiled loop or by MJX; `disturbances` wraps either. A third is everybody else's: `host` steps any
Gymnasium env in the same loop.

It fails when what differs between source and target is not a parameter (another body, other sensors), or when the
parameter that was varied does not matter: ask the shift doctor first.

`strings` reads and writes `Hopper-v5@torso_mass=3..9`; `registry` makes tasks by name, `laws` checks their values,
`sampling` draws fixed tasks out of random ones, `several` puts some together, each told which it is, and `gymnasium`
hands any of them to other people's code.
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
