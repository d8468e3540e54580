"""Names of robots' observations and motors: by their joints and bodies, as in MuJoCo's XML files.

A leg that two robots share then has the same name in both (Hopper's is one of Walker2d's two), so that knowledge can be
copied between different bodies.
"""

from collections.abc import Callable
from typing import Any

from headstart.core.spaces import Component, components

Model = Any  # mujoco.MjModel
FREE, SLIDING = 0, 2  # mjtJoint
Names = Callable[[Model], tuple[Component, ...]]

TURN, SLIDE = ("rad", "rad/s"), ("m", "m/s")
SPATIAL = tuple(f"{kind}_{axis}" for kind in ("turn", "push") for axis in "xyz")  # MuJoCo's order of six
INERTIA = ("xx", "yy", "zz", "xy", "xz", "yz", "x", "y", "z", "mass")


def joints(hidden: int = 0, positions: int | None = None, velocities: int | None = None) -> Names:
    """Returns joint positions without the first `hidden`, then joint velocities; up to the given numbers of either."""

    def names(model: Model) -> tuple[Component, ...]:
        positions_of_model, speeds = _joints(model)
        return (*positions_of_model[hidden:positions], *speeds[:velocities])

    return names


def _joints(model: Model) -> tuple[list[Component], list[Component]]:
    """Returns the components of qpos and qvel."""
    positions_of_model, speeds = [], []
    for i in range(model.njnt):
        name = model.joint(i).name
        if model.jnt_type[i] == FREE:
            positions_of_model += [Component(f"{name}_{axis}", "m") for axis in "xyz"]
            positions_of_model += [Component(f"{name}_quaternion_{part}") for part in "wxyz"]
            speeds += [Component(f"{name}_{axis}_velocity", "m/s") for axis in "xyz"]
            speeds += [Component(f"{name}_{axis}_angular_velocity", "rad/s") for axis in "xyz"]
        else:
            slides = model.jnt_type[i] == SLIDING
            (unit, rate), kind = (SLIDE, "position") if slides else (TURN, "angle")
            positions_of_model.append(Component(f"{name}_{kind}", unit))
            speeds.append(Component(f"{name}_velocity", rate))
    return positions_of_model, speeds


def bodies(what: str, parts: tuple[str, ...], first: int = 1, last: int | None = None, unit: str = "") -> Names:
    """Returns `parts` of every body from `first` to before `last`; unnamed bodies have their number as name."""
    body_names = lambda model: [model.body(i).name or f"body_{i}" for i in range(model.nbody)][first:last]
    return lambda model: tuple(Component(f"{body}_{what}_{part}", unit) for body in body_names(model) for part in parts)


def forces(first: int) -> Names:
    """Returns the motors' forces on each degree of freedom from `first` on."""
    return lambda model: tuple(
        Component(f"{speed.name.removesuffix('_velocity')}_motor_force", "N·m") for speed in _joints(model)[1][first:]
    )


def fixed(*components: Component) -> Names:
    """Returns these components for every model."""
    return lambda model: components


def concatenated(*parts: Names) -> Names:
    """Returns the components of all parts, in order."""
    return lambda model: tuple(component for part in parts for component in part(model))


def motors(model: Model) -> tuple[Component, ...]:
    """Returns the components of the action: each motor is named after the joint that it moves."""
    return tuple(Component(f"{model.joint(model.actuator_trnid[i, 0]).name}_motor") for i in range(model.nu))


REACHER = fixed(
    *components("joint0_cos", "joint1_cos", "joint0_sin", "joint1_sin", "target_x_position m", "target_y_position m"),
    *components("joint0_velocity rad/s", "joint1_velocity rad/s", "tip_from_target_x m", "tip_from_target_y m"),
)
DOUBLE = fixed(
    *components("slider_position m", "hinge_sin", "hinge2_sin", "hinge_cos", "hinge2_cos"),
    *components("slider_velocity m/s", "hinge_velocity rad/s", "hinge2_velocity rad/s", "slider_constraint_force N"),
)
HUMANOID = concatenated(
    joints(2), bodies("inertia", INERTIA), bodies("velocity", SPATIAL), forces(6), bodies("contact", SPATIAL)
)
