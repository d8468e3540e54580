"""Params on disk: `params.safetensors` beside a `recipe.json` that says what it is and how it came about.

No pickle anywhere: the arrays can be read without headstart and without JAX.

The two change at once. The arrays are written under a name of their own, which has their checksum in it; then the
recipe, which has it too, takes the place of the former one; then the arrays get their usual name. Whoever reads in
between, or after a kill, finds the arrays of the recipe that is there under one name or the other.
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
from headstart.lab.checkpoint.files import Path, as_path, read, sweep, write
from headstart.lab.checkpoint.recipe import FORMAT, read_recipe, write_recipe
from headstart.lab.checkpoint.records import CHECKSUM, read_record, write_record
from headstart.lab.checkpoint.trained import Trained
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training

RECIPE, ARRAYS, AGAIN = "recipe.json", "params.safetensors", "take another copy of it, or train anew"


def save(trained: Trained, path: Path) -> pathlib.Path:
    """Writes a checkpoint folder; returns its path. A kill at any moment leaves the former checkpoint or this one."""
    if not isinstance(trained, Trained):
        raise InputError(f"{trained!r} is nothing that was trained; give what headstart.train returned.")
    folder = as_path("path", path)
    arrays = {name: np.array(np.asarray(x)[0]) for name, x in named(trained.state).items()}
    data = safetensors.numpy.save(arrays)
    sha256 = hashlib.sha256(data).hexdigest()
    put(folder, data, sha256, {**write_recipe(trained, arrays, sha256), "bytes": len(data)})
    return folder


def put(folder: pathlib.Path, data: bytes, sha256: str, recipe: dict[str, Any]) -> None:
    """Writes the two files of a checkpoint."""
    sweep(folder)
    write(folder / _own(sha256), data)
    write_record(folder / RECIPE, FORMAT, recipe)
    settle(folder, sha256)


def settle(folder: pathlib.Path, sha256: str) -> None:
    """Gives the arrays that the recipe was written for their usual name, and deletes what killed saves have left."""
    own = folder / _own(sha256)
    if own.exists():
        own.replace(folder / ARRAYS)
    for other in folder.glob(_own("*")):
        other.unlink(missing_ok=True)


def _own(sha256: str) -> str:
    """Returns the name under which arrays lie until their recipe is written."""
    return f"params-{sha256[:16]}.safetensors"


def identity(folder: pathlib.Path) -> str:
    """Returns what tells a checkpoint from every other one: its recipe's checksum, which covers its arrays."""
    return read_record(folder / RECIPE, FORMAT, AGAIN)[CHECKSUM]


def sha256_of(folder: pathlib.Path) -> str:
    """Returns the checksum of a checkpoint's arrays, as its recipe has it."""
    return read_record(folder / RECIPE, FORMAT, AGAIN)["sha256"]


def load(path: Path) -> Trained:
    """Reads a checkpoint folder. Raises InputError, with the defect, where it is missing, damaged or another's."""
    folder = as_path("path", path)
    recipe = read_record(folder / RECIPE, FORMAT, AGAIN)
    try:
        fields, sha256, most = read_recipe(recipe), str(recipe["sha256"]), int(recipe["bytes"])
    except InputError as error:  # of the method's own: it knows best
        raise InputError(f"{folder / 'recipe.json'}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{folder / 'recipe.json'} is damaged ({type(error).__name__}: {error}); take another copy of it."
        ) from None
    stages = (*fields["before"], Training(fields["method"], fields["spec"], fields["adapted"]))
    return Trained(**fields, state=_read_state(folder, stages, sha256, most))


def _read_state(folder: pathlib.Path, stages: tuple[Training, ...], sha256: str, most: int) -> TrainState:
    file = folder / (_own(sha256) if (folder / _own(sha256)).exists() else ARRAYS)
    if not file.exists():
        raise InputError(f"There is no {file}; copy the whole checkpoint folder.")
    data = read(file, most)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{file} is damaged, or not what its recipe.json was written for (its checksum is another); {AGAIN}."
        )
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); {AGAIN}.") from None
    try:
        like = _shapes(stages)
    except InputError as error:
        raise InputError(f"{folder / 'recipe.json'}: {error}") from None
    except Exception as error:  # a damaged recipe may ask for anything
        why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        raise InputError(
            f"{folder / 'recipe.json'} describes what cannot be made ({why}); it is damaged: take another copy of it."
        ) from None
    _check_arrays(file, arrays, named(like))
    return map_named(lambda name, _: jax.device_put(arrays[name][None]), like)


def _shapes(stages: tuple[Training, ...]) -> TrainState:
    """Returns the shapes of what these trainings leave, of one seed and without a seed axis."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), params_after(stages))


def _check_arrays(file: pathlib.Path, arrays: dict[str, np.ndarray], expected: dict[str, jax.ShapeDtypeStruct]) -> None:
    """Raises InputError where the arrays are not just those that are expected, or not finite."""
    for name in [*expected, *arrays]:
        if name not in arrays or name not in expected:
            where = "lacks" if name in expected else "holds, unasked,"
            raise InputError(
                f"{file} {where} {name!r}, and so does not fit the method of its recipe.json; copy both from one place."
            )
        found, wanted = arrays[name], expected[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise InputError(
                f"{file} holds {name!r} as {found.dtype}{list(found.shape)}, but its recipe.json makes it "
                f"{wanted.dtype}{list(wanted.shape)}; copy both from one place."
            )
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise InputError(f"{file} holds numbers that are not finite, in {name!r}; its training failed: train anew.")
