"""Task strings: `ENV[@name=value,…]`, such as `Hopper-v5@torso_mass=3..9,friction=x0.5..x2`.

    3                a number
    3..9             uniform between two numbers
    log:0.1..10      log-uniform
    6~1.5            normal, of mean 6 and standard deviation 1.5, truncated at the parameter's bounds
    6~1.5|3..9       the same, truncated at 3 and 9
    Poisson(rate=3)  any other scalar distribution of numpyro.distributions, by name and arguments

Each number can be a multiple of the nominal value instead: `x2`, `x0.5..x2`, `log:x0.1..x10`, `x1~x0.2`. `w.NAME=-1`
weighs one of the env's cumulants (if not given: 0 of a label, else 1): `HalfCheetah-v5@w.reward_forward=-1` runs
backwards. For an env that is not headstart's, `horizon=500` sets the steps of an episode, and a value that is no number
(a word, `true` or `false`) is a keyword of its constructor: `LunarLander-v3@continuous=true`.
"""

import math
import re
from typing import Any

import numpy as np
import numpyro.distributions as dist

from headstart.core.errors import InputError
from headstart.core.types import Env, Parameter, Task
from headstart.tasks import distributions, named_distributions, registry
from headstart.tasks.labelled import default_weights

SHAPE = "ENV@name=value,name=value"
TRUST_HINT = "if you trust it, name the task yourself, by --target"
COMMA = re.compile(r",(?![^(]*\))")  # commas outside of parentheses


def parse(text: str, physics: str = "auto", target: bool = False) -> Task:
    """Returns the task that a string describes.

    Raises InputError if it is malformed, and as `headstart.tasks.registry.task` does.
    """
    env_id, separator, rest = (part.strip() for part in text.partition("@"))
    if not env_id:
        raise InputError(f"The task {text!r} names no env; write {SHAPE}, such as Hopper-v5@torso_mass=3..9.")
    if separator and not rest:
        raise InputError(f"The task {text!r} ends after its @; drop it, or write {SHAPE}.")
    values = _items(text, rest) if separator else {}
    options = {} if registry.is_ours(env_id) else _host_options(env_id, values)
    env = registry.make(env_id, physics, **options)
    params, w = {}, {}
    for name, value in values.items():
        if name in options:
            continue
        if name.startswith("w."):
            w[name.removeprefix("w.")] = _weight(value, f"{env_id}: {name}={value}")
        else:
            params[name] = read(value, registry.parameter(env, name), env_id)
    return registry.task(env, target=target, w=w, **params)


def as_task(values: Any, target: bool = False) -> Task:
    """Returns a task: the one given, that of a task string, or that of an env at its nominal parameters."""
    if isinstance(values, str):
        return parse(values, target=target)
    if isinstance(values, Env):
        return registry.task(values, target=target)
    if not isinstance(values, Task):
        raise InputError(f"{values!r} is no task; give one, or a task string such as Hopper-v5@torso_mass=9.")
    return values


def parse_untrusted(text: str, physics: str = "auto", target: bool = False) -> Task:
    """Returns the task that text from a file describes, whose author may not be trusted.

    Raises InputError as `parse` does, and, before anything is imported, if making the env could run the author's code:
    by a module to import, or by a keyword for the env's constructor.
    """
    env_id, _, rest = (part.strip() for part in text.partition("@"))
    module, _, _ = env_id.rpartition(":")
    if module not in ("", "gymnasium"):
        raise InputError(
            f"The task {text!r} imports the module {module!r}, which a file may not ask for; {TRUST_HINT}."
        )
    options = {} if registry.is_ours(env_id) or not rest else _host_options(env_id, _items(text, rest))
    if keywords := [name for name in options if name != "horizon"]:
        raise InputError(
            f"The task {text!r} gives the env's constructor a {keywords[0]}, which a file may not ask for; "
            f"{TRUST_HINT}."
        )
    return parse(text, physics, target)


