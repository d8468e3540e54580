"""How long an env may take over one call, and what becomes of one that takes longer.

By default nobody asks. Where somebody does, envs are called in a thread of their own. One that does not come back is
left behind in that thread, which ends with the process and does not keep it from ending; the others get a new thread.
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
    """A call that did not come back."""


@contextlib.contextmanager
def call_timeout(seconds: float | None) -> Iterator[None]:
    """Meanwhile no call of an env may take longer. None: as long as before. Raises InputError where it is no time."""
    global _seconds
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
        raise InputError(f"step_timeout is {seconds!r}, which is no time to wait; give seconds, such as 60.")
    before, _seconds = _seconds, _seconds if seconds is None else seconds
    try:
        yield
    finally:
        _seconds = before


class Caller:
    """What calls one pool's envs, one at a time."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Any] | None = None  # of the thread, where there is one

    def call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Returns what the function returns. Raises what it raises, and HungError where it does not come back."""
        seconds = _seconds
        if seconds is None:
            return function(*args, **named)
        if self._asked is None:
            self._asked = queue.SimpleQueue()
            threading.Thread(target=_serve, args=(self._asked,), daemon=True, name="headstart env").start()
        asked, answers = self._asked, queue.SimpleQueue()
        self._asked = None  # unless it comes back, also where this thread is interrupted
        asked.put((answers, function, args, named))
        try:
            result, error = answers.get(timeout=seconds)
        except queue.Empty:
            asked.put(None)
            raise HungError(f"it did not come back within {seconds:g} s") from None
        except BaseException:
            asked.put(None)
            raise
        self._asked = asked
        if error is not None:
            raise error
        return result

    @property
    def hung(self) -> bool:
        """Whether the last call did not come back."""
        return _seconds is not None and self._asked is None


def _serve(asked: "queue.SimpleQueue[Any]") -> None:
    """Calls what is asked for, up to the None that is put after a call which was given up."""
    while (task := asked.get()) is not None:
        answers, function, args, named = task
        try:
            answer = function(*args, **named), None
        except BaseException as error:  # whatever it is, it is the caller's
            answer = None, error
        answers.put(answer)
