"""Locks folders, so that one process at a time works in them, and checks that they can be written to.

The locks are `flock` locks: the system releases them when a process ends, and they hold across machines that share a
disk.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

import filelock

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import TEMPORARY, delete_temporary

LOCK = ".lock"  # file name in the locked folder; deleted on release


@contextlib.contextmanager
def locked(folder: pathlib.Path, wait: bool = False) -> Iterator[bool]:
    """Yields whether this process holds the folder's lock; with `wait`, waits for it. Creates the folder."""
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
        delete_temporary(folder)
        yield True
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # before the release: a waiting process then creates a new one
        lock.release()


def delete_leftovers(out: pathlib.Path) -> None:
    """Deletes what killed processes left in a folder and its subfolders: unheld locks and temporary files."""
    leftovers = [path for path in out.rglob(".*") if path.name == LOCK or TEMPORARY.fullmatch(path.name)]
    for folder in dict.fromkeys(path.parent for path in leftovers):
        with contextlib.suppress(InputError), locked(folder):  # the folder may be read-only
            pass


def check_writable(folder: pathlib.Path) -> None:
    """Raises InputError if files cannot be written to the folder. Creates the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe.", suffix=".part") as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: pathlib.Path, error: OSError) -> InputError:
    return InputError(f"{folder} cannot be written to ({error.strerror or error}); choose another --out.")
