"""Functions of numpy arrays that a compiled program finds by name.

A program that holds a Python callback is compiled anew in each process: JAX bakes the callback's address in. One that
calls a name, through XLA's foreign function interface, is kept by JAX's compilation cache like any other. What XLA
hands over is declared here as far as it is read; the layout is the stable one of `jax.ffi.include_dir()`,
xla/ffi/api/c_api.h, version 0.x.
"""

import atexit
import ctypes
import functools
import math
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from typing import Any

import jax
import numpy as np
from jax import ShapeDtypeStruct
from jaxtyping import Array

from headstart.core import interrupts
from headstart.core.errors import message

Fill = Callable[[list[np.ndarray], list[np.ndarray]], None]  # (arguments, results to be filled in)

KINDS = {1: np.bool_, 8: np.uint32, 11: np.float32}  # what XLA calls the types that are handed over
METADATA, INTERNAL = 1, 13  # XLA_FFI_Extension_Metadata, XLA_FFI_Error_Code_INTERNAL


class _Version(ctypes.Structure):
    _fields_ = (("size", c_size_t), ("extension", c_void_p), ("major", c_int), ("minor", c_int))


class _Error(ctypes.Structure):
    _fields_ = (("size", c_size_t), ("extension", c_void_p), ("message", c_char_p), ("code", c_int))


class _Api(ctypes.Structure):
    _fields_ = (
        *(("size", c_size_t), ("extension", c_void_p), ("version", _Version), ("internal", c_void_p)),
        ("create_error", CFUNCTYPE(c_void_p, POINTER(_Error))),
    )


class _Metadata(ctypes.Structure):
    _fields_ = (("size", c_size_t), ("version", _Version), ("traits", c_uint32))


class _Extension(ctypes.Structure):
    _fields_ = (
        *(("size", c_size_t), ("type", c_int), ("next", c_void_p)),
        ("metadata", POINTER(_Metadata)),  # of the one whose type is METADATA
    )


class _Buffer(ctypes.Structure):
    _fields_ = (
        *(("size", c_size_t), ("extension", c_void_p), ("kind", c_int), ("data", c_void_p), ("rank", c_int64)),
        ("shape", POINTER(c_int64)),
    )

    def array(self) -> np.ndarray:
        """Returns XLA's own memory."""
        return _memory(self.data, self.kind, *self.shape[: self.rank])


@functools.lru_cache(maxsize=1024)  # XLA hands over the same memory at every step, and a new array takes 5 us
def _memory(address: int, kind: int, *shape: int) -> np.ndarray:
    dtype = np.dtype(KINDS[kind])
    size = math.prod(shape) * dtype.itemsize
    return np.ndarray(shape, dtype, memoryview((c_char * size).from_address(address)) if size else None)


class _Buffers(ctypes.Structure):
    _fields_ = (
        *(("size", c_size_t), ("extension", c_void_p), ("count", c_int64), ("types", c_void_p)),
        ("each", POINTER(POINTER(_Buffer))),
    )

    def arrays(self) -> list[np.ndarray]:
        return [self.each[i].contents.array() for i in range(self.count)]


class _Call(ctypes.Structure):
    _fields_ = (
        *(("size", c_size_t), ("extension", POINTER(_Extension)), ("api", POINTER(_Api)), ("context", c_void_p)),
        *(("stage", c_int), ("arguments", _Buffers), ("results", _Buffers)),
    )


_HANDLER = CFUNCTYPE(c_void_p, POINTER(_Call))
_handlers: set[Any] = set()
_registered: dict[str, Any] = {}  # name -> what XLA calls; never let go, since XLA has no way to forget it


def register(name: str, fill: Fill) -> None:
    """Lets programs that run on the CPU call `fill` by this name, from now on; the first of a name stays.

    What it raises ends the program with a `jax.errors.JaxRuntimeError` of the same message, of which
    `interrupts.reraising` makes an interrupt again, where it was one.
    """
    if name in _registered:
        return

    def handle(call: Any) -> int | None:
        try:
            frame = call.contents
            if frame.extension and frame.extension.contents.type == METADATA:
                metadata, api = frame.extension.contents.metadata.contents, frame.api.contents
                metadata.version.major, metadata.version.minor = api.version.major, api.version.minor
                return None
            with interrupts.callback_scope():
                interrupts.check()
                fill(frame.arguments.arrays(), frame.results.arrays())
        except BaseException as error:  # nothing may pass through XLA's frames but an error of its own
            error = error if isinstance(error, Exception) else interrupts.wrap(error)
            told = f"{type(error).__name__}: {message(error)}".encode()
            return call.contents.api.contents.create_error(_Error(ctypes.sizeof(_Error), None, told, INTERNAL))
        return None

    if not _registered:
        atexit.register(interrupts.stop)  # a program that outlived Python would wait for it for ever
        sys.unraisablehook = functools.partial(_unraisable, sys.unraisablehook)
    _handlers.add(handle)
    _registered[name] = _HANDLER(handle)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(_registered[name]), platform="cpu")


def _unraisable(before: Callable[[Any], None], what: Any) -> None:
    """Sees what Python cannot raise: Ctrl-C in a handler, before its first line or after its last, is among that."""
    if what.object in _handlers and not isinstance(what.exc_value, Exception):
        interrupts.defer(what.exc_value)
    else:
        before(what)


def call(name: str, shapes: tuple[ShapeDtypeStruct, ...], *args: Array) -> Any:
    """Returns arrays of those shapes, filled by what is registered under the name. Any leading axes are the call's own."""
    return jax.ffi.ffi_call(name, shapes, vmap_method="broadcast_all")(*args)
