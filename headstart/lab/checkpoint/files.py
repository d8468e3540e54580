"""Files that are whole or not there: everything is written beside its place and then moved into it."""

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
except ImportError:  # not on this system: then temporary files of a killed process stay
    fcntl = None

Path = str | os.PathLike[str]

MOST = 64 * 2**20  # bytes of a JSON file: far more than any study's
TEMPORARY = re.compile(r"\..+\.part")


def write(path: pathlib.Path, data: bytes) -> None:
    """Writes the file at once: a reader, or a kill, sees all of it or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)  # says to `sweep` that the writer is alive
            if os.fstat(file.fileno()).st_nlink == 0:  # swept before it could say so
                return write(path, data)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        return None
    except BaseException:
        pathlib.Path(beside).unlink(missing_ok=True)
        raise


def sweep(folder: pathlib.Path) -> None:
    """Deletes the temporary files that killed processes left in the folder; those of living ones stay."""
    for path in folder.iterdir() if folder.is_dir() and fcntl is not None else ():
        if TEMPORARY.fullmatch(path.name) and path.is_file() and not _is_written(path):
            path.unlink(missing_ok=True)


def _is_written(path: pathlib.Path) -> bool:
    """Returns whether a living process is writing the temporary file."""
    assert fcntl is not None
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:  # its writer holds it, or it is another user's
        return True
    return False


def read(path: pathlib.Path, most: int = MOST) -> bytes:
    """Returns a regular file's bytes. Raises InputError where it is missing, another kind of file, or too large."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # so that a pipe does not make it wait
    except FileNotFoundError:
        raise InputError(f"There is no {path}; is {path.parent} a folder that headstart wrote?") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', error)}).") from None
    try:
        check(path, os.fstat(handle), most)
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    finally:
        os.close(handle)


def check(path: pathlib.Path, told: os.stat_result, most: int) -> None:
    """Raises InputError where what is told of a file says that it is another kind of file, or too large."""
    if not stat.S_ISREG(told.st_mode):
        raise InputError(f"{path} is no regular file; put the file there that headstart wrote.")
    if told.st_size > most:
        raise InputError(
            f"{path} is {told.st_size} bytes long, where at most {most} are expected: "
            "it is damaged, or not headstart's."
        )


def write_json(path: pathlib.Path, data: Any) -> None:
    """Writes plain data as JSON, NaN as null."""
    write(path, (json.dumps(plain(data), indent=1, allow_nan=False) + "\n").encode())


def read_json(path: pathlib.Path) -> Any:
    """Returns the plain data. Raises InputError where the file is missing or damaged."""
    return parse_json(path, read(path))


def parse_json(path: pathlib.Path, data: bytes, mend: str = "take another copy of it") -> Any:
    """Returns the plain data that the file's bytes hold. Raises InputError where they are no JSON."""
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:  # no text, no JSON, or more than can be taken in
        why = f"cannot be read as JSON ({error}): it is damaged, or not headstart's"
        raise InputError(f"{path} {why}; {mend}.") from None


def plain(data: Any) -> Any:
    """Returns the data in JSON's own types: arrays as lists, NaN and infinity as null."""
    if isinstance(data, dict):
        return {str(name): plain(x) for name, x in data.items()}
    if isinstance(data, list | tuple):
        return [plain(x) for x in data]
    if hasattr(data, "tolist"):
        return plain(data.tolist())
    if isinstance(data, float):
        return data if data == data and abs(data) != float("inf") else None
    return data


def as_path(name: str, given: Any) -> pathlib.Path:
    """Returns the path. Raises InputError where no file can be called so."""
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"{name} is {given!r}, which is no path; give a string or a pathlib.Path.")
    text = os.fspath(given)
    if not isinstance(text, str) or not text or "\0" in text or not is_text(text):
        raise InputError(f"{name} is {text!r}, and no file can be called so; give another path.")
    return pathlib.Path(text)


def is_text(word: str) -> bool:
    """-> whether these are characters alone, and no bytes that stand for none."""
    return not any("\ud800" <= sign <= "\udfff" for sign in word)
