"""Methods as people write them: `NAME` or `NAME:field=value:field=value`.

A field of the method inside of another is reached through it: `epopt:epsilon=0.2:base.learning_rate=1e-3`; what is
inside is named like any method: `finetune:base=sac`, `finetune:base=module:Class`. Tuples are written with plus signs,
`base.hidden=32+32`. All functions raise InputError for unknown names and fields, and for values that do not fit.
"""

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Iterable
from typing import Literal

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.methods import CLASSES, LEARNERS, METHODS, Entry, find_entry
from headstart.methods.plugins import NAME, class_name, split_name

NAMES = (*METHODS, *LEARNERS)  # of headstart's own methods and learners


def find(text: str, learner: Method | None = None) -> tuple[Entry, Method]:
    """Returns the entry and the method that a user means, over that base learner where one is given."""
    name, settings = split_name(text, NAMES)
    entry = find_entry(name) or METHODS[_known(name, METHODS, "method")]
    method = entry.make()
    if learner is not None:
        if not (hasattr(method, "base") or is_learner(method)):
            raise InputError(f"{name} learns in a way of its own, by no other learner; leave it or --learner out.")
        method = learner if is_learner(method) else dataclasses.replace(method, base=learner)  # pyright: ignore[reportArgumentType]
    return entry, _settle(method, name, settings)


def find_learner(text: str) -> Method:
    """Returns the base learner that a user means: one of LEARNERS, or a class from outside without a base."""
    name, settings = split_name(text, NAMES)
    outside = None if name in NAMES else find_entry(name)
    learner = LEARNERS[_known(name, LEARNERS, "learner")]() if outside is None else outside.make()
    if not is_learner(learner):
        raise InputError(f"{name} is a method over a base learner; give a learner, such as {', '.join(LEARNERS)}.")
    return _settle(learner, name, settings)


def is_learner(method: Method) -> bool:
    """Returns whether other methods can learn by this one: one of LEARNERS, or a class from outside without a base."""
    kind = type(method)
    from_outside = CLASSES.get(kind.__name__) is not kind
    return isinstance(method, tuple(LEARNERS.values())) or (from_outside and not hasattr(method, "base"))


def find_any(text: str, after: Method | None = None) -> Method:
    """Returns the method or the base learner that a user means.

    It is to go on with what the method `after` learned, if there is one: over the same base learner, if it takes one.
    """
    name, _ = split_name(text, NAMES)
    if name in LEARNERS:
        return find_learner(text)
    entry = find_entry(name) or METHODS[_known(name, NAMES, "method")]
    return find(text, _base(after) if hasattr(entry.make(), "base") else None)[1]


def method_string(method: Method) -> str:
    """Returns the string that makes this method. Raises InputError where no string does."""
    kind = type(method)
    names = [entry.name for entry in METHODS.values() if entry.make is kind]
    names += [name for name, learner in LEARNERS.items() if learner is kind]
    if not names and CLASSES.get(kind.__name__) is not kind:
        names = [class_name(kind)]
    for name in names:
        text = ":".join([name, *_settings_of(method, kind(), "")])
        if find_any(text) == method:
            return text
    raise InputError(
        f"{method!r} cannot be written as a string, which a study needs; use one whose fields are strings."
    )


def _settings_of(method: Method, default: Method, prefix: str) -> list[str]:
    """Returns the settings by which a method differs from another of its class."""
    settings = []
    for field in dataclasses.fields(method):  # pyright: ignore[reportArgumentType]
        value, usual = getattr(method, field.name), getattr(default, field.name)
        if isinstance(value, Method):
            if type(value) is not type(usual):
                usual = type(value)()
                settings.append(f"{prefix}{field.name}={_written(usual)}")
            settings += _settings_of(value, usual, f"{prefix}{field.name}.")
        elif value != usual:
            settings.append(f"{prefix}{field.name}={_written(value)}")
    return settings


