"""Parameters of any env that holds a MuJoCo model: those of headstart's robots, and each number of a field."""

import copy
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from headstart.core.errors import InputError
from headstart.core.types import Parameter
from headstart.tasks.mujoco import compiled, settable
from headstart.tasks.mujoco.bindings import Model, mujoco
from headstart.tasks.mujoco.parameters import GROUPS, OPTIONS, table

FIELD = re.compile(r"(\w+)\[([^\[\]]+)\](?:\[(\d+)\])?")  # body_mass[torso], geom_friction[floor][0]
KINDS = {
    "body": mujoco.mjtObj.mjOBJ_BODY,
    "geom": mujoco.mjtObj.mjOBJ_GEOM,
    "jnt": mujoco.mjtObj.mjOBJ_JOINT,
    "dof": mujoco.mjtObj.mjOBJ_JOINT,
    "actuator": mujoco.mjtObj.mjOBJ_ACTUATOR,
    "site": mujoco.mjtObj.mjOBJ_SITE,
    "tendon": mujoco.mjtObj.mjOBJ_TENDON,
    "cam": mujoco.mjtObj.mjOBJ_CAMERA,
    "eq": mujoco.mjtObj.mjOBJ_EQUALITY,
}
SIZES = ("nq", "nv", "na", "nu", "nbody", "ngeom", "nsite", "ncam", "nlight", "neq", "ntendon", "nwrap", "nM", "nC")
SIZES += ("nflex", "nplugin", "nmocap", "nsensordata", "nuserdata", "nbvhdynamic", "nJmom", "narena", "nbuffer")
Arrays = dict[str, np.ndarray]


class FieldNumber(NamedTuple):
    """One number of a field, or the number that all degrees of freedom of a joint share."""

    field: str
    rows: list[int]
    column: int | None
    nominal: float


