"""The mean of a batch, by hand."""

import jax.numpy as jnp
import pytest

from headstart.losses.weighted import weighted_mean


def test_average_is_weighted_over_tasks_and_batch_together() -> None:
    each = {"loss": jnp.array([[1.0, 2.0], [3.0, 100.0]])}
    weight = jnp.array([[1.0, 0.5], [0.5, 0.0]])
    assert float(weighted_mean(each, weight)["loss"]) == pytest.approx((1.0 + 1.0 + 1.5) / 2.0)


def test_average_of_nothing_is_zero() -> None:
    assert float(weighted_mean({"loss": jnp.array([[7.0]])}, jnp.zeros((1, 1)))["loss"]) == 0.0
