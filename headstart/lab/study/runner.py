"""Running a study: row by row, all seeds of a row in one program, each cell on disk as soon as it is done."""

import functools
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from headstart.core.errors import InputError
from headstart.core.interrupts import reraising
from headstart.core.rollout import evaluate
from headstart.core.types import Method, TrainState
from headstart.lab.checkpoint.locks import locked, probe, tidy
from headstart.lab.checkpoint.result_folder import keep
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.compilation_cache import make_room
from headstart.lab.study import (
    cross_evaluation,
    reuse,
    shift_check,
    source_training,
    study_clips,
    study_folder,
)
from headstart.lab.study.cell_store import Shelf
from headstart.lab.study.jobs import HeldError, Job, share
from headstart.lab.study.provenance import provenance
from headstart.lab.study.row_result import Outcome, target_steps
from headstart.lab.study.study import Study
from headstart.lab.watch.progress_event import News, Watch, WatcherError, silent
from headstart.methods import Entry
from headstart.protocol import claims, transfer
from headstart.protocol.shift import Shift
from headstart.protocol.study_config import StudyConfig

DRAW_EPISODES = 2  # in each task that is drawn of an ensemble


@reraising()
def compare(
    question: StudyConfig,
    out: str | pathlib.Path,
    allow_no_shift: bool = False,
    command: str = "",
    watch: Watch = silent,
    video: bool = False,
) -> dict[str, Any]:
    """Answers the question -> the study as plain data; `out` holds it, its cells, its report and, with `video`, clips.

    The same question and folder go on where they were left; a larger question runs what is new. Several processes share
    the work. Raises InputError, before anything is written, where the question makes no sense, where source and target
    are the same task, where `out` holds another study, and where it cannot be written to.
    """
    study = Study(question, pathlib.Path(out), watch)
    study_folder.check_folder(study.out, question)
    found = shift_check.first(study.domains, question, allow_no_shift)
    write = functools.partial(write_study, study, found, command)
    probe(study.out)
    for line in reuse.told(reusable_rows(study), question.seeds):
        say(line)
    write("running")
    share([row_job(study, entry, method, write) for entry, method in study.rows], say)
    write = functools.partial(write_study, study, shift_check.again(found, study.domains, question, study.out), command)
    share([matrix_job(study)], say)
    data = write("done")
    if video:
        work = functools.partial(study_clips.run, study)
        share([Job("clips", study.out / "clips", lambda: not study_clips.missing(study), work)], say)
        data = write("done")
    return data


def say(line: str) -> None:
    """Tells the person at the terminal."""
    print(line, file=sys.stderr)


def write_study(study: Study, found: Shift, command: str, status: str) -> dict[str, Any]:
    """Writes study.json as far as the study is, and its report once it is done -> the study as plain data."""
    data = claims.assemble(study.question, study.cells(), found) | _beside(study)
    data |= {"status": status, "left_out": study.left_out, "provenance": provenance(command)}
    with locked(study.out, wait=True):
        study_folder.write_study(study.out, data)
        if status == "done":
            study_folder.write_report_files(study.out)
    if status == "done":
        tidy(study.out)
    return data


def reusable_rows(study: Study) -> list[reuse.Row]:
    """Returns what of each row is there."""
    found = []
    for entry, method in study.rows:
        missing, before = study.missing(entry, method), study.before(entry)
        learned = before is not None and not source_training.shelf_of(study.out, method, before).missing(
            missing, study.began
        )
        folder = study.out / "cells" / entry.name
        found.append(reuse.Row(entry.name, folder, study.shelf(entry, method), missing, bool(missing) and learned))
    return found


def row_job(study: Study, entry: Entry, method: Method, write: Callable[[str], Any]) -> Job:
    """Returns a row as a job for whichever process takes it."""

    def work() -> None:
        make_room()
        run_row(study, entry, method)
        write("running")

    folder = study.out / "cells" / entry.name
    return Job(entry.name, folder, lambda: not study.missing(entry, method), work)


def matrix_job(study: Study) -> Job:
    """Returns the matrix as a job."""
    asked = (study.out, study.question, study.domains, study.rows)
    done = functools.partial(cross_evaluation.is_done, *asked, study.began)
    return Job("matrix", study.out / "sources", done, lambda: cross_evaluation.run(*asked, study.watch, study.began))


