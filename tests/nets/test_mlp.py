"""Fully connected networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.names import named
from headstart.nets.mlp import ACTIVATIONS, mlp, orthogonal


def test_a_layer_starts_orthogonal_with_its_gain_and_no_bias():
    wide, tall = (orthogonal(*sizes, 0.5, jax.random.key(0)) for sizes in ((5, 3), (3, 5)))
    np.testing.assert_allclose(wide.weight.T @ wide.weight, 0.25 * np.eye(3), atol=1e-6)
    np.testing.assert_allclose(tall.weight @ tall.weight.T, 0.25 * np.eye(3), atol=1e-6)
    assert wide.bias is not None
    assert not wide.bias.any()


@pytest.mark.parametrize("sizes", [(5, 3), (3, 5), (64, 64)], ids=str)
def test_orthogonal_weights_are_those_of_jax(sizes: tuple[int, int]):
    inputs, outputs = sizes
    theirs = jax.nn.initializers.orthogonal(0.5)(jax.random.key(3), (outputs, inputs))
    np.testing.assert_allclose(orthogonal(*sizes, 0.5, jax.random.key(3)).weight, theirs.T, atol=1e-5)


def test_nothing_is_left_to_lapack():
    """On two cores, jaxlib's QR of several seeds and layers at once deadlocks."""
    seeds = jax.random.split(jax.random.key(0), 2)
    program = jax.jit(jax.vmap(lambda key: mlp((3, 4, 2), 0.01, "tanh", key))).lower(seeds)
    assert "lapack" not in program.as_text()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_is_the_composition_of_its_layers(activation: str):
    net = mlp((3, 4, 5, 2), 0.01, activation, jax.random.key(1))
    x, act = jnp.array([1.0, -2.0, 0.5]), ACTIVATIONS[activation]
    w = named(net)
    hidden = act(act(x @ w["layers.0.weight"]) @ w["layers.1.weight"])
    np.testing.assert_allclose(net(x), hidden @ w["last.weight"], rtol=1e-5)


def test_the_last_layer_has_a_name_and_a_gain_of_its_own():
    weights = named(mlp((3, 4, 2), 0.01, "tanh", jax.random.key(1)))
    assert list(weights) == ["layers.0.weight", "layers.0.bias", "last.weight", "last.bias"]
    np.testing.assert_allclose(np.linalg.svd(weights["layers.0.weight"])[1], 2**0.5, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.svd(weights["last.weight"])[1], 0.01, rtol=1e-5)
