"""What can be changed about a robot: every mass, friction, damping, armature and gear, by name, and all of a kind.

Groups come first and are multipliers of the nominal values (`mass=1.2`: every body 20 % heavier); a number given by
name comes after and is absolute (`torso_mass=9`). Every change starts from the nominal model, so that it does not
matter what a model was before, nor how often a change is applied.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.core.types import Parameter
from headstart.tasks.mujoco.bindings import Model, mujoco

Fields = dict[str, Any]
Numbers = dict[str, np.ndarray]

GROUPS = {  # name -> the field of MjModel that it multiplies
    "mass": "body_mass",
    "friction": "geom_friction",
    "damping": "dof_damping",
    "armature": "dof_armature",
    "power": "actuator_gear",
}


@dataclasses.dataclass(frozen=True)
class Named:
    """One element's number: which entries of which field it is."""

    parameter: Parameter
    field: str
    where: tuple[bool, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """The parameters of one robot, and what they make of its nominal model."""

    nominal: Numbers  # the model's own arrays; of friction and gear, only the entries that parameters change
    named: Mapping[str, Named]
    listed: tuple[Parameter, ...]

    def check(self, names: tuple[str, ...], robot: str) -> None:
        """Raises InputError where a name is not one of this robot's parameters."""
        known = [p.name for p in self.listed]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 3, 0.4) or known[:3]
                raise InputError(f"{robot} has no parameter {name!r}; the nearest are {', '.join(near)}.")

    def fields(self, xp: Any, values: Mapping[str, Any]) -> Fields:
        """-> MjModel's fields as these parameters make them, by name; `gravity`, `density` and `wind` are in its `opt`.

        Inertia scales with mass. In the array namespace `xp`, so that NumPy (for C) and JAX (for MJX) share it.
        """
        made: Fields = dict(self.nominal)
        for group, field in GROUPS.items():
            if group in values:
                made[field] = made[field] * values[group]
        # Not the quotient of masses: a group's factor has to reach the inertia to the last bit, as contacts amplify it.
        scale = np.ones_like(self.nominal["body_mass"]) * values.get("mass", 1.0)
        for name, named in self.named.items():
            if name in values:
                made[named.field] = xp.where(np.array(named.where), values[name], made[named.field])
                if named.field == "body_mass":
                    scale = xp.where(np.array(named.where), values[name] / named.parameter.nominal, scale)
        made["body_inertia"] = self.nominal["body_inertia"] * scale[:, None]
        if "gravity" in values:
            made["gravity"] = xp.where(np.array([False, False, True]), -values["gravity"], made["gravity"])
        if "wind" in values:
            made["wind"] = xp.where(np.array([True, False, False]), values["wind"], made["wind"])
        if "density" in values:
            made["density"] = values["density"]
        return made


def apply(model: Model, made: Fields) -> None:
    """Write `Table.fields` into a model. What MuJoCo derives from them is then still to be computed (`mj_setConst`)."""
    model.body_mass[:] = made["body_mass"]
    model.body_inertia[:] = made["body_inertia"]
    model.geom_friction[:, 0] = made["geom_friction"]
    model.dof_damping[:] = made["dof_damping"]
    model.dof_armature[:] = made["dof_armature"]
    model.actuator_gear[:, 0] = made["actuator_gear"]
    model.opt.gravity[:] = made["gravity"]
    model.opt.wind[:] = made["wind"]
    model.opt.density = made["density"]


def table(model: Model) -> Table:
    """-> the parameters of this model."""
    nominal = {
        "body_mass": model.body_mass.copy(),
        "body_inertia": model.body_inertia.copy(),
        "geom_friction": model.geom_friction[:, 0].copy(),
        "dof_damping": model.dof_damping.copy(),
        "dof_armature": model.dof_armature.copy(),
        "actuator_gear": model.actuator_gear[:, 0].copy(),
        "gravity": model.opt.gravity.copy(),
        "wind": model.opt.wind.copy(),
        "density": np.array(model.opt.density),
    }
    named = _bodies(model) + _geoms(model) + _joints(model) + _actuators(model)
    listed = tuple(n.parameter for n in named) + _groups(nominal)
    assert len({p.name for p in listed}) == len(listed), "two parameters share a name"
    return Table(nominal, {n.parameter.name: n for n in named}, listed)


