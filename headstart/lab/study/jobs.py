"""How processes share the work of a study: each takes a job that no other one holds, and waits for the rest.

A job is held by a lock in its folder. What it comes to does not depend on who does it, so that the result of several
processes is that of one.
"""

import contextlib
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from headstart.lab.checkpoint.locks import LOCK, locked

PAUSE = 0.5  # seconds between two looks at what other processes hold


class HeldError(Exception):
    """Another process is at work on what is needed; its argument says where."""


class Job(NamedTuple):
    """A part of a study's work."""

    name: str
    folder: pathlib.Path  # which holds its lock
    done: Callable[[], bool]
    work: Callable[[], None]  # raises HeldError where it needs what another process is at work on


def share(jobs: Sequence[Job], say: Callable[[str], None]) -> None:
    """Does the jobs, in their order, each unless another process does; returns when all are done."""
    waiting, told = list(jobs), False
    while waiting:
        held = [job for job in waiting if not _do(job)]
        if len(held) == len(waiting):
            if not told:
                say(f"waiting for {', '.join(job.name for job in held)}, at which another process is at work")
                told = True
            time.sleep(PAUSE)
        waiting = held


def _do(job: Job) -> bool:
    """Returns whether the job is done, after doing it where no other process holds it."""
    if job.done():
        if (job.folder / LOCK).exists():  # of a process that was killed when the work was done, or that is just leaving
            with locked(job.folder):
                pass
        return True
    new = not job.folder.exists()
    try:
        with locked(job.folder) as mine:
            if mine and not job.done():  # another process may have done it in between
                job.work()
            return mine
    except HeldError:
        return False
    finally:
        if new:
            with contextlib.suppress(OSError):  # it stays where there is something in it
                job.folder.rmdir()
