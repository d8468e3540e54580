"""Runs a study row by row. All seeds of a row are one program, and each cell is saved when it is finished."""

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
from headstart.lab.checkpoint.locks import check_writable, delete_leftovers, locked
from headstart.lab.checkpoint.result_folder import write_or_rescue
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.compilation_cache import free_memory
from headstart.lab.study import (
    cross_evaluation,
    reuse,
    shift_check,
    source_training,
    study_clips,
    study_folder,
)
from headstart.lab.study.cell_store import CellStore
from headstart.lab.study.jobs import Job, LockedError, run_jobs
from headstart.lab.study.provenance import provenance
from headstart.lab.study.row_result import RowResult, target_steps
from headstart.lab.study.study import Study
from headstart.lab.watch.progress_event import CallbackError, ProgressCallback, ProgressEvent, ignore
from headstart.methods import Entry
from headstart.protocol import claims, transfer
from headstart.protocol.shift import Shift
from headstart.protocol.study_config import StudyConfig

DRAW_EPISODES = 2  # in each task drawn from an ensemble


@reraising()
def compare(
    config: StudyConfig,
    out: str | pathlib.Path,
    allow_no_shift: bool = False,
    command: str = "",
    watch: ProgressCallback = ignore,
    video: bool = False,
) -> dict[str, Any]:
    """Runs a study in the folder `out`, with its cells, report and (with `video`) clips. Returns its data.

    The same call resumes an unfinished study, and a larger configuration runs only what is new. Several processes share
    the work. Raises InputError, before anything is written, if the configuration is invalid, if source and target are
    the same task, and if `out` holds another study or cannot be written to.
    """
    study = Study(config, pathlib.Path(out), watch)
    study_folder.check_folder(study.out, config)
    shift = shift_check.check_shift(study.study_tasks, config, allow_no_shift)
    write = functools.partial(write_study, study, shift, command)
    check_writable(study.out)
    for line in reuse.reuse_lines(reusable_rows(study), config.seeds):
        log(line)
    write("running")
    run_jobs([row_job(study, entry, method, write) for entry, method in study.rows], log)
    write = functools.partial(
        write_study, study, shift_check.recheck_shift(shift, study.study_tasks, config, study.out), command
    )
    run_jobs([matrix_job(study)], log)
    data = write("done")
    if video:
        work = functools.partial(study_clips.run, study)
        run_jobs([Job("clips", study.out / "clips", lambda: not study_clips.missing(study), work)], log)
        data = write("done")
    return data


def log(line: str) -> None:
    """Prints a line to standard error."""
    print(line, file=sys.stderr)


def write_study(study: Study, shift: Shift, command: str, status: str) -> dict[str, Any]:
    """Writes study.json with the finished cells, and the report if the study is done. Returns the data."""
    data = claims.assemble_study(study.config, study.cells(), shift) | _matrix_and_clips(study)
    data |= {"status": status, "left_out": study.left_out, "provenance": provenance(command)}
    with locked(study.out, wait=True):
        study_folder.write_study(study.out, data)
        if status == "done":
            study_folder.write_report_files(study.out)
    if status == "done":
        delete_leftovers(study.out)
    return data


def reusable_rows(study: Study) -> list[reuse.RowPlan]:
    """Returns the missing seeds and the reusable source training of each row."""
    plans = []
    for entry, method in study.rows:
        missing, source = study.missing(entry, method), study.source_tasks(entry)
        learned = source is not None and not source_training.source_store(study.out, method, source).missing(
            missing, study.start_time
        )
        folder = study.out / "cells" / entry.name
        plans.append(
            reuse.RowPlan(entry.name, folder, study.cell_store(entry, method), missing, bool(missing) and learned)
        )
    return plans


def row_job(study: Study, entry: Entry, method: Method, write: Callable[[str], Any]) -> Job:
    """Returns the job that runs a row."""

    def work() -> None:
        free_memory()
        run_row(study, entry, method)
        write("running")

    folder = study.out / "cells" / entry.name
    return Job(entry.name, folder, lambda: not study.missing(entry, method), work)


def matrix_job(study: Study) -> Job:
    """Returns the job that computes the cross-evaluation matrix."""
    arguments = (study.out, study.config, study.study_tasks, study.rows)
    done = functools.partial(cross_evaluation.is_done, *arguments, study.start_time)
    return Job(
        "matrix", study.out / "sources", done, lambda: cross_evaluation.run(*arguments, study.watch, study.start_time)
    )


