"""Which numbers of a MuJoCo model can be set so that the model equals one that was compiled with them."""

from typing import Any

from headstart.tasks.mujoco import compiled, shapes
from headstart.tasks.mujoco.bindings import Model, mujoco

JOINTS = {"dof_damping", "dof_armature", "dof_frictionloss", "dof_solref", "dof_solimp", "jnt_stiffness", "jnt_range"}
JOINTS |= {"jnt_margin", "jnt_solref", "jnt_solimp", "jnt_actfrcrange", "jnt_pos", "jnt_axis", "qpos_spring"}
CONTACT = {"geom_friction", "geom_solref", "geom_solimp", "geom_solmix", "geom_margin", "geom_gap"}
GEOMS = CONTACT | {"geom_size", "geom_pos", "geom_quat"}
BODIES = {"body_mass", "body_inertia", "body_pos", "body_quat", "body_ipos", "body_gravcomp"}
SITES = {"site_pos", "site_quat", "site_size"}
TENDONS = {"tendon_stiffness", "tendon_damping", "tendon_frictionloss", "tendon_range", "tendon_margin"}
TENDONS |= {"tendon_solref_lim", "tendon_solimp_lim", "tendon_solref_fri", "tendon_solimp_fri", "tendon_lengthspring"}
ACTUATORS = {"actuator_gear", "actuator_gainprm", "actuator_biasprm", "actuator_dynprm", "actuator_cranklength"}
ACTUATORS |= {"actuator_ctrlrange", "actuator_forcerange", "actuator_actrange"}
OTHERS = {"pair_friction", "pair_solref", "pair_solreffriction", "pair_solimp", "pair_margin", "pair_gap"}
OTHERS |= {"eq_solref", "eq_solimp", "eq_data", "cam_pos", "cam_quat", "cam_fovy"}
OFFERED = JOINTS | GEOMS | BODIES | SITES | TENDONS | ACTUATORS | OTHERS

SIMPLE = "MuJoCo's compiler has simplified its body's inertia, which holds for the current frame only"
LENGTHS = {*compiled.GEOMETRY, "jnt_range"}
ONE_AXIS = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
LIKE_JOINTS = (mujoco.mjtEq.mjEQ_JOINT, mujoco.mjtEq.mjEQ_TENDON)


def why_not(model: Model, field: str, row: int, column: int | None) -> str | None:
    """Returns why a number of a field cannot be set; None if it can."""
    if field not in OFFERED:
        return "MuJoCo derives it from other numbers, or fixes it when it compiles"
    if field in LENGTHS and model.actuator_lengthrange.any():
        return "the length range of its muscles was fixed when the model was compiled"
    check: Any = {
        "body": _of_body,
        "geom": _of_geom,
        "jnt": _of_joint,
        "qpos": _of_spring,
        "actuator": _of_actuator,
        "eq": _of_equality,
    }.get(field.partition("_")[0])
    return None if check is None else check(model, field, row, column)


def about(model: Model, field: str, row: int) -> str:
    """Returns the description of such a parameter."""
    if field == "body_mass":
        return "body_mass of MuJoCo's model; its inertia scales with it"
    if field == "geom_size":
        return f"geom_size of MuJoCo's model; {_what_follows(model, row)}"
    flag = "; setting it enables the limit" if field in compiled.LIMITS else ""
    return f"{field} of MuJoCo's model{flag}"


def _what_follows(model: Model, geom: int) -> str:
    """Returns what else changes with the size of a geom."""
    try:
        weights = compiled.geom_masses(model, int(model.geom_bodyid[geom]))
        if weights is None or weights[geom] <= shapes.CLOSE:
            return "its bounds follow, mass and inertia stay"
        density = shapes.density(model, geom, weights)
    except ValueError as error:
        return str(error)
    if density is None:
        return f"its bounds and inertia follow, its mass stays {weights[geom]:g} kg"
    return f"its bounds, mass and inertia follow, its density stays {density:g} kg/m³"


def _of_body(model: Model, field: str, row: int, column: int | None) -> str | None:
    if field in ("body_mass", "body_inertia") and not model.body_mass[row]:
        return "the body has no mass"
    if field == "body_gravcomp" and not model.ngravcomp:
        return "the model was compiled without any"
    if field == "body_ipos" and model.body_simple[row]:
        return SIMPLE
    joints = [int(model.jnt_type[j]) for j in range(model.njnt) if model.jnt_bodyid[j] == row]
    if field in ("body_pos", "body_quat"):
        if int(mujoco.mjtJoint.mjJNT_FREE) in joints or model.body_mocapid[row] >= 0:
            return "the body moves freely, and its env sets where it starts"
        if row == 0:
            return "the world does not move"
    return None


def _of_geom(model: Model, field: str, row: int, column: int | None) -> str | None:
    if field in CONTACT and (row in model.pair_geom1 or row in model.pair_geom2):
        return f"the geom is in a contact pair, which has its own: pair_{field.partition('_')[2]}[…]"
    kind, body = int(model.geom_type[row]), int(model.geom_bodyid[row])
    if field == "geom_size" and kind != mujoco.mjtGeom.mjGEOM_PLANE:
        if kind not in shapes.SIZES:
            return "the size of its shape was fixed when the model was compiled"
        if column is not None and column >= shapes.SIZES[kind]:
            return "a geom of its type has no such size"
        if model.geom_fluid[row].any():
            return "the fluid forces on it were fixed when the model was compiled"
    if field in ("geom_pos", "geom_quat"):
        if kind == mujoco.mjtGeom.mjGEOM_MESH:
            return "the compiler chooses the frame of a mesh"
        try:
            if compiled.geom_masses(model, body) is not None:
                return "its body's inertia was derived from its geoms where they are"
        except ValueError as error:
            return str(error)
    return None


def _of_joint(model: Model, field: str, row: int, column: int | None) -> str | None:
    kind, body = model.jnt_type[row], model.jnt_bodyid[row]
    if field in ("jnt_pos", "jnt_axis") and model.body_simple[body]:
        return SIMPLE
    if kind == mujoco.mjtJoint.mjJNT_FREE and field in ("jnt_pos", "jnt_axis", "jnt_range"):
        return "a free joint has none"
    if kind == mujoco.mjtJoint.mjJNT_BALL and (field == "jnt_axis" or (field == "jnt_range" and column == 0)):
        return "a ball joint has none"
    return None


def _of_spring(model: Model, field: str, row: int, column: int | None) -> str | None:
    if row in [model.jnt_qposadr[j] for j in range(model.njnt) if model.jnt_type[j] in ONE_AXIS]:
        return None
    return "only hinges and slides have a single number for the rest position of their spring"


def _of_actuator(model: Model, field: str, row: int, column: int | None) -> str | None:
    if field == "actuator_actrange" and model.actuator_dyntype[row] == mujoco.mjtDyn.mjDYN_NONE:
        return "the actuator has no activation"
    if field == "actuator_gear" and model.actuator_lengthrange[row].any():
        return "the muscle's length range was fixed when the model was compiled"
    return None


def _of_equality(model: Model, field: str, row: int, column: int | None) -> str | None:
    if field == "eq_data" and not (model.eq_type[row] in LIKE_JOINTS and column is not None and column < 5):
        return "only the polynomials between joints or tendons can be set"
    return None
