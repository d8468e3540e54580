"""A study's folder: `study.json`, and the cells, one folder for each row and seed.

A cell's folder holds `curve.json` and a checkpoint, unless the cell failed before there was any knowledge.
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
from headstart.lab.study.cell_store import RECORD, Shelf, digits, mend, normal, read_any
from headstart.protocol.study_config import StudyConfig

FORMAT, STUDY = "headstart study 1", "study.json"
PARTS = r"\.lock|study\.json|cells|sources|clips|matrix\.json|report\.html|curves\.(svg|pdf)"
OURS = re.compile(rf"{PARTS}|{TEMPORARY.pattern}")  # what a study's folder may hold


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What a cell cost."""

    source_steps: float = 0.0
    target_steps: float = 0.0
    gradient_steps: float = 0.0
    parameters: int = 0
    seconds: float = 0.0


def check_folder(out: pathlib.Path, question: StudyConfig) -> dict[str, Any] | None:
    """Returns the question that the study in `out` answered, None where there is none yet.

    Raises InputError where the folder is none, or holds something else than this study, smaller or larger.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose another --out.")
    if (out / STUDY).exists():
        held = read_study(out)["question"]
        cell_config.check_same_study(out, question, held)
        return held
    if out.exists() and any(not OURS.fullmatch(path.name) for path in out.iterdir()):
        raise InputError(f"{out} is not empty and holds no study; choose another --out.")
    return None


def write_study(out: pathlib.Path, data: dict[str, Any]) -> None:
    """Writes what is known of a study."""
    write_record(out / STUDY, FORMAT, data)


def read_study(out: pathlib.Path) -> dict[str, Any]:
    """Returns what is known of a study. Raises InputError where its record is missing or damaged."""
    mend = f"name a folder that `headstart compare` wrote, or move {STUDY} away: the same command writes it again"
    return {name: x for name, x in read_record(out / STUDY, FORMAT, mend).items() if name != CHECKSUM}


def write_report_files(out: pathlib.Path) -> dict[str, Any]:
    """Writes `report.html` and `curves.svg` of the study in `out`. Returns its study.json as plain data.

    Raises InputError where `out` holds no study, or a damaged one.
    """
    data = read_study(out)
    write_report(data, out / "report.html")
    figure_study(data, out / "curves.svg")
    return data


def shelf(out: pathlib.Path, question: dict[str, Any]) -> Shelf:
    """Returns where the cells of a row are, or will be: in its folder, unless that holds answers to another question.

    Those stay, and the new ones lie in a folder beside them. Raises InputError where a cell is damaged or misplaced.
    """
    row, asked = out / "cells" / question["row"], normal(question)
    held = {file: read_any(file)["question"] for file in sorted(row.glob(f"seed-*/{RECORD}"))}
    for file, other in held.items():
        if other["row"] != question["row"]:
            raise InputError(f"{file} is another cell's; {mend(file)}.")
    mine = not held or any(other == asked for other in held.values())
    return Shelf(row if mine else row / digits(question), question)


def nothing(reason: str) -> dict[str, Any]:
    """Returns the cell of what came to nothing."""
    empty = {"steps": [], "episodes": [], "returns": [], "shots": {}, "generalisation": {}, "ledger": {}}
    return {**empty, "failed": reason}


def reason(error: Exception) -> str:
    """-> why something came to nothing, in a line."""
    lines = message(error).splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def of_seed(state: TrainState, i: int) -> TrainState:
    """-> what one seed of many knows; its arrays keep a leading seed axis, of length 1."""
    return select(state, slice(i, i + 1))


def size(state: TrainState) -> int:
    """-> the number of numbers that one seed knows."""
    return sum(int(np.prod(x.shape[1:])) for x in jax.tree.leaves(state.params))
