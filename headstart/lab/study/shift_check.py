"""What the shift doctor says to a study: before anything is trained, and again once the source was learned."""

import pathlib

import jax

from headstart.core.errors import InputError
from headstart.core.types import spec
from headstart.lab.report import advice
from headstart.lab.study import source_training
from headstart.lab.study.study_tasks import Domains
from headstart.lab.watch.progress_bar import console
from headstart.protocol.checks import BrokenEnvError
from headstart.protocol.shift import Policy, Shift, untold
from headstart.protocol.study_config import StudyConfig


def first(domains: Domains, question: StudyConfig, allow_no_shift: bool) -> Shift:
    """Returns the shift along random actions, and warns where they show no difference, and where an env breaks.

    Raises InputError where source and target are the same task, unless that is allowed.
    """
    try:
        found = domains.shift()
    except BrokenEnvError as error:  # whether all of it is broken, or a seed here and there, the rows will show
        found = untold(str(error))
        console().print(advice.broken(found.broken), highlight=False, markup=False)
    if found.same and not allow_no_shift:
        raise InputError(
            f"{question.source} and {question.target} are the same task: the same environment, with the same "
            "parameters. Change the target, or say --allow-no-shift."
        )
    if not found.differs and not found.same:
        console().print(advice.unseen(found.values, found.along_policy), highlight=False, markup=False)
    return found


def again(found: Shift, domains: Domains, question: StudyConfig, out: pathlib.Path) -> Shift:
    """Returns the shift along the source's policy too, where random actions showed no difference."""
    if found.differs or found.same or (policy := _source_policy(domains, question, out)) is None:
        return found
    return domains.shift(policy)


def _source_policy(domains: Domains, question: StudyConfig, out: pathlib.Path) -> Policy | None:
    """Returns what the source taught to the first seed of `naive`; None where that failed."""
    naive = next(method for entry, method in question.rows() if entry.role == "naive")
    source = source_training.learned(out, naive, source_training.domain(domains, question), question.seeds)
    if source is None or source.state is None:
        return None
    learner = naive.learner(spec(domains.target_tasks), target=True)
    return Policy(learner, jax.tree.map(lambda x: x[0], source.state.params))
