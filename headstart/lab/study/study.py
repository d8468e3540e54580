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
from headstart.lab.study.cell_store import CellStore
from headstart.lab.study.study_tasks import make_study_tasks
from headstart.lab.watch.progress_event import ProgressCallback, guard_callback
from headstart.methods import Entry
from headstart.protocol.baselines import matching_scratch, needed_rows
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training
from headstart.protocol.study_config import StudyConfig, row_name


class Study:
    """A study: its configuration, tasks, rows and folder. Raises InputError if the configuration is invalid."""

    def __init__(self, config: StudyConfig, out: pathlib.Path, watch: ProgressCallback):
        self.config, self.out, self.watch, self.start_time = config, out, guard_callback(watch), time.time()
        self.study_tasks = make_study_tasks(config)
        self.target_spec = spec(self.study_tasks.target_tasks)
        self.rows: list[tuple[Entry, Method]] = []
        self.left_out: dict[str, str] = {}  # why rows cannot run on these tasks
        for entry, method in config.rows():
            try:
                params_after(self.stages(entry, method))
                self.rows.append((entry, method))
            except NameInputError:  # a misspelt name is an error of the user
                raise
            except InputError as error:
                if entry.added_for is None:
                    self.left_out[entry.name] = str(error)
        needed = needed_rows(self.rows, matching_scratch(config.rows()))
        self.rows = [(entry, method) for entry, method in self.rows if entry.name in needed]
        if not needed & {row_name(text) for text in config.methods}:
            raise InputError(next(iter(self.left_out.values())))

    def cells(self) -> dict[str, dict[int, Any]]:
        """Returns the finished cells: [row][seed]."""
        stores = {entry.name: self.cell_store(entry, method) for entry, method in self.rows}
        records = {row: {seed: store.record(seed) for seed in self.config.seeds} for row, store in stores.items()}
        return {row: {seed: cell for seed, cell in cells.items() if cell is not None} for row, cells in records.items()}

    def cell_store(self, entry: Entry, method: Method) -> CellStore:
        """Returns the store of a row's cells."""
        return study_folder.cell_store(self.out, cell_config.row_config(entry, method, self.config))

    def missing(self, entry: Entry, method: Method) -> list[int]:
        """Returns the seeds of a row whose cells are missing."""
        return self.cell_store(entry, method).missing(self.config.seeds, self.start_time)

    def source_tasks(self, entry: Entry) -> source_training.SourceTasks | None:
        """Returns the source tasks of a row, or None if it does not train before the target."""
        if entry.learns_on not in ("source", "ensemble"):
            return None
        return source_training.source_tasks(self.study_tasks, self.config, entry.learns_on == "ensemble")

    def stages(self, entry: Entry, method: Method) -> tuple[Training, ...]:
        """Returns the trainings of a row, in their order."""
        source, beside = self.source_tasks(entry), len(self.study_tasks.sources) if entry.learns_on == "both" else 0
        last = Training(method, self.target_spec._replace(num_tasks=1 + beside), True)
        return (last,) if source is None else (Training(method, spec(source.tasks), False), last)
