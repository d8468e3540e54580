"""The folders that `headstart train` and `headstart transfer` write: a checkpoint and `curve.json`.

`curve.json` holds the command's configuration and its curve. It is written first and the recipe last: if both exist,
the command has finished.
"""

import contextlib
import json
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from headstart.core.errors import InputError
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import TEMPORARY, jsonable
from headstart.lab.checkpoint.locks import LOCK, check_writable, delete_leftovers, locked
from headstart.lab.checkpoint.records import read_record, write_record
from headstart.lab.checkpoint.trained import Trained

FORMAT, CURVE = "headstart curve 2", "curve.json"
LEFTOVERS = re.compile(
    rf"{re.escape(LOCK)}|{TEMPORARY.pattern}|params(-\w+)?\.safetensors"
)  # files that a killed process may leave


@contextlib.contextmanager
def claim_folder(out: pathlib.Path, config: dict[str, Any], subfolder: str = "") -> Iterator[dict[str, Any] | None]:
    """Yields the curve of the same command if it has finished; else locks the folder and yields None.

    `subfolder` names a subfolder that may exist. Raises InputError if `out` holds something else, is in use, or cannot
    be written to.
    """
    if (curve := finished_result(out, config, subfolder)) is not None:
        with contextlib.suppress(OSError):  # the folder may be read-only
            delete_leftovers(out)
            save_load.finish_save(out, save_load.sha256_of(out))
        yield curve
        return
    is_new = not out.exists()
    try:
        with locked(out) as acquired:
            if not acquired:
                raise InputError(f"{out} is in use by another process; wait for it, or choose another --out.")
            check_writable(out)
            yield finished_result(out, config, subfolder)
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # the folder may not be empty
                out.rmdir()


def finished_result(out: pathlib.Path, config: dict[str, Any], subfolder: str = "") -> dict[str, Any] | None:
    """Returns the curve of the same command if it has finished, else None. Raises InputError if `out` is another's."""
    if not out.exists():
        return None
    if not out.is_dir():
        raise InputError(f"{out} is a file; choose another --out.")
    names = {path.name for path in out.iterdir() if path.name != subfolder and not LEFTOVERS.fullmatch(path.name)}
    if CURVE not in names:
        if names:
            raise InputError(f"{out} is not empty; choose another --out.")
        return None
    curve = read_record(out / CURVE, FORMAT, "choose another --out")
    expected = json.loads(json.dumps(jsonable(config)))
    if other := [name for name, x in expected.items() if curve["config"].get(name) != x]:
        raise InputError(f"{out} holds another result (its {', '.join(other)} differ); choose another --out.")
    if save_load.RECIPE not in names:
        return None
    save_load.load(out)  # raises InputError if it is damaged
    return curve


def write(out: pathlib.Path, config: dict[str, Any], curve: dict[str, Any], trained: Trained) -> None:
    """Writes the curve and the checkpoint. If that fails, writes them elsewhere and raises InputError."""

    def write_to(folder: pathlib.Path) -> None:
        write_record(folder / CURVE, FORMAT, {"config": config, **curve})
        save_load.save(trained, folder)

    write_or_rescue(write_to, out)


def write_or_rescue(write_to: Callable[[pathlib.Path], None], folder: pathlib.Path) -> None:
    """Calls `write_to(folder)`. If that fails, calls it with another folder and raises InputError that names it."""
    try:
        return write_to(folder)
    except OSError as error:
        failed = f"{folder} could not be written ({error.strerror or error})"
    for base in (pathlib.Path.cwd(), pathlib.Path.home(), pathlib.Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            rescue_folder = pathlib.Path(tempfile.mkdtemp(prefix=f"headstart-{folder.name}-", dir=base))
            try:
                write_to(rescue_folder)
            except OSError:
                shutil.rmtree(rescue_folder, ignore_errors=True)
                continue
            raise InputError(f"{failed}; the result is saved in {rescue_folder}.")
    raise InputError(f"{failed}, nor could any other folder: the result is lost.")
