"""Updates what MuJoCo's compiler derives from a model's numbers, after some of them have changed.

`mj_setConst` updates most of it: masses of subtrees, inverse inertias, lengths at rest. The rest is updated here, so
that a model with a changed number equals one that was compiled with that number.
"""

import copy
from typing import Any, NamedTuple

import numpy as np

from headstart.tasks.mujoco import shapes
from headstart.tasks.mujoco.bindings import Data, Model, mujoco

Changed = dict[str, np.ndarray]  # the rows of each field that differ from the nominal model
LIMITS = {  # a range -> the flag that enables it
    "jnt_range": "jnt_limited",
    "jnt_actfrcrange": "jnt_actfrclimited",
    "tendon_range": "tendon_limited",
    "actuator_ctrlrange": "actuator_ctrllimited",
    "actuator_forcerange": "actuator_forcelimited",
    "actuator_actrange": "actuator_actlimited",
}
UNITS = ("body_quat", "geom_quat", "site_quat", "cam_quat", "jnt_axis")  # unit vectors and quaternions
STATISTICS = ("meaninertia", "meanmass", "meansize", "extent", "center")
GEOMETRY = {
    "body_pos",
    "body_quat",
    "jnt_pos",
    "jnt_axis",
    "geom_pos",
    "geom_quat",
    "geom_size",
    "site_pos",
    "qpos_spring",
}
INERTIAL, BODY_TURN, INERTIAL_TURN = 2, 3, 4  # mjtSameFrame
UNKNOWN = -1.0  # the compiler's mark for numbers that it derives


class Resolved(NamedTuple):
    """Which numbers of a model the compiler derived from others; they are derived again."""

    springs: np.ndarray  # [tendon] whose rest length is that of the model's own pose
    welds: np.ndarray  # [equality] that hold two bodies as they are in that pose
    ratios: np.ndarray  # [actuator] damping ratio of a servo; 0 if its damping was given
    given: tuple[str, ...]  # statistics that were given, and are kept


def find_derived(model: Model) -> Resolved:
    """Returns which numbers the compiler derived: those that it derives again from the rest of the model."""
    trial = copy.copy(model)
    mujoco.mj_setConst(trial, mujoco.MjData(trial))
    given = tuple(n for n in STATISTICS if not np.allclose(getattr(trial.stat, n), getattr(model.stat, n), rtol=1e-9))
    welds = np.array(model.eq_type == mujoco.mjtEq.mjEQ_WELD)
    trial.tendon_lengthspring[:] = UNKNOWN
    trial.eq_data[welds, 3:10] = 0.0
    servos = _servos(model)
    trial.actuator_biasprm[servos, 2] = 1.0
    mujoco.mj_setConst(trial, mujoco.MjData(trial))
    springs = np.isclose(trial.tendon_lengthspring, model.tendon_lengthspring, rtol=1e-9, atol=1e-12).all(-1)
    welds &= np.isclose(trial.eq_data, model.eq_data, rtol=1e-9, atol=1e-12).all(-1)
    ratios = np.zeros(model.nu)
    for i in np.flatnonzero(servos).tolist():
        damping, unit_damping = -model.actuator_biasprm[i, 2], -trial.actuator_biasprm[i, 2]
        if unit_damping > 0 and shapes.is_round(damping / unit_damping) and not shapes.is_round(damping):
            ratios[i] = damping / unit_damping
    return Resolved(springs, welds, ratios, given)


def derive(model: Model, nominal: Model, derived: Resolved, changed: Changed, data: Data) -> None:
    """Derives a model's numbers as the compiler would, in `data` of its sizes, which then holds no state.

    Raises ValueError for numbers that the compiler would reject.
    """
    _check_changes(model, nominal, changed)
    for field in LIMITS.keys() & changed.keys():
        flag, rows = LIMITS[field], changed[field]
        has_moved = (getattr(model, field)[rows] != getattr(nominal, field)[rows]).any(-1)
        getattr(model, flag)[rows] = getattr(nominal, flag)[rows].astype(bool) | has_moved
    for body in bodies_of(model, changed.get("geom_size", ())):
        _resize(model, nominal, body, changed["geom_size"])
    for body in bodies_of(model, changed.get("geom_margin", ())):
        model.body_margin[body] = model.geom_margin[model.geom_bodyid == body].max()
    _update_frames(model, nominal, changed)
    if GEOMETRY.intersection(changed):
        given = np.isin(np.arange(model.ntendon), changed.get("tendon_lengthspring", ()))
        given &= (model.tendon_lengthspring != nominal.tendon_lengthspring).any(-1)
        model.tendon_lengthspring[derived.springs & ~given] = UNKNOWN
        model.eq_data[derived.welds, 3:10] = 0.0
    _resolve_damping(model, nominal, derived, changed, data)
    mujoco.mj_setConst(model, data)
    for name in derived.given:
        setattr(model.stat, name, getattr(nominal.stat, name))


