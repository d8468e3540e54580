"""Shares the jobs of a study between processes: each runs jobs that no other has locked, and waits for the rest.

A job is locked by a lock in its folder. Its result does not depend on the process that runs it.
"""

import contextlib
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from headstart.lab.checkpoint.locks import LOCK, locked

PAUSE = 0.5  # seconds between two checks of locked jobs


class LockedError(Exception):
    """A required folder is locked by another process; the argument names it."""


class Job(NamedTuple):
    """A part of the work of a study."""

    name: str
    folder: pathlib.Path  # with its lock
    done: Callable[[], bool]
    work: Callable[[], None]  # raises LockedError if it needs a locked folder


def run_jobs(jobs: Sequence[Job], log: Callable[[str], None]) -> None:
    """Runs the jobs in their order, except those that other processes run. Returns when all are done."""
    waiting, logged = list(jobs), False
    while waiting:
        locked_jobs = [job for job in waiting if not _do(job)]
        if len(locked_jobs) == len(waiting):
            if not logged:
                log(f"waiting for {', '.join(job.name for job in locked_jobs)}, which another process runs")
                logged = True
            time.sleep(PAUSE)
        waiting = locked_jobs


def _do(job: Job) -> bool:
    """Runs a job if no other process has locked it. Returns whether it is done."""
    if job.done():
        if (job.folder / LOCK).exists():  # left by a killed process, or about to be released
            with locked(job.folder):
                pass
        return True
    is_new = not job.folder.exists()
    try:
        with locked(job.folder) as acquired:
            if acquired and not job.done():  # another process may have run it in the meantime
                job.work()
            return acquired
    except LockedError:
        return False
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # the folder may not be empty
                job.folder.rmdir()
