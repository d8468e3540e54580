"""Laws that task strings have no short form for, by the names that numpyro gives them: `Poisson(rate=3)`."""

import re
from typing import Any

import numpy as np
import numpyro.distributions as dist

from headstart.core.errors import InputError

SHAPE = re.compile(r"([A-Za-z]\w*)\((.*)\)")
ARGUMENT = re.compile(r"(\w+)=(\[[^\[\]]*\]|[^\[\],]+)(?:,|$)")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def write(law: dist.Distribution) -> str | None:
    """Returns a law as task strings have it; None where its arguments are not numbers, or rows of them."""
    names = list(law.arg_constraints)
    values = [np.asarray(getattr(law, name, None)) for name in names]
    if not names or any(value.dtype.kind not in "fiub" or value.ndim > 1 for value in values):
        return None
    told = [f"{name}={_written(value)}" for name, value in zip(names, values, strict=True)]
    return f"{type(law).__name__}({','.join(told)})"


def is_named(text: str) -> bool:
    """Returns whether a value of a task string is a law by its name."""
    return SHAPE.fullmatch(text.strip()) is not None


def read(text: str, where: str) -> dist.Distribution:
    """Returns the law that the text names. Raises InputError, with `where` in it, where there is none."""
    match = SHAPE.fullmatch(text.strip())
    name, inner = match.groups() if match else ("", "")
    kind: Any = getattr(dist, name, None)
    if not (isinstance(kind, type) and issubclass(kind, dist.Distribution)):
        raise InputError(f"{where} names no law of numpyro.distributions; write one, such as Poisson(rate=3).")
    inner = inner.replace(" ", "")
    counts = {name for name, constraint in kind.arg_constraints.items() if constraint.is_discrete}
    arguments = {m[1]: _value(m[2], where, m[1] in counts) for m in ARGUMENT.finditer(inner)}
    if ",".join(m[0].rstrip(",") for m in ARGUMENT.finditer(inner)) != inner or arguments.keys() - kind.arg_constraints:
        raise InputError(f"{where} is malformed; {name} takes {', '.join(kind.arg_constraints)}, such as NAME=3.")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} is no law: {str(error).splitlines()[0]}.") from None


def _value(text: str, where: str, counts: bool) -> Any:
    listed = text.startswith("[")
    parts = text.strip("[]").split(",") if listed else [text]
    if not all(NUMBER.fullmatch(part) for part in parts):
        raise InputError(f"{where} has {text!r} for a number, or for a row such as [0.2,0.8]; write one.")
    return (
        np.array([float(part) for part in parts], np.float32) if listed else int(float(text)) if counts else float(text)
    )


def _written(value: np.ndarray) -> str:
    each = [str(x).removesuffix(".0") for x in np.atleast_1d(value).astype(np.float32)]
    return f"[{','.join(each)}]" if value.ndim else each[0]
