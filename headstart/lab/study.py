"""Running a study: row by row, all seeds of a row in one program, each cell on disk as soon as it is done."""

import functools
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from headstart.core.errors import InputError, NameInputError
from headstart.core.interrupts import reraising
from headstart.core.rollout import evaluate
from headstart.core.types import Method, TrainState, spec
from headstart.lab import cells, filming, growth, looking, matrix, questions, sources
from headstart.lab.compiled import make_room
from headstart.lab.domains import domains
from headstart.lab.locks import locked, probe, tidy
from headstart.lab.news import News, Watch, WatcherError, guarded, silent
from headstart.lab.outcome import Outcome, target_steps
from headstart.lab.provenance import provenance
from headstart.lab.report import show
from headstart.lab.results import keep
from headstart.lab.sharing import HeldError, Job, share
from headstart.lab.shelf import Shelf
from headstart.lab.trained import Trained
from headstart.methods import Entry
from headstart.protocol import claims, transfer
from headstart.protocol.baselines import is_added, is_oracle, needed, scratch_of
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training
from headstart.protocol.shift import Shift
from headstart.protocol.study import StudyConfig, row_name

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
    cells.check_folder(study.out, question)
    found = looking.first(study.domains, question, allow_no_shift)
    write = functools.partial(study.write, found, command)
    probe(study.out)
    for line in growth.told(study.grown(), question.seeds):
        say(line)
    write("running")
    share([study.job(entry, method, write) for entry, method in study.rows], say)
    write = functools.partial(study.write, looking.again(found, study.domains, question, study.out), command)
    share([study.matrix()], say)
    data = write("done")
    if video:
        work = functools.partial(filming.run, study)
        share([Job("clips", study.out / "clips", lambda: not filming.missing(study), work)], say)
        data = write("done")
    return data


def say(line: str) -> None:
    """Tells the person at the terminal."""
    print(line, file=sys.stderr)


