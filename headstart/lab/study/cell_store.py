"""Trainings of several seeds on disk: one folder for each seed, all of one question, which each of them carries.

A seed's folder is whole as soon as it has its `curve.json`, which is written last. That says what the seed answers (its
question), which seeds were run together with it, what came of it, and which checkpoint lies beside it.

Seeds that run together are one program, and another number of them is another program, whose last digits may differ. So
the seeds of a group are always run together: whichever of them are missing, each comes to the same numbers again.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from headstart.core.errors import InputError
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import plain, sweep
from headstart.lab.checkpoint.recipe import versions
from headstart.lab.checkpoint.records import read_record, write_record
from headstart.lab.checkpoint.trained import Trained

FORMAT, RECORD = "headstart cell 1", "curve.json"


def normal(question: dict[str, Any]) -> dict[str, Any]:
    """Returns a question as it is read back."""
    return json.loads(json.dumps(plain(question)))


def digits(question: dict[str, Any]) -> str:
    """Returns a few digits that tell a question from others, for a folder's name."""
    return hashlib.sha256(json.dumps(normal(question), sort_keys=True).encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Where the trainings that answer a question are, or will be."""

    folder: pathlib.Path
    question: dict[str, Any]

    def at(self, seed: int) -> pathlib.Path:
        """Returns the folder of a seed."""
        return self.folder / f"seed-{seed}"

    def record(self, seed: int) -> dict[str, Any] | None:
        """Returns what came of a seed, None where it is not done. Raises InputError where it is damaged."""
        file = self.at(seed) / RECORD
        if not file.exists():
            return None
        found = read_any(file)
        if found["seed"] != seed or found["question"] != normal(self.question):
            raise InputError(f"{file} is another cell's; {mend(file)}.")
        return found

    def missing(self, seeds: Sequence[int], since: float) -> list[int]:
        """Returns the seeds that are not done. One that failed before the time `since` is not: it is run again."""
        return [seed for seed in seeds if (found := self.record(seed)) is None or self._is_old(seed, found, since)]

    def _is_old(self, seed: int, found: dict[str, Any], since: float) -> bool:
        return found["failed"] is not None and (self.at(seed) / RECORD).stat().st_mtime < since

    def groups(self, seeds: Sequence[int], since: float) -> list[tuple[tuple[int, ...], list[int]]]:
        """Returns what is to be run: groups of seeds, and those of each that are missing."""
        missing = self.missing(seeds, since)
        records = [found for path in sorted(self.folder.glob("seed-*")) if (found := self.record(_seed(path)))]
        known = {seed: tuple(found["group"]) for found in records for seed in found["group"]}
        rest = tuple(seed for seed in missing if seed not in known)
        groups = dict.fromkeys(known.get(seed, rest) for seed in missing)
        return [(group, [seed for seed in missing if seed in group]) for group in groups]

    def load(self, seed: int) -> Trained:
        """Returns the checkpoint of a seed. Raises InputError where it is damaged, or another's."""
        found, at = self.record(seed), self.at(seed)
        if found is None or save_load.identity(at) != found["recipe"]:
            raise InputError(f"{at / save_load.RECIPE} is another cell's; {mend(at / RECORD)}.")
        return save_load.load(at)

    def write(self, seed: int, group: Sequence[int], data: dict[str, Any], trained: Trained | None) -> None:
        """Writes what came of a seed, and what it knows."""
        at = self.at(seed)
        recipe = None if trained is None else save_load.identity(save_load.save(trained, at))
        sweep(at)
        told = {"question": self.question, "seed": seed, "group": list(group), "recipe": recipe}
        told |= {"versions": versions()}
        write_record(at / RECORD, FORMAT, {**told, **data})

    def write_all(self, group: Sequence[int], found: dict[int, tuple[dict[str, Any], Trained | None]]) -> None:
        """Writes what came of some seeds of a group."""
        for seed, (data, trained) in found.items():
            self.write(seed, group, data, trained)


def read_any(file: pathlib.Path) -> dict[str, Any]:
    """Returns what came of a seed, whatever its question. Raises InputError where the file is damaged."""
    return read_record(file, FORMAT, mend(file))


def mend(file: pathlib.Path) -> str:
    """Returns what to do about a damaged folder of a seed."""
    return f"move {file.parent} away, and the same command runs it again"


def _seed(path: pathlib.Path) -> int:
    name = path.name.removeprefix("seed-")
    return int(name) if name.isdecimal() else -1