def _written(value: object) -> str:
    """Returns a field's value as `_read` reads it."""
    if isinstance(value, tuple):
        return "+".join(map(_written, value))
    if isinstance(value, Method):
        name = next((name for name in (*LEARNERS, *METHODS) if _named(name) == value), None)
        outside = CLASSES.get(type(value).__name__) is not type(value) and value == type(value)()
        return name or (class_name(type(value)) if outside else repr(value))
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _base(method: Method | None) -> Method | None:
    """Returns the learner that a method learns by, if other methods can learn by it too."""
    while method is not None and not is_learner(method):
        method = getattr(method, "base", None)
    return method


def _known(name: str, names: Iterable[str], kind: str) -> str:
    names = list(names)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=2, cutoff=0.55) or names
        raise InputError(f"There is no {kind} {name!r}; did you mean {' or '.join(near)}?")
    return name


def _settle(method: Method, name: str, settings: str) -> Method:
    """Returns the method with every `field=value` of the settings."""
    for setting in _split_settings(settings):
        path, _, value = setting.partition("=")
        method = _set(method, path.split("."), value, f"{name}:{setting}")
    return method


def _split_settings(text: str) -> list[str]:
    """Returns the settings between colons, without splitting `module:Class`."""
    settings: list[str] = []
    for part in text.split(":") if text else ():
        module = re.split(r"[=+]", settings[-1])[-1] if settings and "=" in settings[-1] else ""
        if module and NAME.fullmatch(f"{module}:{part.partition('+')[0]}"):
            settings[-1] += f":{part}"
        else:
            settings.append(part)
    return settings


def _set(method: Method, path: list[str], value: str, where: str) -> Method:
    """Returns the method with the field at the end of the path set to what the text says."""
    name, *inner = path
    fields = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}  # pyright: ignore[reportArgumentType]
    held = fields.get(name)
    if isinstance(held, Method) and not inner and (base := _named(value)) is not None:
        return dataclasses.replace(method, **{name: base})  # pyright: ignore[reportArgumentType]
    if name not in fields or isinstance(held, Method) != bool(inner):
        inside = lambda x, held: (
            f"{x} (one of {', '.join(LEARNERS)}, or module:Class), {x}.FIELD of {type(held).__name__}"
        )
        known = [inside(x, held) if isinstance(held, Method) else x for x, held in fields.items()]
        raise InputError(f"{where} sets no field of {type(method).__name__}; FIELD=VALUE takes {', '.join(known)}.")
    if isinstance(held, Method):
        return dataclasses.replace(method, **{name: _set(held, inner, value, where)})  # pyright: ignore[reportArgumentType]
    kind = typing.get_type_hints(type(method))[name]
    try:
        read = _read(kind, value)
    except (ValueError, KeyError, OverflowError):
        raise InputError(f"{where} does not fit; {name} takes {_words(kind)}.") from None
    return dataclasses.replace(method, **{name: read})  # pyright: ignore[reportArgumentType]


def _named(name: str) -> Method | None:
    """Returns the learner or method of that name, with its default settings; None if there is none."""
    entry = None if name in LEARNERS else find_entry(name)
    return LEARNERS[name]() if name in LEARNERS else None if entry is None else entry.make()


def _words(kind: typing.Any) -> str:
    """Returns what a field of that type takes, as a person would say it."""
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(inner)}"
    if typing.get_origin(kind) is tuple:
        return f"{_words(inner[0])}, or several with + between them"
    if inner:  # `X | None`
        return f"{_words(inner[0])}, or none"
    plain = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    return plain.get(kind, f"one of {', '.join(LEARNERS)}, or module:Class")


def _read(kind: typing.Any, value: str) -> object:
    """Returns the text as a value of that type. Raises ValueError or KeyError where it is none."""
    inner = typing.get_args(kind)
    if kind is bool:
        return {"true": True, "false": False}[value.lower()]
    if kind is Method:
        if (method := _named(value)) is None:
            raise KeyError(value)
        return method
    if kind in (int, float):
        number = float(value)
        if not math.isfinite(number) or (kind is int and number != int(number)):
            raise ValueError(value)
        return kind(number)
    if typing.get_origin(kind) is Literal:
        return dict(zip(inner, inner, strict=True))[value]
    if typing.get_origin(kind) is tuple:
        return tuple(_read(inner[0], part) for part in value.split("+") if part)
    if inner:  # `X | None`
        return None if value.lower() == "none" else _read(inner[0], value)
    return kind(value)
