"""A study on disk: its configuration, its tasks and rows, and the cells that are done."""

import pathlib
import time
from typing import Any

from headstart.core.errors import InputError, NameInputError
from headstart.core.types import Method, spec
from headstart.lab.study import (
    cell_config,
    source_training,
    study_folder,
)
from headstart.lab.study.cell_store import Shelf
from headstart.lab.study.study_tasks import domains
from headstart.lab.watch.progress_event import Watch, guarded
from headstart.methods import Entry
from headstart.protocol.baselines import matching_scratch, needed_rows
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training
from headstart.protocol.study_config import StudyConfig, row_name


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
                if entry.added_for is None:
                    self.left_out[entry.name] = str(error)
        kept = needed_rows(self.rows, matching_scratch(question.rows()))
        self.rows = [(entry, method) for entry, method in self.rows if entry.name in kept]
        if not kept & {row_name(text) for text in question.methods}:
            raise InputError(next(iter(self.left_out.values())))

    def cells(self) -> dict[str, dict[int, Any]]:
        """Returns the cells that are done: [row][seed]."""
        found = {entry.name: self.shelf(entry, method) for entry, method in self.rows}
        done = {row: {seed: shelf.record(seed) for seed in self.question.seeds} for row, shelf in found.items()}
        return {row: {seed: cell for seed, cell in of.items() if cell is not None} for row, of in done.items()}

    def shelf(self, entry: Entry, method: Method) -> Shelf:
        """Returns where a row's cells are, or will be."""
        return study_folder.shelf(self.out, cell_config.of_row(entry, method, self.question))

    def missing(self, entry: Entry, method: Method) -> list[int]:
        """Returns the seeds of a row that are not done."""
        return self.shelf(entry, method).missing(self.question.seeds, self.began)

    def before(self, entry: Entry) -> source_training.Domain | None:
        """-> where the row learns before it sees the target."""
        if entry.learns_on not in ("source", "ensemble"):
            return None
        return source_training.domain(self.domains, self.question, entry.learns_on == "ensemble")

    def stages(self, entry: Entry, method: Method) -> tuple[Training, ...]:
        """Returns the trainings of a row, in their order."""
        before, beside = self.before(entry), len(self.domains.sources) if entry.learns_on == "both" else 0
        last = Training(method, self.of._replace(num_tasks=1 + beside), True)
        return (last,) if before is None else (Training(method, spec(before.tasks), False), last)
