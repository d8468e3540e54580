"""Timeouts of calls to envs.

By default there is none. With a timeout, envs are called in a thread of their own. A call that hangs is abandoned with
its thread, which does not keep the process from ending, and the other envs get a new thread.
"""

import contextlib
import math
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from headstart.core.errors import InputError

_seconds: float | None = None  # of every env of this process


class HungError(InputError):
    """A call that did not return in time."""


@contextlib.contextmanager
def call_timeout(seconds: float | None) -> Iterator[None]:
    """Limits every call of an env in this context; None keeps the limit. Raises InputError if it is no time."""
    global _seconds
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
        raise InputError(f"step_timeout={seconds!r} is not a duration; give seconds, such as 60.")
    previous, _seconds = _seconds, _seconds if seconds is None else seconds
    try:
        yield
    finally:
        _seconds = previous


class Caller:
    """Calls the envs of one pool, one at a time."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] | None = None  # to the thread, if there is one

    def call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Calls the function and returns its result. Raises its errors, and HungError if it does not return in time."""
        seconds = _seconds
        if seconds is None:
            return function(*args, **named)
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(self._calls,), daemon=True, name="headstart env").start()
        calls, results = self._calls, queue.SimpleQueue()
        self._calls = None  # until it returns, also if this thread is interrupted
        calls.put((results, function, args, named))
        try:
            result, error = results.get(timeout=seconds)
        except queue.Empty:
            calls.put(None)
            raise HungError(f"it did not return within {seconds:g} s") from None
        except BaseException:
            calls.put(None)
            raise
        self._calls = calls
        if error is not None:
            raise error
        return result

    @property
    def hung(self) -> bool:
        """Whether the last call did not return."""
        return _seconds is not None and self._calls is None


def _serve(calls: "queue.SimpleQueue[Any]") -> None:
    """Executes calls until None follows a call that was abandoned."""
    while (request := calls.get()) is not None:
        results, function, args, named = request
        try:
            result = function(*args, **named), None
        except BaseException as error:  # every error belongs to the caller
            result = None, error
        results.put(result)