class Fields:
    """The numbers of one model by name: groups and names as for headstart's robots, then numbers of fields."""

    def __init__(self, model: Model):
        self.model = copy.copy(model)  # the nominal model
        self.table = table(model)
        self.listed = self.table.listed
        self._by_name = {p.name: p for p in self.listed}
        self._raw: dict[str, FieldNumber] = {}
        self._entries: dict[str, Arrays] = {}
        self._resolved = compiled.find_derived(self.model)
        self._data = mujoco.MjData(self.model)

    def find(self, name: str) -> Parameter | None:
        """Returns the parameter for a number such as body_mass[torso]; None if there is none.

        Raises InputError if it exists and cannot be set.
        """
        match = FIELD.fullmatch(name)
        array = None if match is None else getattr(self.model, match[1], None)
        if match is None or not isinstance(array, np.ndarray) or array.dtype != np.float64:
            return None
        rows = self._rows(match[1], match[2])
        column = None if match[3] is None else int(match[3])
        where = (rows[:1], *([] if column is None else [[column]]))
        if len(where) != array.ndim or not all(i and 0 <= i[0] < n for i, n in zip(where, array.shape, strict=True)):
            return None
        nominal = float(array[rows[0]] if column is None else array[rows[0], column])
        if reason := settable.why_not(self.model, match[1], rows[0], column):
            raise InputError(f"{name} cannot be set: {reason}.")
        self._raw[name] = FieldNumber(match[1], rows, column, nominal)
        description = settable.about(self.model, match[1], rows[0])
        return Parameter(name, nominal, -np.inf, np.inf, "as in MuJoCo", description)

    def set_values(self, model: Model, values: dict[str, float], reset_names: Iterable[str] = ()) -> None:
        """Sets these values in a model and derives what follows from them; names in `reset_names` become nominal again.

        Nothing else of the model changes, since an env may have changed it itself. Raises ValueError if two names are
        of the same number, or if the model has other elements.
        """
        self._check_apart(values)
        made = self._made(values, reset_names)
        entries_by_field = {field: entries.copy() for field, entries in self._touched({*values, *reset_names}).items()}
        fields = self._touched(name for name in {*values, *reset_names} if name in self._raw)
        changed = {field: np.flatnonzero(x.reshape(len(x), -1).any(-1)) for field, x in fields.items()}
        for body in compiled.bodies_of(self.model, changed.get("geom_size", ())):
            for field in ("body_mass", "body_inertia", "body_ipos", "body_iquat"):  # these follow from the size
                made.setdefault(field, getattr(self.model, field))
                body_entries = entries_by_field.setdefault(field, np.zeros(made[field].shape, bool))
                body_entries[body] = True
        for field, entries in entries_by_field.items():
            array = _array(model, field)
            if array.shape != made[field].shape:
                raise ValueError("it made a MuJoCo model with other elements, which lacks its parameters")
            array[entries] = made[field][entries]
            setattr(model.opt if field in OPTIONS else model, field, array if array.ndim else float(array))
        compiled.derive(model, self.model, self._resolved, changed, self._workspace(model))

    def _workspace(self, model: Model) -> Any:
        """Returns an MjData for deriving: one for all models of the same sizes, because making it is slow."""
        if any(getattr(model, size) != getattr(self.model, size) for size in SIZES):
            return mujoco.MjData(model)
        return self._data

    def not_kept(self, model: Model | None, values: dict[str, float]) -> dict[str, float]:
        """Returns, by name, the model's number where it differs from these values."""
        if model is None:
            return dict.fromkeys(values, np.nan)
        fields, deviations, resized = self._made(values), {}, self._sized(values)
        for name in values:
            for field, entries in self._touched([name]).items():
                array = _array(model, field)
                if array.shape != fields[field].shape:
                    deviations[name] = np.nan
                    continue
                tolerance = 2e-3 if field in compiled.UNITS else 0.0  # normalized to length 1
                deviating = entries & ~np.isclose(array, fields[field], rtol=tolerance, atol=tolerance)
                if field.startswith("body_"):
                    deviating[resized] = False
                elif field == "actuator_biasprm":
                    deviating[self._resolved.ratios > 0, 2] = False
                if deviating.any():
                    deviations[name] = float(array[deviating][0])
        return deviations

    def refresh(self, model: Model | None, data: Any) -> None:
        """Recomputes what MuJoCo derives from a state, except for the solver's warm start."""
        if model is not None and isinstance(data, mujoco.MjData):
            warm_start = data.qacc_warmstart.copy()
            mujoco.mj_forward(model, data)
            data.qacc_warmstart[:] = warm_start

    def derived_from(self, name: str) -> tuple[tuple[str, float], ...]:
        """Returns which parameters set this number's default, with factors: names first, then groups."""
        if name not in self._raw:
            own_entries = self._touched([name]) if name in self.table.named else {}
            equal_raw = [
                raw
                for raw in self._raw
                if (other_entries := self._touched([raw])).keys() == own_entries.keys()
                and all(np.array_equal(other_entries[field], own_entries[field]) for field in own_entries)
            ]
            return (*((raw, 1.0) for raw in equal_raw), *self.table.derived_from(name))
        field, rows, column, _ = self._raw[name]
        where = rows[0] if column is None else (rows[0], column)
        others = [
            p.name
            for p in self.listed
            if field in (entries_by_field := self._touched([p.name])) and entries_by_field[field][where]
        ]
        factors = [(other, float(self._made({other: 1.0})[field][where])) for other in others]
        return tuple(sorted(factors, key=lambda raw: raw[0] in GROUPS))

    def _sized(self, values: dict[str, float]) -> list[int]:
        """Returns the bodies of which these values resize a geom."""
        raw = [self._raw[name] for name in values if name in self._raw]
        return compiled.bodies_of(self.model, [raw.rows[0] for raw in raw if raw.field == "geom_size"])

    def _check_apart(self, values: dict[str, float]) -> None:
        """Raises ValueError if two names set the same number. A group and a name may: the name has priority."""
        setters: dict[tuple[str, int], tuple[str, float]] = {}
        for body in self._sized(values):
            if compiled.geom_masses(self.model, body) is not None:
                setters["body_mass", body] = f"the size of a geom of {self.model.body(body).name or body}", np.nan
        for name in (name for name in values if name not in GROUPS):
            fields = self._made({name: values[name]})
            for field, entries in self._touched([name]).items():
                if field == "body_inertia" and not name.startswith(field):
                    continue  # follows from the mass, unless it is given too
                for i in np.flatnonzero(entries).tolist():
                    own_entries = float(fields[field].reshape(-1)[i])
                    other, other_value = setters.setdefault((field, i), (name, own_entries))
                    if other != name and not np.isclose(other_value, own_entries, rtol=1e-6, atol=0.0):
                        raise ValueError(f"{other} and {name} set the same number; give one of them")

    def _rows(self, field: str, element: str) -> list[int]:
        """Returns the rows of an element, by its number or name; [] if there is none."""
        kind = KINDS.get(field.partition("_")[0])
        if element.isdigit():
            return [int(element)]
        i = -1 if kind is None else mujoco.mj_name2id(self.model, kind, element)
        if field.startswith("dof_") and i >= 0:
            return np.flatnonzero(self.model.dof_jntid == i).tolist()
        return [i] if i >= 0 else []

    def _made(self, values: dict[str, float], reset_names: Iterable[str] = ()) -> Arrays:
        """Returns the fields with these values: those of the table, and the other named ones."""
        table_values = {name: x for name, x in values.items() if name not in self._raw}
        fields = {name: np.array(x, np.float64) for name, x in self.table.fields(np, table_values).items()}
        fields["geom_friction"] = np.concatenate([fields["geom_friction"][:, None], self.model.geom_friction[:, 1:]], 1)
        raw = [name for name in {*values, *reset_names} if name in self._raw]
        # An inertia may be given besides the mass.
        for name in sorted(raw, key=lambda name: self._raw[name].field != "body_mass"):
            field, rows, column, nominal = self._raw[name]
            if field not in fields:
                fields[field] = getattr(self.model, field).copy()
            if name in values:
                fields[field][rows if column is None else (rows, column)] = values[name]
                if field == "body_mass" and nominal:
                    fields["body_inertia"][rows] = self.model.body_inertia[rows] * (values[name] / nominal)
        return fields

    def _touched(self, names: Iterable[str]) -> Arrays:
        """Returns the entries of fields that these parameters change."""
        deviations: Arrays = {}
        for name in names:
            if name not in self._entries:
                self._entries[name] = self._changed_by(name)
            for field, entries in self._entries[name].items():
                deviations[field] = deviations[field] | entries if field in deviations else entries
        return deviations

    def _changed_by(self, name: str) -> Arrays:
        nominal = self._by_name[name].nominal if name in self._by_name else self._raw[name].nominal
        reset_names, after = self._made({}, [name]), self._made({name: nominal + 1.0})
        changed = {field: np.asarray(reset_names[field] != array) for field, array in after.items()}
        return {field: entries for field, entries in changed.items() if entries.any()}


def _array(model: Model, field: str) -> np.ndarray:
    return np.array(getattr(model.opt if field in OPTIONS else model, field))
