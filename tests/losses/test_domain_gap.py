"""DARC's reward correction: by hand, and exactly in a grid whose wall only the target has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.losses.domain_gap import domain_loss, reward_correction
from headstart.tasks.worlds import GridWall
from headstart.tasks.worlds.grid_wall import GOAL, START

ENV, GAMMA = GridWall(), 0.95


def tables(wall: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns transitions and rewards, both [state, action, next state]."""
    full = jax.jit(ENV.tables)({"wall": jnp.float32(wall), "slip": jnp.float32(0.1)})
    return np.asarray(full.transitions, float), np.asarray(full.cumulants, float).sum(-1)


def greedy(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Returns the best action in each state."""
    value, gain = np.zeros(len(p)), (p * r).sum(2)
    for _ in range(500):
        value = (gain + GAMMA * p @ value).max(1)
    return (gain + GAMMA * p @ value).argmax(1)


def scored(policy: np.ndarray) -> float:
    """Returns the policy's undiscounted return in the target, over the horizon."""
    (p, r), s = tables(1.0), np.arange(len(policy))
    value, on = np.zeros(len(policy)), p[s, policy]
    for _ in range(ENV.horizon):
        value = (on * r[s, policy]).sum(1) + on @ value
    return float(value[START])


def test_the_gap_and_the_loss_by_hand():
    assert float(reward_correction(jnp.float32(2.0), jnp.float32(0.5))) == 1.5
    likely = jnp.log(jnp.float32(3.0))  # three times as likely the target's: p = 3/4
    assert float(domain_loss(likely, jnp.int32(1))) == pytest.approx(np.log(4 / 3))
    assert float(domain_loss(likely, jnp.int32(0))) == pytest.approx(np.log(4))


@pytest.mark.parametrize("k", [0.1, 0.2, 0.3])
def test_with_the_exact_correction_the_source_teaches_the_targets_optimum(k: float):
    """Planned in the source with r + k Δr, run in the target: within .02 of the best. Without Δr it never arrives."""
    (p_source, r), (p_target, _) = tables(0.0), tables(1.0)
    # What a classifier that knows both dynamics says, where both domains are in s doing a equally often.
    logit = np.log(np.maximum(p_target, 1e-6)) - np.log(np.maximum(p_source, 1e-6))
    gap = np.asarray(reward_correction(jnp.asarray(logit), jnp.zeros(logit.shape)))
    best = scored(greedy(p_target, r))
    assert best == pytest.approx(-0.325, abs=1e-3)
    assert scored(greedy(p_source, r + k * gap)) > best - 0.02
    assert scored(greedy(p_source, r)) < -9.9
    assert GOAL == 99


# ------------------------------------------------------------------------------------------------ two classifiers


def steps(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns s, a, s' − s and the domain of n steps in each, where s' = s + k a + 0.1 ε: k is 1, or 0.4 in the target.

    The target visits other states and takes other actions, by 0.8 and 0.5 on average, each with a deviation of 0.5.
    """
    luck = np.random.default_rng(0)
    domain = np.repeat([0, 1], n)
    s, a = luck.normal(0.8 * domain, 0.5), luck.normal(0.5 * domain, 0.5)
    return s, a, np.where(domain, 0.4, 1.0) * a + 0.1 * luck.normal(size=2 * n), domain


def squares(*x: np.ndarray) -> np.ndarray:
    """Returns 1, each number, and every product of two [n, feature]: log of a Gaussian is a weighted sum of these."""
    ones = (np.ones_like(x[0]), *x)
    return np.stack([a * b for i, a in enumerate(ones) for b in ones[i:]], 1)


def classifier_logits(features: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Returns the logits of a classifier that is linear in the features, fitted by Newton's method."""
    labels = jnp.asarray(domain, jnp.int32)

    def loss(v, x):
        return jax.vmap(domain_loss)(x @ v, labels).mean() + 1e-9 * v @ v

    with jax.enable_x64(True):
        x, v = jnp.asarray(features, jnp.float64), jnp.zeros(features.shape[1], jnp.float64)
        slope, bend = jax.jit(jax.grad(loss)), jax.jit(jax.hessian(loss))
        for _ in range(30):
            v = v - 0.8 * jnp.linalg.solve(bend(v, x), slope(v, x))
        return np.asarray(x @ v)


def test_the_action_classifier_removes_the_difference_in_visits():
    s, a, change, domain = steps(20_000)
    exact = (np.square((change - a) / 0.1) - np.square((change - 0.4 * a) / 0.1)) / 2
    of_step, of_choice = classifier_logits(squares(s, a, change), domain), classifier_logits(squares(s, a), domain)
    rmse = lambda gap: float(np.sqrt(np.square(gap - exact).mean()))
    assert rmse(np.asarray(reward_correction(jnp.asarray(of_step), jnp.asarray(of_choice)))) <= 0.4
    assert rmse(of_step) >= 1.3
