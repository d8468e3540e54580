"""Making a third-party env: by Gymnasium from its id, or by a function."""

import dataclasses
import importlib
import inspect
import numbers
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator
from gymnasium.wrappers import TimeLimit

from headstart.core.env import IntegerRange
from headstart.core.errors import InputError, message
from headstart.tasks.distributions import NUMBER
from headstart.tasks.host import extras

Factory = Callable[..., gymnasium.Env]

WORD = re.compile(r"[\w./-]+")
YES_OR_NO = {"true": True, "false": False}
MAX_STEPS = 10**9  # steps of an episode, which are counted in int32
LIMITS = ("max_episode_steps", "max_steps", "max_path_length")  # attributes in which envs keep a limit of their own


@dataclasses.dataclass(frozen=True)
class Maker:
    """How an env is made. Equal makers share their live envs, and one compilation."""

    source: str | Factory
    steps: int | None = None  # of an episode; None: as registered
    keywords: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The env's name: a task string, unless it has a keyword that task strings cannot write."""
        name = self.source if isinstance(self.source, str) else getattr(self.source, "__name__", repr(self.source))
        texts = {key: _keyword_text(value) for key, value in self.keywords}
        if not isinstance(self.source, str) or None in texts.values():
            text = ", ".join(f"{key}={value!r}" for key, value in self.keywords)
            return f"{name}({text})" if text else name
        options = {**texts, **({} if self.steps is None else {"horizon": self.steps})}
        return f"{name}@{','.join(f'{key}={value}' for key, value in options.items())}" if options else name

    def make(self, **changed: Any) -> gymnasium.Env:
        """Returns a new env. Raises InputError if it cannot be made."""
        keywords: dict[str, Any] = {**dict(self.keywords), **changed}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as about a newer version
                if (create := self._own_constructor) is not None:
                    env = create(**keywords)
                else:
                    time_limit = {} if self.steps is None else {"max_episode_steps": self.steps}
                    env = gymnasium.make(self.source, disable_env_checker=True, **time_limit, **keywords)  # pyright: ignore[reportArgumentType]
        except Exception as error:
            raise InputError(f"{self.name} cannot be made: {describe_error(error)}.") from None
        if not isinstance(env, gymnasium.Env):
            raise InputError(f"{self.name} makes a {type(env).__name__}; let it make a gymnasium.Env.")
        return env

    def number_options(self) -> dict[str, int | float]:
        """Returns the keywords of the constructor that are numbers, with their defaults."""
        parameters, registered = self._constructor()
        registered_or_given = {**registered, **dict(self.keywords)}
        values = {p.name: registered_or_given.get(p.name, p.default) for p in parameters}
        return {name: x for name, x in values.items() if isinstance(x, numbers.Real) and not name.startswith("_")}  # pyright: ignore[reportReturnType]

    def integer_options(self) -> dict[str, IntegerRange]:
        """Returns the keywords whose annotation says whether they are integers, and what it says."""
        annotations = {p.name: getattr(p.annotation, "__name__", str(p.annotation)) for p in self._constructor()[0]}
        known: dict[str, IntegerRange] = {"int": "always", "bool": "always", "float": "never"}
        return {name: known[kind] for name, kind in annotations.items() if kind in known}

    def _constructor(self) -> tuple[Iterable[inspect.Parameter], dict[str, Any]]:
        """Returns the constructor's parameters and the registered keywords; nothing if they are unknown."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                constructor = self._own_constructor
                known = gymnasium.spec(self.source.rpartition(":")[2]) if constructor is None else None  # pyright: ignore[reportAttributeAccessIssue]
                entry_point = constructor if known is None else known.entry_point
                creator: Any = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
                return inspect.signature(creator).parameters.values(), {} if known is None else known.kwargs
        except (TypeError, ValueError, ImportError, AttributeError, gymnasium.error.Error):
            return (), {}

    def horizon(self, env: gymnasium.Env) -> int:
        """Returns the steps of an episode. Raises InputError if their number is unknown."""
        steps = _limit(env) if self.steps is None else self.steps
        if steps is None:
            separator = "," if "@" in self.name else "@"
            task_string_hint = f"{self.name}{separator}horizon=1000, or " if isinstance(self.source, str) else ""
            raise InputError(
                f"{self.name} has no limit of an episode's steps; "
                f"write {task_string_hint}headstart.host({self._source_text}, horizon=1000)."
            )
        if not isinstance(steps, numbers.Integral) or not 1 <= int(steps) <= MAX_STEPS:
            raise InputError(f"{self.name} has horizon={steps!r}; give a whole number of steps, 1 or more, up to 1e9.")
        return int(steps)

    @property
    def _own_constructor(self) -> Factory | None:
        """The constructor of the env, if it is not Gymnasium's."""
        return extras.constructor(self.source) if isinstance(self.source, str) else self.source

    @property
    def _source_text(self) -> str:
        return repr(self.source) if isinstance(self.source, str) else self.name


