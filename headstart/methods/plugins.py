"""Methods from outside of headstart: named as `module:Class`, or by a package's entry point in `headstart.methods`."""

import functools
import importlib
import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Collection
from typing import Any

from headstart.core.errors import InputError, message
from headstart.core.types import Method

GROUP = "headstart.methods"
NAME = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<class>[A-Za-z_]\w*)(?=:|$)")  # no "=": that is a setting


@functools.cache
def entry_points() -> dict[str, str]:
    """Returns the names that installed packages give their methods, and `module:Class` of each."""
    return {point.name: point.value.replace(" ", "") for point in importlib.metadata.entry_points(group=GROUP)}


def split_name(text: str, known: Collection[str]) -> tuple[str, str]:
    """Returns the name at the start of a method string, a `known` one or `module:Class`, and the settings after it."""
    name, match = text.partition(":")[0], NAME.match(text)
    if match and name not in known:
        name = match[0]
    return name, text[len(name) + 1 :]


def load_class(name: str) -> type[Method] | None:
    """Returns the method class of that name, or None where the name is neither `module:Class` nor an entry point.

    Raises InputError where the module cannot be imported, or has no such method.
    """
    path = entry_points().get(name, name)
    match = NAME.fullmatch(path)
    if match is None:
        return None
    try:
        module = importlib.import_module(match["module"])
    except Exception as error:
        raise InputError(
            f"The module of the method {name} cannot be imported ({message(error)}); install it, or set PYTHONPATH "
            "to its folder."
        ) from error
    found = getattr(module, match["class"], None)
    if not (inspect.isclass(found) and issubclass(found, Method)):
        raise InputError(f"{match['module']} has no method {match['class']}; write module:Class of a headstart Method.")
    return found


def check_trusted(name: str) -> None:
    """Raises InputError where a file names a method whose module nobody but the file asks to import.

    A file must not run code. Trusted are modules that are imported already, those of entry points, and those that the
    environment variable HEADSTART_METHODS lists, separated by commas.
    """
    match = NAME.fullmatch(name)
    if match is None:
        return
    listed = os.environ.get("HEADSTART_METHODS", "").split(",")
    if match["module"] not in sys.modules and match["module"] not in listed and name not in entry_points().values():
        raise InputError(
            f"The method {name} is not headstart's, and a file must not import modules; import {match['module']} first,"
            f" or set HEADSTART_METHODS={match['module']}."
        )


def class_name(kind: type[Method]) -> str:
    """Returns `module:Class`. Raises InputError where Python could not find the class by it."""
    owner = sys.modules.get(kind.__module__)
    if kind.__module__ == "__main__" or getattr(owner, kind.__qualname__, None) is not kind:
        raise InputError(
            f"{kind.__qualname__} cannot be saved: a checkpoint names module:Class, and {kind.__module__} is no module "
            "that can be imported; move the class to the top level of a file of its own."
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def summary(kind: type[Any]) -> str:
    """Returns the first line of the class's docstring as a phrase."""
    line = (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".") or "a method of your own"
    return line[0].lower() + line[1:]
