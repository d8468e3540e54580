"""What can be changed about any env that holds a MuJoCo model: our robots' parameters, and each number of a field."""

import re
from typing import Any

import numpy as np

from headstart.core.types import Parameter
from headstart.tasks.mujoco.bindings import Model, mujoco
from headstart.tasks.mujoco.parameters import Table, apply, table

FIELD = re.compile(r"(\w+)\[([^\[\]]+)\](?:\[(\d+)\])?")  # body_mass[torso], geom_friction[floor][0]
KINDS = {
    "body": mujoco.mjtObj.mjOBJ_BODY,
    "geom": mujoco.mjtObj.mjOBJ_GEOM,
    "jnt": mujoco.mjtObj.mjOBJ_JOINT,
    "dof": mujoco.mjtObj.mjOBJ_JOINT,
    "actuator": mujoco.mjtObj.mjOBJ_ACTUATOR,
    "site": mujoco.mjtObj.mjOBJ_SITE,
    "tendon": mujoco.mjtObj.mjOBJ_TENDON,
}


class Fields:
    """One model's numbers by name. Groups and names are as for our own robots; a field comes after them."""

    def __init__(self, model: Model):
        self.table: Table = table(model)
        self.model = model
        self.listed = self.table.listed
        self._raw: dict[str, tuple[Any, ...]] = {}

    def find(self, name: str) -> Parameter | None:
        """-> what is known of such a number as body_mass[torso]; None where there is none."""
        match = FIELD.fullmatch(name)
        array = None if match is None else getattr(self.model, match[1], None)
        if match is None or not isinstance(array, np.ndarray) or array.dtype != np.float64:
            return None
        kind = KINDS.get(match[1].partition("_")[0])
        row = int(match[2]) if match[2].isdigit() else -1
        if not match[2].isdigit() and kind is not None:
            row = mujoco.mj_name2id(self.model, kind, match[2])
            row = int(self.model.jnt_dofadr[row]) if row >= 0 and match[1].startswith("dof_") else row
        where = (row,) if match[3] is None else (row, int(match[3]))
        if len(where) != array.ndim or not all(0 <= i < n for i, n in zip(where, array.shape, strict=True)):
            return None
        self._raw[name] = (match[1], where, float(array[where]))
        return Parameter(name, float(array[where]), -np.inf, np.inf, "as in MuJoCo", f"{match[1]} of MuJoCo's model")

    def put(self, model: Model, values: dict[str, float]) -> None:
        """Make a model nominal again but for these values, and derive what follows from them."""
        known = {p.name for p in self.listed}
        apply(model, self.table.fields(np, {name: x for name, x in values.items() if name in known}))
        for name, (field, where, nominal) in self._raw.items():
            if name in values or field not in self.table.nominal:
                getattr(model, field)[where] = values.get(name, nominal)
        mujoco.mj_setConst(model, mujoco.MjData(model))


def model_of(env: Any) -> Model | None:
    """-> the MuJoCo model of an env, if it has any."""
    model = getattr(env, "model", None)
    return model if isinstance(model, mujoco.MjModel) else None
