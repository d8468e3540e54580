"""A compiled program that reaches out: functions of this process that change something, called once and in order."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import ShapeDtypeStruct
from jax.experimental import io_callback
from jax.experimental.buffer_callback import buffer_callback
from jaxtyping import Array

from headstart.core import interrupts

Shapes = tuple[ShapeDtypeStruct, ...]
Call = Callable[..., tuple[np.ndarray, ...]]


def on_host(call: Call, shapes: Shapes, *args: Array) -> Any:
    """call(*args) as numpy, from within a compiled program; any leading axes of `args` are the call's own.

    It is called however little of its results is used, and never twice. Two calls are in order only where one is
    handed a result of the other: JAX's ordered callbacks cannot be batched.
    """

    call = _storing_interrupts(call)

    def fill(_: object, out: tuple[Any, ...], *args: Any) -> None:
        for buffer, result in zip(out, call(*map(np.asarray, args)), strict=True):
            np.asarray(buffer)[...] = result

    if jax.default_backend() != "cpu":
        return _copied(call, shapes, *args)
    return buffer_callback(fill, shapes, has_side_effect=True, vmap_method="broadcast_all")(*args)


def _storing_interrupts(call: Call) -> Call:
    """Returns the call, out of which an interrupt is carried as XLA can pass it on."""

    @functools.wraps(call)
    def carrying(*args: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            with interrupts.callback_scope():
                return call(*args)
        except Exception:
            raise
        except BaseException as interrupt:
            raise interrupts.wrap(interrupt) from None

    return carrying


def _copied(call: Call, shapes: Shapes, *args: Any) -> Any:
    """The same where JAX runs on a GPU, whose memory numpy cannot read: a batch is still one call."""

    @jax.custom_batching.custom_vmap
    def once(*args: Any) -> Any:
        return io_callback(lambda *args: call(*map(np.asarray, args)), shapes, *args)

    @once.def_vmap
    def whole(size: int, batched: list[bool], *args: Any) -> Any:
        spread = [x if of else jnp.broadcast_to(x, (size, *x.shape)) for x, of in zip(args, batched, strict=True)]
        wider = tuple(ShapeDtypeStruct((size, *shape.shape), shape.dtype) for shape in shapes)
        return _copied(call, wider, *spread), (True,) * len(shapes)

    return once(*args)


def on_rows(call: Call) -> Call:
    """Returns the call on rows: it sees one leading axis, whatever there are, and first how many rows each seed has.

    Where there are several axes the first is of seeds: everything in `core` that is compiled is one `vmap` over them.
    """

    @functools.wraps(call)
    def rowwise(first: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        lead = first.shape  # the first argument of all is one number for each row
        rows = int(np.prod(lead))
        inner = [x.reshape(rows, *x.shape[len(lead) :]) for x in (first, *rest)]
        results = call(rows // lead[0] if lead and rows else 1, *inner)
        return tuple(x.reshape((*lead, *x.shape[1:])) for x in results)

    return rowwise
