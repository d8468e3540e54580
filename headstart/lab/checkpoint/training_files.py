"""A training's files while it is under way: arrays, and a `run.json` that names them and says what they are of.

A file is written under a name of its own before `run.json` names it, and `run.json` changes at once: a kill at any
moment leaves the former or the new. No pickle anywhere.
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from headstart.core.errors import InputError
from headstart.core.names import map_named, named
from headstart.core.types import PyTree
from headstart.lab.checkpoint.files import check
from headstart.lab.checkpoint.records import write_record

OURS = re.compile(r"\.lock|run\.json|\.run\.json\..*|\d+-\d+\.safetensors")


class Part(NamedTuple):
    """One of the trainings that a method consists of, as `run.json` names it."""

    file: str
    sha256: str
    turns: int  # taken
    of: int
    bytes: int


def write(
    folder: pathlib.Path,
    file: str,
    arrays: dict[str, np.ndarray],
    before: list[Part],
    turns: tuple[int, int],
    record: dict[str, Any],
) -> list[Part]:
    """Writes a training's arrays and then the record that names them -> its parts, those before it and this one.

    What no record names any more is deleted, and what a kill has left there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, folder / file)
    os.chmod(folder / file, 0o644)  # as every other file of headstart's
    with (folder / file).open("rb") as written:
        os.fsync(written.fileno())
        length = os.fstat(written.fileno()).st_size
        parts = [*before, Part(file, hashlib.file_digest(written, "sha256").hexdigest(), *turns, length)]
    write_record(folder / "run.json", record["format"], {**record, "parts": [part._asdict() for part in parts]})
    sweep(folder, {".lock", "run.json", *(part.file for part in parts)})
    return parts


def sweep(folder: pathlib.Path, but: Collection[str] = ()) -> None:
    """Deletes what was written there; what is somebody else's stays."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name != "run.json"):  # first the record: it names files
        if OURS.fullmatch(path.name) and path.name not in but:
            path.unlink(missing_ok=True)


def strange(folder: pathlib.Path) -> list[str]:
    """-> the names of what is there, and is none of a training's files."""
    return sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name))


def raw(tree: PyTree) -> dict[str, np.ndarray]:
    """-> the tree's arrays by name, keys as the numbers that they are."""
    return {name: np.asarray(jax.random.key_data(x) if _is_key(x) else x) for name, x in named(tree).items()}


def read(file: pathlib.Path, part: Part, like: PyTree) -> Any:
    """Returns the tree of these shapes that the part's file holds. Raises InputError where it does not."""
    mend = f"delete {file.parent} to begin anew"
    try:
        check(file, file.stat(), part.bytes)
        with file.open("rb") as there:
            same = hashlib.file_digest(there, "sha256").hexdigest() == part.sha256
        arrays = safetensors.numpy.load_file(file) if same else {}
    except FileNotFoundError:
        raise InputError(f"There is no {file}, which run.json names; {mend}.") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); {mend}.") from None
    if not same:
        raise InputError(f"{file} is not what was written (its checksum is another); {mend}.")
    plain = lambda x: jax.eval_shape(jax.random.key_data, x) if _is_key(x) else x
    wanted = {name: (x.shape, x.dtype) for name, x in named(jax.tree.map(plain, like)).items()}
    found = {name: (x.shape, x.dtype) for name, x in arrays.items()}
    if odd := [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]:
        raise InputError(f"{file} does not fit what is to be learned (such as its {odd[0]!r}); {mend}.")
    # copied: the loop takes a run's memory over, and numpy's is not its to take
    return map_named(lambda name, x: _as(x, jax.device_put(arrays[name], may_alias=False)), like)


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _as(like: Any, x: Any) -> Any:
    if not _is_key(like):
        return x
    impl: list[Any] = []  # which generator a key is for can be asked of a key alone, and `like` is but the shape of one
    jax.eval_shape(lambda key: impl.append(jax.random.key_impl(key)), like)
    return jax.random.wrap_key_data(x, impl=impl[0])
