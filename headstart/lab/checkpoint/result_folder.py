"""What `train` and `transfer` leave in their folder: a checkpoint, and `curve.json`, which says what was asked.

`curve.json` is written first and the recipe last: where both are there, the command has finished.
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
from headstart.lab.checkpoint.files import TEMPORARY, plain
from headstart.lab.checkpoint.locks import LOCK, locked, probe, tidy
from headstart.lab.checkpoint.records import read_record, write_record
from headstart.lab.checkpoint.trained import Trained

FORMAT, CURVE = "headstart curve 1", "curve.json"
LEFT = re.compile(rf"{re.escape(LOCK)}|{TEMPORARY.pattern}|params(-\w+)?\.safetensors")  # by a process that ended


@contextlib.contextmanager
def claimed(out: pathlib.Path, question: dict[str, Any], own: str = "") -> Iterator[dict[str, Any] | None]:
    """Yields the curve that the same command has left in `out`, or None: then the folder is this process's meanwhile.

    `own` is the name of a folder that may be in it. Raises InputError where `out` holds something else, is in use, or
    cannot be written to.
    """
    if (done := finished(out, question, own)) is not None:
        with contextlib.suppress(OSError):  # where nothing may be written, it stays as it is
            tidy(out)
            save_load.settle(out, save_load.sha256_of(out))
        yield done
        return
    new = not out.exists()
    try:
        with locked(out) as mine:
            if not mine:
                raise InputError(f"{out} is in use by another process; wait for it, or choose another --out.")
            probe(out)
            yield finished(out, question, own)
    finally:
        if new:
            with contextlib.suppress(OSError):  # it stays where there is something in it
                out.rmdir()


def finished(out: pathlib.Path, question: dict[str, Any], own: str = "") -> dict[str, Any] | None:
    """Returns the curve that the same command has left in `out`, or None. Raises InputError where it is another's."""
    if not out.exists():
        return None
    if not out.is_dir():
        raise InputError(f"{out} is a file; choose another --out.")
    names = {path.name for path in out.iterdir() if path.name != own and not LEFT.fullmatch(path.name)}
    if CURVE not in names:
        if names:
            raise InputError(f"{out} is not empty; choose another --out.")
        return None
    held, asked = read_record(out / CURVE, FORMAT, "choose another --out"), json.loads(json.dumps(plain(question)))
    if other := [name for name, x in asked.items() if held["question"].get(name) != x]:
        raise InputError(f"{out} holds another result (its {', '.join(other)} differ); choose another --out.")
    if save_load.RECIPE not in names:
        return None
    save_load.load(out)  # so that what is damaged is told
    return held


def write(out: pathlib.Path, question: dict[str, Any], curve: dict[str, Any], trained: Trained) -> None:
    """Writes the curve and the checkpoint, elsewhere if need be: then it raises InputError, which says where."""

    def into(folder: pathlib.Path) -> None:
        write_record(folder / CURVE, FORMAT, {"question": question, **curve})
        save_load.save(trained, folder)

    keep(into, out)


def keep(into: Callable[[pathlib.Path], None], folder: pathlib.Path) -> None:
    """Writes a result into its folder. Where that fails, writes it elsewhere, and raises InputError that says where."""
    try:
        return into(folder)
    except OSError as error:
        failed = f"{folder} could not be written ({error.strerror or error})"
    for base in (pathlib.Path.cwd(), pathlib.Path.home(), pathlib.Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            place = pathlib.Path(tempfile.mkdtemp(prefix=f"headstart-{folder.name}-", dir=base))
            try:
                into(place)
            except OSError:
                shutil.rmtree(place, ignore_errors=True)
                continue
            raise InputError(f"{failed}; what was learned is kept in {place}.")
    raise InputError(f"{failed}, nor could any other folder: what was learned is lost.")