class Study:
    """A question, its tasks and rows, and the folder its cells are in. Raises InputError where it makes no sense."""

    def __init__(self, question: StudyConfig, out: pathlib.Path, watch: Watch):
        self.question, self.out, self.watch, self.began = question, out, guarded(watch), time.time()
        self.domains = domains(question)
        self.of = spec(self.domains.target_tasks)
        self.rows: list[tuple[Entry, Method]] = []
        self.left_out: dict[str, str] = {}  # rows that cannot run here, and why
        for entry, method in question.rows():
            try:
                params_after(self.stages(entry, method))
                self.rows.append((entry, method))
            except NameInputError:  # a slip, which is to be mended: no row that cannot run here
                raise
            except InputError as error:
                self.left_out[entry.name] = str(error)
        kept = needed(self.rows, scratch_of(question.rows()))
        self.rows = [(entry, method) for entry, method in self.rows if entry.name in kept]
        for name in [name for name in self.left_out if is_added(name)]:  # nobody asked for those
            del self.left_out[name]
        if not kept & {row_name(text) for text in question.methods}:
            raise InputError(next(iter(self.left_out.values())))

    def cells(self) -> dict[str, dict[int, Any]]:
        """Returns the cells that are done: [row][seed]."""
        found = {entry.name: self.shelf(entry, method) for entry, method in self.rows}
        done = {row: {seed: shelf.record(seed) for seed in self.question.seeds} for row, shelf in found.items()}
        return {row: {seed: cell for seed, cell in of.items() if cell is not None} for row, of in done.items()}

    def write(self, found: Shift, command: str, status: str) -> dict[str, Any]:
        """Writes study.json as far as the study is, and its report once it is done -> the study as plain data."""
        data = claims.assemble(self.question, self.cells(), found) | self._beside()
        data |= {"status": status, "left_out": self.left_out, "provenance": provenance(command)}
        with locked(self.out, wait=True):
            cells.write_study(self.out, data)
            if status == "done":
                show(self.out)
        if status == "done":
            tidy(self.out)
        return data

    def shelf(self, entry: Entry, method: Method) -> Shelf:
        """Returns where a row's cells are, or will be."""
        return cells.shelf(self.out, questions.of_row(entry, method, self.question))

    def missing(self, entry: Entry, method: Method) -> list[int]:
        """Returns the seeds of a row that are not done."""
        return self.shelf(entry, method).missing(self.question.seeds, self.began)

    def grown(self) -> list[growth.Row]:
        """Returns what of each row is there."""
        found = []
        for entry, method in self.rows:
            missing, before = self.missing(entry, method), self.before(entry)
            learned = before is not None and not sources.shelf_of(self.out, method, before).missing(missing, self.began)
            folder = self.out / "cells" / entry.name
            found.append(growth.Row(entry.name, folder, self.shelf(entry, method), missing, bool(missing) and learned))
        return found

    def job(self, entry: Entry, method: Method, write: Callable[[str], Any]) -> Job:
        """Returns a row as a job for whichever process takes it."""

        def work() -> None:
            make_room()
            self.run_row(entry, method)
            write("running")

        folder = self.out / "cells" / entry.name
        return Job(entry.name, folder, lambda: not self.missing(entry, method), work)

    def matrix(self) -> Job:
        """Returns the matrix as a job."""
        asked = (self.out, self.question, self.domains, self.rows)
        done = functools.partial(matrix.is_done, *asked, self.began)
        return Job("matrix", self.out / "sources", done, lambda: matrix.run(*asked, self.watch, self.began))

    def _beside(self) -> dict[str, Any]:
        """Returns the entries of study.json that are kept beside the cells."""
        return matrix.read(self.out, matrix.question_of(self.question, self.domains, self.rows)) | filming.read(self)

    def run_row(self, entry: Entry, method: Method) -> None:
        """Runs a row and writes those of its cells that are not done yet; does nothing where all are."""
        shelf = self.shelf(entry, method)
        for group, missing in shelf.groups(self.question.seeds, self.began):
            try:
                found = self._answers(self._run(entry, method, group), entry, method, missing)
            except (InputError, OSError, WatcherError, HeldError):  # not the row's fault
                raise
            except Exception as error:  # an env or a learner that breaks must not take the other rows with it
                found = {seed: (cells.nothing(cells.reason(error)), None) for seed in missing}

            self._keep(shelf, group, found)

    def _keep(self, shelf: Shelf, group: tuple[int, ...], found: dict[int, Any]) -> None:
        keep(lambda folder: Shelf(folder, shelf.question).write_all(group, found), shelf.folder)

    def _answers(
        self, done: Outcome, entry: Entry, method: Method, seeds: list[int]
    ) -> dict[int, tuple[dict[str, Any], Trained | None]]:
        """Returns what came of some of a group's seeds, and what they know."""
        found = {}
        for seed in seeds:
            if done.source is not None and seed in done.source.lost:
                found[seed] = cells.nothing(done.source.curves[seed]["failed"]), None
            else:
                trained = done.trained(seed, entry, self.stages(entry, method), self.question, self.domains)
                found[seed] = done.cell(seed, entry.adapts), trained
        return found

    @reraising()
    def _run(self, entry: Entry, method: Method, seeds: tuple[int, ...]) -> Outcome:
        question, target = self.question, self.domains.target_tasks
        keys, source, before = transfer.keys(seeds), None, self.before(entry)
        if before is not None:
            source = sources.learn(self.out, entry.name, method, before, seeds, self.watch, self.began)
            if source.state is None:
                return Outcome(seeds, source, None, None, {}, {}, 0.0)
        prior, began, judgements = None if source is None else source.state, time.monotonic(), []
        steps = target_steps(entry, question)
        shots = question.shots if entry.adapts and not is_oracle(entry.name) else ()
        beside = self.domains.source_tasks if entry.learns_on == "both" else None
        if beside is not None:  # neither domain's budget is overspent
            sources_too = len(self.domains.sources)
            learner = method.learner(self.of._replace(num_tasks=1 + sources_too), target=True)
            steps = min(steps, question.source_steps // (learner.replay.source_steps_per_target_step * sources_too))
        target.env.pop_failures()
        for j in transfer.adapt(
            method, prior, target, steps, shots, keys, question.num_evals, question.eval_episodes, beside
        ):
            judgements.append(j)
            self.watch(News(entry.name, "target", j.steps, steps, j.returns.mean(1), j.metrics, seeds))
        curve = transfer.curve(judgements)
        if not entry.adapts:
            curve = transfer.held(curve, question.shots, question.target_steps)
        ranges = {} if prior is None else self._generalisation(method, prior, keys)
        seconds = (time.monotonic() - began) / len(seeds)
        return Outcome(seeds, source, curve, judgements[-1], ranges, target.env.pop_failures(), seconds)

    def before(self, entry: Entry) -> sources.Domain | None:
        """-> where the row learns before it sees the target."""
        if entry.learns_on not in ("source", "ensemble"):
            return None
        return sources.domain(self.domains, self.question, entry.learns_on == "ensemble")

    def stages(self, entry: Entry, method: Method) -> tuple[Training, ...]:
        """Returns the trainings of a row, in their order."""
        before, beside = self.before(entry), len(self.domains.sources) if entry.learns_on == "both" else 0
        last = Training(method, self.of._replace(num_tasks=1 + beside), True)
        return (last,) if before is None else (Training(method, spec(before.tasks), False), last)

    def _generalisation(self, method: Method, prior: TrainState, keys: transfer.Keys) -> dict[str, np.ndarray]:
        """-> 0-shot returns [seed] on the ensemble: nominal, within its range, and beyond it."""
        if not self.domains.ranges:
            return {}
        learner = method.learner(self.of, target=True)
        together = jax.tree.map(lambda *x: np.concatenate(x), *self.domains.ranges.values())
        returns = np.asarray(evaluate(learner, prior.knowledge, together, DRAW_EPISODES, keys.evaluation)).mean(2)
        ends = np.cumsum([tasks.w.shape[0] for tasks in self.domains.ranges.values()])
        parts = np.split(returns, ends[:-1], axis=1)
        return {name: part.mean(1) for name, part in zip(self.domains.ranges, parts, strict=True)}
