"""How many environment steps the loop's turns take."""

from headstart.core.types import Learner, Task


def steps_per_iteration(learner: Learner, tasks: Task) -> int:
    """Returns the environment steps of the first turn, of all tasks together."""
    return steps_taken(learner, tasks, 1)


def steps_taken(learner: Learner, tasks: Task, turns: int) -> int:
    """Returns the environment steps of so many turns, of all tasks together.

    A task of the target domain plays every `spare`-th step, counted over turns: so not every turn has equally many.
    """
    length, copies, spare = (
        learner.replay.num_steps,
        learner.replay.num_envs,
        learner.replay.source_steps_per_target_step,
    )
    if learner.allocate_envs is not None:
        return turns * length * copies
    each = [-(-turns * length // spare) if domain else turns * length for domain in tasks.domain.tolist()]
    return copies * sum(each)


def iterations_for(learner: Learner, tasks: Task, steps: int) -> int:
    """Returns the least number of turns that take at least so many environment steps; 0 where `steps` is none."""
    low, high = 0, max(-(-steps // (learner.replay.num_steps * learner.replay.num_envs)), 0)
    while steps_taken(learner, tasks, high) < steps:  # only targets play: each of their steps takes `spare`
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if steps_taken(learner, tasks, middle) < steps else (low, middle)
    return low
