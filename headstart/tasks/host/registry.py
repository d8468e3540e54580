"""Host envs by id, by task string, or by a function that makes one."""

from typing import Any

from headstart.core.errors import InputError
from headstart.tasks.host import extras
from headstart.tasks.host.env import HostEnv
from headstart.tasks.host.maker import Factory, Maker
from headstart.tasks.host.pool import pool


def host(source: str | Factory, horizon: int | None = None, **keywords: Any) -> HostEnv:
    """Returns an env for any Gymnasium env: by id (`LunarLander-v3`, `module:Env-v0`), or by a function that makes one.

    `horizon` is the steps of an episode, if the id is registered without a limit or another is wanted. `keywords` are
    for the constructor. A function identifies its env, so define it once. Raises InputError if the env cannot be made,
    if the episode length is unknown, or if its spaces are not supported.
    """
    if not isinstance(source, str) and not callable(source):
        raise InputError(f"{source!r} is neither an id nor a function that makes an env; give one of them.")
    if isinstance(source, str) and "@" in source:
        return _of_string(source, horizon, keywords)
    if isinstance(source, str):
        extras.import_package(source)
    maker = Maker(source, horizon, tuple(sorted(keywords.items())))
    try:
        hash(maker)
    except TypeError:
        raise InputError(f"{maker.name} has a keyword that cannot be hashed; give a function that makes it.") from None
    pool(maker)  # raises errors here rather than within a compiled program
    env = HostEnv(maker)
    if not isinstance(source, str):
        _named[env.name] = env if _named.get(env.name, env) == env else None
    return env


def _of_string(text: str, horizon: int | None, keywords: dict[str, Any]) -> HostEnv:
    """Returns the env of a task string, which may hold its horizon and keywords that are words."""
    from headstart.tasks.strings import parse  # imports this module

    task = parse(text if text.partition("@")[0].partition(":")[1] else f"gymnasium:{text}")
    if task.params or not isinstance(task.env, HostEnv) or (task.w != 1.0).any():
        raise InputError(f"{text!r} holds more than an env; give it to headstart.task.")
    if horizon is None and not keywords:
        return task.env
    maker = task.env.maker
    return host(maker.source, horizon or maker.steps, **{**dict(maker.keywords), **keywords})


_named: dict[str, HostEnv | None] = {}  # envs of functions; None: two functions have this name


def named(name: str) -> HostEnv | None:
    """Returns the env of a function that `host` got in this process; None if there is none of this name.

    Raises InputError if there are several.
    """
    if name in _named and _named[name] is None:
        raise InputError(f"There are several envs {name!r} in this process; give each function a name of its own.")
    return _named.get(name)
