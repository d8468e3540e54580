"""Estimators and losses, by numbers that can be checked on paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.losses.policy_gradient import approximate_kl, clipped_surrogate, gae

# Two steps that terminate, two that are truncated, one that the rollout cuts off; γ = 0.5.
REWARD = np.array([1.0, 2.0, 3.0, 4.0, 5.0], np.float32)
DISCOUNT = np.array([0.5, 0.0, 0.5, 0.5, 0.5], np.float32)
LAST = np.array([False, True, False, True, False])
VALUE = np.array([1.0, 1.0, 3.0, 4.0, 5.0], np.float32)
NEXT = np.array([1.0, np.nan, 4.0, 6.0, 8.0], np.float32)  # NaN: nobody may look beyond the MDP's end


def advantages(lam: float, reward: np.ndarray = REWARD) -> list[float]:
    r, discount, last, v, v_next = map(jnp.asarray, (reward, DISCOUNT, LAST, VALUE, NEXT))
    return gae(r, discount, last, v, v_next, lam).tolist()


def test_gae_by_hand():
    # δ = 0.5, 1 | 2, 3 | 4 and γλ = 1/4: 0.5 + 1/4, 1 | 2 + 3/4, 3 | 4
    assert advantages(0.5) == pytest.approx([0.75, 1.0, 2.75, 3.0, 4.0])


def test_gae_with_lambda_0_is_the_temporal_difference():
    assert advantages(0.0) == pytest.approx(list(REWARD + np.nan_to_num(DISCOUNT * NEXT) - VALUE))


def test_gae_with_lambda_1_is_the_discounted_return_less_the_value():
    returns = np.array([1 + 0.5 * 2, 2, 3 + 0.5 * (4 + 0.5 * 6), 4 + 0.5 * 6, 5 + 0.5 * 8])
    assert advantages(1.0) == pytest.approx(list(returns - VALUE))


def test_nothing_of_the_next_episode_reaches_an_advantage():
    before = advantages(0.9)
    changed = advantages(0.9, REWARD + np.array([0, 0, 100, 100, 100], np.float32))
    assert changed[:2] == before[:2]
    assert changed[2:] != before[2:]
    assert advantages(0.9, REWARD * np.array([1, 1, np.nan, 1, 1], np.float32))[:2] == before[:2]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.1, 2.0, -2.2, -2.2),  # within the clip: the plain surrogate, and its gradient ρA in log ρ
        (0.9, -2.0, 1.8, 1.8),
        (1.5, 1.0, -1.2, 0.0),  # a good action is likely enough by now
        (0.5, -1.0, 0.8, 0.0),  # a bad one unlikely enough
        (1.5, -1.0, 1.5, 1.5),  # a bad one became likelier: no mercy
        (0.5, 1.0, -0.5, -0.5),  # a good one became unlikelier: full way back
    ],
)
def test_the_clipped_surrogate_by_hand(ratio: float, advantage: float, loss: float, slope: float):
    value, gradient = jax.value_and_grad(clipped_surrogate)(jnp.log(ratio), jnp.float32(advantage), 0.2)
    assert float(value) == pytest.approx(loss, rel=1e-5)
    assert float(gradient) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(("ratio", "kl"), [(1.0, 0.0), (2.0, 1 - np.log(2)), (0.5, np.log(2) - 0.5)])
def test_the_approximate_kl_by_hand(ratio: float, kl: float):
    assert float(approximate_kl(jnp.log(ratio))) == pytest.approx(kl, abs=1e-6)


def test_the_approximate_kl_is_right_on_average():
    old, new = np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.4, 0.1])
    estimates = jax.vmap(approximate_kl)(jnp.log(jnp.asarray(new / old, jnp.float32)))
    assert float(old @ np.asarray(estimates)) == pytest.approx(float(old @ np.log(old / new)), rel=1e-5)
    assert (estimates > 0).all()
