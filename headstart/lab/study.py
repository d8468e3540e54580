"""Running a study: row by row, all seeds of a row in one program, each cell on disk as soon as it is done."""

import dataclasses
import functools
import pathlib
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from headstart.core.errors import InputError, NameInputError
from headstart.core.rollout import evaluate
from headstart.core.types import Method, TrainState, spec
from headstart.lab import cells, filming, looking, matrix, sources
from headstart.lab.cells import Ledger
from headstart.lab.compiled import make_room
from headstart.lab.domains import Domains, domains
from headstart.lab.files import write_json
from headstart.lab.news import News, Watch, WatcherError, guarded, silent
from headstart.lab.provenance import provenance
from headstart.lab.recipe import Trained
from headstart.lab.report import show
from headstart.lab.sources import Source
from headstart.methods import Entry
from headstart.protocol import claims, transfer
from headstart.protocol.history import left
from headstart.protocol.prior import Stage
from headstart.protocol.shift import Shift
from headstart.protocol.study import Question, row_name
from headstart.tasks.host import failures
from headstart.tasks.registry import interval

DRAW_EPISODES = 2  # in each task that is drawn of an ensemble
LOST = "learning in the target went wrong: its numbers are no longer finite"


def compare(
    question: Question,
    out: str | pathlib.Path,
    allow_no_shift: bool = False,
    command: str = "",
    watch: Watch = silent,
    video: bool = False,
) -> dict[str, Any]:
    """Answers the question -> the study as plain data; `out` holds it, its cells, its report and, with `video`, clips.

    The same question and folder go on where they were left. Raises InputError, before anything is written, where the
    question makes no sense, where source and target are the same task, and where `out` holds another study.
    """
    study = Study(question, pathlib.Path(out), watch)
    cells.check_folder(study.out, question)
    found = looking.first(study.domains, question, allow_no_shift)
    cells.forget_failures(study.out, [entry.name for entry, _ in study.rows], question.seeds)
    write = functools.partial(study.write, found, command)
    write("running")
    for entry, method in study.rows:
        make_room()
        study.run_row(entry, method)
        write("running")
    write = functools.partial(study.write, looking.again(found, study.domains, question, study.out), command)
    matrix.run(study.out, question, study.domains, study.rows, study.watch)
    data = write("done")
    if video:
        filming.run(study)
        data = write("done")
    return data


