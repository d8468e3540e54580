"""Stores trainings of several seeds with one configuration: one folder for each seed.

A seed is finished if its folder has a `curve.json`, which is written last. It holds the configuration, the seeds that
ran together (the group), the result, and the identity of the checkpoint in the same folder.

Seeds that run together are one compiled program; a program for another number of seeds may differ in the last digits.
So the seeds of a group always run together: if some are missing, all run, and each gets the same numbers again.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from headstart.core.errors import InputError
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import delete_temporary, jsonable
from headstart.lab.checkpoint.recipe import versions
from headstart.lab.checkpoint.records import read_record, write_record
from headstart.lab.checkpoint.trained import Trained

FORMAT, RECORD = "headstart cell 2", "curve.json"


def normalized(config: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration as it is read back from JSON."""
    return json.loads(json.dumps(jsonable(config)))


def config_digest(config: dict[str, Any]) -> str:
    """Returns a short hash of a configuration, for a folder's name."""
    return hashlib.sha256(json.dumps(normalized(config), sort_keys=True).encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class CellStore:
    """The trainings with one configuration in one folder."""

    folder: pathlib.Path
    config: dict[str, Any]

    def seed_folder(self, seed: int) -> pathlib.Path:
        """Returns the folder of a seed."""
        return self.folder / f"seed-{seed}"

    def record(self, seed: int) -> dict[str, Any] | None:
        """Returns the record of a seed, or None if it is missing. Raises InputError if it is damaged."""
        file = self.seed_folder(seed) / RECORD
        if not file.exists():
            return None
        record = read_cell(file)
        if record["seed"] != seed or record["config"] != normalized(self.config):
            raise InputError(f"{file} is another cell's; {cell_remedy(file)}.")
        return record

    def missing(self, seeds: Sequence[int], since: float) -> list[int]:
        """Returns the seeds without a record, and those that failed before the time `since`, which run again."""
        return [seed for seed in seeds if (record := self.record(seed)) is None or self._is_old(seed, record, since)]

    def _is_old(self, seed: int, record: dict[str, Any], since: float) -> bool:
        return record["failed"] is not None and (self.seed_folder(seed) / RECORD).stat().st_mtime < since

    def groups(self, seeds: Sequence[int], since: float) -> list[tuple[tuple[int, ...], list[int]]]:
        """Returns the groups of seeds to run, each with its missing seeds."""
        missing = self.missing(seeds, since)
        records = [record for path in sorted(self.folder.glob("seed-*")) if (record := self.record(_seed(path)))]
        group_of = {seed: tuple(record["group"]) for record in records for seed in record["group"]}
        new_group = tuple(seed for seed in missing if seed not in group_of)
        groups = dict.fromkeys(group_of.get(seed, new_group) for seed in missing)
        return [(group, [seed for seed in missing if seed in group]) for group in groups]

    def load(self, seed: int) -> Trained:
        """Loads the checkpoint of a seed. Raises InputError if it is damaged or belongs to another cell."""
        record, folder = self.record(seed), self.seed_folder(seed)
        if record is None or save_load.identity(folder) != record["recipe"]:
            raise InputError(f"{folder / save_load.RECIPE} is another cell's; {cell_remedy(folder / RECORD)}.")
        return save_load.load(folder)

    def write(self, seed: int, group: Sequence[int], data: dict[str, Any], trained: Trained | None) -> None:
        """Writes the result and the checkpoint of a seed."""
        folder = self.seed_folder(seed)
        recipe = None if trained is None else save_load.identity(save_load.save(trained, folder))
        delete_temporary(folder)
        record = {"config": self.config, "seed": seed, "group": list(group), "recipe": recipe}
        record |= {"versions": versions()}
        write_record(folder / RECORD, FORMAT, {**record, **data})

    def write_all(self, group: Sequence[int], results: dict[int, tuple[dict[str, Any], Trained | None]]) -> None:
        """Writes the results of some seeds of a group."""
        for seed, (data, trained) in results.items():
            self.write(seed, group, data, trained)


def read_cell(file: pathlib.Path) -> dict[str, Any]:
    """Returns the record of a seed with any configuration. Raises InputError if it is damaged."""
    return read_record(file, FORMAT, cell_remedy(file))


def cell_remedy(file: pathlib.Path) -> str:
    """Returns how to repair the damaged folder of a seed."""
    return f"move {file.parent} away, and the same command runs it again"


def _seed(path: pathlib.Path) -> int:
    name = path.name.removeprefix("seed-")
    return int(name) if name.isdecimal() else -1
