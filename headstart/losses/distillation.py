"""Losses of a student against its teacher, for discrete and Gaussian policies (arXiv:1511.06295, arXiv:1511.06342)."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.errors import InputError


class Logits(NamedTuple):
    """The output of a policy over discrete actions: the logits of its softmax."""

    logits: Float[Array, " choice"]


class GaussianOutput(NamedTuple):
    """The output of a policy over continuous actions: a Gaussian, which tanh may squash afterwards."""

    mean: Float[Array, " n"]
    std: Float[Array, " n"]
    squashed: bool


PolicyOutput = Logits | GaussianOutput
Loss = Literal["kl", "nll", "mse"]


def distillation_loss(loss: Loss, teacher: PolicyOutput, student: PolicyOutput) -> Float[Array, ""]:
    """Returns the loss of a student's output. Raises InputError if the teacher's output is of another kind."""
    if isinstance(teacher, Logits) and isinstance(student, Logits):
        discrete = {"kl": categorical_kl, "nll": categorical_nll, "mse": squared_error}
        return discrete[loss](teacher.logits, student.logits)
    if (
        isinstance(teacher, GaussianOutput)
        and isinstance(student, GaussianOutput)
        and teacher.squashed == student.squashed
    ):
        if loss == "kl":
            return gaussian_kl(teacher.mean, teacher.std, student.mean, student.std)
        if loss == "nll":
            return gaussian_nll(teacher.mean, student.mean, student.std)
        return squared_error(teacher.mean, student.mean)
    raise InputError("Teacher and student act in ways that cannot be compared; let both learn by PPO, or both by SAC.")


def agreement(teacher: PolicyOutput, student: PolicyOutput) -> Float[Array, ""]:
    """Returns 1 if both choose the same action, or continuous ones that differ by less than 0.1 in each component."""
    if isinstance(teacher, Logits) and isinstance(student, Logits):
        return (jnp.argmax(teacher.logits) == jnp.argmax(student.logits)).astype(jnp.float32)
    assert isinstance(teacher, GaussianOutput)
    assert isinstance(student, GaussianOutput)
    return (jnp.abs(teacher.mean - student.mean).max() < 0.1).astype(jnp.float32)


def categorical_kl(teacher: Float[Array, " choice"], student: Float[Array, " choice"]) -> Float[Array, ""]:
    """Returns KL(softmax(teacher) || softmax(student)) (1511.06295, equation 3, with values already divided by τ).

    Its gradient equals that of the cross-entropy (1511.06342, equation 3): the teacher's entropy is a constant.
    """
    log_p = jax.nn.log_softmax(teacher)
    return (jnp.exp(log_p) * (log_p - jax.nn.log_softmax(student))).sum()


def categorical_nll(teacher: Float[Array, " choice"], student: Float[Array, " choice"]) -> Float[Array, ""]:
    """Returns −log softmax(student) of the teacher's best action (1511.06295, equation 1)."""
    return -jax.nn.log_softmax(student)[jnp.argmax(teacher)]


def squared_error(teacher: Float[Array, " n"], student: Float[Array, " n"]) -> Float[Array, ""]:
    """Returns the squared distance of values or means (1511.06295, equation 2), or of features (1511.06342, eq. 4)."""
    return jnp.square(teacher - student).sum()


def gaussian_kl(
    mean: Float[Array, " n"], std: Float[Array, " n"], student_mean: Float[Array, " n"], student_std: Float[Array, " n"]
) -> Float[Array, ""]:
    """Returns KL(teacher || student) of two Gaussians with independent components."""
    ratio = jnp.square(std / student_std)
    distance = jnp.square((mean - student_mean) / student_std)
    return 0.5 * (ratio + distance - 1.0 - jnp.log(ratio)).sum()


def gaussian_nll(
    teacher_mean: Float[Array, " n"], student_mean: Float[Array, " n"], student_std: Float[Array, " n"]
) -> Float[Array, ""]:
    """Returns −log of the student's density at the teacher's mean action."""
    distance = jnp.square((teacher_mean - student_mean) / student_std)
    return 0.5 * (distance + jnp.log(2.0 * jnp.pi) + 2.0 * jnp.log(student_std)).sum()
