"""A decorator of the public functions: frees memory of compiled programs, sets timeouts of envs, handles Ctrl-C."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from headstart.core.interrupts import reraising
from headstart.lab.compilation_cache import free_memory
from headstart.tasks.host.timeouts import call_timeout

P = ParamSpec("P")
R = TypeVar("R")


def public_call(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a public function.

    Its argument `step_timeout` is the maximal number of seconds of a call of a host env.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R:
        seconds = signature.bind(*args, **named).arguments.get("step_timeout")
        free_memory()
        with call_timeout(seconds), reraising():
            return function(*args, **named)

    return call
