"""A MuJoCo model with a changed number equals one that was compiled with that number, or the number is refused."""

import copy
import re
from typing import Any

import numpy as np
import pytest
from mjcf import SPEC, XML, assert_equal, compiled, nominal

from headstart.core.errors import InputError
from headstart.tasks.host.models import Fields
from headstart.tasks.mujoco.bindings import mujoco

LIMITED = {"jnt_range": (-0.1, 0.3), "jnt_actfrcrange": (-2, 3), "tendon_range": (-1, 2)}
LIMITED |= {"actuator_ctrlrange": (-0.5, 0.4), "actuator_forcerange": (-3, 2), "actuator_actrange": (-0.5, 0.4)}


def put(values: dict[str, float], before: Any = ()) -> Any:
    fields = Fields(nominal)
    for name in {*values, *before}:
        if name not in fields._by_name:
            fields.find(name)
    model = copy.copy(nominal)
    if before:
        fields.set_values(model, before)
        fields.set_values(model, values, before)
    else:
        fields.set_values(model, values)
    assert not fields.not_kept(model, values)
    return model


ONES = {
    "body_pos[arm][0]": 0.3,
    "body_pos[own][2]": 1.4,
    "body_pos[globe][0]": 2.4,
    "body_pos[post][1]": 0.4,
    "body_ipos[own][1]": 0.07,
    "body_gravcomp[hand]": 0.7,
    "geom_size[ball][0]": 0.2,
    "geom_size[rod][0]": 0.06,
    "geom_size[rod][1]": 0.2,
    "geom_size[box][0]": 0.08,
    "geom_size[box][2]": 0.06,
    "geom_size[egg][1]": 0.07,
    "geom_size[drum][0]": 0.2,
    "geom_size[can][1]": 0.3,
    "geom_size[step][2]": 0.2,
    "geom_size[floor][0]": 7.0,
    "geom_size[disc][0]": 0.2,
    "geom_pos[drum][2]": 0.1,
    "geom_pos[step][0]": 1.5,
    "geom_friction[ball][1]": 0.02,
    "geom_solref[ball][0]": 0.04,
    "geom_solimp[box][1]": 0.9,
    "geom_solmix[box]": 2.0,
    "geom_margin[box]": 0.05,
    "geom_gap[egg]": 0.01,
    "jnt_stiffness[hinge]": 4.0,
    "jnt_margin[slide]": 0.01,
    "jnt_solref[slide][0]": 0.05,
    "jnt_solimp[slide][0]": 0.8,
    "jnt_pos[turn][0]": 0.3,
    "dof_damping[socket]": 0.4,
    "dof_damping[root]": 0.4,
    "dof_armature[slide]": 0.4,
    "dof_frictionloss[hinge]": 0.4,
    "dof_solref[socket][0]": 0.05,
    "dof_solimp[turn][1]": 0.97,
    "site_pos[o][0]": 0.3,
    "site_pos[t][1]": 0.3,
    "site_size[s][0]": 0.02,
    "tendon_stiffness[rope]": 4.0,
    "tendon_damping[gear]": 4.0,
    "tendon_frictionloss[gear]": 4.0,
    "tendon_margin[rope]": 0.1,
    "tendon_solref_lim[rope][0]": 0.05,
    "tendon_solimp_lim[rope][0]": 0.8,
    "tendon_solref_fri[rope][0]": 0.05,
    "tendon_solimp_fri[rope][0]": 0.8,
    "actuator_gear[mot][0]": 5.0,
    "actuator_gear[thr][2]": 5.0,
    "actuator_gainprm[pos][0]": 20.0,
    "actuator_biasprm[gen][1]": -3.0,
    "actuator_dynprm[gen][0]": 0.3,
    "pair_friction[0][0]": 0.3,
    "pair_solref[0][0]": 0.04,
    "pair_solimp[0][0]": 0.8,
    "pair_margin[0]": 0.1,
    "pair_gap[0]": 0.05,
    "eq_solref[w][0]": 0.05,
    "eq_solimp[c][0]": 0.8,
    "eq_data[j][1]": 2.0,
    "cam_pos[eye][2]": 2.0,
    "cam_fovy[eye]": 60.0,
}


