"""The files of a training in progress: arrays in safetensors files, and a `run.json` that names and describes them.

Each arrays file has a new name and is written before `run.json`, which is replaced atomically: a kill at any moment
leaves the old state or the new one. Nothing is pickled.
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
from headstart.lab.checkpoint.files import check_regular_file
from headstart.lab.checkpoint.records import write_record

OURS = re.compile(r"\.lock|run\.json|\.run\.json\..*|\d+-\d+\.safetensors")


class TrainingPart(NamedTuple):
    """The entry in `run.json` of one of the trainings that a method consists of."""

    file: str
    sha256: str
    iterations: int  # done
    num_iterations: int
    bytes: int


def write_part(
    folder: pathlib.Path,
    file: str,
    arrays: dict[str, np.ndarray],
    previous: list[TrainingPart],
    iterations: tuple[int, int],
    record: dict[str, Any],
) -> list[TrainingPart]:
    """Writes a training's arrays and then the record that names them. Returns the entries `previous` and the new one.

    Deletes files that the record does not name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, folder / file)
    os.chmod(folder / file, 0o644)  # like all other files of headstart
    with (folder / file).open("rb") as opened:
        os.fsync(opened.fileno())
        length = os.fstat(opened.fileno()).st_size
        parts = [*previous, TrainingPart(file, hashlib.file_digest(opened, "sha256").hexdigest(), *iterations, length)]
    write_record(folder / "run.json", record["format"], {**record, "parts": [part._asdict() for part in parts]})
    delete_files(folder, {".lock", "run.json", *(part.file for part in parts)})
    return parts


def delete_files(folder: pathlib.Path, keep: Collection[str] = ()) -> None:
    """Deletes the files of a training except those named in `keep`. Other files stay."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name != "run.json"):  # the record first: it names files
        if OURS.fullmatch(path.name) and path.name not in keep:
            path.unlink(missing_ok=True)


def foreign_files(folder: pathlib.Path) -> list[str]:
    """Returns the names of files in the folder that do not belong to a training."""
    return sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name))


def to_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """Returns the arrays of a tree by name; PRNG keys as their raw data."""
    return {name: np.asarray(jax.random.key_data(x) if _is_key(x) else x) for name, x in named(tree).items()}


def read_part(file: pathlib.Path, part: TrainingPart, like: PyTree) -> Any:
    """Returns a tree with the shapes of `like` from a file. Raises InputError if it is damaged or does not fit."""
    remedy = f"delete {file.parent} to start again"
    try:
        check_regular_file(file, file.stat(), part.bytes)
        with file.open("rb") as opened:
            intact = hashlib.file_digest(opened, "sha256").hexdigest() == part.sha256
        arrays = safetensors.numpy.load_file(file) if intact else {}
    except FileNotFoundError:
        raise InputError(f"There is no {file}, which run.json names; {remedy}.") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); {remedy}.") from None
    if not intact:
        raise InputError(f"{file} is damaged (its checksum does not match run.json); {remedy}.")
    plain = lambda x: jax.eval_shape(jax.random.key_data, x) if _is_key(x) else x
    expected = {name: (x.shape, x.dtype) for name, x in named(jax.tree.map(plain, like)).items()}
    actual = {name: (x.shape, x.dtype) for name, x in arrays.items()}
    if differing := [name for name in {**expected, **actual} if expected.get(name) != actual.get(name)]:
        raise InputError(f"{file} does not fit this training (for example {differing[0]!r}); {remedy}.")
    # copied: the loop donates these buffers, and numpy's must not be donated
    return map_named(lambda name, x: _as(x, jax.device_put(arrays[name], may_alias=False)), like)


def _is_key(x: Any) -> bool:
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _as(like: Any, x: Any) -> Any:
    if not _is_key(like):
        return x
    impl: list[Any] = []  # only a key, and not its shape, knows its generator
    jax.eval_shape(lambda key: impl.append(jax.random.key_impl(key)), like)
    return jax.random.wrap_key_data(x, impl=impl[0])
