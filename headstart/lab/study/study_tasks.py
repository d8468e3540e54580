"""The tasks that a question is about: what is learned first, the ensemble of it, and the target that counts."""

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

DRAWS = 8  # tasks drawn of an ensemble's range, and beyond it


class Domains(NamedTuple):
    """A question's tasks; those named `*_tasks` are stacked, as learners take them."""

    sources: tuple[Task, ...]
    target: Task
    names: tuple[str, ...]  # of the sources, where there are several: what a context names
    source_tasks: Task
    ensemble_tasks: Task | None
    target_tasks: Task  # at its nominal values
    ranges: dict[str, Task]  # fixed tasks of the ensemble, stacked: nominal, of its range, and beyond it

    def shift(self, policy: Policy | None = None) -> Shift:
        """Returns what lies between the target and the source that is nearest to it.

        `policy`, which knows the sources, is looked along too.
        """
        key = jax.random.key(0)
        each = [shift(with_task_id(source, self.names), self.target, key, policy) for source in self.sources]
        return min(each, key=lambda found: (not found.same, found.whole.size))


def domains(question: StudyConfig) -> Domains:
    """-> the question's tasks. Raises InputError where one makes no sense, or where they do not fit together."""
    sources = [parse(text, question.physics) for text in question.source.split(TASK_SEPARATOR)]
    target = parse(question.target, question.physics, target=True)
    ensemble = None if question.ensemble is None else parse(question.ensemble, question.physics)
    for flag, task in (("--target", target), ("--ensemble", ensemble)):
        if task is not None:
            _check_fit(sources[0].env, flag, task.env)
    # naming the same parameters, they are one program: it is compiled once for both
    *sources, target = aligned([*sources, target])
    names = tuple(describe(source) for source in sources) if len(sources) > 1 else ()
    ensemble = None if ensemble is None else with_task_id(ensemble, names)
    return Domains(
        tuple(sources),
        target,
        names,
        source_tasks=stack_tasks(sources),
        ensemble_tasks=None if ensemble is None else stack([ensemble]),
        target_tasks=stack([with_task_id(nominal(target), names)]),
        ranges={} if ensemble is None else ranges_of(ensemble),
    )


def _check_fit(source: Env, flag: str, other: Env) -> None:
    mine, theirs = (source.observation_space, source.action_space), (other.observation_space, other.action_space)
    check_spaces(source.name, mine, f"{flag} {other.name}", theirs)


def ranges_of(ensemble: Task) -> dict[str, Task]:
    """-> fixed tasks [task] of an ensemble: nominal, of its range, and beyond it where it leaves anything there.

    Raises InputError where the ensemble draws nothing.
    """
    if not is_ensemble(ensemble):
        raise InputError(f"--ensemble {describe(ensemble)} draws nothing; write a range, such as NAME=LOW..HIGH.")
    key = jax.random.key(0)
    ranges = {"nominal": stack([nominal(ensemble)]), "in_range": in_range(ensemble, DRAWS, key)}
    with contextlib.suppress(InputError):  # a law that fills its parameter's bounds holds nothing out
        ranges["held_out"] = held_out(ensemble, DRAWS, key)
    return ranges
