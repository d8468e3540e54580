"""Our robots with other parameters equal, number by number, robots that MuJoCo compiles with them: in C and in MJX."""

import os
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from mjcf import assert_equal

from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.mujoco.env import NAMES
from headstart.tasks.mujoco.models import Models
from headstart.tasks.mujoco.physics import ASSETS, physics

GROUPS = {"mass": 1.25, "friction": 0.5, "damping": 2.0, "armature": 1.5, "power": 0.75}
WORLD = {"gravity": 5.0, "density": 3.0, "wind": 2.0}


def chosen(name: str) -> dict[str, float]:
    """Returns every group that the robot has, the world's numbers, and the last named parameter of each kind."""
    listed = [p.name for p in physics(name).table.listed]
    kinds = {p.rpartition("_")[2]: p for p in listed if "_" in p}  # mass, friction, damping, armature, gear
    single = {parameter: 2.0 for kind, parameter in kinds.items()}
    return {**{group: x for group, x in GROUPS.items() if group in listed}, **WORLD, **single}


def depth_first(body: Any) -> list[Any]:
    """Returns a body and all its descendants, in the order in which models number them."""
    return [body, *(each for child in body.bodies for each in depth_first(child))]


def compiled(name: str, values: dict[str, float]) -> Any:
    """Returns the robot as MuJoCo compiles it with these parameters."""
    nominal = physics(name).model
    spec = mujoco.MjSpec.from_file(os.path.join(ASSETS, physics(name).robot.xml))
    for geom in spec.geoms:
        geom.material = ""
    for paint in (*spec.materials, *spec.textures):
        spec.delete(paint) if hasattr(spec, "delete") else paint.delete()
    spec.compiler.inertiafromgeom, spec.compiler.settotalmass = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE, -1.0
    spec.option.gravity = (*nominal.opt.gravity[:2], -values["gravity"])
    spec.option.wind, spec.option.density = (values["wind"], *nominal.opt.wind[1:]), values["density"]
    spec.option.disableflags = nominal.opt.disableflags
    bodies = depth_first(spec.worldbody)
    for i, body in enumerate(bodies):
        mass = nominal.body_mass[i]
        if mass:
            body.explicitinertial, body.ipos, body.iquat = True, nominal.body_ipos[i], nominal.body_iquat[i]
            body.mass = values.get(f"{body.name or f'body{i}'}_mass", mass * values["mass"])
            body.inertia = nominal.body_inertia[i] * body.mass / mass
    for i, geom in enumerate(geom for body in bodies for geom in body.geoms):
        sliding = nominal.geom_friction[i, 0] * values["friction"]
        geom.friction = (values.get(f"{geom.name or f'geom{i}'}_friction", sliding), *nominal.geom_friction[i, 1:])
    for i, joint in enumerate(joint for body in bodies for joint in body.joints):
        for attribute in ("damping", "armature"):
            own = getattr(nominal, f"dof_{attribute}")[nominal.jnt_dofadr[i]] * values.get(attribute, 1.0)
            setattr(joint, attribute, values.get(f"{joint.name or f'joint{i}'}_{attribute}", own))
    for i, motor in enumerate(spec.actuators):
        own = nominal.actuator_gear[i, 0] * values["power"]
        motor.gear = (values.get(f"{motor.name or motor.target}_gear", own), *nominal.actuator_gear[i, 1:])
    return spec.compile()


def set_in_c(name: str, values: dict[str, float]) -> Any:
    models = Models(physics(name).model, physics(name).table, derive=True)
    (model,), _ = models.rows(tuple(values), np.array([list(values.values())], np.float32))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_robot_with_other_parameters_equals_a_compiled_one(name: str):
    values = chosen(name)
    assert_equal(set_in_c(name, values), compiled(name, values))


@pytest.mark.parametrize("name", ["Hopper-v5", "Ant-v5"])
def test_mjx_equals_a_compiled_robot_too(name: str):
    pytest.importorskip("mujoco.mjx")
    from headstart.tasks.mujoco.mjx import mjx_simulator, why_not

    values = chosen(name)
    if why_not(name, True):
        values = {parameter: x for parameter, x in values.items() if parameter not in ("density", "wind")}
    simulator: Any = mjx_simulator(name)
    in_mjx, in_c = simulator.with_parameters({key: jnp.asarray(x) for key, x in values.items()}), set_in_c(name, values)
    for field in ("body_mass", "body_inertia", "geom_friction", "dof_damping", "dof_armature", "actuator_gear"):
        np.testing.assert_allclose(getattr(in_mjx, field), getattr(in_c, field), rtol=1e-5, err_msg=field)
    for field in ("body_subtreemass", "dof_invweight0", "body_invweight0"):
        np.testing.assert_allclose(getattr(in_mjx, field), getattr(in_c, field), rtol=2e-3, atol=1e-5, err_msg=field)
    for field in WORLD:
        np.testing.assert_allclose(getattr(in_mjx.opt, field), getattr(in_c.opt, field), rtol=1e-6)
