"""Policies act in [-1, 1]; envs have units of their own."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.core.spaces import Box, Discrete


def test_a_box_rescales_and_clips():
    box = Box((-1.0, 0.0, -2.0), (1.0, 10.0, 6.0))
    assert box.size == 3
    np.testing.assert_allclose(box.rescale(jnp.array([0.5, 0.5, -0.5])), [0.5, 7.5, 0.0])
    np.testing.assert_allclose(box.rescale(jnp.array([-9.0, 9.0, 1.0])), [-1.0, 10.0, 6.0])


def test_a_single_bound_is_respected_and_the_other_side_is_open():
    box = Box((-math.inf, 5.0, -math.inf, -1.0, -1e30), (math.inf, math.inf, -2.0, 1.0, 3.4e38))
    assert box.unbounded == ("0", "1", "2", "4")
    rescale = jax.jit(box.rescale)
    np.testing.assert_allclose(rescale(jnp.array([7.0, 2.0, -4.0, 9.0, 7.0])), [7.0, 8.0, -7.0, 1.0, 7.0])
    np.testing.assert_allclose(rescale(jnp.array([-7.0, -1.0, 1.0, -9.0, -7.0])), [-7.0, 5.0, -2.0, -1.0, -7.0])
    np.testing.assert_allclose(rescale(jnp.full(5, -50.0))[1], 5.0)
    np.testing.assert_allclose(rescale(jnp.full(5, 50.0))[2], -2.0)
    assert np.isnan(rescale(jnp.full(5, jnp.nan))).all()  # of an environment that waits
    np.testing.assert_allclose(Box((2.0,), (2.0,)).rescale(jnp.array([0.3])), [2.0])


def test_a_vector_that_names_a_state_has_an_index():
    box = Box((0.0,) * 6, (1.0,) * 6, one_hot_groups=(3, 1, 2))  # one of three, a bit, one of two
    assert box.num_states == 12
    vectors = [[*first, bit, *last] for first in np.eye(3) for bit in (0, 1) for last in np.eye(2)]
    assert box.index(jnp.array(vectors, jnp.float32)).tolist() == list(range(12))
    assert Box((0.0,), (1.0,)).num_states is None
    with pytest.raises(InputError, match=r"Box\(one_hot_groups=\(2, 2\)\) is out of range: their sum must be 3\."):
        Box((0.0,) * 3, (1.0,) * 3, one_hot_groups=(2, 2))


def test_discrete_actions_are_not_rescaled():
    assert Discrete(3).size == 3
    assert int(Discrete(3).rescale(jnp.int32(2))) == 2
