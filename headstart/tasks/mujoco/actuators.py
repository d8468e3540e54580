"""The strength and the name of a MuJoCo actuator: which numbers of the model scale its force.

A motor's force is gain · control, and gear transmits it to the joint: its strength is its gear. A servo's force depends
on the joint's position and speed too (`bias`), and gear also scales those: a servo of twice the gear holds half the
angle. Its strength is therefore the whole force curve: gain, bias and the range that limits the force.
"""

from typing import Any, NamedTuple

import numpy as np

from headstart.tasks.mujoco.bindings import Model, mujoco

Numbers = dict[str, np.ndarray]
Fields = dict[str, Any]

SCALAR = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT, mujoco.mjtTrn.mjTRN_TENDON)
TARGETS = {  # transmission -> what it acts on
    mujoco.mjtTrn.mjTRN_JOINT: "joint",
    mujoco.mjtTrn.mjTRN_JOINTINPARENT: "joint",
    mujoco.mjtTrn.mjTRN_TENDON: "tendon",
    mujoco.mjtTrn.mjTRN_SITE: "site",
    mujoco.mjtTrn.mjTRN_SLIDERCRANK: "site",
    mujoco.mjtTrn.mjTRN_BODY: "body",
}
ONE_AXIS = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
PEAK, SCALE = 2, 3  # of a muscle's parameters: peak force, and the scale that gives it if that is negative


class Actuator(NamedTuple):
    """What parameters need to know of one actuator."""

    name: str
    motor: bool  # its gear is its strength
    geared: bool  # its gear is one number, which is its force at control 1
    unit: str  # of that force


def actuators(model: Model) -> list[Actuator]:
    """Returns the model's actuators in order. Unnamed ones are named after what they move, or by their number."""
    names = [model.actuator(i).name or _target_name(model, i) for i in range(model.nu)]
    return [
        Actuator(
            name if name and names.count(name) == 1 else model.actuator(i).name or f"actuator{i}",
            _is_motor(model, i),
            _is_geared(model, i),
            "N·m" if _turns(model, i) else "N",
        )
        for i, name in enumerate(names)
    ]


def strengths(model: Model) -> Numbers:
    """Returns the fields that hold strength, [actuator n] each; those of servos only if the model has one."""
    fields = {"actuator_gear": model.actuator_gear.copy()}
    if not all(_is_motor(model, i) for i in range(model.nu)):
        for name in ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange"):
            fields[name] = getattr(model, name).copy()
    return fields


def scaled(model: Model) -> Numbers:
    """Returns which entries of `strengths` scale with an actuator's strength, as booleans."""
    scales = {name: np.zeros(array.shape, bool) for name, array in strengths(model).items()}
    for i in range(model.nu):
        if _is_motor(model, i):
            scales["actuator_gear"][i] = True
        else:
            scales["actuator_gainprm"][i] = _force_entries(int(model.actuator_gaintype[i]), model.actuator_gainprm[i])
            scales["actuator_biasprm"][i] = _force_entries(int(model.actuator_biastype[i]), model.actuator_biasprm[i])
            scales["actuator_forcerange"][i] = True
    return scales


def can_be_scaled(model: Model) -> bool:
    """Returns whether the model defines every actuator's force, without plugins or user functions."""
    is_defined = (model.actuator_gaintype != mujoco.mjtGain.mjGAIN_USER) & (
        model.actuator_biastype != mujoco.mjtBias.mjBIAS_USER
    )
    return bool(is_defined.all() and (model.actuator_plugin < 0).all())


def _force_entries(kind: int, numbers: np.ndarray) -> np.ndarray:
    """Returns the parameters of a gain, or of a bias, that the force is proportional to.

    Both number their kinds alike from `affine` on. A fixed gain is its first number, and no bias is 0.
    """
    entries = np.zeros(len(numbers), bool)
    if kind == mujoco.mjtGain.mjGAIN_MUSCLE:
        entries[PEAK if numbers[PEAK] >= 0 else SCALE] = True
    else:
        entries[:3] = True
    return entries


def _is_motor(model: Model, i: int) -> bool:
    fixed_gain = model.actuator_gaintype[i] == mujoco.mjtGain.mjGAIN_FIXED
    unbiased = model.actuator_biastype[i] == mujoco.mjtBias.mjBIAS_NONE
    return bool(fixed_gain and unbiased and model.actuator_trntype[i] != mujoco.mjtTrn.mjTRN_BODY)


def _is_geared(model: Model, i: int) -> bool:
    kind, joint = model.actuator_trntype[i], model.actuator_trnid[i, 0]
    one_number = kind in SCALAR and (TARGETS[kind] != "joint" or model.jnt_type[joint] in ONE_AXIS)
    return bool(_is_motor(model, i) and one_number and model.actuator_gainprm[i, 0] == 1.0)


def _turns(model: Model, i: int) -> bool:
    of_joint = TARGETS.get(model.actuator_trntype[i]) == "joint"
    return bool(of_joint and model.jnt_type[model.actuator_trnid[i, 0]] == mujoco.mjtJoint.mjJNT_HINGE)


def _target_name(model: Model, i: int) -> str:
    kind = TARGETS.get(model.actuator_trntype[i])
    return getattr(model, kind)(model.actuator_trnid[i, 0]).name if kind else ""
