"""Files that are whole or not there: everything is written beside its place and then moved into it."""

import json
import os
import pathlib
import tempfile
from typing import Any

from headstart.core.errors import InputError


def write(path: pathlib.Path, data: bytes) -> None:
    """Writes the file at once: a reader, or a kill, sees all of it or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        pathlib.Path(beside).unlink(missing_ok=True)
        raise


def write_json(path: pathlib.Path, data: Any) -> None:
    """Writes plain data as JSON, NaN as null."""
    write(path, (json.dumps(plain(data), indent=1, allow_nan=False) + "\n").encode())


def read_json(path: pathlib.Path) -> Any:
    """-> the plain data. Raises InputError where the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no {path}; is {path.parent} a folder that headstart wrote?") from None
    except (OSError, ValueError, RecursionError) as error:  # no text, no JSON, or more than can be taken in
        raise InputError(f"{path} cannot be read as JSON ({error}); it is damaged, or not headstart's.") from None


def plain(data: Any) -> Any:
    """-> the data in JSON's own types: arrays as lists, NaN and infinity as null."""
    if isinstance(data, dict):
        return {str(name): plain(x) for name, x in data.items()}
    if isinstance(data, list | tuple):
        return [plain(x) for x in data]
    if hasattr(data, "tolist"):
        return plain(data.tolist())
    if isinstance(data, float):
        return data if data == data and abs(data) != float("inf") else None
    return data