def describe(task: Task) -> str:
    """Returns the string of a task, with absolute numbers: `parse` makes the same task of it.

    Raises InputError if strings cannot write one of its values, and for stacked tasks.
    """
    if task.domain.ndim:
        raise InputError("These are several tasks, stacked; describe them one by one.")
    if task.env.data_names:
        raise InputError(
            f"{task.env.name}: {min(task.env.data_names)} is a tree of arrays, which no task string can hold; "
            "keep the task in Python."
        )
    for name, value in task.params.items():
        parameter = registry.parameter(task.env, name)
        if distributions.text_or_none(value, parameter) is None:
            raise InputError(
                f"{task.env.name}: {name} is a {distributions.text(value, parameter)}, which task strings cannot "
                "write; use a distribution whose arguments are numbers, such as a uniform one."
            )
    settings = [f"{name}={registry.value_of(task, name)}" for name in sorted(task.params)]
    weights = zip(default_weights(task.env).items(), np.asarray(task.w), strict=True)
    settings += [
        f"w.{name}={np.format_float_positional(x, trim='-')}" for (name, default), x in weights if x != default
    ]
    name = _env_name(task)
    return f"{name}{',' if '@' in name else '@'}{','.join(settings)}" if settings else name


def _env_name(task: Task) -> str:
    """Returns the id that makes the env again; with a module for a Gymnasium env whose id headstart has too."""
    name, is_stateful = task.env.name, task.env.stateful
    return f"gymnasium:{name}" if is_stateful and registry.is_ours(name.partition("@")[0]) else name


def _items(text: str, rest: str) -> dict[str, str]:
    """Returns the values of a task string by name."""
    values: dict[str, str] = {}
    for item in COMMA.split(rest):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not name:
            raise InputError(f"The task {text!r} has a value without a name, {item!r}; write {SHAPE}.")
        if not (equals and value):
            raise InputError(f"The task {text!r} has no value for {name}; write {name}=VALUE, such as {name}=x2.")
        if name in values:
            raise InputError(f"The task {text!r} has {name} twice; keep one of them.")
        values[name] = value
    return values


def _host_options(env_id: str, values: dict[str, str]) -> dict[str, Any]:
    from headstart.tasks.host import env_options  # imports Gymnasium

    return env_options(env_id, values)


def _weight(text: str, where: str) -> float:
    """Returns the weight of a cumulant, a plain number."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where} is not a number, and weighs a reward; write one, such as w.reward=2.") from None


def read(text: str, parameter: Parameter, owner: str) -> float | distributions.DistributionSpec | dist.Distribution:
    """Returns a number or a distribution, still unchecked: `distributions.canonical` checks it."""
    where = f"{owner}: {parameter.name}={text}"
    if named_distributions.is_named(text):
        return named_distributions.read(text, where)
    normal, separator, range_text = text.partition("|")
    if "~" in normal:
        centre, deviation = (_number(part, parameter, where) for part in _split_pair(normal, "~", where))
        if parameter.nominal < 0 and "x" in normal.partition("~")[2]:
            deviation = -deviation  # a multiple of a negative number; a deviation has no sign
        low, high = _range(range_text, parameter, where) if separator else (-math.inf, math.inf)
        return distributions.DistributionSpec("normal", low, high, centre, deviation)
    if separator:
        raise InputError(f"{where} truncates something that is not normal; write it as 6~1.5|3..9.")
    if text.startswith("log:"):
        return distributions.DistributionSpec("log", *_range(text.removeprefix("log:"), parameter, where))
    return (
        distributions.DistributionSpec("uniform", *_range(text, parameter, where))
        if ".." in text
        else _number(text, parameter, where)
    )


def _range(text: str, parameter: Parameter, where: str) -> tuple[float, float]:
    low, high = (part.strip() for part in _split_pair(text, "..", where))
    if parameter.nominal < 0 and low.startswith("x") and high.startswith("x"):
        low, high = high, low  # of a negative number, the larger multiple is the lower end
    return _number(low, parameter, where), _number(high, parameter, where)


def _split_pair(text: str, symbol: str, where: str) -> tuple[str, str]:
    first, separator, second = text.partition(symbol)
    if not (separator and first.strip() and second.strip()) or symbol in second or second.startswith("."):
        example = "6~1.5" if symbol == "~" else "3..9"
        raise InputError(f"{where} is malformed at {text!r}; write two numbers around {symbol}, such as {example}.")
    return first, second


def _number(text: str, parameter: Parameter, where: str) -> float:
    match = distributions.NUMBER.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{where} has {text.strip()!r} for a number; write one such as 3.5, or x2 for twice nominal.")
    times, digits = match.groups()
    if times and parameter.nominal == 0:
        raise InputError(f"{where} is a multiple of the nominal {parameter.name}, which is 0; write a plain number.")
    return float(digits) * parameter.nominal if times else float(digits)
