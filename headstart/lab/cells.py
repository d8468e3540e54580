"""The cells of a study on disk: one folder for each row and seed, which is whole as soon as it has a `curve.json`.

Beside that lie `knowledge.safetensors` and `recipe.json`, unless the cell failed before there was any knowledge.
"""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from headstart.core.errors import InputError
from headstart.core.run import chosen
from headstart.core.types import TrainState
from headstart.lab.checkpoint import save
from headstart.lab.files import plain, read_json, write_json
from headstart.lab.recipe import Trained
from headstart.protocol.study import Question

NO_CELL_DEPENDS_ON = ("reference",)  # parts of a question that change what is said of the cells, and no cell


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What a cell cost."""

    source_steps: float = 0.0
    target_steps: float = 0.0
    gradient_steps: float = 0.0
    parameters: int = 0
    seconds: float = 0.0


def check_folder(out: pathlib.Path, question: Question) -> None:
    """Raises InputError where the folder is none, or holds something else than this study."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; choose another --out.")
    if (out / "study.json").exists():
        data, asked = read_json(out / "study.json"), plain(dataclasses.asdict(question))
        held = data.get("question") if isinstance(data, dict) else None
        held = held if isinstance(held, dict) else {}
        asked = {name: value for name, value in json.loads(json.dumps(asked)).items() if name not in NO_CELL_DEPENDS_ON}
        other = [name for name, value in asked.items() if held.get(name) != value]
        if other:
            raise InputError(
                f"{out} holds another study (its {', '.join(other)} differ); choose another --out, or delete it."
            )
    elif out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no study; choose another --out.")


def folder(out: pathlib.Path, row: str, seed: int) -> pathlib.Path:
    """-> where a cell is, or will be."""
    return out / "cells" / row / f"seed-{seed}"


def missing(out: pathlib.Path, row: str, seeds: Iterable[int]) -> list[int]:
    """-> the seeds of a row that are not done. A cell that failed is done, until `forget_failures`."""
    return [seed for seed in seeds if not (folder(out, row, seed) / "curve.json").exists()]


def forget_failures(out: pathlib.Path, rows: Iterable[str], seeds: Iterable[int]) -> None:
    """Deletes what failed when the study last ran: cells, trainings in the source, and the matrix.

    They are then missing, and so are run again. All seeds of a row run together, so that a cell comes to the numbers
    that it would have come to without the failure.
    """
    records = [folder(out, row, seed) / "curve.json" for row, seed in itertools.product(rows, seeds)]
    for record in [*records, *out.glob("sources/*/seed-*/curve.json"), out / "matrix.json"]:
        if record.exists() and _failed(read_json(record)):
            record.unlink()


def _failed(record: dict[str, Any]) -> bool:
    """Returns whether a cell, a training or a matrix failed, at least in part."""
    return bool(record.get("failed")) or bool(np.isnan(np.array(record.get("returns") or [], float)).any())


def read(out: pathlib.Path, rows: Iterable[str], seeds: Iterable[int]) -> dict[str, dict[int, Any]]:
    """-> the cells that are done: [row][seed]."""
    seeds, done = list(seeds), {}
    for row in rows:
        there = [seed for seed in seeds if seed not in missing(out, row, seeds)]
        done[row] = {seed: read_json(folder(out, row, seed) / "curve.json") for seed in there}
    return done


def write(at: pathlib.Path, cell: dict[str, Any], trained: Trained) -> None:
    """Writes a cell, and what it knows."""
    save(trained, at)
    write_json(at / "curve.json", cell)  # last: a cell that has it is whole


def write_failure(at: pathlib.Path, reason: str) -> None:
    """Writes a cell that came to nothing."""
    nothing = {"steps": [], "episodes": [], "returns": [], "shots": {}, "generalisation": {}, "ledger": {}}
    write_json(at / "curve.json", {**nothing, "failed": reason})


def reason(error: Exception) -> str:
    """-> why something came to nothing, in a line."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def of_seed(state: TrainState, i: int) -> TrainState:
    """-> what one seed of many knows; its arrays keep a leading seed axis, of length 1."""
    return chosen(state, slice(i, i + 1))


def size(state: TrainState) -> int:
    """-> the number of numbers that one seed knows."""
    return sum(int(np.prod(x.shape[1:])) for x in jax.tree.leaves(state.knowledge))