def _check_changes(model: Model, nominal: Model, changed: Changed) -> None:
    for field in UNITS:
        for i in changed.get(field, ()):
            length = np.linalg.norm(getattr(model, field)[i])
            if abs(length - 1.0) > 1e-3:
                raise ValueError(f"{field}[{i}] has length {length:g} instead of 1; give all of its numbers")
            getattr(model, field)[i] /= length
    for field in (*LIMITS, "tendon_lengthspring"):
        for i in changed.get(field, ()):
            low, high = getattr(model, field)[i]
            if (getattr(model, field)[i] == getattr(nominal, field)[i]).all():
                continue  # unchanged ranges may be empty
            if not (low <= high if field == "tendon_lengthspring" else low < high):
                raise ValueError(f"{field}[{i}] goes from {low:g} to {high:g} instead of upwards")
    for i in changed.get("body_inertia", ()):
        small, middle, large = np.sort(model.body_inertia[i])
        if small <= 0 or small + middle < large * (1 - 1e-9):
            raise ValueError(f"body_inertia[{i}] is impossible: its largest number exceeds the sum of the others")


def bodies_of(model: Model, geoms: Any) -> list[int]:
    """Returns the bodies of these geoms."""
    return sorted({int(model.geom_bodyid[geom]) for geom in geoms})


def _resize(model: Model, nominal: Model, body: int, resized_geoms: np.ndarray) -> None:
    """Updates the bounds and the inertia of a body with resized geoms."""
    geoms = np.flatnonzero(model.geom_bodyid == body)
    for geom in geoms[np.isin(geoms, resized_geoms)].tolist():
        if int(model.geom_type[geom]) not in shapes.SIZES:
            continue  # a plane, which is infinite
        if (model.geom_size[geom, : shapes.SIZES[int(model.geom_type[geom])]] <= 0).any():
            raise ValueError(f"geom_size[{geom}] is {model.geom_size[geom]} instead of above 0")
        shape = shapes.shape_of(model, geom)
        model.geom_rbound[geom], model.geom_aabb[geom] = shape.radius, shape.box
    if (model.geom_size[geoms] == nominal.geom_size[geoms]).all() or (masses := geom_masses(nominal, body)) is None:
        return
    inertia_of_body = shapes.resized(nominal, model, body, masses)
    rotation = shapes.rotation(nominal.body_iquat[body])
    inertia = rotation.T @ inertia_of_body.tensor @ rotation
    has_moved = not np.allclose(inertia_of_body.centre, nominal.body_ipos[body], rtol=0, atol=1e-9)
    if not np.allclose(inertia, np.diag(np.diagonal(inertia)), rtol=0, atol=1e-9 * np.abs(inertia).max()):
        has_moved, axes = True, np.zeros(4)
        values = np.zeros(3)
        mujoco.mju_eig3(values, np.zeros(9), axes, inertia_of_body.tensor.reshape(-1))
        model.body_iquat[body], inertia = axes, np.diag(values)
    if has_moved and nominal.body_simple[body]:
        raise ValueError("its body's centre of mass or axes would move, for which MuJoCo must compile the model")
    mass_factor = model.body_mass[body] / nominal.body_mass[body]  # by the group `mass`
    model.body_mass[body], model.body_inertia[body] = (
        inertia_of_body.mass * mass_factor,
        np.diagonal(inertia) * mass_factor,
    )
    model.body_ipos[body] = inertia_of_body.centre


def geom_masses(model: Model, body: int) -> dict[int, float] | None:
    """Returns the mass of each geom of a body; None if its inertia was given, or does not matter for a fixed body.

    Raises ValueError if it cannot be determined.
    """
    return None if model.body_weldid[body] == 0 else shapes.masses(model, body)


