"""Rows stepped by C (`rows.c`): what it is told, and where it is found.

A row is one copy of a robot; each thread steps whichever is next, in a workspace of its own.
"""

import ctypes
import functools
import os
from ctypes import c_int64, c_uint, c_void_p
from importlib.util import find_spec
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.tasks.mujoco.bindings import Model, mujoco
from headstart.tasks.mujoco.models import Names, Workspace

Floats = np.ndarray
MOST_THREADS = 256  # as in `rows.c`


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
        *((name, c_void_p) for name in ("model", "state", "action", "bad", "after", "before_read")),
        *(("after_read", c_void_p), ("spoilt", c_void_p)),
        *((name, c_int64) for name in ("next", "rows", "threads")),
    )


class Rows:
    """One robot's rows."""

    def __init__(self, model: Model, kind: int, steps: int, reads: Names):
        """`kind` is what a state holds, as MuJoCo's bits; `steps` are MuJoCo's for one of ours."""
        self.model, self._reads = model, reads
        self.read = tuple(i for i, name in enumerate(reads) if name != "body_mass")  # which is the model's own
        self.carried = mujoco.mj_stateSize(model, kind)
        self._call, calls = _library(), _mujoco()
        self._spaces: list[tuple[Workspace, _Workspace, int, Any]] = []  # the third: where C finds the second
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
        self._told = ctypes.addressof(self._robot)

    def step(
        self,
        models: np.ndarray,
        state: Floats,
        action: np.ndarray,
        after: Floats,
        bad: np.ndarray,
        before: list[Floats],
        then: list[Floats],
        threads: int,
    ) -> None:
        """Steps every row.

        models: [row] addresses, 0 for none; state: [row carried+1], a time of 0 is an episode's begin; action: [row nu]
        float32. Filled are `after` [row carried+1], but for its last entries; `bad` [row], 1 where a row came to no
        good; and what is read ([row size] each), `before` the step of rows at their begin, and `then`. Raises
        InputError where so many threads cannot be had.
        """
        rows, threads = len(state), min(threads, max(len(state), 1))
        into = [(c_void_p * len(self.read))(*(_address(x[i]) for i in self.read)) for x in (before, then)]
        spoilt = np.empty(threads, np.uint8)
        arrays = map(_address, (models, state, action, bad, after))
        batch = _Batch(*arrays, *map(ctypes.addressof, into), _address(spoilt), 0, rows, threads)
        while len(self._spaces) < threads:
            self._spaces.append(self._space())
        while batch.next < rows:
            spaces = (c_void_p * threads)(*(told for _, _, told, _ in self._spaces[:threads]))
            if self._call(self._told, ctypes.addressof(batch), spaces):
                raise InputError(f"No {threads} threads can be had for MuJoCo; ask for fewer with `use_threads`.")
            for thread in np.flatnonzero(spoilt):
                self._spaces[thread] = self._space()

    def _space(self) -> tuple[Workspace, _Workspace, int, Any]:
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
        return space, told, ctypes.addressof(told), fields


def _address(x: np.ndarray) -> int:
    assert x.flags.c_contiguous
    return x.__array_interface__["data"][0]


@functools.cache
def _library() -> Any:
    """Returns `headstart_step_rows`. Raises InputError where it was not built."""
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
    """Returns addresses of MuJoCo's functions and handlers."""
    folder = os.path.dirname(mujoco.__file__)
    [name] = (name for name in os.listdir(folder) if name.startswith("libmujoco"))
    library = ctypes.CDLL(os.path.join(folder, name))
    functions = ("mj_setState", "mj_getState", "mj_forward", "mj_step", "mj_rnePostConstraint")
    found = {name: ctypes.cast(getattr(library, name), c_void_p).value or 0 for name in functions}
    handlers = {n: ctypes.addressof(c_void_p.in_dll(library, n)) for n in ("mju_user_error", "mju_user_warning")}
    return {**found, **handlers}
