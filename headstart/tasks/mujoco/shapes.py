"""What depends on the size of a geom besides its shape: its bounds, and the mass and inertia of its body.

MuJoCo's compiler computes a body's inertia from its geoms, each of a given density or mass, unless the body has an
inertia of its own. The model no longer says which, so it is inferred: if the inertia can be explained by the body's
geoms, it was computed from them, and of density and mass the round number was given. The compiler itself measures
shapes.
"""

import functools
from typing import NamedTuple

import numpy as np

from headstart.tasks.mujoco.bindings import Model, mujoco

SIZES = {  # the number of sizes of a geom of this type
    int(mujoco.mjtGeom.mjGEOM_SPHERE): 1,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): 2,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): 2,
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): 3,
    int(mujoco.mjtGeom.mjGEOM_BOX): 3,
}
DEFAULT = 1000.0  # kg/m³, of the compiler
CLOSE = 1e-9  # relative difference of equal numbers that were computed in different orders


class Shape(NamedTuple):
    """What the compiler derives for one geom."""

    volume: float  # m³
    inertia: np.ndarray  # [3 3] of 1 kg about its centre, in its own frame
    radius: float  # of a sphere around its centre that contains it
    box: np.ndarray  # [6] that contains it: centre, half sizes


class Inertia(NamedTuple):
    """The inertia of a body, in the body's frame."""

    mass: float
    centre: np.ndarray
    tensor: np.ndarray  # [3 3] about the centre


@functools.lru_cache(maxsize=4096)
def shape(kind: int, size: tuple[float, ...]) -> Shape:
    """Returns what the compiler derives for a geom of this type and size."""
    spec = mujoco.MjSpec()
    spec.worldbody.add_body().add_geom(type=mujoco.mjtGeom(kind), size=size, density=1.0)
    model = spec.compile()
    volume = float(model.body_mass[1])
    rotation_matrix = rotation(model.body_iquat[1])
    inertia = rotation_matrix @ np.diag(model.body_inertia[1]) @ rotation_matrix.T / volume
    return Shape(volume, inertia, float(model.geom_rbound[0]), model.geom_aabb[0].copy())


def shape_of(model: Model, geom: int) -> Shape:
    """Returns the shape of a model's geom."""
    kind = int(model.geom_type[geom])
    return shape(kind, tuple(model.geom_size[geom, : SIZES[kind]].tolist()) + (0.0,) * (3 - SIZES[kind]))


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """Returns the rotation matrix [3 3] of a quaternion."""
    flat_matrix = np.zeros(9)
    mujoco.mju_quat2Mat(flat_matrix, quaternion)
    return flat_matrix.reshape(3, 3)


def masses(model: Model, body: int) -> dict[int, float] | None:
    """Returns the mass of each geom of a body as the compiler had it; None if the body has an inertia of its own.

    Raises ValueError if it is unknown, because a geom is a mesh.
    """
    geoms = np.flatnonzero(model.geom_bodyid == body).tolist()
    if any(int(model.geom_type[g]) not in SIZES for g in geoms):
        raise ValueError("a mesh is part of its body, whose inertia with another size is unknown")
    rotation_matrix = rotation(model.body_iquat[body])
    tensor = rotation_matrix @ np.diag(model.body_inertia[body]) @ rotation_matrix.T
    body_moments = _moments(Inertia(float(model.body_mass[body]), model.body_ipos[body], tensor))
    geom_moments = np.stack([_moments(_of_geom(model, g, 1.0)) for g in geoms], -1)
    geom_masses, *_ = np.linalg.lstsq(geom_moments, body_moments, rcond=None)
    is_explained = (
        np.abs(geom_moments @ geom_masses - body_moments).max() <= CLOSE * np.abs(body_moments).max()
        and (geom_masses >= -CLOSE).all()
    )
    return dict(zip(geoms, geom_masses.tolist(), strict=True)) if is_explained else None


def resized(nominal: Model, model: Model, body: int, weights: dict[int, float]) -> Inertia:
    """Returns a body's inertia with the sizes of `model`, if its geoms have the masses `weights` in the nominal one.

    A resized geom keeps its density, or its mass, whichever was given. Raises ValueError if that is unknown.
    """
    inertias = []
    for geom, mass in weights.items():
        old_shape, new_shape = shape_of(nominal, geom), shape_of(model, geom)
        if (nominal.geom_size[geom] != model.geom_size[geom]).any() and mass > CLOSE:
            mass *= 1.0 if density(nominal, geom, weights) is None else new_shape.volume / old_shape.volume
        inertias.append(_of_geom(model, geom, mass))
    mass = sum(part.mass for part in inertias)
    centre = sum(part.mass * part.centre for part in inertias) / mass
    tensor = sum(part.tensor + part.mass * _parallel_axis(part.centre - centre) for part in inertias)
    return Inertia(mass, np.asarray(centre), np.asarray(tensor))


def density(model: Model, geom: int, weights: dict[int, float]) -> float | None:
    """Returns the density that a geom was given, kg/m³; None if its mass was given.

    If both are round, it is the density if another geom of the body has the same or it is the compiler's default.
    Raises ValueError if it is unknown.
    """
    densities = {g: mass / shape_of(model, g).volume for g, mass in weights.items() if mass > CLOSE}
    density_of_geom, mass = densities[geom], weights[geom]
    round_densities = [x for g, x in densities.items() if is_round(x) and not is_round(weights[g])]
    if is_round(density_of_geom) and (
        not is_round(mass) or np.isclose(density_of_geom, [*round_densities, DEFAULT], rtol=CLOSE).any()
    ):
        return density_of_geom
    if is_round(mass) and not is_round(density_of_geom):
        return None
    raise ValueError(f"whether its mass ({mass:g} kg) or its density ({density_of_geom:g} kg/m³) was given is unknown")


def is_round(number: float) -> bool:
    """Returns whether a number has at most 5 digits, as numbers that people write."""
    return bool(abs(number - float(f"{number:.5g}")) <= CLOSE * abs(number))


def _of_geom(model: Model, geom: int, mass: float) -> Inertia:
    rotation_matrix = rotation(model.geom_quat[geom])
    return Inertia(
        mass, model.geom_pos[geom], mass * rotation_matrix @ shape_of(model, geom).inertia @ rotation_matrix.T
    )


def _moments(inertia: Inertia) -> np.ndarray:
    """Returns the ten numbers of an inertia that add up over the parts of a body."""
    tensor = inertia.tensor + inertia.mass * _parallel_axis(inertia.centre)
    return np.concatenate([[inertia.mass], inertia.mass * inertia.centre, tensor[np.triu_indices(3)]])


def _parallel_axis(offset: np.ndarray) -> np.ndarray:
    """Returns the inertia tensor [3 3] of a point mass of 1 kg at this offset."""
    return offset @ offset * np.eye(3) - np.outer(offset, offset)