def _update_frames(model: Model, nominal: Model, changed: Changed) -> None:
    """Updates which frames coincide, and the bounding boxes of geoms in the bodies' inertial frames."""
    has_moved = {int(b) for f in ("body_ipos", "body_iquat") for b in changed.get(f, ())}
    bodies = {b for f in ("geom_pos", "geom_quat", "geom_size") for b in bodies_of(model, changed.get(f, ()))}
    sites = {int(s) for f in ("site_pos", "site_quat") for s in changed.get(f, ())}
    bodies |= has_moved
    sites |= {s for s in range(model.nsite) if int(model.site_bodyid[s]) in bodies}
    for body in bodies - {0}:
        frame, flag = (model.body_ipos[body], model.body_iquat[body]), nominal.body_sameframe[body]
        model.body_sameframe[body] = flag if _is_same_frame(flag, frame, frame) else 0
    for geom in np.flatnonzero(np.isin(model.geom_bodyid, sorted(bodies))).tolist():
        _update_same_frame(model, "geom", geom, nominal)
    for site in sites:
        _update_same_frame(model, "site", site, nominal)
    for body in bodies:
        _update_bounds(model, body)


def _update_same_frame(model: Model, kind: str, i: int, nominal: Model) -> None:
    body = getattr(model, f"{kind}_bodyid")[i]
    frame = getattr(model, f"{kind}_pos")[i], getattr(model, f"{kind}_quat")[i]
    flags, flag = getattr(model, f"{kind}_sameframe"), getattr(nominal, f"{kind}_sameframe")[i]
    flags[i] = flag if _is_same_frame(flag, frame, (model.body_ipos[body], model.body_iquat[body])) else 0


def _is_same_frame(flag: Any, frame: tuple[np.ndarray, np.ndarray], inertial: tuple[np.ndarray, np.ndarray]) -> bool:
    """Returns whether a frame is still as its flag says: the body's, or its inertia's, or only rotated against it."""
    place, rotation = inertial if flag in (INERTIAL, INERTIAL_TURN) else (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
    is_at_place = flag in (BODY_TURN, INERTIAL_TURN) or np.allclose(frame[0], place, rtol=0, atol=1e-12)
    return bool(is_at_place and np.allclose(frame[1], rotation, rtol=0, atol=1e-12))


def _update_bounds(model: Model, body: int) -> None:
    """Updates the bounding boxes of a body's geoms, and of groups of them, in the body's inertial frame."""
    start, count = int(model.body_bvhadr[body]), int(model.body_bvhnum[body])
    inverse_rotation = shapes.rotation(model.body_iquat[body]).T
    low, high = np.zeros((count, 3)), np.zeros((count, 3))
    for k in reversed(range(count)):  # children come after their parents
        geom = int(model.bvh_nodeid[start + k])
        if geom >= 0:
            rotation = shapes.rotation(model.geom_quat[geom])
            centre = inverse_rotation @ (
                model.geom_pos[geom] + rotation @ model.geom_aabb[geom, :3] - model.body_ipos[body]
            )
            half = np.abs(inverse_rotation @ rotation) @ model.geom_aabb[geom, 3:]
            low[k], high[k] = centre - half, centre + half
        else:
            children = model.bvh_child[start + k]
            low[k], high[k] = low[children].min(0), high[children].max(0)
    model.bvh_aabb[start : start + count] = np.concatenate([(low + high) / 2, (high - low) / 2], 1)


def _servos(model: Model) -> np.ndarray:
    """Returns which actuators are position servos with damping: [actuator] bool."""
    gain, bias = model.actuator_gainprm, model.actuator_biasprm
    affine = model.actuator_biastype == mujoco.mjtBias.mjBIAS_AFFINE
    return np.array(affine & (gain[:, 0] > 0) & (gain[:, 0] == -bias[:, 1]) & (bias[:, 2] < 0))


def _resolve_damping(model: Model, nominal: Model, derived: Resolved, changed: Changed, data: Data) -> None:
    """Updates the damping of servos with a given damping ratio for the current inertia."""
    given = set(changed.get("actuator_gainprm", ())) | set(changed.get("actuator_biasprm", ()))
    servos = [i for i in np.flatnonzero(derived.ratios).tolist() if i not in given]
    if not servos:
        return
    strength = (model.actuator_biasprm[servos, 1] / nominal.actuator_biasprm[servos, 1])[:, None]
    model.actuator_gainprm[servos] = nominal.actuator_gainprm[servos]
    model.actuator_biasprm[servos] = nominal.actuator_biasprm[servos]
    model.actuator_biasprm[servos, 2] = derived.ratios[servos]
    mujoco.mj_setConst(model, data)
    model.actuator_gainprm[servos] *= strength
    model.actuator_biasprm[servos] *= strength
