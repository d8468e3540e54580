"""Folders that one process at a time works in, and folders that can be written to at all.

A lock is the system's own (`flock`): it goes when its process does, however that ends, and holds on other machines that
share the disk.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

import filelock

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import TEMPORARY, sweep

LOCK = ".lock"  # its name in the folder that it is of; it is deleted when it is given back


@contextlib.contextmanager
def locked(folder: pathlib.Path, wait: bool = False) -> Iterator[bool]:
    """Yields whether the folder is this process's meanwhile; with `wait`, waits until it is. Makes the folder."""
    lock = filelock.FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        sweep(folder)
        yield True
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # while it is held: who waits for it then makes a new one
        lock.release()


def tidy(out: pathlib.Path) -> None:
    """Deletes what killed processes left in a folder and below it: locks that nobody holds, and temporary files."""
    left = [path for path in out.rglob(".*") if path.name == LOCK or TEMPORARY.fullmatch(path.name)]
    for folder in dict.fromkeys(path.parent for path in left):
        with contextlib.suppress(InputError), locked(folder):  # where nothing may be written, it stays
            pass


def probe(folder: pathlib.Path) -> None:
    """Writes a file into the folder and deletes it. Raises InputError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe.", suffix=".part") as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: pathlib.Path, error: OSError) -> InputError:
    return InputError(f"{folder} cannot be written to ({error.strerror or error}); choose another --out.")
