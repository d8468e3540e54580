"""Measures the shift of a study: before it trains, and again with the source policy."""

import pathlib

import jax

from headstart.core.errors import InputError
from headstart.core.types import spec
from headstart.lab.report import advice
from headstart.lab.study import source_training
from headstart.lab.study.study_tasks import StudyTasks
from headstart.lab.watch.progress_bar import console
from headstart.protocol.checks import BrokenEnvError
from headstart.protocol.shift import Policy, Shift, broken_shift
from headstart.protocol.study_config import StudyConfig


def check_shift(study_tasks: StudyTasks, config: StudyConfig, allow_no_shift: bool) -> Shift:
    """Returns the shift with random actions. Prints a warning if they show no difference, and if an env fails.

    Raises InputError if source and target are the same task, unless that is allowed.
    """
    try:
        shift = study_tasks.shift()
    except BrokenEnvError as error:  # the rows show whether all seeds fail
        shift = broken_shift(str(error))
        console().print(advice.broken_env_sentence(shift.broken), highlight=False, markup=False)
    if shift.same and not allow_no_shift:
        raise InputError(
            f"{config.source} and {config.target} are the same task: the same environment, with the same "
            "parameters. Change the target, or add --allow-no-shift."
        )
    if not shift.differs and not shift.same:
        console().print(advice.no_difference_sentence(shift.values, shift.along_policy), highlight=False, markup=False)
    return shift


def recheck_shift(shift: Shift, study_tasks: StudyTasks, config: StudyConfig, out: pathlib.Path) -> Shift:
    """Returns the shift measured with the source policy too, if random actions showed no difference."""
    if shift.differs or shift.same or (policy := _source_policy(study_tasks, config, out)) is None:
        return shift
    return study_tasks.shift(policy)


def _source_policy(study_tasks: StudyTasks, config: StudyConfig, out: pathlib.Path) -> Policy | None:
    """Returns the source policy of the first seed of `naive`; None if it failed."""
    naive = next(method for entry, method in config.rows() if entry.role == "naive")
    source = source_training.load_source(out, naive, source_training.source_tasks(study_tasks, config), config.seeds)
    if source is None or source.state is None:
        return None
    learner = naive.learner(spec(study_tasks.target_tasks), target=True)
    return Policy(learner, jax.tree.map(lambda x: x[0], source.state.params))