@pytest.mark.parametrize(("name", "value"), ONES.items())
def test_changed_number_equals_a_compiled_one(name: str, value: float):
    element = name.partition("[")[2].partition("]")[0]
    number = (
        name if element.isdigit() or not name.startswith("eq_") else name.replace(element, str("wcj".index(element)))
    )
    assert_equal(put({name: value}), compiled({number: value}))
    assert_equal(put({}, {name: value}), nominal)  # and nothing of it is left


@pytest.mark.parametrize("field", LIMITED)
def test_a_range_that_is_set_is_a_limit(field: str):
    element = {"jnt": "hinge", "tendon": "rope", "actuator": "gen"}[field.partition("_")[0]]
    values = {f"{field}[{element}][{i}]": float(x) for i, x in enumerate(LIMITED[field])}
    if field == "jnt_range":  # the compiler reads degrees
        fields = put(values)
        assert fields.jnt_limited[1] == 1
        np.testing.assert_allclose(fields.jnt_range[1], LIMITED[field])
        assert_equal(fields, compiled({name: float(np.rad2deg(x)) for name, x in values.items()}))
    else:
        assert_equal(put(values), compiled(values))
    assert_equal(put({}, values), nominal)
    with pytest.raises(ValueError, match="instead of upwards"):
        put({f"{field}[{element}][0]": 5.0})


def test_springs_have_the_given_rest_position():
    degrees = {"qpos_spring[7]": float(np.rad2deg(0.3))}  # which is what the compiler reads
    assert_equal(put({"qpos_spring[7]": 0.3}), compiled(degrees))
    lengths = {"tendon_lengthspring[rope][0]": 0.1, "tendon_lengthspring[rope][1]": 0.5}
    assert_equal(put(lengths), compiled(lengths))
    both = {**lengths, "site_pos[t][1]": 0.3}  # the others rest where the model does
    assert_equal(put(both), compiled(both))


def test_descriptions_say_what_follows_from_a_size():
    fields = Fields(nominal)
    consequences = {
        "geom_size[ball][0]": "its bounds and inertia follow, its mass stays 1 kg",
        "geom_size[box][0]": "its bounds, mass and inertia follow, its density stays 500 kg/m³",
        "geom_size[drum][0]": "its bounds follow, mass and inertia stay",
        "geom_size[step][0]": "its bounds follow, mass and inertia stay",
    }
    descriptions = {name: fields.find(name) for name in consequences}
    assert {name: p and p.description for name, p in descriptions.items()} == {
        name: f"geom_size of MuJoCo's model; {what}" for name, what in consequences.items()
    }


def test_frames_are_turned_by_a_complete_quaternion():
    half = float(np.sqrt(0.5))
    for element in ("body_quat[arm]", "geom_quat[drum]", "site_quat[o]"):
        values = {f"{element}[{i}]": x for i, x in enumerate((half, 0.0, half, 0.0))}
        spec = mujoco.MjSpec.from_string(XML)
        kind, name = re.fullmatch(r"(\w+)_quat\[(\w+)\]", element).groups()  # pyright: ignore[reportOptionalMemberAccess]
        next(x for x in getattr(spec, SPEC[kind]) if x.name == name).quat = (half, 0.0, half, 0.0)
        assert_equal(put(values), spec.compile())
    with pytest.raises(ValueError, match=re.escape("body_quat[2] has length 1.04403 instead of 1; give all of")):
        put({"body_quat[arm][1]": 0.3})


@pytest.mark.parametrize("parameter", ["own_mass", "body_mass[own]"])
def test_inertia_scales_with_a_mass(parameter: str):
    spec = mujoco.MjSpec.from_string(XML)
    body = next(b for b in spec.bodies if b.name == "own")
    body.mass, body.inertia = 3.0, np.full(3, 0.15)
    assert_equal(put({parameter: 3.0}), spec.compile())


