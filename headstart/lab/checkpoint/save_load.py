"""Saves and loads checkpoints: `params.safetensors`, and a `recipe.json` that describes it.

Nothing is pickled: the arrays can be read without headstart and without JAX.

Both files change at once. The arrays are first written under a name that contains their checksum. Then the recipe,
which contains the checksum too, replaces the old one. Then the arrays are renamed. A reader always finds the arrays of
the current recipe under one of the two names, also after a kill.
"""

import hashlib
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from headstart.core.errors import InputError
from headstart.core.names import map_named, named
from headstart.core.types import TrainState
from headstart.lab.checkpoint.files import Path, as_path, delete_temporary, read, write
from headstart.lab.checkpoint.recipe import FORMAT, read_recipe, write_recipe
from headstart.lab.checkpoint.records import CHECKSUM, read_record, write_record
from headstart.lab.checkpoint.trained import Trained
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training

RECIPE, ARRAYS, REMEDY = "recipe.json", "params.safetensors", "take another copy of it, or train again"


def save(trained: Trained, path: Path) -> pathlib.Path:
    """Writes a checkpoint folder and returns its path. A kill leaves the old checkpoint or the new one."""
    if not isinstance(trained, Trained):
        raise InputError(f"{trained!r} is not a trained policy; give what headstart.train returned.")
    folder = as_path("path", path)
    arrays = {name: np.array(np.asarray(x)[0]) for name, x in named(trained.state).items()}
    data = safetensors.numpy.save(arrays)
    sha256 = hashlib.sha256(data).hexdigest()
    write_checkpoint(folder, data, sha256, {**write_recipe(trained, arrays, sha256), "bytes": len(data)})
    return folder


def write_checkpoint(folder: pathlib.Path, data: bytes, sha256: str, recipe: dict[str, Any]) -> None:
    """Writes the two files of a checkpoint."""
    delete_temporary(folder)
    write(folder / _pending_name(sha256), data)
    write_record(folder / RECIPE, FORMAT, recipe)
    finish_save(folder, sha256)


def finish_save(folder: pathlib.Path, sha256: str) -> None:
    """Renames the arrays of the current recipe to ARRAYS, and deletes the arrays of killed saves."""
    pending = folder / _pending_name(sha256)
    if pending.exists():
        pending.replace(folder / ARRAYS)
    for other in folder.glob(_pending_name("*")):
        other.unlink(missing_ok=True)


def _pending_name(sha256: str) -> str:
    """Returns the name of arrays whose recipe is not written yet."""
    return f"params-{sha256[:16]}.safetensors"


def identity(folder: pathlib.Path) -> str:
    """Returns what identifies a checkpoint: its recipe's checksum, which covers the checksum of the arrays."""
    return read_record(folder / RECIPE, FORMAT, REMEDY)[CHECKSUM]


def sha256_of(folder: pathlib.Path) -> str:
    """Returns the checksum of a checkpoint's arrays that its recipe names."""
    return read_record(folder / RECIPE, FORMAT, REMEDY)["sha256"]


def load(path: Path) -> Trained:
    """Reads a checkpoint folder. Raises InputError, which names the defect, if it is missing or damaged."""
    folder = as_path("path", path)
    recipe = read_record(folder / RECIPE, FORMAT, REMEDY)
    try:
        fields, sha256, num_bytes = read_recipe(recipe), str(recipe["sha256"]), int(recipe["bytes"])
    except InputError as error:  # of the method: it names the field
        raise InputError(f"{folder / 'recipe.json'}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{folder / 'recipe.json'} is damaged ({type(error).__name__}: {error}); take another copy of it."
        ) from None
    stages = (*fields["history"], Training(fields["method"], fields["spec"], fields["adapted"]))
    return Trained(**fields, state=_read_state(folder, stages, sha256, num_bytes))


def _read_state(folder: pathlib.Path, stages: tuple[Training, ...], sha256: str, num_bytes: int) -> TrainState:
    file = folder / (_pending_name(sha256) if (folder / _pending_name(sha256)).exists() else ARRAYS)
    if not file.exists():
        raise InputError(f"There is no {file}; copy the whole checkpoint folder.")
    data = read(file, num_bytes)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{file} is damaged, or not the file that its recipe.json describes (the checksum differs); {REMEDY}."
        )
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); {REMEDY}.") from None
    try:
        shapes = _shapes(stages)
    except InputError as error:
        raise InputError(f"{folder / 'recipe.json'}: {error}") from None
    except Exception as error:  # a damaged recipe may cause any error
        defect = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        raise InputError(
            f"{folder / 'recipe.json'} describes parameters that cannot be created ({defect}): it is damaged; "
            "take another copy of it."
        ) from None
    _check_arrays(file, arrays, named(shapes))
    return map_named(lambda name, _: jax.device_put(arrays[name][None]), shapes)


def _shapes(stages: tuple[Training, ...]) -> TrainState:
    """Returns the shapes of the state after these trainings, without a seed axis."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), params_after(stages))


def _check_arrays(file: pathlib.Path, arrays: dict[str, np.ndarray], expected: dict[str, jax.ShapeDtypeStruct]) -> None:
    """Raises InputError if the arrays are not exactly those that are expected, or not finite."""
    for name in [*expected, *arrays]:
        if name not in arrays or name not in expected:
            where = "lacks" if name in expected else "has an unexpected array"
            raise InputError(
                f"{file} {where} {name!r}: it does not fit its recipe.json; copy both files from one place."
            )
        array, expected_array = arrays[name], expected[name]
        if array.shape != expected_array.shape or array.dtype != expected_array.dtype:
            raise InputError(
                f"{file} holds {name!r} as {array.dtype}{list(array.shape)}, but its recipe.json describes "
                f"{expected_array.dtype}{list(expected_array.shape)}; copy both files from one place."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(
                f"{file} holds numbers that are not finite, in {name!r}; its training failed: train again."
            )