def _limit(env: gymnasium.Env) -> Any:
    """Returns the number of steps after which an env truncates, by a wrapper or by itself; None if it is unknown."""
    limits, inner, time_limit = [], env, None if env.spec is None else env.spec.max_episode_steps
    while isinstance(inner, gymnasium.Wrapper):
        limits += [inner._max_episode_steps] if isinstance(inner, TimeLimit) else []
        inner = inner.env
    for name in LIMITS if time_limit is None and not limits else ():
        time_limit = time_limit or getattr(inner, name, None)
    return min(limits) if limits else time_limit


def ids() -> list[str]:
    """Returns all ids that are registered so far."""
    return [*gymnasium.registry, *extras.extra_ids()]


def is_registered(env_id: str) -> bool:
    """Returns whether an id is registered. Raises InputError if its module (`module:Env-v0`) cannot be imported."""
    extras.import_package(env_id)
    if extras.constructor(env_id) is not None:
        return True
    module, _, name = env_id.rpartition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if module:
                importlib.import_module(module)  # registers the id
            gymnasium.spec(name)
    except gymnasium.error.Error:
        return False
    except Exception as error:
        raise InputError(f"The task {env_id!r} cannot be looked up: {describe_error(error)}.") from None
    return True


def env_options(env_id: str, registered_or_given: Mapping[str, str]) -> dict[str, Any]:
    """Returns the values of a task string that define the env: its `horizon`, and constructor keywords that are words.

    All others are parameters. Raises InputError if the horizon is not an integer.
    """
    if not is_registered(env_id):
        return {}
    options_given: dict[str, Any] = {}
    options = Maker(env_id).number_options()
    for name, text in registered_or_given.items():
        if name == "horizon":
            options_given[name] = _steps(text, env_id)
        elif text in YES_OR_NO:
            options_given[name] = YES_OR_NO[text]
        elif name not in options and not name.startswith("w.") and _is_word(text):
            options_given[name] = text
    return options_given


def _steps(text: str, env_id: str) -> int:
    if not NUMBER.fullmatch(text) or text.startswith("x") or float(text) % 1:
        raise InputError(f"{env_id}: horizon={text} is no whole number of steps; write one, such as horizon=500.")
    return int(float(text))


def _is_word(text: str) -> bool:
    """Returns whether a value is a single word, and neither a number nor a range."""
    return bool(WORD.fullmatch(text)) and not NUMBER.fullmatch(text) and ".." not in text and text not in YES_OR_NO


def _keyword_text(value: Any) -> str | None:
    """Returns a keyword's value as task strings write it; None if they cannot."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) and _is_word(value) else None


def describe_error(error: BaseException) -> str:
    """Returns an error in one line, without a full stop."""
    if type(error) is ValueError or isinstance(error, InputError):  # already a sentence
        return message(error).rstrip(".")
    lines = message(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
