"""Rows stepped by C (`rows.c`): its data structures, and its library.

A row is one copy of a robot. Each thread steps the next free row, in a workspace of its own.
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
MAX_THREADS = 256  # as in `rows.c`


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
        ("stride", c_int64),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("model", "state", "action", "bad", "after", "before_read")),
        *(("after_read", c_void_p), ("corrupt", c_void_p)),
        *((name, c_int64) for name in ("next", "rows", "threads")),
    )


class Rows:
    """The rows of one robot."""

    def __init__(self, model: Model, kind: int, steps: int, reads: Names):
        """`kind` is what a state contains, as MuJoCo's bits; `steps` is MuJoCo's steps per environment step."""
        self.model, self._reads = model, reads
        self.read = tuple(i for i, name in enumerate(reads) if name != "body_mass")  # `body_mass` is the model's
        self.carried = mujoco.mj_stateSize(model, kind)
        self._call, calls = _library(), _mujoco()
        self._spaces: list[tuple[Workspace, _Workspace, int, Any]] = []  # the third: the second's address, for C
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
        self._robot_address = ctypes.addressof(self._robot)

    def step(
        self,
        models: np.ndarray,
        state: Floats,
        action: np.ndarray,
        next_state: Floats,
        bad: np.ndarray,
        read_before: list[Floats],
        read_after: list[Floats],
        threads: int,
    ) -> None:
        """Steps every row.

        models: [row] addresses, 0 for none; state: [row carried+1], with a time of 0 at the start of an episode;
        action: [row nu] float32. The results are `next_state` [row carried+1], except for its last entries; `bad`
        [row], 1 for a row that could not be stepped or is unstable; and what is read ([row size] each), `read_before`
        for rows at the start of an episode, and `read_after`. Raises InputError if there cannot be so many threads.
        """
        rows, threads = len(state), min(threads, max(len(state), 1))
        read_buffers = [
            (c_void_p * len(self.read))(*(_address(x[i]) for i in self.read)) for x in (read_before, read_after)
        ]
        corrupt = np.empty(threads, np.uint8)
        arrays = map(_address, (models, state, action, bad, next_state))
        batch = _Batch(*arrays, *map(ctypes.addressof, read_buffers), _address(corrupt), 0, rows, threads)
        while len(self._spaces) < threads:
            self._spaces.append(self._space())
        while batch.next < rows:
            workspaces = (c_void_p * threads)(*(address for _, _, address, _ in self._spaces[:threads]))
            if self._call(self._robot_address, ctypes.addressof(batch), workspaces):
                raise InputError(f"The system has no {threads} threads for MuJoCo; ask for fewer with `use_threads`.")
            for thread in np.flatnonzero(corrupt):
                self._spaces[thread] = self._space()

    def _space(self) -> tuple[Workspace, _Workspace, int, Any]:
        workspace = Workspace(self.model, self._reads)
        fields = (c_void_p * len(workspace.reads))(*(view.ctypes.data for _, view in workspace.reads))
        counters = workspace.warnings
        struct = _Workspace(
            workspace.data._address,
            workspace.ctrl.ctypes.data,
            ctypes.cast(fields, c_void_p),
            counters.ctypes.data,
            len(counters),
            counters.strides[0] // counters.itemsize,
        )
        return workspace, struct, ctypes.addressof(struct), fields


def _address(x: np.ndarray) -> int:
    assert x.flags.c_contiguous
    return x.__array_interface__["data"][0]


@functools.cache
def _library() -> Any:
    """Returns `headstart_step_rows`. Raises InputError if it was not built."""
    spec = find_spec("headstart.tasks.mujoco._rows")
    if spec is None or spec.origin is None:
        raise InputError(
            "MuJoCo's robots need headstart's C library, which was not built; install headstart again with pip, "
            "where there is a C compiler."
        )
    call = ctypes.CDLL(spec.origin).headstart_step_rows
    call.argtypes, call.restype = (c_void_p, c_void_p, c_void_p), ctypes.c_int
    return call


@functools.cache
def _mujoco() -> dict[str, int]:
    """Returns the addresses of MuJoCo's functions and handlers."""
    folder = os.path.dirname(mujoco.__file__)
    [name] = (name for name in os.listdir(folder) if name.startswith("libmujoco"))
    library = ctypes.CDLL(os.path.join(folder, name))
    functions = ("mj_setState", "mj_getState", "mj_forward", "mj_step", "mj_rnePostConstraint")
    addresses = {name: ctypes.cast(getattr(library, name), c_void_p).value or 0 for name in functions}
    handlers = {n: ctypes.addressof(c_void_p.in_dll(library, n)) for n in ("mju_user_error", "mju_user_warning")}
    return {**addresses, **handlers}
