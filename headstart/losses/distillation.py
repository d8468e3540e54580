"""What a student loses by not doing as its expert: by choices, or by Gaussians (arXiv:1511.06295, arXiv:1511.06342)."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError


class Logits(NamedTuple):
    """What somebody thinks of choices: the softmax of it is what would be chosen."""

    logits: Float[Array, " choice"]


class GaussianOutput(NamedTuple):
    """What somebody would do in real numbers: a Gaussian, which may be squashed afterwards."""

    mean: Float[Array, " n"]
    std: Float[Array, " n"]
    squashed: bool


PolicyOutput = Logits | GaussianOutput
Loss = Literal["kl", "nll", "mse"]


def distillation_loss(loss: Loss, wanted: PolicyOutput, said: PolicyOutput) -> Float[Array, ""]:
    """Returns how far a student is from what is wanted of it. Raises InputError where the two are of unlike kinds."""
    if isinstance(wanted, Logits) and isinstance(said, Logits):
        of_choices = {"kl": categorical_kl, "nll": categorical_nll, "mse": squared_error}
        return of_choices[loss](wanted.logits, said.logits)
    if isinstance(wanted, GaussianOutput) and isinstance(said, GaussianOutput) and wanted.squashed == said.squashed:
        if loss == "kl":
            return gaussian_kl(wanted.mean, wanted.std, said.mean, said.std)
        if loss == "nll":
            return gaussian_nll(wanted.mean, said.mean, said.std)
        return squared_error(wanted.mean, said.mean)
    raise InputError("Expert and student act in ways that cannot be compared; let both learn by PPO, or both by SAC.")


def agreement(wanted: PolicyOutput, said: PolicyOutput) -> Float[Array, ""]:
    """Returns 1 where both choose the same; of real numbers, where the likeliest are less than a tenth apart."""
    if isinstance(wanted, Logits) and isinstance(said, Logits):
        return (jnp.argmax(wanted.logits) == jnp.argmax(said.logits)).astype(jnp.float32)
    assert isinstance(wanted, GaussianOutput)
    assert isinstance(said, GaussianOutput)
    return (jnp.abs(wanted.mean - said.mean).max() < 0.1).astype(jnp.float32)


def categorical_kl(teacher: Float[Array, " choice"], student: Float[Array, " choice"]) -> Float[Array, ""]:
    """Returns KL(softmax(teacher) || softmax(student)) (1511.06295, equation 3, of values divided by τ already).

    Its gradient is that of the cross-entropy (1511.06342, equation 3): the teacher's entropy is a constant.
    """
    wanted = jax.nn.log_softmax(teacher)
    return (jnp.exp(wanted) * (wanted - jax.nn.log_softmax(student))).sum()


def categorical_nll(teacher: Float[Array, " choice"], student: Float[Array, " choice"]) -> Float[Array, ""]:
    """Returns −log softmax(student) of the teacher's best choice (1511.06295, equation 1)."""
    return -jax.nn.log_softmax(student)[jnp.argmax(teacher)]


def squared_error(teacher: Float[Array, " n"], student: Float[Array, " n"]) -> Float[Array, ""]:
    """Returns the squared distance (1511.06295, equation 2, of values; of means; or 1511.06342, equation 4, of features)."""
    return jnp.square(teacher - student).sum()


def gaussian_kl(
    mean: Float[Array, " n"], std: Float[Array, " n"], student_mean: Float[Array, " n"], student_std: Float[Array, " n"]
) -> Float[Array, ""]:
    """Returns KL of two Gaussians whose components are independent, the teacher's first."""
    ratio = jnp.square(std / student_std)
    apart = jnp.square((mean - student_mean) / student_std)
    return 0.5 * (ratio + apart - 1.0 - jnp.log(ratio)).sum()


def gaussian_nll(
    wanted: Float[Array, " n"], student_mean: Float[Array, " n"], student_std: Float[Array, " n"]
) -> Float[Array, ""]:
    """Returns −log of the student's density at what the teacher does at best."""
    apart = jnp.square((wanted - student_mean) / student_std)
    return 0.5 * (apart + jnp.log(2.0 * jnp.pi) + 2.0 * jnp.log(student_std)).sum()
