"""Gradient surgery by hand in the plane, and CAGrad's guarantee against random directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from headstart.losses import surgery

cagrad = jax.jit(surgery.cagrad, static_argnums=2)
mean, mgda, pcgrad, diagnose = map(jax.jit, (surgery.mean, surgery.mgda, surgery.pcgrad, surgery.diagnose))
KEY = jax.random.key(0)


def rows(*gradients: tuple[float, ...]) -> Array:
    return jnp.array(gradients, jnp.float32)


def direction(how, *gradients: tuple[float, ...]) -> np.ndarray:
    """Returns the combined gradient."""
    g = rows(*gradients)
    return np.asarray(how(g @ g.T, KEY) @ g)


def test_pcgrad_removes_conflicting_components():
    # (1, 0) loses -1/2 of (-1, 1) and is (.5, .5); (-1, 1) loses -1 of (1, 0) and is (0, 1).
    np.testing.assert_allclose(direction(pcgrad, (1, 0), (-1, 1)), [0.25, 0.75], rtol=1e-6)


def test_pcgrad_leaves_those_that_agree_alone():
    np.testing.assert_allclose(direction(pcgrad, (1, 0), (1, 1), (0, 3)), [2 / 3, 4 / 3], rtol=1e-6)


def test_pcgrad_projects_against_the_others_as_they_were():
    """(1, 0) conflicts with (-1, 1) and (-1, -1), which are orthogonal: in either order, nothing of it is left."""
    g = rows((1, 0), (-1, 1), (-1, -1))
    # Of (-1, 1), (0, 1) is left where (-1, -1) came first, and else (0, 1) less its overlap with that: (-.5, .5).
    left = [(0.0, 1.0), (-0.5, 0.5)]
    possible = [((x + u) / 3, (y - v) / 3) for x, y in left for u, v in left]  # (-1, -1) is (-1, 1) mirrored
    found = [np.asarray(pcgrad(g @ g.T, jax.random.key(i)) @ g) for i in range(20)]
    near = [[np.allclose(one, other, atol=1e-5) for other in possible] for one in found]
    assert all(map(any, near))
    assert len({one.index(True) for one in near}) > 1  # the order is drawn


def test_mgda_is_the_shortest_of_the_weighted_means():
    one, two = rows((1, 0), (0, 2)), rows((1, 0), (2, 0))
    np.testing.assert_allclose(mgda(one @ one.T, KEY), [0.8, 0.2], rtol=1e-6)  # as 1 to 1/4
    np.testing.assert_allclose(mgda(two @ two.T, KEY), [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(mgda(jnp.diag(jnp.array([1.0, 2.0, 4.0])), KEY), np.array([4, 2, 1]) / 7, rtol=1e-4)


def test_mgda_stops_where_the_gradients_cancel():
    np.testing.assert_allclose(direction(mgda, (1, 0), (-1, 1), (-1, -1)), [0, 0], atol=1e-5)


def test_cagrad_of_equals_is_their_mean_and_without_c_the_mean_of_any():
    same = cagrad(jnp.eye(2), KEY, 0.5)
    np.testing.assert_allclose(same, [0.5 * 1.5 / 1.25] * 2, rtol=1e-4)  # g_0 and half of it again, over 1 + c²
    any_two = rows((1, 0), (-3, 1))
    np.testing.assert_allclose(cagrad(any_two @ any_two.T, KEY, 0.0), [0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
def test_cagrad_helps_the_worst_task_more_than_any_other_direction_as_near_to_the_mean(c: float):
    for seed in range(5):
        g = jax.random.normal(jax.random.key(seed), (3, 4)) * jnp.array([[1.0], [3.0], [0.5]])
        middle = g.mean(0)
        radius = c * jnp.linalg.norm(middle)
        found = cagrad(g @ g.T, KEY, c) @ g * (1 + c**2)
        assert float(jnp.linalg.norm(found - middle)) == pytest.approx(float(radius), rel=1e-3)
        away = jax.random.normal(jax.random.key(100 + seed), (20_000, 4))
        others = middle[None] + radius * away / jnp.linalg.norm(away, axis=1, keepdims=True)
        best = float((others @ g.T).min(1).max())
        assert float((g @ found).min()) >= best - 0.02 * float(radius)


def cancelling(kind: int, close: float, rng: np.random.Generator) -> np.ndarray:
    """Returns gradients of 200 numbers of which two, or weighted means of all, are nearly opposite."""
    v, u, z = rng.normal(size=(3, 200))
    if kind == 0:  # g_0 and g_w go to 0 together
        return np.stack([v, close * u - v])
    if kind == 1:  # g_0 stays, and a weighted mean goes to 0
        return np.stack([v, close * u - 3 * v])
    return np.stack([v, u - v, close * z - u - v])


@pytest.mark.parametrize("close", [1.0, 1e-2, 1e-3, 1e-4, 1e-6, 0.0])
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_cagrad_stays_within_its_region_where_gradients_nearly_cancel(kind: int, close: float):
    """Otherwise it leaves it if the weighted mean is shorter than rounding errors, and is divided by its length."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        g = (10.0 ** rng.uniform(-2, 3) * cancelling(kind, close, rng)).astype(np.float32)
        for c in (0.3, 0.5, 1.0):
            weights = np.asarray(cagrad(jnp.asarray(g) @ jnp.asarray(g).T, KEY, c), np.float64)
            exact = g.astype(np.float64)
            middle, found = exact.mean(0), weights @ exact * (1 + c**2)
            rounding = 1e-6 * np.linalg.norm(exact, axis=1).max()  # of weights in float32
            assert np.linalg.norm(found - middle) <= c * np.linalg.norm(middle) * (1 + 1e-4) + rounding


@pytest.mark.parametrize("how", [mean, pcgrad, mgda, lambda gram, key: cagrad(gram, key, 0.5)])
def test_where_no_gradient_is_left_nothing_breaks(how):
    assert np.isfinite(how(jnp.zeros((3, 3)), KEY)).all()
    assert np.isfinite(how(jnp.diag(jnp.array([1.0, 0.0, 0.0])), KEY)).all()


def test_how_gradients_get_along_by_hand():
    g = rows((1, 0), (-1, 1), (0, 0.5))
    metrics = {name: float(x) for name, x in diagnose(g @ g.T).items()}
    half = 0.5**0.5
    assert metrics["cosine"] == pytest.approx((-half + 0 + half) / 3, abs=1e-6)
    assert metrics["conflict"] == pytest.approx(1 / 3)
    lengths = np.array([1, 2**0.5, 0.5])
    share = lengths / lengths.sum()
    assert [metrics[f"share_{i}"] for i in (1, 2, 3)] == pytest.approx(share.tolist())
    assert metrics["winner"] == pytest.approx((share.max() - 1 / 3) / (2 / 3))


def test_winner_take_all_index_at_its_extremes():
    assert float(diagnose(jnp.diag(jnp.array([4.0, 0.0, 0.0])))["winner"]) == pytest.approx(1.0)
    assert float(diagnose(jnp.eye(5))["winner"]) == pytest.approx(0.0, abs=1e-6)