def _bodies(model: Model) -> list[Named]:
    found = []
    for i in range(1, model.nbody):
        if model.body_mass[i] > 0:
            body = model.body(i).name or f"body{i}"
            low = min(1e-3, model.body_mass[i] / 10)  # Pusher's object weighs 8 mg
            about = f"mass of the body {body}; its inertia scales with it"
            found.append(_named(f"{body}_mass", model.body_mass, [i], (low, 1e4), "kg", about))
    return _in_field("body_mass", found)


def _geoms(model: Model) -> list[Named]:
    found = []
    for i in range(model.ngeom):
        geom = model.geom(i).name or f"geom{i}"
        about = f"sliding friction of the geom {geom}; a contact has the larger of its two geoms'"
        if not (model.geom_contype[i] or model.geom_conaffinity[i]):
            about = f"sliding friction of the geom {geom}, which touches nothing in this robot's world"
        found.append(_named(f"{geom}_friction", model.geom_friction[:, 0], [i], (0.0, 100.0), "1", about))
    return _in_field("geom_friction", found)


def _joints(model: Model) -> list[Named]:
    damping, armature = [], []
    for i in range(model.njnt):
        joint = model.joint(i).name or f"joint{i}"
        dofs = [d for d in range(model.nv) if model.dof_jntid[d] == i]
        turns = model.jnt_type[i] == mujoco.mjtJoint.mjJNT_HINGE
        units = ("N·m·s/rad", "kg·m²") if turns else ("N·s/m", "kg")
        about = f"damping of the joint {joint}: the force against it for each unit of its speed"
        damping.append(_named(f"{joint}_damping", model.dof_damping, dofs, (0.0, 1e4), units[0], about))
        about = f"inertia of the joint {joint} itself (its motor's rotor), whatever it carries"
        armature.append(_named(f"{joint}_armature", model.dof_armature, dofs, (0.0, 1e4), units[1], about))
    return _in_field("dof_damping", damping) + _in_field("dof_armature", armature)


def _actuators(model: Model) -> list[Named]:
    found = []
    for i in range(model.nu):
        joint = model.actuator_trnid[i, 0]
        name = model.actuator(i).name or model.joint(joint).name or f"actuator{i}"
        turns = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
        about = f"strength of the motor {name}: its force at action 1"
        unit = "N·m" if turns else "N"
        found.append(_named(f"{name}_gear", model.actuator_gear[:, 0], [i], (-1e4, 1e4), unit, about))
    return _in_field("actuator_gear", found)


def _named(
    name: str, numbers: np.ndarray, entries: list[int], bounds: tuple[float, float], unit: str, about: str
) -> tuple[Parameter, tuple[bool, ...]]:
    where = tuple(i in entries for i in range(len(numbers)))
    return Parameter(name, float(numbers[entries[0]]), *bounds, unit, about), where


def _in_field(field: str, found: list[tuple[Parameter, tuple[bool, ...]]]) -> list[Named]:
    return [Named(parameter, field, where) for parameter, where in found]


def _groups(nominal: Numbers) -> tuple[Parameter, ...]:
    what = {
        "mass": "every body's mass and inertia",
        "friction": "every geom's sliding friction",
        "damping": "every joint's damping",
        "armature": "every joint's armature",
        "power": "every motor's gear",
    }
    lows = {"mass": 1e-3}
    scales = [Parameter(g, 1.0, lows.get(g, 0.0), 1e3, "×", f"multiplies {what[g]}") for g in GROUPS]
    return (
        *scales,
        Parameter("gravity", float(-nominal["gravity"][2]), 0.0, 100.0, "m/s²", "pull downwards (along -z)"),
        Parameter("density", float(nominal["density"]), 0.0, 1e5, "kg/m³", "of the medium (air 1.2, water 1000)"),
        Parameter(
            "wind", float(nominal["wind"][0]), -1e3, 1e3, "m/s", "of the medium along x; acts only where density > 0"
        ),
    )
