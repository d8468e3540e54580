"""Functions of numpy arrays that a compiled program finds by name.

JAX bakes the address of a Python callback into a program, which is therefore compiled again in each process. A program
that calls a name through XLA's foreign function interface can be cached like any other. The parts of XLA's structs that
are read are declared here; the layout is the stable one of `jax.ffi.include_dir()`, xla/ffi/api/c_api.h, version 0.x.
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

Fill = Callable[[list[np.ndarray], list[np.ndarray]], None]  # (arguments, results to fill in)

KINDS = {1: np.bool_, 8: np.uint32, 11: np.float32}  # XLA's numbers of the types that are used
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
        ("metadata", POINTER(_Metadata)),  # for the extension whose type is METADATA
    )


class _Buffer(ctypes.Structure):
    _fields_ = (
        *(("size", c_size_t), ("extension", c_void_p), ("kind", c_int), ("data", c_void_p), ("rank", c_int64)),
        ("shape", POINTER(c_int64)),
    )

    def array(self) -> np.ndarray:
        """Returns a view of XLA's own memory."""
        return _memory(self.data, self.kind, *self.shape[: self.rank])


@functools.lru_cache(maxsize=1024)  # XLA uses the same memory at every step, and a new array takes 5 us
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
_registered: dict[str, Any] = {}  # name -> what XLA calls; kept forever, because XLA cannot unregister it


def register(name: str, fill: Fill) -> None:
    """Registers `fill` by this name for programs on the CPU; later calls with the same name have no effect.

    What it raises ends the program with a `jax.errors.JaxRuntimeError` of the same message; `interrupts.reraising`
    raises the original if it is an interrupt.
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
        except BaseException as error:  # only XLA's own errors may pass through its frames
            error = error if isinstance(error, Exception) else interrupts.wrap(error)
            text = f"{type(error).__name__}: {message(error)}".encode()
            return call.contents.api.contents.create_error(_Error(ctypes.sizeof(_Error), None, text, INTERNAL))
        return None

    if not _registered:
        atexit.register(interrupts.stop)  # otherwise a program that is still running could wait forever
        sys.unraisablehook = functools.partial(_handle_unraisable, sys.unraisablehook)
    _handlers.add(handle)
    _registered[name] = _HANDLER(handle)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(_registered[name]), platform="cpu")


def _handle_unraisable(previous_hook: Callable[[Any], None], unraisable: Any) -> None:
    """Handles errors that Python cannot raise, among them Ctrl-C before a handler's first line or after its last."""
    if unraisable.object in _handlers and not isinstance(unraisable.exc_value, Exception):
        interrupts.defer(unraisable.exc_value)
    else:
        previous_hook(unraisable)


def call(name: str, shapes: tuple[ShapeDtypeStruct, ...], *args: Array) -> Any:
    """Returns arrays of these shapes, filled by the function of this name. Any leading axes are passed on."""
    return jax.ffi.ffi_call(name, shapes, vmap_method="broadcast_all")(*args)
