"""Converts arguments of the Python API: objects, or the strings of the command line."""

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from headstart.core.errors import InputError
from headstart.core.types import Method, Task
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import as_path
from headstart.lab.checkpoint.trained import Trained
from headstart.methods.strings import find_any
from headstart.tasks.strings import as_task, describe


def as_tasks(given: Any) -> list[Task]:
    """Returns the tasks of one task or several."""
    is_list = isinstance(given, list | tuple) and not hasattr(given, "_fields")
    if is_list and not given:
        raise InputError("There is no task to train on; give one or several.")
    return [as_task(item) for item in (given if is_list else [given])]


def as_task_string(given: Any) -> str:
    """Returns the task string of a task."""
    return given if isinstance(given, str) else describe(as_task(given))


def as_method(given: Any, after: Method | None = None) -> Method:
    """Returns the method. A string without a learner uses the learner of the method `after`."""
    if isinstance(given, str):
        return find_any(given, after)
    if isinstance(given, Method):
        return given
    hint = f"; {given.__name__} is a class, so write {given.__name__}()" if inspect.isclass(given) else ""
    raise InputError(f"{given!r} is not a method; give one, or a string such as epopt:epsilon=0.2{hint}.")


def as_trained(given: Any) -> Trained:
    """Returns the trained policy of a Trained, a Transferred or a checkpoint folder."""
    given = getattr(given, "trained", given)
    if isinstance(given, Trained):
        return given
    if isinstance(given, str | os.PathLike):
        return save_load.load(as_path("The checkpoint", given))
    raise InputError(f"{given!r} is not a trained policy; give what headstart.train returned, or its folder.")


def check_watch(watch: Callable[..., Any] | None) -> None:
    """Raises InputError if `watch` cannot be called."""
    if watch is not None and not callable(watch):
        raise InputError(f"watch is {watch!r}; give a function that takes one argument.")


def check_renamed(renamed: Any) -> None:
    """Raises InputError if `renamed` does not map names to names."""
    fits = renamed is None or isinstance(renamed, Mapping)
    if not fits or not all(isinstance(name, str) for pair in (renamed or {}).items() for name in pair):
        raise InputError(f"renamed is {renamed!r}; give new names by the old ones, such as {{'thigh_angle': 'hip'}}.")
