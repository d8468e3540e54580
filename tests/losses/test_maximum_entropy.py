"""Maximum-entropy targets and losses, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.losses.maximum_entropy import soft_policy_loss, soft_target, temperature_loss


def f(x: float):
    return jnp.float32(x)


def test_a_target_includes_the_next_value_and_its_entropy():
    # 1 + 0.5 (4 − 0.2 · (−3))
    assert float(soft_target(f(1), f(0.5), f(4), f(-3), f(0.2))) == pytest.approx(3.3)


def test_beyond_an_end_nothing_counts():
    assert float(soft_target(f(1), f(0), f(np.nan), f(np.nan), f(0.2))) == 1.0


def test_a_policy_pays_for_certainty():
    assert float(soft_policy_loss(f(4), f(2), f(0.5))) == -3.0


def test_the_temperature_rises_where_entropy_is_below_its_target():
    loss, slope = jax.value_and_grad(temperature_loss)(f(0.5), f(2), -1.0)  # entropy −2, wanted −1
    assert float(loss) == pytest.approx(-0.5 * (2 - 1))
    assert float(slope) == pytest.approx(-1.0)  # so that descent raises log α
    assert float(jax.grad(temperature_loss, argnums=1)(f(0.5), f(2), -1.0)) == 0.0
