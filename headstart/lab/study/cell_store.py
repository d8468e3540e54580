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
        found = read_cell(file)
        if found["seed"] != seed or found["config"] != normalized(self.config):
            raise InputError(f"{file} is another cell's; {remedy(file)}.")
        return found

    def missing(self, seeds: Sequence[int], since: float) -> list[int]:
        """Returns the seeds without a record, and those that failed before the time `since`, which run again."""
        return [seed for seed in seeds if (found := self.record(seed)) is None or self._is_old(seed, found, since)]

    def _is_old(self, seed: int, found: dict[str, Any], since: float) -> bool:
        return found["failed"] is not None and (self.seed_folder(seed) / RECORD).stat().st_mtime < since

    def groups(self, seeds: Sequence[int], since: float) -> list[tuple[tuple[int, ...], list[int]]]:
        """Returns the groups of seeds to run, each with its missing seeds."""
        missing = self.missing(seeds, since)
        records = [found for path in sorted(self.folder.glob("seed-*")) if (found := self.record(_seed(path)))]
        known = {seed: tuple(found["group"]) for found in records for seed in found["group"]}
        rest = tuple(seed for seed in missing if seed not in known)
        groups = dict.fromkeys(known.get(seed, rest) for seed in missing)
        return [(group, [seed for seed in missing if seed in group]) for group in groups]

    def load(self, seed: int) -> Trained:
        """Loads the checkpoint of a seed. Raises InputError if it is damaged or belongs to another cell."""
        found, at = self.record(seed), self.seed_folder(seed)
        if found is None or save_load.identity(at) != found["recipe"]:
            raise InputError(f"{at / save_load.RECIPE} is another cell's; {remedy(at / RECORD)}.")
        return save_load.load(at)

    def write(self, seed: int, group: Sequence[int], data: dict[str, Any], trained: Trained | None) -> None:
        """Writes the result and the checkpoint of a seed."""
        at = self.seed_folder(seed)
        recipe = None if trained is None else save_load.identity(save_load.save(trained, at))
        delete_temporary(at)
        told = {"config": self.config, "seed": seed, "group": list(group), "recipe": recipe}
        told |= {"versions": versions()}
        write_record(at / RECORD, FORMAT, {**told, **data})

    def write_all(self, group: Sequence[int], found: dict[int, tuple[dict[str, Any], Trained | None]]) -> None:
        """Writes the results of some seeds of a group."""
        for seed, (data, trained) in found.items():
            self.write(seed, group, data, trained)


def read_cell(file: pathlib.Path) -> dict[str, Any]:
    """Returns the record of a seed with any configuration. Raises InputError if it is damaged."""
    return read_record(file, FORMAT, remedy(file))


def remedy(file: pathlib.Path) -> str:
    """Returns how to repair the damaged folder of a seed."""
    return f"move {file.parent} away, and the same command runs it again"


def _seed(path: pathlib.Path) -> int:
    name = path.name.removeprefix("seed-")
    return int(name) if name.isdecimal() else -1
