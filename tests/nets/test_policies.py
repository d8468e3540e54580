"""Policies: from features to a distribution over actions."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from numpyro import distributions as dist

from headstart.core.types import Box, Discrete
from headstart.nets.policies import Categorical, Gaussian, mode, policy

X = jnp.array([0.3, -1.0])


@functools.partial(jax.jit, static_argnames="n")
def shares(pi: dist.Distribution, n: int) -> Array:
    """Returns the probability of each of `n` choices."""
    return jnp.exp(jnp.stack([jnp.asarray(pi.log_prob(jnp.int32(a))) for a in range(n)]))


def number(x: Any) -> float:
    return float(x)


def gaussian() -> Gaussian:
    made = policy(2, (4,), Box((-1.0,) * 3, (1.0,) * 3), "tanh", jax.random.key(0))
    assert isinstance(made, Gaussian)
    return made.replace(log_std=jnp.log(jnp.array([0.5, 1.0, 2.0])))


def categorical(logits: list[float]) -> Categorical:
    made = policy(2, (4,), Discrete(len(logits)), "tanh", jax.random.key(0))
    assert isinstance(made, Categorical)
    last = made.net.last
    still = jax.tree.map(jnp.zeros_like, last)
    last = jax.tree.map(lambda x: jnp.array(logits) if x.ndim == 1 else x, still)
    return made.replace(net=made.net.replace(last=last))


def test_a_gaussian_gives_one_density_for_the_whole_action():
    pi, action = gaussian()(X), jnp.array([0.1, 0.2, 0.3])
    std, off = np.array([0.5, 1.0, 2.0]), np.asarray(action - mode(pi))
    density = np.exp(-0.5 * (off / std) ** 2) / (std * (2 * np.pi) ** 0.5)
    assert number(pi.log_prob(action)) == pytest.approx(np.log(density).sum(), rel=1e-5)
    assert number(pi.entropy()) == pytest.approx(0.5 * np.log(2 * np.pi * np.e * std**2).sum(), rel=1e-5)


def test_a_softmax_gives_the_probability_of_the_choice():
    pi = categorical([0.0, 1.0, 3.0])(X)
    share = np.exp([0, 1, 3]) / np.exp([0, 1, 3]).sum()
    np.testing.assert_allclose(shares(pi, 3), share, rtol=1e-5)
    assert number(pi.entropy()) == pytest.approx(-(share * np.log(share)).sum(), rel=1e-5)
    assert int(mode(pi)) == 2


def test_a_fresh_policy_is_almost_the_same_everywhere():
    choices = policy(2, (64, 64), Discrete(4), "tanh", jax.random.key(3))
    moves = policy(2, (64, 64), Box((-1.0,), (1.0,)), "tanh", jax.random.key(3))
    choices, moves = jax.jit(choices.__call__), jax.jit(moves.__call__)
    for x in np.asarray(jax.random.normal(jax.random.key(1), (5, 2))):
        np.testing.assert_allclose(shares(choices(x), 4), 0.25, atol=0.01)
        assert abs(float(mode(moves(x))[0])) < 0.03


def test_cooling_a_gaussian_halves_its_deviation_and_nothing_else():
    warm, cold = gaussian(), gaussian().scale_std(0.5)
    np.testing.assert_allclose(jnp.exp(cold.log_std), [0.25, 0.5, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(mode(cold(X)), mode(warm(X)))


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_cooling_a_softmax_divides_its_logits(factor: float):
    pi, cooled = categorical([0.0, 1.0, 3.0]), categorical([0.0, 1.0, 3.0]).scale_std(factor)
    share = np.exp(np.array([0, 1, 3]) / factor)
    np.testing.assert_allclose(shares(cooled(X), 3), share / share.sum(), rtol=1e-5)
    assert bool(cooled(X).entropy() > pi(X).entropy()) == (factor > 1)
    assert int(mode(cooled(X))) == 2