class Study:
    """A question, its tasks and rows, and the folder its cells are in. Raises InputError where it makes no sense."""

    def __init__(self, question: Question, out: pathlib.Path, watch: Watch):
        self.question, self.out, self.watch = question, out, guarded(watch)
        self.domains = domains(question)
        self.of = spec(self.domains.target_tasks)
        self.rows: list[tuple[Entry, Method]] = []
        self.left_out: dict[str, str] = {}  # rows that cannot run here, and why
        for entry, method in question.rows():
            try:
                left(self.stages(entry, method))
                self.rows.append((entry, method))
            except NameInputError:  # a slip, which is to be mended: no row that cannot run here
                raise
            except InputError as error:
                self.left_out[entry.name] = str(error)
        if not {entry.name for entry, _ in self.rows} & {row_name(text) for text in question.methods}:
            raise InputError(next(iter(self.left_out.values())))

    def cells(self) -> dict[str, dict[int, Any]]:
        """-> the cells that are done: [row][seed]."""
        return cells.read(self.out, [entry.name for entry, _ in self.rows], self.question.seeds)

    def write(self, found: Shift, command: str, status: str) -> dict[str, Any]:
        """Writes study.json as far as the study is, and its report once it is done -> the study as plain data."""
        data = claims.assemble(self.question, self.cells(), found) | matrix.read(self.out) | filming.read(self.out)
        data |= {"status": status, "left_out": self.left_out, "provenance": provenance(command)}
        write_json(self.out / "study.json", data)
        if status == "done":
            show(self.out)
        return data

    def run_row(self, entry: Entry, method: Method) -> None:
        """Runs a row and writes those of its cells that are not done yet; does nothing where all are.

        Seeds run together, so that a cell comes to the same numbers whichever of them are missing.
        """
        seeds = cells.missing(self.out, entry.name, self.question.seeds)
        if not seeds:
            return
        try:
            done = self._run(entry, method)
            lost = [] if done.source is None else done.source.lost
            for seed in seeds:
                if done.source is not None and seed in lost:
                    why = done.source.curves[seed]["failed"]
                    cells.write_failure(self._folder(entry, seed), why)
                    continue
                trained = done.trained(seed, entry, self.stages(entry, method), self.question, self.domains)
                cells.write(self._folder(entry, seed), done.cell(seed, entry.adapts), trained)
        except (InputError, OSError, WatcherError):  # not the row's fault
            raise
        except Exception as error:  # an env or a learner that breaks must not take the other rows with it
            for seed in seeds:
                cells.write_failure(self._folder(entry, seed), cells.reason(error))

    def _folder(self, entry: Entry, seed: int) -> pathlib.Path:
        return cells.folder(self.out, entry.name, seed)

    def _run(self, entry: Entry, method: Method) -> "Outcome":
        question, target = self.question, self.domains.target_tasks
        keys, source, before = transfer.keys(question.seeds), None, self.before(entry)
        if before is not None:
            steps = question.source_steps
            source = sources.learn(self.out, entry.name, method, before, steps, question.seeds, self.watch)
            if source.state is None:
                return Outcome(question.seeds, source, None, None, {}, {}, 0.0)
        prior, began, judgements = None if source is None else source.state, time.monotonic(), []
        steps = target_steps(entry, question)
        shots = question.shots if entry.adapts and entry.name != "oracle" else ()
        beside = self.domains.source_tasks if entry.learns_on == "both" else None
        if beside is not None:  # neither domain's budget is overspent
            sources_too = len(self.domains.sources)
            learner = method.learner(self.of._replace(tasks=1 + sources_too), target=True)
            steps = min(steps, question.source_steps // (learner.replay.spare * sources_too))
        failures(target.env)
        for j in transfer.adapt(method, prior, target, steps, shots, keys, question.points, question.judged, beside):
            judgements.append(j)
            self.watch(News(entry.name, "target", j.steps, steps, j.returns.mean(1), j.metrics))
        curve = transfer.curve(judgements)
        if not entry.adapts:
            curve = transfer.held(curve, question.shots, question.target_steps)
        ranges = {} if prior is None else self._generalisation(method, prior, keys)
        seconds = (time.monotonic() - began) / len(question.seeds)
        return Outcome(question.seeds, source, curve, judgements[-1], ranges, failures(target.env), seconds)

    def before(self, entry: Entry) -> sources.Domain | None:
        """-> where the row learns before it sees the target."""
        domains, question = self.domains, self.question
        if entry.learns_on == "ensemble" and domains.ensemble_tasks is not None and question.ensemble is not None:
            return sources.Domain(domains.ensemble_tasks, question.ensemble, domains.names)
        learns = entry.learns_on == "source"
        return sources.Domain(domains.source_tasks, question.source, domains.names) if learns else None

    def stages(self, entry: Entry, method: Method) -> tuple[Stage, ...]:
        """Returns the trainings of a row, in their order."""
        before, beside = self.before(entry), len(self.domains.sources) if entry.learns_on == "both" else 0
        last = Stage(method, self.of._replace(tasks=1 + beside), True)
        return (last,) if before is None else (Stage(method, spec(before.tasks), False), last)

    def _generalisation(self, method: Method, prior: TrainState, keys: transfer.Keys) -> dict[str, np.ndarray]:
        """-> 0-shot returns [seed] on the ensemble: nominal, within its range, and beyond it."""
        if not self.domains.ranges:
            return {}
        learner = method.learner(self.of, target=True)
        together = jax.tree.map(lambda *x: np.concatenate(x), *self.domains.ranges.values())
        returns = np.asarray(evaluate(learner, prior.knowledge, together, DRAW_EPISODES, keys.judge)).mean(2)
        ends = np.cumsum([tasks.w.shape[0] for tasks in self.domains.ranges.values()])
        parts = np.split(returns, ends[:-1], axis=1)
        return {name: part.mean(1) for name, part in zip(self.domains.ranges, parts, strict=True)}


class Outcome(NamedTuple):
    """What came of a row, for all its seeds; for those that were lost in the source it means nothing."""

    seeds: tuple[int, ...]
    source: Source | None
    curve: transfer.Curve | None  # None where all seeds were lost in the source
    last: transfer.Judgement | None
    ranges: dict[str, np.ndarray]  # 0-shot returns [seed] on parts of the ensemble
    failed: dict[int, str]  # what the env said where it broke, by the seed's place in `seeds`
    seconds: float  # of each seed, in the target

    def cell(self, seed: int, adapts: bool) -> dict[str, Any]:
        """-> the cell of one seed as plain data."""
        assert self.curve is not None
        i = self.seeds.index(seed)
        return {
            "steps": self.curve.steps[i],
            "episodes": self.curve.episodes[i],
            "returns": self.curve.returns[i],
            "shots": {n: values[i] for n, values in self.curve.shots.items()},
            "generalisation": {name: values[i] for name, values in self.ranges.items()},
            "ledger": dataclasses.asdict(self.ledger(seed, adapts)),
            "failed": self.failed.get(i) or (None if np.isfinite(self.curve.returns[i]).all() else LOST),
        }

    def ledger(self, seed: int, adapts: bool) -> Ledger:
        """-> what one seed cost, in both domains."""
        assert self.curve is not None
        assert self.last is not None
        i = self.seeds.index(seed)
        spent = Ledger() if self.source is None else self.source.ledger(seed)
        return Ledger(
            spent.source_steps + float(self.last.source_steps[i]),
            float(self.curve.steps[i, -1]) if adapts else 0.0,
            spent.gradient_steps + float(self.last.gradient_steps[i]),
            cells.size(self.last.state),
            spent.seconds + self.seconds,
        )

    def trained(
        self, seed: int, entry: Entry, stages: tuple[Stage, ...], question: Question, domains: Domains
    ) -> Trained:
        """-> what one seed knows in the end."""
        assert self.last is not None
        budgets = []
        if self.source is not None:
            budgets.append({"task": self.source.task, "steps": question.source_steps})
        if entry.adapts:
            allowed = {"steps": target_steps(entry, question), "shots": list(question.shots)}
            budgets.append({"task": question.target, **allowed})
        told_on = ", then ".join(budget["task"] for budget in budgets) or "nothing"
        spent = self.ledger(seed, entry.adapts)
        steps, updates = int(spent.source_steps + spent.target_steps), int(spent.gradient_steps)
        state = cells.of_seed(self.last.state, self.seeds.index(seed))
        *before, last = stages
        told = (told_on, steps, seed, updates, domains.names, interval(domains.target), tuple(budgets))
        return Trained(last.method, last.spec, state, *told, tuple(before), last.target)


def target_steps(entry: Entry, question: Question) -> int:
    """-> the environment steps that a row may spend in the target."""
    return (question.target_steps if entry.adapts else 0) + (question.source_steps if entry.name == "oracle" else 0)
