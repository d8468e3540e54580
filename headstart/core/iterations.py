"""How many environment steps the loop's iterations take."""

from headstart.core.types import Learner, Tasks, groups


def steps_per_iteration(learner: Learner, tasks: Tasks) -> int:
    """Returns the environment steps of the first iteration, over all tasks."""
    return steps_taken(learner, tasks, 1)


def steps_taken(learner: Learner, tasks: Tasks, iterations: int) -> int:
    """Returns the environment steps of this many iterations, over all tasks.

    A task of the target domain takes one step per `source_steps_per_target_step`, counted across iterations, so that
    iterations may differ in their number of steps.
    """
    num_steps, num_envs = learner.replay.num_steps, learner.replay.num_envs
    if learner.allocate_envs is not None:
        return iterations * num_steps * num_envs * len(groups(tasks))
    domains = [domain for group in groups(tasks) for domain in group.domain.tolist()]
    every = learner.replay.source_steps_per_target_step
    steps = [-(-iterations * num_steps // (every if domain else 1)) for domain in domains]
    return num_envs * sum(steps)


def iterations_for(learner: Learner, tasks: Tasks, steps: int) -> int:
    """Returns the smallest number of iterations with at least `steps` environment steps; 0 if `steps` is 0."""
    low, high = 0, max(-(-steps // (learner.replay.num_steps * learner.replay.num_envs)), 0)
    while steps_taken(learner, tasks, high) < steps:  # if all tasks are targets, each of their steps takes several
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if steps_taken(learner, tasks, middle) < steps else (low, middle)
    return low
