"""Distributions without a short form in task strings, by their numpyro names: `Poisson(rate=3)`."""

import re
from typing import Any

import numpy as np
import numpyro.distributions as dist

from headstart.core.errors import InputError

SHAPE = re.compile(r"([A-Za-z]\w*)\((.*)\)")
ARGUMENT = re.compile(r"(\w+)=(\[[^\[\]]*\]|[^\[\],]+)(?:,|$)")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def write(distribution: dist.Distribution) -> str | None:
    """Returns a distribution as task strings write it; None if its arguments are neither numbers nor rows of them."""
    names = list(distribution.arg_constraints)
    values = [np.asarray(getattr(distribution, name, None)) for name in names]
    if not names or any(value.dtype.kind not in "fiub" or value.ndim > 1 for value in values):
        return None
    arguments = [f"{name}={_format(value)}" for name, value in zip(names, values, strict=True)]
    return f"{type(distribution).__name__}({','.join(arguments)})"


def is_named(text: str) -> bool:
    """Returns whether a value of a task string is a distribution by name."""
    return SHAPE.fullmatch(text.strip()) is not None


def read(text: str, where: str) -> dist.Distribution:
    """Returns the distribution that the text names. Raises InputError, with `where` in it, if there is none."""
    match = SHAPE.fullmatch(text.strip())
    name, arguments_text = match.groups() if match else ("", "")
    distribution: Any = getattr(dist, name, None)
    if not (isinstance(distribution, type) and issubclass(distribution, dist.Distribution)):
        raise InputError(f"{where} names no distribution of numpyro; write one, such as Poisson(rate=3).")
    arguments_text = arguments_text.replace(" ", "")
    counts = {name for name, constraint in distribution.arg_constraints.items() if constraint.is_discrete}
    arguments = {m[1]: _value(m[2], where, m[1] in counts) for m in ARGUMENT.finditer(arguments_text)}
    if (
        ",".join(m[0].rstrip(",") for m in ARGUMENT.finditer(arguments_text)) != arguments_text
        or arguments.keys() - distribution.arg_constraints
    ):
        raise InputError(
            f"{where} is malformed; {name} takes {', '.join(distribution.arg_constraints)}, such as NAME=3."
        )
    try:
        return distribution(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} is not a distribution: {str(error).splitlines()[0]}.") from None


def _value(text: str, where: str, counts: bool) -> Any:
    is_row = text.startswith("[")
    parts = text.strip("[]").split(",") if is_row else [text]
    if not all(NUMBER.fullmatch(part) for part in parts):
        raise InputError(f"{where} has {text!r} instead of a number, or of a row such as [0.2,0.8]; write one.")
    return (
        np.array([float(part) for part in parts], np.float32) if is_row else int(float(text)) if counts else float(text)
    )


def _format(value: np.ndarray) -> str:
    numbers = [str(x).removesuffix(".0") for x in np.atleast_1d(value).astype(np.float32)]
    return f"[{','.join(numbers)}]" if value.ndim else numbers[0]
