"""Describes, before a study runs, which cells are reused, which run, and why."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headstart.lab.checkpoint.recipe import versions
from headstart.lab.study import cell_config
from headstart.lab.study.cell_store import RECORD, CellStore, normalized, read_cell


class RowPlan(NamedTuple):
    """What a study has of a row before it runs."""

    name: str
    folder: pathlib.Path  # of the row; the store is a subfolder if the row has cells with another configuration
    store: CellStore
    missing: list[int]  # seeds to run
    has_source_training: bool  # whether their source training is there


def reuse_lines(rows: Sequence[RowPlan], seeds: Sequence[int]) -> list[str]:
    """Returns a line on reused cells, and one for each row that runs; nothing for a new study."""
    reused = [row.name + _some(row, seeds) for row in rows if len(row.missing) < len(seeds)]
    running = ["".join(_run(row)) for row in rows if row.missing]
    if not reused and not any(row.has_source_training or row.store.folder != row.folder for row in rows):
        return []
    return [f"reused: {', '.join(reused)}"] * bool(reused) + _older(rows, seeds) + running


def _older(rows: Sequence[RowPlan], seeds: Sequence[int]) -> list[str]:
    """Returns a line if reused cells were written with other versions of libraries."""
    now, changes = versions(), set()
    for row in rows:
        for cell in filter(None, map(row.store.record, seeds)):
            changes |= {
                f"{name} {x}, now {now.get(name)}" for name, x in cell["versions"].items() if x != now.get(name)
            }
    return [f"some of these were written with {'; '.join(sorted(changes))}"] if changes else []


def _some(row: RowPlan, seeds: Sequence[int]) -> str:
    return f" ({_seeds([seed for seed in seeds if seed not in row.missing])})" if row.missing else ""


def _run(row: RowPlan) -> Iterator[str]:
    """Yields the parts of the line on a row that runs."""
    yield f"run: {row.name} ({_seeds(row.missing)})"
    if row.store.folder != row.folder:
        (old_config, *_) = (read_cell(file)["config"] for file in sorted(row.folder.glob(f"seed-*/{RECORD}")))
        differing = cell_config.differing_keys(normalized(row.store.config), old_config)
        yield f" again, because its {', '.join(differing)} changed; the old cells stay"
    if row.has_source_training:
        yield "; its source training is reused"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
