"""A MuJoCo model with one of everything, and what its compiler makes of it with other numbers."""

import re
from typing import Any

import numpy as np

from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.mujoco.shapes import rotation

XML = """<mujoco><default><geom density="500"/></default>
<worldbody><geom name="floor" type="plane" size="5 5 .1"/><geom name="step" type="box" size=".5 .5 .1" pos="2 2 0"/>
<camera name="eye" pos="0 -3 1"/>
<body name="base" pos="0 0 1"><freejoint name="root"/><geom name="ball" type="sphere" size=".1" mass="1"/>
  <site name="s" pos="0 0 .1"/><site name="o"/>
  <body name="arm" pos=".2 0 0"><joint name="hinge" axis="0 1 0" damping=".1"/>
    <geom name="rod" type="capsule" pos=".15 0 0" size=".04 .13"/><site name="t" pos=".3 0 0"/>
    <body name="hand" pos=".4 0 0"><joint name="slide" type="slide" axis="1 0 0" range="0 .2" stiffness="3"/>
      <geom name="box" type="box" size=".05 .04 .03"/>
      <geom name="egg" type="ellipsoid" pos=".1 0 0" size=".05 .04 .03"/>
    </body>
  </body>
</body>
<body name="own" pos="1 0 1"><joint name="turn" axis="0 1 0" pos=".1 0 0"/>
  <inertial pos=".1 0 0" mass="2" diaginertia=".1 .1 .1"/>
  <geom name="drum" type="cylinder" size=".1 .2"/><site name="u" pos="0 0 .1"/></body>
<body name="globe" pos="2 0 1" gravcomp=".5"><joint name="socket" type="ball"/>
  <geom name="can" type="cylinder" size=".1 .2"/>
</body>
<body name="post" pos="3 0 1"><geom name="wood" type="box" size=".1 .2 .3"/></body>
<body name="puck" pos="4 0 1"><joint name="drop" type="slide" axis="0 0 1"/><geom name="disc" size=".1"/></body>
</worldbody>
<contact><pair name="p" geom1="floor" geom2="disc"/></contact>
<equality><weld name="w" body1="globe" body2="own" active="false"/>
<connect name="c" body1="globe" body2="own" anchor="0 0 .1" active="false"/>
<joint name="j" joint1="hinge" joint2="turn" active="false"/></equality>
<tendon><spatial name="rope" stiffness="2"><site site="u"/><site site="t"/></spatial>
<fixed name="gear"><joint joint="hinge" coef="1"/><joint joint="turn" coef="2"/></fixed></tendon>
<actuator><motor name="mot" joint="hinge" gear="3"/><position name="pos" joint="turn" kp="10" kv="2"/>
<position name="pd" joint="slide" kp="10" dampratio="1"/><motor name="thr" site="s" gear="0 0 1 0 0 0"/>
<general name="gen" tendon="gear" gainprm="2" biastype="affine" biasprm="1 -2 0" dyntype="filter" dynprm=".1"/>
</actuator>
</mujoco>"""
SPEC = {"jnt": "joints", "dof": "joints", "body": "bodies", "geom": "geoms", "site": "sites", "tendon": "tendons"}
SPEC |= {"actuator": "actuators", "pair": "pairs", "eq": "equalities", "cam": "cameras", "qpos": "joints"}
ATTRIBUTES = {  # of MjSpec, where they have another name
    "jnt_solref": "solref_limit",
    "jnt_solimp": "solimp_limit",
    "dof_solref": "solref_friction",
    "dof_solimp": "solimp_friction",
    "tendon_solref_lim": "solref_limit",
    "tendon_solimp_lim": "solimp_limit",
    "tendon_solref_fri": "solref_friction",
    "tendon_solimp_fri": "solimp_friction",
    "tendon_lengthspring": "springlength",
    "qpos_spring": "springref",
}
DRAWN = {"stat.extent", "stat.center", "stat.meansize", "stat.meanmass"}  # what only the viewer asks for
LOOSE = {"body_sameframe", "geom_sameframe", "site_sameframe", *DRAWN}  # shortcuts that need not be taken
LOOSE |= {"ngravcomp"}  # of which MuJoCo asks only whether it is 0
nominal: Any = mujoco.MjModel.from_xml_string(XML)


def arrays(model: Any) -> dict[str, np.ndarray]:
    arrays = {name: np.array(getattr(model, name)) for name in dir(model) if not name.startswith("_")}
    arrays |= {f"stat.{name}": np.array(getattr(model.stat, name)) for name in ("meaninertia", "extent")}
    return {name: value for name, value in arrays.items() if value.dtype.kind in "fiub"}


def inertias(model: Any) -> np.ndarray:
    """Returns [body 3 3] inertias in the frames of their bodies."""
    turns = np.stack([rotation(quaternion) for quaternion in model.body_iquat])
    return np.einsum("bij,bj,bkj->bik", turns, model.body_inertia, turns)


def assert_equal(model: Any, compiled: Any) -> None:
    ours, named_otherwise = arrays(model), set()
    np.testing.assert_allclose(inertias(model), inertias(compiled), rtol=1e-7, atol=1e-9)
    if not np.allclose(model.body_iquat, compiled.body_iquat, rtol=0, atol=1e-9):  # the same axes in another order
        named_otherwise = {"body_iquat", "body_inertia", "bvh_aabb"}
    for name, theirs in arrays(compiled).items():
        if name not in LOOSE | named_otherwise:
            np.testing.assert_allclose(ours[name], theirs, rtol=1e-7, atol=1e-9, err_msg=name)


def compiled(edits: dict[str, float]) -> Any:
    """Returns the model that MuJoCo compiles with these numbers."""
    spec = mujoco.MjSpec.from_string(XML)
    for name, value in edits.items():
        match = re.fullmatch(r"([a-z]+)_(\w+)\[(\w+)\](?:\[(\d)\])?", name)
        assert match
        kind, rest, element, column = match.groups()
        listed = getattr(spec, SPEC[kind])
        if kind == "qpos":
            element = next(j for j in range(nominal.njnt) if nominal.jnt_qposadr[j] == int(element))
            element = nominal.joint(element).name
        one = listed[int(element)] if str(element).isdigit() else next(x for x in listed if x.name == element)
        attribute = ATTRIBUTES.get(f"{kind}_{rest}", rest)
        if column is None:
            setattr(one, attribute, value)
        else:
            array = np.array(getattr(one, attribute), float)
            row = getattr(nominal, f"{kind}_{rest}")
            array = np.where(np.isnan(array), row[int(element) if str(element).isdigit() else 0, : array.size], array)
            array[int(column)] = value
            setattr(one, attribute, array)
    return spec.compile()
