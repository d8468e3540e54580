"""What every call that plays sees to: room for its programs, patience with its envs, and Ctrl-C."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from headstart.core.interrupts import reraising
from headstart.lab.compilation_cache import make_room
from headstart.tasks.host.timeouts import call_timeout

P = ParamSpec("P")
R = TypeVar("R")


def playing(function: Callable[P, R]) -> Callable[P, R]:
    """Returns the function, which may be called any number of times in one process.

    Its argument `step_timeout` is how many seconds a call of a live env may take.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R:
        seconds = signature.bind(*args, **named).arguments.get("step_timeout")
        make_room()
        with call_timeout(seconds), reraising():
            return function(*args, **named)

    return call
