"""Rows stepped by C (`rows.c`): what it is told, and where it is found.

A row is one copy of a robot; a share of the rows is stepped by each thread, in a workspace of its own.
"""

import ctypes
import functools
import os
from ctypes import POINTER, c_int64, c_uint, c_void_p
from importlib.util import find_spec
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.tasks.mujoco.bindings import Model, mujoco
from headstart.tasks.mujoco.models import Names, Workspace

Floats = np.ndarray
MOST_THREADS = 256  # as in `rows.c`
SPOILT = 2  # a row that came to no good: so did the workspace


class _Robot(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("set_state", "get_state", "forward", "step", "forces", "on_error")),
        ("on_warning", c_void_p),
        ("kind", c_uint),
        *((name, c_int64) for name in ("carried", "controls", "steps", "reads")),
        ("size", c_void_p),
    )


class _Workspace(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("data", "control", "field", "warnings")),
        ("warned", c_int64),
        ("apart", c_int64),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("model", "state", "action", "fresh", "bad", "after", "before_read")),
        *((name, c_void_p) for name in ("after_read", "start", "until")),
        ("shares", c_int64),
    )


class Rows:
    """One robot's rows, stepped by as many threads as there are shares."""

    def __init__(self, model: Model, kind: int, steps: int, reads: Names):
        """`kind` is what a state holds, as MuJoCo's bits; `steps` are MuJoCo's for one of ours."""
        self.model, self._reads = model, reads
        self.reads = tuple(name for name in reads if name != "body_mass")  # which is the model's, not the data's
        self.carried = mujoco.mj_stateSize(model, kind)
        self._call, calls = _library(), _mujoco()
        self._spaces: list[tuple[Workspace, _Workspace, Any]] = []
        first = Workspace(model, reads)
        self._size = np.array([view.size for _, view in first.reads], np.int64)
        self._robot = _Robot(
            calls["mj_setState"],
            calls["mj_getState"],
            calls["mj_forward"],
            calls["mj_step"],
            calls["mj_rnePostConstraint"] if "cfrc_ext" in reads else None,
            calls["mju_user_error"],
            calls["mju_user_warning"],
            kind,
            self.carried,
            model.nu,
            steps,
            len(first.reads),
            self._size.ctypes.data,
        )

    def step(
        self,
        models: np.ndarray,
        state: Floats,
        action: np.ndarray,
        fresh: np.ndarray,
        before: list[Floats],
        after_read: list[Floats],
        after: Floats,
        shares: int,
    ) -> np.ndarray:
        """-> [row] uint8, not 0 where a row came to no good.

        models: [row] addresses, 0 for none; state: [row carried+1]; action: [row nu] float32; fresh: [row] bool. Filled
        are `after` [row carried+1], but for its last entries, and what is read ([row …] each) before a fresh row's step
        and after any. Raises InputError where so many threads cannot be had.
        """
        bad = np.empty(len(state), np.uint8)
        bounds = len(state) * np.arange(shares + 1) // shares
        at, until = bounds[:-1].copy(), bounds[1:]  # the first is moved on as rows are done
        arrays = models, state, action, fresh, bad, after, *before, *after_read
        assert all(array.flags.c_contiguous for array in arrays)
        addresses = [x.ctypes.data for x in arrays]
        once, reads = addresses[:6], addresses[6:]
        into = (c_void_p * len(reads))(*reads)
        first = ctypes.addressof(into)
        then = first + len(before) * ctypes.sizeof(c_void_p)
        batch = _Batch(*once, first, then, at.ctypes.data, until.ctypes.data, shares)
        while len(self._spaces) < shares:
            self._spaces.append(self._space())
        while True:
            spaces = (POINTER(_Workspace) * shares)(*(ctypes.pointer(told) for _, told, _ in self._spaces[:shares]))
            if self._call(ctypes.byref(self._robot), ctypes.byref(batch), spaces):
                raise InputError(f"No {shares} threads can be had for MuJoCo; ask for fewer with `use_threads`.")
            for i, row in enumerate(at.tolist()):
                if row > 0 and bad[row - 1] == SPOILT:
                    self._spaces[i] = self._space()
            if (at == until).all():
                return bad

    def _space(self) -> tuple[Workspace, _Workspace, Any]:
        space = Workspace(self.model, self._reads)
        fields = (c_void_p * len(space.reads))(*(view.ctypes.data for _, view in space.reads))
        counters = space.warnings
        told = _Workspace(
            space.data._address,
            space.ctrl.ctypes.data,
            ctypes.cast(fields, c_void_p),
            counters.ctypes.data,
            len(counters),
            counters.strides[0] // counters.itemsize,
        )
        return space, told, fields


@functools.cache
def _library() -> Any:
    """-> `headstart_step_rows`. Raises InputError where it was not built."""
    found = find_spec("headstart.tasks.mujoco._rows")
    if found is None or found.origin is None:
        raise InputError(
            "MuJoCo's robots need headstart's part in C, which was not built; install headstart again where there is "
            "a C compiler, by pip."
        )
    call = ctypes.CDLL(found.origin).headstart_step_rows
    call.argtypes, call.restype = (c_void_p, c_void_p, c_void_p), ctypes.c_int
    return call


@functools.cache
def _mujoco() -> dict[str, int]:
    """-> addresses of MuJoCo's functions and handlers."""
    folder = os.path.dirname(mujoco.__file__)
    [name] = (name for name in os.listdir(folder) if name.startswith("libmujoco"))
    library = ctypes.CDLL(os.path.join(folder, name))
    functions = ("mj_setState", "mj_getState", "mj_forward", "mj_step", "mj_rnePostConstraint")
    found = {name: ctypes.cast(getattr(library, name), c_void_p).value or 0 for name in functions}
    handlers = {n: ctypes.addressof(c_void_p.in_dll(library, n)) for n in ("mju_user_error", "mju_user_warning")}
    return {**found, **handlers}
