"""Creates the tasks of a study: sources, ensemble and target."""

import contextlib
from typing import NamedTuple

import jax

from headstart.core.errors import InputError
from headstart.core.types import Env, Task, stack
from headstart.protocol.checks import check_spaces
from headstart.protocol.shift import Policy, Shift, shift
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.registry import aligned
from headstart.tasks.sampling import held_out, in_range, is_ensemble, nominal
from headstart.tasks.strings import describe, parse
from headstart.tasks.task_ids import TASK_SEPARATOR, stack_tasks, with_task_id

DRAWS = 8  # tasks drawn from the ensemble's range, and from outside of it


class StudyTasks(NamedTuple):
    """The tasks of a study. Fields named `*_tasks` are stacked tasks."""

    sources: tuple[Task, ...]
    target: Task
    source_names: tuple[str, ...]  # task strings of several sources, in the order of the context; empty for one
    source_tasks: Task
    ensemble_tasks: Task | None
    target_tasks: Task  # with nominal parameters
    ranges: dict[str, Task]  # stacked tasks of the ensemble: nominal, in_range and held_out

    def shift(self, policy: Policy | None = None) -> Shift:
        """Returns the shift between the target and the nearest source.

        `policy`, trained on the sources, is run in addition to random policies.
        """
        key = jax.random.key(0)
        shifts = [shift(with_task_id(source, self.source_names), self.target, key, policy) for source in self.sources]
        return min(shifts, key=lambda result: (not result.same, result.combined.size))


def make_study_tasks(config: StudyConfig) -> StudyTasks:
    """Creates the tasks of a study. Raises InputError if one is invalid or if their spaces differ."""
    sources = [parse(text, config.physics) for text in config.source.split(TASK_SEPARATOR)]
    target = parse(config.target, config.physics, target=True)
    ensemble = None if config.ensemble is None else parse(config.ensemble, config.physics)
    for flag, task in (("--target", target), ("--ensemble", ensemble)):
        if task is not None:
            _check_fit(sources[0].env, flag, task.env)
    # tasks with the same parameter names share one compiled program
    *sources, target = aligned([*sources, target])
    names = tuple(describe(source) for source in sources) if len(sources) > 1 else ()
    ensemble = None if ensemble is None else with_task_id(ensemble, names)
    return StudyTasks(
        tuple(sources),
        target,
        names,
        source_tasks=stack_tasks(sources),
        ensemble_tasks=None if ensemble is None else stack([ensemble]),
        target_tasks=stack([with_task_id(nominal(target), names)]),
        ranges={} if ensemble is None else ranges_of(ensemble),
    )


def _check_fit(source: Env, flag: str, other: Env) -> None:
    own, theirs = (source.observation_space, source.action_space), (other.observation_space, other.action_space)
    check_spaces(source.name, own, f"{flag} {other.name}", theirs)


def ranges_of(ensemble: Task) -> dict[str, Task]:
    """Returns stacked tasks of an ensemble: nominal, in its range, and outside of it if the bounds allow that.

    Raises InputError if the ensemble has no random parameter.
    """
    if not is_ensemble(ensemble):
        raise InputError(
            f"--ensemble {describe(ensemble)} has no random parameter; write a range, such as NAME=LOW..HIGH."
        )
    key = jax.random.key(0)
    ranges = {"nominal": stack([nominal(ensemble)]), "in_range": in_range(ensemble, DRAWS, key)}
    with contextlib.suppress(InputError):  # the distribution may cover the parameter's bounds
        ranges["held_out"] = held_out(ensemble, DRAWS, key)
    return ranges
