"""Distillation losses, by numbers that can be checked on paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.losses.distillation import GaussianOutput, Logits, agreement, distillation_loss

HALF, QUARTER = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75]))
WIDE = GaussianOutput(jnp.array([1.0, 0.0]), jnp.array([2.0, 1.0]), squashed=False)
PLAIN = GaussianOutput(jnp.array([0.0, 0.0]), jnp.array([1.0, 1.0]), squashed=False)


def test_choices_by_hand():
    expert, student = Logits(QUARTER), Logits(HALF + 7.0)  # what is added to all logits says nothing
    kl = 0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5)
    assert float(distillation_loss("kl", expert, student)) == pytest.approx(kl, rel=1e-5)
    assert float(distillation_loss("nll", expert, student)) == pytest.approx(np.log(2.0), rel=1e-5)
    assert float(distillation_loss("mse", Logits(jnp.array([1.0, 3.0])), Logits(jnp.array([2.0, 5.0])))) == 5.0
    for loss in ("kl", "mse"):
        assert float(distillation_loss(loss, expert, expert)) == pytest.approx(0.0, abs=1e-6)


def test_the_gradient_of_the_divergence_is_that_of_the_cross_entropy():
    cross = lambda logits: -(jnp.exp(QUARTER) * jax.nn.log_softmax(logits)).sum()
    divergence = lambda logits: distillation_loss("kl", Logits(QUARTER), Logits(logits))
    np.testing.assert_allclose(jax.grad(divergence)(HALF), jax.grad(cross)(HALF), rtol=1e-5)


def test_gaussians_by_hand():
    # first component: log(1 / 2) + (4 + 1) / 2 − 1 / 2; the second is the same in both
    assert float(distillation_loss("kl", WIDE, PLAIN)) == pytest.approx(2.0 - np.log(2.0), rel=1e-5)
    assert float(distillation_loss("nll", WIDE, PLAIN)) == pytest.approx(0.5 + np.log(2 * np.pi), rel=1e-5)
    assert float(distillation_loss("mse", WIDE, PLAIN)) == 1.0
    assert float(distillation_loss("kl", WIDE, WIDE)) == pytest.approx(0.0, abs=1e-6)


def test_agreement():
    assert float(agreement(Logits(QUARTER), Logits(jnp.array([0.0, 1.0])))) == 1.0
    assert float(agreement(Logits(QUARTER), Logits(jnp.array([1.0, 0.0])))) == 0.0
    assert float(agreement(WIDE, WIDE)) == 1.0
    assert float(agreement(WIDE, PLAIN)) == 0.0


@pytest.mark.parametrize("student", [Logits(HALF), PLAIN._replace(squashed=True)], ids=["choices", "squashed"])
def test_different_kinds_of_outputs_are_refused(student):
    with pytest.raises(InputError, match="cannot be compared"):
        distillation_loss("kl", WIDE, student)
