"""The simulator's data: a model for each row that differs from the nominal one, and a workspace for each thread."""

import contextlib
import copy
import os
import threading
from collections.abc import Iterator

import numpy as np

from headstart.tasks.mujoco.bindings import Model, mujoco
from headstart.tasks.mujoco.bits import as_typed
from headstart.tasks.mujoco.parameters import Table, apply

Names = tuple[str, ...]
Floats = np.ndarray

simulator_lock = threading.RLock()  # for stepping and for changing models, because MuJoCo's warning handler is global
if hasattr(os, "register_at_fork"):  # otherwise a forked process could inherit a lock whose thread it lacks
    os.register_at_fork(
        before=simulator_lock.acquire,
        after_in_parent=simulator_lock.release,
        after_in_child=simulator_lock.release,
    )


def load_model(path: str) -> Model:
    """Returns the model of an XML file without its textures: 20 KB instead of half a megabyte, with a copy per row.

    Its automatic reset is off, because an unstable robot would otherwise look like one at its start.
    """
    spec = mujoco.MjSpec.from_file(path)
    for geom in spec.geoms:
        geom.material = ""
    for element in (*spec.materials, *spec.textures):
        spec.delete(element) if hasattr(spec, "delete") else element.delete()
    model = spec.compile()
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    return model


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Suppresses MuJoCo's warnings, which it would print and write to a file. Hold `one_at_a_time` meanwhile."""
    previous_handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous_handler)


class Workspace:
    """One thread's MjData, with the views of it that are used at every step."""

    def __init__(self, model: Model, reads: Names):
        self.data = mujoco.MjData(model)
        self.ctrl = self.data.ctrl
        self.reads = [(name, getattr(self.data, name)) for name in reads if name != "body_mass"]
        self.warnings = self.data.warning.number[int(mujoco.mjtWarning.mjWARN_BADQPOS) :]  # about NaN or huge numbers


class Models:
    """A model for each row with parameters of its own, rewritten only when their values change."""

    def __init__(self, nominal: Model, known: Table, derive: bool):
        self.nominal, self.table, self.derive = nominal, known, derive
        self.models: list[Model] = []
        self.applied: list[tuple[Names, bytes]] = []
        self.invalid: list[bool] = []
        self.scratch = mujoco.MjData(nominal)  # mj_setConst writes into the data that it gets
        self.known = {p.name: p for p in known.listed}
        self._last_key: tuple[Names, int, bytes] | None = None
        self._last_rows: tuple[list[Model | None], np.ndarray] = [], np.zeros(0, np.uintp)

    def rows(self, names: Names, values: Floats) -> tuple[list[Model | None], np.ndarray]:
        """Returns a model for each row of values ([row name], float32) and its address; None and 0 if out of bounds."""
        key = names, len(values), values.tobytes()
        if key != self._last_key:
            with without_warnings():
                models = self._rows(names, values)
            self._last_rows = models, np.array([model._address if model else 0 for model in models], np.uintp)
            self._last_key = key
        return self._last_rows

    def _rows(self, names: Names, values: Floats) -> list[Model | None]:
        if not names:
            return [self.nominal] * len(values)
        while len(self.models) < len(values):
            self.models.append(copy.copy(self.nominal))
            self.applied.append(((), b""))
            self.invalid.append(False)
        for i, row in enumerate(values):
            key = names, row.tobytes()
            if self.applied[i] != key:
                self.applied[i] = key
                self.invalid[i] = not self._rewrite(self.models[i], names, row)
        return [None if self.invalid[i] else self.models[i] for i in range(len(values))]

    def _rewrite(self, model: Model, names: Names, row: Floats) -> bool:
        """Rewrites a model. Returns whether the values are within their bounds and MuJoCo could derive the rest."""
        typed_values = {name: as_typed(value, self.known[name].nominal) for name, value in zip(names, row, strict=True)}
        in_bounds = (self.known[name].low <= value <= self.known[name].high for name, value in typed_values.items())
        if not (np.isfinite(row).all() and all(in_bounds)):
            return False
        apply(model, self.table.fields(np, typed_values))
        try:
            if self.derive:
                mujoco.mj_setConst(model, self.scratch)
        except (mujoco.FatalError, mujoco.UnexpectedError):
            self.scratch = mujoco.MjData(self.nominal)
            return False
        return True
