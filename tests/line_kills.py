"""Kills a write at each of its lines in turn. It forks, so it runs in a process without JAX's threads."""

import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

MAX_LINES = 1_000


def kill_at_each_line(
    files: Collection[str | None], before: pathlib.Path, out: pathlib.Path, write: Callable[[pathlib.Path], Any]
) -> None:
    """Calls `write` on copies of the folder `before`, and kills the n-th call at the n-th new line of `files`.

    The copies are `out/1`, `out/2`, …; the last is the first whose call ends before it is killed.
    """
    for count in range(1, MAX_LINES):
        folder = out / str(count)
        shutil.copytree(before, folder)
        child = os.fork()
        if child == 0:
            _kill_at(count, files)
            write(folder)
            os._exit(0)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            return


def _kill_at(count: int, files: Collection[str | None]) -> None:
    """Sets a tracer that kills this process when it reaches the `count`-th new line of `files`."""
    lines = set()

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        lines.add((frame.f_code, frame.f_lineno))
        if len(lines) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