def _beside(study: Study) -> dict[str, Any]:
    """Returns the entries of study.json that are kept beside the cells."""
    return cross_evaluation.read(
        study.out, cross_evaluation.question_of(study.question, study.domains, study.rows)
    ) | study_clips.read(study)


def run_row(study: Study, entry: Entry, method: Method) -> None:
    """Runs a row and writes those of its cells that are not done yet; does nothing where all are."""
    shelf = study.shelf(entry, method)
    for group, missing in shelf.groups(study.question.seeds, study.began):
        try:
            found = _answers(study, _run(study, entry, method, group), entry, method, missing)
        except (InputError, OSError, WatcherError, HeldError):  # not the row's fault
            raise
        except Exception as error:  # an env or a learner that breaks must not take the other rows with it
            found = {seed: (study_folder.nothing(study_folder.reason(error)), None) for seed in missing}
        _keep(shelf, group, found)


def _keep(shelf: Shelf, group: tuple[int, ...], found: dict[int, Any]) -> None:
    keep(lambda folder: Shelf(folder, shelf.question).write_all(group, found), shelf.folder)


def _answers(
    study: Study, done: Outcome, entry: Entry, method: Method, seeds: list[int]
) -> dict[int, tuple[dict[str, Any], Trained | None]]:
    """Returns what came of some of a group's seeds, and what they know."""
    found = {}
    for seed in seeds:
        if done.source is not None and seed in done.source.lost:
            found[seed] = study_folder.nothing(done.source.curves[seed]["failed"]), None
        else:
            trained = done.trained(seed, entry, study.stages(entry, method), study.question, study.domains)
            found[seed] = done.cell(seed, entry.adapts), trained
    return found


@reraising()
def _run(study: Study, entry: Entry, method: Method, seeds: tuple[int, ...]) -> Outcome:
    question, target = study.question, study.domains.target_tasks
    keys, source, before = transfer.keys(seeds), None, study.before(entry)
    if before is not None:
        source = source_training.learn(study.out, entry.name, method, before, seeds, study.watch, study.began)
        if source.state is None:
            return Outcome(seeds, source, None, None, {}, {}, 0.0)
    prior, began, judgements = None if source is None else source.state, time.monotonic(), []
    steps = target_steps(entry, question)
    shots = question.shots if entry.adapts and entry.role != "oracle" else ()
    beside = study.domains.source_tasks if entry.learns_on == "both" else None
    if beside is not None:  # neither domain's budget is overspent
        sources_too = len(study.domains.sources)
        learner = method.learner(study.of._replace(num_tasks=1 + sources_too), target=True)
        steps = min(steps, question.source_steps // (learner.replay.source_steps_per_target_step * sources_too))
    target.env.pop_failures()
    for j in transfer.adapt(
        method, prior, target, steps, shots, keys, question.num_evals, question.eval_episodes, beside
    ):
        judgements.append(j)
        study.watch(News(entry.name, "target", j.steps, steps, j.returns.mean(1), j.metrics, seeds))
    curve = transfer.curve(judgements)
    if not entry.adapts:
        curve = transfer.held(curve, question.shots, question.target_steps)
    ranges = {} if prior is None else _generalisation(study, method, prior, keys)
    seconds = (time.monotonic() - began) / len(seeds)
    return Outcome(seeds, source, curve, judgements[-1], ranges, target.env.pop_failures(), seconds)


def _generalisation(study: Study, method: Method, prior: TrainState, keys: transfer.Keys) -> dict[str, np.ndarray]:
    """-> 0-shot returns [seed] on the ensemble: nominal, within its range, and beyond it."""
    if not study.domains.ranges:
        return {}
    learner = method.learner(study.of, target=True)
    together = jax.tree.map(lambda *x: np.concatenate(x), *study.domains.ranges.values())
    returns = np.asarray(evaluate(learner, prior.params, together, DRAW_EPISODES, keys.evaluation)).mean(2)
    ends = np.cumsum([tasks.w.shape[0] for tasks in study.domains.ranges.values()])
    parts = np.split(returns, ends[:-1], axis=1)
    return {name: part.mean(1) for name, part in zip(study.domains.ranges, parts, strict=True)}
