"""Successor features against theory, in random MDPs that are known exactly; and single steps by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import floats

from headstart.core.types import EnvParams
from headstart.losses.successor import gpi_action, least_squares, reward_step, successor_target
from headstart.tasks.worlds import RandomMDP

fitted = jax.jit(least_squares, static_argnames="ridge")

GAMMA = 0.95
ENV = RandomMDP(states=20, actions=4, branching=3, features=4)
Tables = tuple[np.ndarray, np.ndarray]  # transitions [s, a, s'], and φ(s, a) [s, a, cumulant], in float64


def tables(seed: int) -> Tables:
    params: EnvParams = {"seed": jnp.float32(seed)}
    full = jax.jit(ENV.tables)(params)
    p, phi = np.asarray(full.transitions, float), np.asarray(full.cumulants, float)
    p /= p.sum(2, keepdims=True)
    return p, (p[..., None] * phi).sum(2)


def psi_of(mdp: Tables, policy: np.ndarray) -> np.ndarray:
    """Returns ψ [s, a, cumulant] of a deterministic policy [s]: φ + γ P (I − γ P_π)⁻¹ φ_π."""
    p, phi = mdp
    s = np.arange(len(policy))
    on = np.linalg.solve(np.eye(len(policy)) - GAMMA * p[s, policy], phi[s, policy])
    return phi + GAMMA * p @ on


def q_of(mdp: Tables, policy: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Returns Q [s, a] of the policy, by thousands of sweeps of its Bellman equation."""
    p, phi = mdp
    q = np.zeros(phi.shape[:2])
    for _ in range(1000):
        q = phi @ w + GAMMA * p @ q[np.arange(len(policy)), policy]
    return q


def optimum(mdp: Tables, w: np.ndarray) -> np.ndarray:
    """Returns Q* [s, a]."""
    p, phi = mdp
    q = np.zeros(phi.shape[:2])
    for _ in range(1000):
        q = phi @ w + GAMMA * p @ q.max(1)
    return q


@pytest.mark.parametrize("seed", range(3))
def test_a_policys_value_is_its_successor_features_times_any_weights(seed: int):
    mdp, rng = tables(seed), np.random.default_rng(seed)
    policy = rng.integers(0, 4, 20)
    psi = psi_of(mdp, policy)
    for w in rng.normal(size=(10, 4)):
        np.testing.assert_allclose(psi @ w, q_of(mdp, policy, w), atol=1e-6)


def test_the_best_value_is_no_linear_function_of_the_weights():
    mdp, (one, other) = tables(0), np.random.default_rng(0).normal(size=(2, 4))
    apart = optimum(mdp, one) + optimum(mdp, other) - optimum(mdp, one + other)
    assert (apart >= -1e-8).all()  # the best of a sum is no better than the sum of the bests
    assert apart.max() > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_the_general_policy_is_nowhere_worse_than_any_it_is_made_of(seed: int):
    """The theorem of generalised policy improvement (arXiv:1606.05312, theorem 1), for the library's own action."""
    mdp, rng = tables(seed), np.random.default_rng(seed)
    bests = [optimum(mdp, w).argmax(1) for w in rng.normal(size=(3, 4))]
    library, w = np.stack([psi_of(mdp, policy) for policy in bests]), rng.normal(size=4)
    choose = jax.vmap(lambda psi: gpi_action(psi, jnp.asarray(w, jnp.float32), 3)[0], in_axes=1)
    general = np.asarray(choose(jnp.asarray(library, jnp.float32)))
    q = q_of(mdp, general, w)
    assert (q >= (library @ w).max(0) - 1e-4).all()  # chosen in float32
    assert q.mean() > (library @ w).max(0).mean()


def test_a_target_by_hand():
    phi, after = jnp.array([1.0, 0.0]), jnp.array([2.0, 4.0])
    assert successor_target(phi, jnp.float32(0.5), after).tolist() == [2.0, 2.0]
    assert successor_target(phi, jnp.float32(0.0), jnp.array([jnp.nan, jnp.inf])).tolist() == [1.0, 0.0]


def test_action_and_policy_of_gpi_by_hand():
    psi = jnp.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 3.0], [2.0, 0.0]]])  # [policy, choice, cumulant]
    tell = lambda w, known: tuple(int(x) for x in gpi_action(psi, jnp.array(w), known))
    assert tell([1.0, 0.0], 2) == (1, 1)
    assert tell([0.0, 1.0], 2) == (0, 1)
    assert tell([0.0, 1.0], 1) == (1, 0)  # the second is not known yet
    assert tell([-1.0, -1.0], 2) == (0, 0)


def test_a_step_of_regression_by_hand():
    # w · φ = 1, the reward 3: half of the error 2 along φ
    np.testing.assert_allclose(
        reward_step(jnp.array([1.0, 5.0]), jnp.array([1.0, 0.0]), jnp.float32(3.0), 0.5), [2.0, 5.0]
    )


def test_least_squares_finds_the_weights_of_rewards():
    phi = floats([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [3.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    w = floats([2.0, -1.0, 0.5])
    found = fitted(phi.T @ phi, phi.T @ (phi @ w), np.zeros(3, np.float32), ridge=1e-6)
    np.testing.assert_allclose(found, w, atol=1e-4)


def test_weights_without_data_keep_their_previous_values():
    nothing = fitted(np.zeros((2, 2), np.float32), np.zeros(2, np.float32), floats([3.0, -4.0]), ridge=0.1)
    np.testing.assert_allclose(nothing, [3.0, -4.0])
    # one step of φ = (1, 0) that paid 5, and a doubt worth one step: half of the way from 3 to 5
    once = fitted(np.diag(floats([1.0, 0.0])), floats([5.0, 0.0]), floats([3.0, -4.0]), ridge=1.0)
    np.testing.assert_allclose(once, [4.0, -4.0])