def _matrix_and_clips(study: Study) -> dict[str, Any]:
    """Returns the entries of study.json that have files of their own: the matrix and the clips."""
    return cross_evaluation.read(
        study.out, cross_evaluation.matrix_config(study.config, study.study_tasks, study.rows)
    ) | study_clips.read(study)


def run_row(study: Study, entry: Entry, method: Method) -> None:
    """Runs the missing seeds of a row and writes their cells."""
    store = study.cell_store(entry, method)
    for group, missing in store.groups(study.config.seeds, study.start_time):
        try:
            results = _cells_and_policies(study, _run(study, entry, method, group), entry, method, missing)
        except (InputError, OSError, CallbackError, LockedError):  # not the fault of the row
            raise
        except Exception as error:  # an error of an env or a learner must not stop the other rows
            results = {seed: (study_folder.failed_cell(study_folder.failure_reason(error)), None) for seed in missing}
        _write_cells(store, group, results)


def _write_cells(store: CellStore, group: tuple[int, ...], results: dict[int, Any]) -> None:
    write_or_rescue(lambda folder: CellStore(folder, store.config).write_all(group, results), store.folder)


def _cells_and_policies(
    study: Study, result: RowResult, entry: Entry, method: Method, seeds: list[int]
) -> dict[int, tuple[dict[str, Any], Trained | None]]:
    """Returns the cell and the trained policy of some seeds of a group."""
    results = {}
    for seed in seeds:
        if result.source is not None and seed in result.source.failed_seeds:
            results[seed] = study_folder.failed_cell(result.source.curves[seed]["failed"]), None
        else:
            trained = result.trained(seed, entry, study.stages(entry, method), study.config, study.study_tasks)
            results[seed] = result.cell(seed, entry.adapts), trained
    return results


@reraising()
def _run(study: Study, entry: Entry, method: Method, seeds: tuple[int, ...]) -> RowResult:
    config, target = study.config, study.study_tasks.target_tasks
    keys, source, source_tasks = transfer.keys(seeds), None, study.source_tasks(entry)
    if source_tasks is not None:
        source = source_training.train_source(
            study.out, entry.name, method, source_tasks, seeds, study.watch, study.start_time
        )
        if source.state is None:
            return RowResult(seeds, source, None, None, {}, {}, 0.0)
    prior, start_time, evaluations = None if source is None else source.state, time.monotonic(), []
    steps = target_steps(entry, config)
    shots = config.shots if entry.adapts and entry.role != "oracle" else ()
    stacked_sources = study.study_tasks.source_tasks if entry.learns_on == "both" else None
    if stacked_sources is not None:  # stay within the budgets of both domains
        num_sources = len(study.study_tasks.sources)
        learner = method.learner(study.target_spec._replace(num_tasks=1 + num_sources), target=True)
        steps = min(steps, config.source_steps // (learner.replay.source_steps_per_target_step * num_sources))
    target.env.pop_failures()
    evals = (config.num_evals, config.eval_episodes)
    for evaluation in transfer.adapt(method, prior, target, steps, shots, keys, *evals, stacked_sources):
        evaluations.append(evaluation)
        returns = evaluation.returns.mean(1)
        study.watch(ProgressEvent(entry.name, "target", evaluation.steps, steps, returns, evaluation.metrics, seeds))
    curve = transfer.to_curve(evaluations)
    if not entry.adapts:
        curve = transfer.constant_curve(curve, config.shots, config.target_steps)
    ranges = {} if prior is None else _generalisation(study, method, prior, keys)
    seconds = (time.monotonic() - start_time) / len(seeds)
    return RowResult(seeds, source, curve, evaluations[-1], ranges, target.env.pop_failures(), seconds)


def _generalisation(study: Study, method: Method, prior: TrainState, keys: transfer.Keys) -> dict[str, np.ndarray]:
    """Returns 0-shot returns [seed] on the ensemble: nominal, within its range, and outside of it."""
    if not study.study_tasks.ranges:
        return {}
    learner = method.learner(study.target_spec, target=True)
    all_tasks = jax.tree.map(lambda *x: np.concatenate(x), *study.study_tasks.ranges.values())
    returns = np.asarray(evaluate(learner, prior.params, all_tasks, DRAW_EPISODES, keys.evaluation)).mean(2)
    ends = np.cumsum([tasks.w.shape[0] for tasks in study.study_tasks.ranges.values()])
    parts = np.split(returns, ends[:-1], axis=1)
    return {name: part.mean(1) for name, part in zip(study.study_tasks.ranges, parts, strict=True)}
