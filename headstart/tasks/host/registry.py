"""Host envs by id, by task string, or by a function that makes one."""

from typing import Any

from headstart.core.errors import InputError
from headstart.tasks.host import extras
from headstart.tasks.host.env import HostEnv
from headstart.tasks.host.maker import Factory, Maker
from headstart.tasks.host.pool import pool


def host(source: str | Factory, horizon: int | None = None, **keywords: Any) -> HostEnv:
    """Returns any Gymnasium env: of an id (`LunarLander-v3`, `module:Env-v0`), or of a function that makes one.

    `horizon` is the steps of an episode, where its registration names none or another is wanted; `keywords` are for its
    constructor. One and the same function is one env: define it once. Raises InputError where the env cannot be made,
    where nobody says how long an episode is, and for spaces that are no row of numbers and no choice.
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
    pool(maker)  # what cannot be is said here, not within a compiled program
    env = HostEnv(maker)
    if not isinstance(source, str):
        _named[env.name] = env if _named.get(env.name, env) == env else None
    return env


def _of_string(text: str, horizon: int | None, keywords: dict[str, Any]) -> HostEnv:
    """Returns the env of a task string, which may say its horizon and keywords that are words."""
    from headstart.tasks.strings import parse  # which makes envs by this

    task = parse(text if text.partition("@")[0].partition(":")[1] else f"gymnasium:{text}")
    if task.params or not isinstance(task.env, HostEnv) or (task.w != 1.0).any():
        raise InputError(f"{text!r} says more than which env it is; give it to headstart.task.")
    if horizon is None and not keywords:
        return task.env
    maker = task.env.maker
    return host(maker.source, horizon or maker.steps, **{**dict(maker.keywords), **keywords})


_named: dict[str, HostEnv | None] = {}  # those of functions; None: two functions are called the same


def named(name: str) -> HostEnv | None:
    """Returns the env of a function that `host` was given in this process; None where there is none of this name.

    Raises InputError where there are several.
    """
    if name in _named and _named[name] is None:
        raise InputError(f"There are several envs {name!r} in this process; give each function a name of its own.")
    return _named.get(name)
