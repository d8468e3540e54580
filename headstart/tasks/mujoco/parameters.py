"""A robot's parameters: each mass, friction, damping, armature and strength by name, and groups of a kind.

Groups come first and multiply the nominal values (`mass=1.2`: every body is 20 % heavier). A number given by name comes
after and is absolute (`torso_mass=9`). Every change starts from the nominal model, so that the result does not depend
on earlier changes.
"""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.core.types import Parameter
from headstart.tasks.mujoco.actuators import actuators, can_be_scaled, scaled, strengths
from headstart.tasks.mujoco.bindings import Model, mujoco

Fields = dict[str, Any]
Numbers = dict[str, np.ndarray]

GROUPS = {  # name -> the field of MjModel that it multiplies; `strength` is that of `actuators.py`
    "mass": "body_mass",
    "friction": "geom_friction",
    "damping": "dof_damping",
    "armature": "dof_armature",
    "power": "strength",
}
OPTIONS = ("gravity", "wind", "density")
SLIDING = np.array([True, True, False, False, False])  # of the five numbers of a contact pair's friction


@dataclasses.dataclass(frozen=True, eq=False)
class ElementParameter:
    """A parameter of one element: which entries of which field it sets."""

    parameter: Parameter
    field: str
    where: np.ndarray

    @property
    def group(self) -> str:
        """The group that scales it too."""
        return next((group for group, field in GROUPS.items() if field == self.field), "power")


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """The parameters of one robot, and how they change its nominal model."""

    nominal: Numbers  # the model's arrays (only sliding friction) and the actuators' strength, all 1
    scaled: Numbers  # which entries of the actuators' fields their strength scales
    named: Mapping[str, ElementParameter]
    listed: tuple[Parameter, ...]

    def check(self, names: tuple[str, ...], robot: str) -> None:
        """Raises InputError if a name is not one of this robot's parameters."""
        known = [p.name for p in self.listed]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 3, 0.4) or known[:3]
                raise InputError(f"{robot} has no parameter {name!r}; the nearest are {', '.join(near)}.")

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        """Returns the group that sets a number's default, and the factor: its nominal value."""
        return ((self.named[name].group, self.named[name].parameter.nominal),) if name in self.named else ()

    def fields(self, xp: Any, values: Mapping[str, Any]) -> Fields:
        """Returns MjModel's fields with these parameters, by name; `gravity`, `density` and `wind` are in its `opt`.

        Inertia scales with mass. `xp` is the array namespace: NumPy for C, JAX for MJX.
        """
        fields: Fields = dict(self.nominal)
        for group, field in GROUPS.items():
            if group in values:
                fields[field] = fields[field] * values[group]
        if "friction" in values and "pair_friction" in fields:
            fields["pair_friction"] = fields["pair_friction"] * xp.where(SLIDING, values["friction"], 1.0)
        named = [(named, values[name]) for name, named in self.named.items() if name in values]
        self._set(xp, fields, [element for element in named if element[0].field != "actuator_gear"])
        strength = fields.pop("strength")[:, None]
        for field, mask in self.scaled.items():
            fields[field] = xp.where(mask, fields[field] * strength, fields[field])
        self._set(xp, fields, [element for element in named if element[0].field == "actuator_gear"])
        fields["body_inertia"] = self.nominal["body_inertia"] * self._inertia(xp, values)[:, None]
        if "gravity" in values:
            fields["gravity"] = xp.where(np.array([False, False, True]), -values["gravity"], fields["gravity"])
        if "wind" in values:
            fields["wind"] = xp.where(np.array([True, False, False]), values["wind"], fields["wind"])
        if "density" in values:
            fields["density"] = values["density"]
        return fields

    @staticmethod
    def _set(xp: Any, fields: Fields, named: list[tuple[ElementParameter, Any]]) -> None:
        for element, value in named:
            fields[element.field] = xp.where(element.where, value, fields[element.field])

    def _inertia(self, xp: Any, values: Mapping[str, Any]) -> Any:
        """Returns the factor of each body's inertia.

        It is not the quotient of masses, because a group's factor must be exact: contacts amplify rounding errors.
        """
        scale = np.ones_like(self.nominal["body_mass"]) * values.get("mass", 1.0)
        for name, element in self.named.items():
            if name in values and element.field == "body_mass":
                scale = xp.where(element.where, values[name] / element.parameter.nominal, scale)
        return scale


def apply(model: Model, fields: Fields) -> None:
    """Writes `Table.fields` into a model. `mj_setConst` must then derive the rest."""
    for name, value in fields.items():
        if name == "geom_friction":
            model.geom_friction[:, 0] = value
        else:
            setattr(model.opt if name in OPTIONS else model, name, value)


