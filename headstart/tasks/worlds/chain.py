"""The dynamics of a chain of n uniform rods in a plane, hinged end to end, by Lagrange's equations.

With θ the directions of the rods, q the angles of the hinges (θ is the cumulative sum of q) and φ' for dφ/dt, the
kinetic energy is ½ Σ_jk c_jk cos(θ_j - θ_k) θ'_j θ'_k + ½ armature Σ_j q'_j². The inertia c_jk is l_j l_k times the
mass that both rods move: all beyond rod k ≥ j, half of rod k itself, a third of it if j = k. So without torques Σ_k
c_jk (cos(θ_j - θ_k) θ''_k + sin(θ_j - θ_k) θ'_k²) = 0. A torque on a hinge turns all rods from there on.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.types import Record


class Chain(Record):
    """The constants of a chain."""

    lengths: Float[Array, " n"]  # m
    masses: Float[Array, " n"]  # kg, uniform along each rod
    payload: Float[Array, ""]  # kg, a point mass at the tip
    armature: Float[Array, ""]  # kg·m², inertia of each hinge's rotor
    damping: Float[Array, ""]  # N·m·s/rad, of each hinge


def ends(lengths: Float[Array, " n"], angles: Float[Array, " n"]) -> Float[Array, "n 2"]:
    """Returns the end point of each rod; the first rod begins at the origin."""
    directions = jnp.cumsum(angles)
    along = jnp.stack([jnp.cos(directions), jnp.sin(directions)], axis=-1)
    return jnp.cumsum(lengths[:, None] * along, axis=0)


def mass_matrix(chain: Chain, angles: Float[Array, " n"]) -> Float[Array, "n n"]:
    """Returns the mass matrix of the hinges: the kinetic energy is ½ q' · M q'."""
    cosines, _ = _cos_sin_differences(angles)
    return _to_hinges(_inertia(chain) * cosines) + chain.armature * jnp.eye(angles.shape[0])


def energy(chain: Chain, angles: Float[Array, " n"], speeds: Float[Array, " n"]) -> Float[Array, ""]:
    """Returns the kinetic energy, which is the total energy without gravity."""
    return 0.5 * (mass_matrix(chain, angles) * speeds[:, None] * speeds[None]).sum()


def accelerations(
    chain: Chain,
    angles: Float[Array, " n"],
    speeds: Float[Array, " n"],
    torques: Float[Array, " n"],
    dt: Array | float = 0.0,
) -> Float[Array, " n"]:
    """Returns the accelerations of the hinges now; with `dt`, their means over a step of that many seconds.

    In such a step, one speed of each product is the speed after the step, which keeps the equations linear (Kahan's
    method). Far less energy is lost or gained than in an explicit step, and strong damping cannot overshoot.
    """
    (cosines, sines), inertia, turns = _cos_sin_differences(angles), _inertia(chain), jnp.cumsum(speeds)
    swing = inertia * sines * turns[None]
    matrix = _to_hinges(inertia * cosines + dt * swing)
    matrix = matrix + (chain.armature + dt * chain.damping) * jnp.eye(angles.shape[0])
    return solve(matrix, torques - chain.damping * speeds - _reverse_cumsum((swing * turns[None]).sum(1)))


def solve(matrix: Float[Array, "n n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """Returns x of matrix · x = right, for a matrix whose symmetric part is positive definite, so without pivots.

    Gaussian elimination, number by number: under `vmap` each number is a vector over the batch, and XLA fuses the
    operations. LAPACK is called once per matrix, takes twice as long for 7 x 7, and has deadlocked with XLA's threads
    on a CPU. Slices of matrices, which XLA's fusions recompute, take as long as LAPACK.
    """
    n = right.shape[0]
    rows = [[matrix[i, j] for j in range(n)] + [right[i]] for i in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            share = rows[i][k] / rows[k][k]
            for j in range(k + 1, n + 1):
                rows[i][j] = rows[i][j] - share * rows[k][j]
    x: list[Array] = [right[0]] * n
    for k in reversed(range(n)):
        back_substituted = [rows[k][j] * x[j] for j in range(k + 1, n)]
        x[k] = (rows[k][n] - sum(back_substituted, jnp.zeros(()))) / rows[k][k]
    return jnp.stack(x)


def _inertia(chain: Chain) -> Float[Array, "n n"]:
    """Returns c_jk. It uses sums instead of matrix products, which a GPU would round to 10 bits."""
    masses, lengths = chain.masses, chain.lengths
    n = masses.shape[0]
    beyond = jnp.append(_reverse_cumsum(masses)[1:], 0.0) + chain.payload
    further = np.maximum.outer(np.arange(n), np.arange(n))
    return lengths[:, None] * lengths[None] * ((beyond + masses / 2)[further] - jnp.diag(masses / 6))


def _cos_sin_differences(angles: Float[Array, " n"]) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    """Returns cosines and sines of θ_j - θ_k, computed from those of θ, which are fewer."""
    directions = jnp.cumsum(angles)
    cos, sin = jnp.cos(directions), jnp.sin(directions)
    crossed = sin[:, None] * cos[None]
    return cos[:, None] * cos[None] + sin[:, None] * sin[None], crossed - crossed.T


def _to_hinges(of_rods: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Returns a quadratic form of the rods' speeds as one of the hinges' speeds."""
    return _reverse_cumsum(_reverse_cumsum(of_rods).T).T


def _reverse_cumsum(values: Float[Array, "n *rest"]) -> Float[Array, "n *rest"]:
    return jax.lax.cumsum(values, axis=0, reverse=True)
