"""Parameters of a third-party env, and how each is set.

In this order: a keyword of its constructor (the env is then made again), MuJoCo's model, a method `set_NAME`, and an
attribute or property of `env.unwrapped`. An attribute affects only the code that reads it. What the constructor derived
from it stays: CartPole's `masscart` leaves `total_mass` as it was.
"""

import contextlib
import inspect
import math
import numbers
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np

from headstart.core.env import IntegerRange, Parameter
from headstart.tasks.mujoco.bits import as_typed

IGNORED = ("render", "screen", "window", "viewport", "metadata", "np_random", "frame_skip")
UNIT = "the env's own"

Way = Literal["keyword", "model", "setter", "attribute"]


class HostParameter(NamedTuple):
    """One number of an env."""

    parameter: Parameter
    way: Way
    nominal: Any  # as the env holds it: an int, a float or a bool


class Catalogue:
    """All parameters of one kind of env."""

    def __init__(
        self, env: gymnasium.Env, options: dict[str, Any], integer: Mapping[str, IntegerRange] = MappingProxyType({})
    ):
        """Resets and steps `env`, which cannot be used afterwards. `integer` says which options are integers."""
        self.known: dict[str, HostParameter] = {}
        inner = env.unwrapped
        settable, mirrors = _settable(inner), _mirrors(inner, options)
        constants = _constants(env)
        self._mirrors = {name: attribute for name, attribute in mirrors.items() if _mirrors(inner, options).get(name)}
        self._fields = _fields(inner)
        for name, nominal in options.items():
            self._add("keyword", name, nominal, "a keyword of its constructor", integer.get(name))
        for p in () if self._fields is None else self._fields.listed:
            self.known.setdefault(p.name, HostParameter(p, "model", p.nominal))
        for name, nominal in settable.items():
            self._add("setter", name, nominal, f"set by set_{name}")
        for name, nominal in constants.items():
            self._add("attribute", name, nominal, "an attribute")
        self.listed = tuple(known.parameter for known in self.known.values())

    def _add(self, way: Way, name: str, nominal: Any, about: str, integer: IntegerRange | None = None) -> None:
        if math.isfinite(nominal):
            is_bool = isinstance(nominal, bool | np.bool_)
            low, high = (0.0, 1.0) if is_bool else (-math.inf, math.inf)
            integer_range = (
                "always" if is_bool else "from whole ends" if isinstance(nominal, numbers.Integral) else "never"
            )
            parameter = Parameter(name, float(nominal), low, high, UNIT, about, integer or integer_range)
            self.known.setdefault(name, HostParameter(parameter, way, nominal))

    @property
    def of_mujoco(self) -> bool:
        """Whether the env holds a MuJoCo model."""
        return self._fields is not None

    def find(self, name: str) -> Parameter | None:
        """Returns a parameter by name; None if there is none."""
        if name not in self.known and self._fields is not None and (parameter := self._fields.find(name)):
            self.known[name] = HostParameter(parameter, "model", parameter.nominal)
        return self.known[name].parameter if name in self.known else None

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        """Returns the parameters that set the default of a number of MuJoCo's model: (name, factor) of each."""
        if self._fields is None or name not in self.known or self.known[name].way != "model":
            return ()
        return self._fields.derived_from(name)

    def convert(self, names: tuple[str, ...], row: np.ndarray) -> dict[str, Any]:
        """Returns float32 values as the env's types: integers where its own are."""
        return {name: _as_type_of(self.known[name].nominal, value) for name, value in zip(names, row, strict=True)}

    def of_way(self, values: dict[str, Any], way: Way) -> dict[str, Any]:
        return {name: value for name, value in values.items() if self.known[name].way == way}

    def set_values(self, env: gymnasium.Env, values: dict[str, Any], reset_names: Iterable[str]) -> None:
        """Sets these values in an env, except for keywords; names in `reset_names` become nominal again."""
        all_values = {**{name: self.known[name].nominal for name in reset_names}, **values}
        inner, model = env.unwrapped, _model(env.unwrapped)
        if self._fields is not None and model is not None and (model_values := self.of_way(all_values, "model")):
            new_values = self.of_way(values, "model")
            if len(new_values) < len(model_values) or self._fields.not_kept(model, new_values):
                self._fields.set_values(model, new_values, model_values)
        for name, value in self.of_way(all_values, "setter").items():
            getattr(inner, f"set_{name}")(value)
        for name, value in self.of_way(all_values, "attribute").items():
            setattr(inner, name, value)

    def not_kept(self, env: gymnasium.Env, values: dict[str, Any]) -> dict[str, float]:
        """Returns, by name, the env's number where it differs from these values.

        A keyword counts as not kept only if the env holds the nominal value under its name.
        """
        inner, deviations = env.unwrapped, {}
        if self._fields is not None and (model_values := self.of_way(values, "model")):
            deviations = self._fields.not_kept(_model(inner), model_values)
        for name, value in self.of_way(values, "setter").items() | self.of_way(values, "attribute").items():
            actual = _value(inner, name)
            if not _same(actual, value):
                deviations[name] = float(actual)
        for name, value in self.of_way(values, "keyword").items():
            actual, nominal = getattr(inner, self._mirrors.get(name, ""), value), self.known[name].nominal
            if _same(actual, nominal) and not _same(actual, value):
                deviations[name] = float(actual)
        return deviations

    def refresh(self, env: gymnasium.Env) -> None:
        """Lets MuJoCo recompute what it derives from the current state, after its model has changed."""
        if self._fields is not None:
            self._fields.refresh(_model(env.unwrapped), getattr(env.unwrapped, "data", None))


