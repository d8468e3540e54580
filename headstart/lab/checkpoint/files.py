"""Reads and writes files. A file is written under a temporary name and then renamed, so that it is always complete."""

import json
import os
import pathlib
import re
import stat
import tempfile
from typing import Any

from headstart.core.errors import InputError

try:
    import fcntl
except ImportError:  # not on this system: temporary files of killed processes stay
    fcntl = None

Path = str | os.PathLike[str]

MAX_BYTES = 64 * 2**20  # of a JSON file; the largest study needs far less
TEMPORARY = re.compile(r"\..+\.part")


def write(path: pathlib.Path, data: bytes) -> None:
    """Writes a file atomically: readers see the old content or the new one, even if the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)  # shows `delete_temporary` that the writer is running
            if os.fstat(file.fileno()).st_nlink == 0:  # deleted before it was locked
                return write(path, data)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        return None
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise


def delete_temporary(folder: pathlib.Path) -> None:
    """Deletes the temporary files of killed processes in a folder."""
    for path in folder.iterdir() if folder.is_dir() and fcntl is not None else ():
        if TEMPORARY.fullmatch(path.name) and path.is_file() and not _is_written(path):
            path.unlink(missing_ok=True)


def _is_written(path: pathlib.Path) -> bool:
    """Returns whether a running process is writing the temporary file."""
    assert fcntl is not None
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # its writer has locked it, or another user owns it
        return True
    return False


def read(path: pathlib.Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Returns the bytes of a file. Raises InputError if it is missing, not a regular file, or too large."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # do not wait for a pipe
    except FileNotFoundError:
        raise InputError(f"There is no {path}; check that headstart wrote the folder {path.parent}.") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({getattr(error, 'strerror', error)}); check its permissions."
        ) from None
    try:
        check_regular_file(path, os.fstat(handle), max_bytes)
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the disk.") from None
    finally:
        os.close(handle)


def check_regular_file(path: pathlib.Path, status: os.stat_result, max_bytes: int) -> None:
    """Raises InputError if a file is not a regular file, or larger than `max_bytes` bytes."""
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is not a regular file; put the file there that headstart wrote.")
    if status.st_size > max_bytes:
        raise InputError(
            f"{path} has {status.st_size} bytes, and at most {max_bytes} are expected: it is damaged or not from "
            "headstart; take another copy of it."
        )


def write_json(path: pathlib.Path, data: Any) -> None:
    """Writes data as JSON, with null for NaN."""
    write(path, (json.dumps(jsonable(data), indent=1, allow_nan=False) + "\n").encode())


def read_json(path: pathlib.Path) -> Any:
    """Returns the data of a JSON file. Raises InputError if the file is missing or damaged."""
    return parse_json(path, read(path))


def parse_json(path: pathlib.Path, data: bytes, remedy: str = "take another copy of it") -> Any:
    """Returns the data of JSON bytes. Raises InputError, which ends in `remedy`, if they are not JSON."""
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:  # not text, not JSON, or nested too deeply
        defect = f"cannot be read as JSON ({error}): it is damaged or not from headstart"
        raise InputError(f"{path} {defect}; {remedy}.") from None


def jsonable(data: Any) -> Any:
    """Returns data in JSON's types: arrays as lists, NaN and infinity as None."""
    if isinstance(data, dict):
        return {str(name): jsonable(x) for name, x in data.items()}
    if isinstance(data, list | tuple):
        return [jsonable(x) for x in data]
    if hasattr(data, "tolist"):
        return jsonable(data.tolist())
    if isinstance(data, float):
        return data if data == data and abs(data) != float("inf") else None
    return data


def as_path(name: str, given: Any) -> pathlib.Path:
    """Returns a path. Raises InputError if `given` is not a valid path; `name` is the argument's name."""
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"{name} is {given!r}, which is not a path; give a string or a pathlib.Path.")
    text = os.fspath(given)
    if not isinstance(text, str) or not text or "\0" in text or not is_text(text):
        raise InputError(f"{name} is {text!r}, which is not a valid path; give another one.")
    return pathlib.Path(text)


def is_text(text: str) -> bool:
    """Returns whether a string holds only characters, and no undecodable bytes (surrogates)."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
