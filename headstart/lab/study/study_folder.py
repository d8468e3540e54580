"""The folder of a study: `study.json`, and one folder for each cell (row and seed).

A cell's folder holds `curve.json`, and a checkpoint unless the cell failed before it had parameters.
"""

import dataclasses
import pathlib
import re
from typing import Any

import jax
import numpy as np

from headstart.core.errors import InputError, message
from headstart.core.run import select
from headstart.core.types import TrainState
from headstart.lab.checkpoint.files import TEMPORARY
from headstart.lab.checkpoint.records import CHECKSUM, read_record, write_record
from headstart.lab.report.figures import figure_study
from headstart.lab.report.page import write_report
from headstart.lab.study import cell_config
from headstart.lab.study.cell_store import RECORD, CellStore, cell_remedy, config_digest, normalized, read_cell
from headstart.protocol.study_config import StudyConfig

FORMAT, STUDY = "headstart study 2", "study.json"
PARTS = r"\.lock|study\.json|cells|sources|clips|matrix\.json|report\.html|curves\.(svg|pdf)"
OURS = re.compile(rf"{PARTS}|{TEMPORARY.pattern}")  # files that a study's folder may hold


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The cost of a cell."""

    source_steps: float = 0.0
    target_steps: float = 0.0
    gradient_steps: float = 0.0
    parameters: int = 0
    seconds: float = 0.0


def check_folder(out: pathlib.Path, config: StudyConfig) -> dict[str, Any] | None:
    """Returns the configuration of the study in `out`, or None if there is none yet.

    Raises InputError if `out` is not a folder, or holds something other than a study of the same tasks.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose another --out.")
    if (out / STUDY).exists():
        existing = read_study(out)["config"]
        cell_config.check_same_study(out, config, existing)
        return existing
    if out.exists() and any(not OURS.fullmatch(path.name) for path in out.iterdir()):
        raise InputError(f"{out} is not empty and holds no study; choose another --out.")
    return None


def write_study(out: pathlib.Path, data: dict[str, Any]) -> None:
    """Writes study.json."""
    write_record(out / STUDY, FORMAT, data)


def read_study(out: pathlib.Path) -> dict[str, Any]:
    """Returns the data of study.json. Raises InputError if it is missing or damaged."""
    remedy = f"name a folder that `headstart compare` wrote, or move {STUDY} away: the same command writes it again"
    return {name: x for name, x in read_record(out / STUDY, FORMAT, remedy).items() if name != CHECKSUM}


def write_report_files(out: pathlib.Path) -> dict[str, Any]:
    """Writes `report.html` and `curves.svg` of the study in `out`. Returns its study.json as plain data.

    Raises InputError where `out` holds no study, or a damaged one.
    """
    data = read_study(out)
    write_report(data, out / "report.html")
    figure_study(data, out / "curves.svg")
    return data


def cell_store(out: pathlib.Path, config: dict[str, Any]) -> CellStore:
    """Returns the store of a row's cells: its folder, or a subfolder if that has cells with another configuration.

    Raises InputError if a cell is damaged or belongs to another row.
    """
    row, wanted = out / "cells" / config["row"], normalized(config)
    configs = {file: read_cell(file)["config"] for file in sorted(row.glob(f"seed-*/{RECORD}"))}
    for file, other in configs.items():
        if other["row"] != config["row"]:
            raise InputError(f"{file} is another cell's; {cell_remedy(file)}.")
    is_own_folder = not configs or any(other == wanted for other in configs.values())
    return CellStore(row if is_own_folder else row / config_digest(config), config)


def failed_cell(reason: str) -> dict[str, Any]:
    """Returns the cell of a run without results."""
    empty = {"steps": [], "episodes": [], "returns": [], "shots": {}, "generalisation": {}, "ledger": {}}
    return {**empty, "failed": reason}


def failure_reason(error: Exception) -> str:
    """Returns an error as one line of text."""
    lines = message(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def select_seed(state: TrainState, i: int) -> TrainState:
    """Returns the state of one seed; its arrays keep a seed axis of length 1."""
    return select(state, slice(i, i + 1))


def num_parameters(state: TrainState) -> int:
    """Returns the number of parameters of one seed."""
    return sum(int(np.prod(x.shape[1:])) for x in jax.tree.leaves(state.params))