def table(model: Model) -> Table:
    """Returns the parameters of a model."""
    nominal = {
        "body_mass": model.body_mass.copy(),
        "body_inertia": model.body_inertia.copy(),
        "geom_friction": model.geom_friction[:, 0].copy(),
        "dof_damping": model.dof_damping.copy(),
        "dof_armature": model.dof_armature.copy(),
        "strength": np.ones(model.nu),
        **strengths(model),
        "gravity": model.opt.gravity.copy(),
        "wind": model.opt.wind.copy(),
        "density": np.array(model.opt.density),
    }
    if model.npair:
        nominal["pair_friction"] = model.pair_friction.copy()
    scalable = can_be_scaled(model)
    named = _bodies(model) + _geoms(model) + _joints(model) + (_actuators(model) if scalable else [])
    counts = Counter(n.parameter.name for n in named)  # elements that share a name have no parameter
    by_name = {n.parameter.name: n for n in named if counts[n.parameter.name] == 1}
    fields = {group: nominal[field].any() for group, field in GROUPS.items()}  # multiples of zeros would change nothing
    fields["power"] &= scalable
    groups = tuple(p for p in _groups(nominal) if fields.get(p.name, True))
    return Table(nominal, scaled(model), by_name, (*(n.parameter for n in by_name.values()), *groups))


def _bodies(model: Model) -> list[ElementParameter]:
    parameters = []
    for i in range(1, model.nbody):
        if model.body_mass[i] > 0:
            body = model.body(i).name or f"body{i}"
            low = min(1e-3, model.body_mass[i] / 10)  # Pusher's object weighs 8 mg
            description = f"mass of the body {body}; its inertia scales with it"
            parameters.append(_named(f"{body}_mass", model.body_mass, [i], (low, 1e4), "kg", description))
    return _in_field("body_mass", parameters)


def _geoms(model: Model) -> list[ElementParameter]:
    parameters = []
    for i in range(model.ngeom):
        if i in model.pair_geom1 or i in model.pair_geom2:
            continue  # contact pairs have a friction of their own
        geom = model.geom(i).name or f"geom{i}"
        description = f"sliding friction of the geom {geom}; a contact has the larger of its two geoms'"
        if not (model.geom_contype[i] or model.geom_conaffinity[i]):
            description = f"sliding friction of the geom {geom}, which touches nothing in this env"
        parameters.append(_named(f"{geom}_friction", model.geom_friction[:, 0], [i], (0.0, 100.0), "1", description))
    return _in_field("geom_friction", parameters)


def _joints(model: Model) -> list[ElementParameter]:
    damping, armature = [], []
    for i in range(model.njnt):
        joint = model.joint(i).name or f"joint{i}"
        dofs = [d for d in range(model.nv) if model.dof_jntid[d] == i]
        turns = model.jnt_type[i] == mujoco.mjtJoint.mjJNT_HINGE
        units = ("N·m·s/rad", "kg·m²") if turns else ("N·s/m", "kg")
        description = f"damping of the joint {joint}: the force against it for each unit of its speed"
        damping.append(_named(f"{joint}_damping", model.dof_damping, dofs, (0.0, 1e4), units[0], description))
        description = f"inertia of the joint {joint} itself (its motor's rotor), whatever it carries"
        armature.append(_named(f"{joint}_armature", model.dof_armature, dofs, (0.0, 1e4), units[1], description))
    return _in_field("dof_damping", damping) + _in_field("dof_armature", armature)


def _actuators(model: Model) -> list[ElementParameter]:
    parameters = []
    for i, (name, motor, geared, unit) in enumerate(actuators(model)):
        is_actuator = np.arange(model.nu) == i
        if geared:
            description = f"strength of the motor {name}: its force at action 1"
            parameter = Parameter(f"{name}_gear", float(model.actuator_gear[i, 0]), -1e4, 1e4, unit, description)
            parameters.append(ElementParameter(parameter, "actuator_gear", is_actuator[:, None] & (np.arange(6) == 0)))
        else:
            description = (
                f"multiplies the force of {name}" if motor else f"multiplies the force of {name}, gain and bias"
            )
            parameters.append(
                ElementParameter(Parameter(f"{name}_power", 1.0, 0.0, 1e3, "×", description), "strength", is_actuator)
            )
    return parameters


def _named(
    name: str, numbers: np.ndarray, entries: list[int], bounds: tuple[float, float], unit: str, description: str
) -> tuple[Parameter, np.ndarray]:
    mask = np.isin(np.arange(len(numbers)), entries)
    return Parameter(name, float(numbers[entries[0]]), *bounds, unit, description), mask


def _in_field(field: str, parameters: list[tuple[Parameter, np.ndarray]]) -> list[ElementParameter]:
    return [ElementParameter(parameter, field, mask) for parameter, mask in parameters]


def _groups(nominal: Numbers) -> tuple[Parameter, ...]:
    what = {
        "mass": "every body's mass and inertia",
        "friction": "the sliding friction of every geom and contact pair",
        "damping": "every joint's damping",
        "armature": "every joint's armature",
        "power": "the force of every actuator: a motor's gear, a servo's gain, bias and limits",
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
