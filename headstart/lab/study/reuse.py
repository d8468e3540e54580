"""What a study says before it runs: which of its cells are there and used again, which are run, and why."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headstart.lab.checkpoint.recipe import versions
from headstart.lab.study import cell_config
from headstart.lab.study.cell_store import RECORD, Shelf, normal, read_any


class Row(NamedTuple):
    """A row of a study that is about to run."""

    name: str
    folder: pathlib.Path  # of the row's cells; the shelf is another where that holds answers to another question
    shelf: Shelf
    missing: list[int]  # seeds that are to be run
    learned: bool  # whether what they learn in the source is there


def told(rows: Sequence[Row], seeds: Sequence[int]) -> list[str]:
    """Returns a line for what is used again, and one for each row that is run; none where nothing is there yet."""
    used = [row.name + _some(row, seeds) for row in rows if len(row.missing) < len(seeds)]
    run = ["".join(_run(row)) for row in rows if row.missing]
    if not used and not any(row.learned or row.shelf.folder != row.folder for row in rows):
        return []
    return [f"used again: {', '.join(used)}"] * bool(used) + _older(rows, seeds) + run


def _older(rows: Sequence[Row], seeds: Sequence[int]) -> list[str]:
    """Returns a line where cells that are used again were written with other versions."""
    now, found = versions(), set()
    for row in rows:
        for cell in filter(None, map(row.shelf.record, seeds)):
            found |= {f"{name} {x}, now {now.get(name)}" for name, x in cell["versions"].items() if x != now.get(name)}
    return [f"some of these were written with {'; '.join(sorted(found))}"] if found else []


def _some(row: Row, seeds: Sequence[int]) -> str:
    return f" ({_seeds([seed for seed in seeds if seed not in row.missing])})" if row.missing else ""


def _run(row: Row) -> Iterator[str]:
    """Yields the parts of what is said of a row that is run."""
    yield f"run: {row.name} ({_seeds(row.missing)})"
    if row.shelf.folder != row.folder:
        (held, *_) = (read_any(file)["question"] for file in sorted(row.folder.glob(f"seed-*/{RECORD}")))
        other = cell_config.differences(normal(row.shelf.question), held)
        yield f" again, because its {', '.join(other)} changed; its former cells stay"
    if row.learned:
        yield "; what it learned in the source is used again"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
