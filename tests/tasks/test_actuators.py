"""Power multiplies the force of every kind of actuator, whatever the force depends on, and nothing else."""

import copy
from typing import Any

import numpy as np
import pytest

from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.mujoco.parameters import apply, table

XML = """<mujoco><worldbody><geom name="floor" type="plane" size="5 5 .1"/>
<body name="drone" pos="0 0 .05"><freejoint name="root"/><geom size=".1" mass="1"/><site name="s" pos=".1 0 0"/>
  <body name="arm"><joint name="elbow" axis="0 1 0" damping="1"/><geom size=".05" pos="0 0 .3" mass=".5"/>
  <site name="hand" pos="0 0 .3"/></body></body>
<body name="post" pos="1 0 1"><joint name="rail" type="slide" axis="0 0 1"/><geom size=".1" mass="1"/>
  <site name="top"/></body>
<body name="eye" pos="2 0 1"><joint name="socket" type="ball"/><geom size=".1" mass="1"/></body></worldbody>
<tendon><spatial name="rope"><site site="hand"/><site site="top"/></spatial></tendon>
<actuator>
  <motor joint="elbow" gear="3"/>
  <motor name="limited" joint="elbow" forcerange="-.2 .2" gear="2"/>
  <position name="held" joint="elbow" kp="10" kv="1"/>
  <position joint="rail" kp="10" forcerange="-.5 .5"/>
  <velocity joint="rail" kv="2"/>
  <intvelocity name="slow" joint="rail" kp="3" actrange="-1 1"/>
  <damper name="brake" joint="rail" kv="2" ctrlrange="0 1"/>
  <cylinder name="press" joint="rail" area=".1" bias="1 2 3"/>
  <muscle name="biceps" joint="elbow" lengthrange=".1 .9"/>
  <muscle name="triceps" joint="elbow" force="30" lengthrange=".1 .9"/>
  <general name="pull" tendon="rope" gainprm="2" biastype="affine" biasprm="1 -2 -.5"/>
  <motor tendon="rope" gear="2"/>
  <motor name="lift" site="s" gear="0 0 1 0 0 0"/>
  <motor name="spin" joint="socket" gear="0 1 0"/>
  <motor joint="root" gear="1 2 3 0 0 1"/>
  <adhesion name="glue" body="drone" gain="5" ctrlrange="0 1"/>
</actuator></mujoco>"""
NAMES = ["elbow", "limited", "held", "actuator3", "actuator4", "slow", "brake", "press", "biceps", "triceps", "pull"]
NAMES += ["rope", "lift", "spin", "root", "glue"]

nominal: Any = mujoco.MjModel.from_xml_string(XML)
known = table(nominal)


def forces(values: dict[str, float]) -> np.ndarray:
    """Returns [actuator dof] the force of each actuator, acting alone, in one state of the robot."""
    model = copy.copy(nominal)
    apply(model, known.fields(np, values))
    mujoco.mj_setConst(model, mujoco.MjData(model))
    data = mujoco.MjData(model)
    draw = np.random.default_rng(0)
    mujoco.mj_integratePos(model, data.qpos, 0.02 * draw.normal(size=model.nv), 1.0)
    data.qvel[:], data.ctrl[:], data.act[:] = draw.normal(size=model.nv), 0.7, 0.4
    mujoco.mj_forward(model, data)
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind)
    return moment * data.actuator_force[:, None]


def test_power_doubles_every_actuators_force():
    before, after = forces({}), forces({"power": 2.0})
    assert (np.abs(before).max(-1) > 1e-3).all()
    np.testing.assert_allclose(after, 2 * before, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("i", "name"), list(enumerate(NAMES)))
def test_power_of_one_actuator_leaves_the_others_unchanged(i: int, name: str):
    parameter = f"{name}_gear" if name in ("elbow", "limited", "rope") else f"{name}_power"
    times = known.named[parameter].parameter.nominal * 2
    before, after = forces({}), forces({parameter: times})
    np.testing.assert_allclose(after[i], 2 * before[i], rtol=1e-9, atol=1e-12)
    others = np.arange(nominal.nu) != i
    np.testing.assert_array_equal(after[others], before[others])
    np.testing.assert_allclose(forces({parameter: times, "power": 3.0})[i], after[i], rtol=1e-12)  # the group is first
    assert [p.name for p in known.listed if p.name.endswith(("_gear", "_power"))] == [
        f"{n}_gear" if n in ("elbow", "limited", "rope") else f"{n}_power" for n in NAMES
    ]


def test_stronger_servo_equals_the_servo_compiled_with_that_strength():
    compiled = mujoco.MjModel.from_xml_string(
        XML.replace('name="held" joint="elbow" kp="10" kv="1"', 'name="held" joint="elbow" kp="20" kv="2"')
    )
    model = copy.copy(nominal)
    apply(model, known.fields(np, {"held_power": 2.0}))
    for field in ("actuator_gainprm", "actuator_biasprm", "actuator_gear", "actuator_forcerange"):
        np.testing.assert_array_equal(getattr(model, field), getattr(compiled, field))


def test_friction_of_a_contact_pair_is_the_group_s():
    pair = '<contact><pair geom1="floor" geom2="ball" friction="1 1 .1 .1 .1"/></contact></mujoco>'
    floor = '<mujoco><worldbody><geom name="floor" type="plane" size="1 1 1"/>'
    ball = '<body><freejoint/><geom name="ball" size=".1"/></body></worldbody>'
    model: Any = mujoco.MjModel.from_xml_string(floor + ball + pair)
    fields = table(model).fields(np, {"friction": 0.5})
    np.testing.assert_allclose(fields["pair_friction"], [[0.5, 0.5, 0.1, 0.1, 0.1]])
    assert [p.name for p in table(model).listed if "friction" in p.name] == ["friction"]