def _model(inner: Any) -> Any:
    """Returns the MuJoCo model of an env; None if it has none, or none yet."""
    model = getattr(inner, "model", None)
    return model if type(model).__name__ == "MjModel" else None


def _fields(inner: Any) -> Any:
    model = _model(inner)
    if model is None:
        return None
    from headstart.tasks.host.models import Fields  # imports all of MuJoCo's robots

    return Fields(model)


def _same(actual: Any, value: Any) -> bool:
    """Returns whether two numbers are equal in single precision."""
    return _is_number(actual, True) and math.isclose(actual, value, rel_tol=1e-6, abs_tol=1e-12)


def _value(inner: Any, name: str) -> Any:
    """Returns a number that a setter or an attribute sets."""
    return getattr(inner, name) if hasattr(inner, name) else getattr(inner, f"get_{name}")()


def _as_type_of(nominal: Any, value: np.float32) -> Any:
    number = as_typed(value, float(nominal))
    if isinstance(nominal, bool | np.bool_) and number in (0.0, 1.0):
        return bool(number)
    return int(number) if isinstance(nominal, numbers.Integral) and number == round(number) else number


def _settable(inner: gymnasium.Env) -> dict[str, Any]:
    """Returns the numbers that a method sets and that can be read."""
    values = {}
    for method in (name for name in dir(type(inner)) if name.startswith("set_") and callable(getattr(inner, name))):
        name = method.removeprefix("set_")
        with contextlib.suppress(Exception):
            parameters = inspect.signature(getattr(inner, method)).parameters.values()
            value = _value(inner, name)
            if len([p for p in parameters if p.default is p.empty]) == 1 and _is_number(value):
                values[name] = value
    return values


def _mirrors(inner: Any, options: dict[str, Any]) -> dict[str, str]:
    """Returns the attributes that hold keywords of the constructor: with the same name and value."""
    attributes = {}
    for name, value in options.items():
        for attribute in (name, f"_{name}"):
            with contextlib.suppress(Exception):
                if _same(getattr(inner, attribute), value):
                    attributes[name] = attribute
    return attributes


def _constants(env: gymnasium.Env) -> dict[str, Any]:
    """Returns an env's numbers that neither a reset nor a step changes; the others are its state."""
    before = _numbers(env.unwrapped)
    with contextlib.suppress(Exception):  # its errors are reported when the env is used
        env.action_space.seed(0)
        env.reset(seed=0)
        for _ in range(2):
            env.step(env.action_space.sample())
    after = _numbers(env.unwrapped)
    return {name: value for name, value in before.items() if name in after and after[name] == value}


def _numbers(inner: gymnasium.Env) -> dict[str, Any]:
    names = set(vars(inner))
    for kind in type(inner).__mro__[: type(inner).__mro__.index(gymnasium.Env)]:
        names |= {n for n, x in vars(kind).items() if _is_number(x) or (isinstance(x, property) and x.fset)}
    values = {}
    for name in sorted(names):
        if not name.startswith(("_", *IGNORED)):
            with contextlib.suppress(Exception):  # a property may raise before the first reset
                value = getattr(inner, name)
                if _is_number(value):
                    values[name] = value
    return values


def _is_number(x: Any, or_flag: bool = False) -> bool:
    return isinstance(x, numbers.Real | np.bool_) and (or_flag or not isinstance(x, bool | np.bool_))
