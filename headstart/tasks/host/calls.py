"""Calls from a compiled program to functions with side effects, each executed once and in order."""

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
    """Returns call(*args) as numpy, from within a compiled program; any leading axes of `args` are passed on.

    The call is executed exactly once, even if its results are not used. Two calls are in order only if one takes a
    result of the other, because JAX's ordered callbacks cannot be batched.
    """

    call = _storing_interrupts(call)

    def fill(_: object, out: tuple[Any, ...], *args: Any) -> None:
        for buffer, result in zip(out, call(*map(np.asarray, args)), strict=True):
            np.asarray(buffer)[...] = result

    if jax.default_backend() != "cpu":
        return _by_io_callback(call, shapes, *args)
    return buffer_callback(fill, shapes, has_side_effect=True, vmap_method="broadcast_all")(*args)


def _storing_interrupts(call: Call) -> Call:
    """Returns the call with interrupts wrapped, so that XLA can pass them on."""

    @functools.wraps(call)
    def call_storing(*args: np.ndarray) -> tuple[np.ndarray, ...]:
        try:
            with interrupts.callback_scope():
                return call(*args)
        except Exception:
            raise
        except BaseException as interrupt:
            raise interrupts.wrap(interrupt) from None

    return call_storing


def _by_io_callback(call: Call, shapes: Shapes, *args: Any) -> Any:
    """Returns the same for a GPU, whose memory numpy cannot read. A batch is still one call."""

    @jax.custom_batching.custom_vmap
    def single_call(*args: Any) -> Any:
        return io_callback(lambda *args: call(*map(np.asarray, args)), shapes, *args)

    @single_call.def_vmap
    def batched_call(size: int, batched: list[bool], *args: Any) -> Any:
        broadcast = [x if of else jnp.broadcast_to(x, (size, *x.shape)) for x, of in zip(args, batched, strict=True)]
        batch_shapes = tuple(ShapeDtypeStruct((size, *shape.shape), shape.dtype) for shape in shapes)
        return _by_io_callback(call, batch_shapes, *broadcast), (True,) * len(shapes)

    return single_call(*args)


def on_rows(call: Call) -> Call:
    """Returns the call on flat rows: it gets one leading axis, and as first argument the number of rows per seed.

    If there are several axes, the first one is of seeds, because all compiled code of `core` is one `vmap` over them.
    """

    @functools.wraps(call)
    def call_on_rows(first: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        leading = first.shape  # the first argument has one number per row
        rows = int(np.prod(leading))
        flat = [x.reshape(rows, *x.shape[len(leading) :]) for x in (first, *rest)]
        results = call(rows // leading[0] if leading and rows else 1, *flat)
        return tuple(x.reshape((*leading, *x.shape[1:])) for x in results)

    return call_on_rows