def test_damping_of_a_servo_with_a_damping_ratio_follows_the_mass():
    spec = mujoco.MjSpec.from_string(XML)
    for geom in spec.geoms:
        geom.density = 1000.0  # half as much before
    next(g for g in spec.geoms if g.name == "ball").mass = 2.0
    own = next(b for b in spec.bodies if b.name == "own")
    own.mass, own.inertia = 4.0, np.full(3, 0.2)
    model = spec.compile()
    assert_equal(put({"mass": 2.0}), model)
    np.testing.assert_allclose(put({"mass": 2.0, "power": 3.0}).actuator_biasprm[2], model.actuator_biasprm[2] * 3)


def test_sizes_and_masses_go_together():
    spec = mujoco.MjSpec.from_string(XML)
    rod = next(g for g in spec.geoms if g.name == "rod")
    rod.size, rod.density = (0.06, 0.13, 0), 1000.0
    fields, there = put({"geom_size[rod][0]": 0.06, "mass": 2.0}), spec.compile()
    np.testing.assert_allclose(fields.body_inertia[2], there.body_inertia[2], rtol=1e-9)
    assert fields.body_mass[2] == pytest.approx(there.body_mass[2])
    with pytest.raises(ValueError, match="the size of a geom of arm and arm_mass set the same number"):
        put({"geom_size[rod][0]": 0.06, "arm_mass": 2.0})
    fields = put({"geom_size[drum][0]": 0.2, "own_mass": 4.0})  # which has an inertia of its own
    assert (fields.geom_rbound[6], fields.body_mass[4]) == (pytest.approx(np.hypot(0.2, 0.2)), 4.0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("geom_rbound[ball]", "MuJoCo derives it from other numbers"),
        ("body_subtreemass[arm]", "MuJoCo derives it from other numbers"),
        ("dof_M0[0]", "MuJoCo derives it from other numbers"),
        ("qpos0[7]", "MuJoCo derives it from other numbers"),
        ("body_pos[base][2]", "the body moves freely"),
        ("body_ipos[globe][0]", "compiler has simplified"),
        ("geom_pos[box][0]", "its body's inertia was derived from its geoms where they are"),
        ("geom_size[ball][1]", "a geom of its type has no such size"),
        ("geom_friction[disc][0]", "the geom is in a contact pair, which has its own: pair_friction[…]"),
        ("jnt_pos[socket][0]", "compiler has simplified"),
        ("jnt_range[root][0]", "a free joint has none"),
        ("qpos_spring[0]", "only hinges and slides"),
        ("eq_data[w][0]", "only the polynomials"),
        ("actuator_actrange[mot][0]", "the actuator has no activation"),
        ("body_mass[world]", "the body has no mass"),
    ],
)
def test_a_number_that_cannot_be_set_is_refused(name: str, reason: str):
    with pytest.raises(InputError, match=rf"^{re.escape(name)} cannot be set: .*{re.escape(reason)}"):
        Fields(nominal).find(name)


def test_impossible_bodies_are_refused():
    with pytest.raises(ValueError, match=r"body_inertia\[4\] is impossible: its largest number exceeds"):
        put({"body_inertia[own][0]": 9.0})
    with pytest.raises(ValueError, match=r"geom_size\[1\] is .* instead of above 0"):
        put({"geom_size[step][0]": -0.1})
    heavy = XML.replace('mass="1"/>', 'mass=".12345678"/>')
    fields = Fields(mujoco.MjModel.from_xml_string(heavy))
    fields.find("geom_size[ball][0]")
    with pytest.raises(ValueError, match=r"whether its mass .* or its density .* was given is unknown"):
        fields.set_values(mujoco.MjModel.from_xml_string(heavy), {"geom_size[ball][0]": 0.2})
