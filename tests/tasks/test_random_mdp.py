"""Random MDPs: samples agree with tables, and theory holds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import headstart as hs
from headstart.core.errors import InputError
from headstart.core.types import EnvParams
from headstart.tasks.worlds import RandomMDP
from headstart.tasks.worlds.tables import Tables

SMALL = RandomMDP(states=6, actions=2, branching=3, features=2)


def seeded(seed: float) -> EnvParams:
    return {"seed": jnp.float32(seed)}


@functools.cache
def tables_of(env: RandomMDP, seed: float) -> Tables:
    return jax.jit(env.tables)(seeded(seed))


def test_rows_are_chances_of_as_many_ways_as_asked_for():
    tables = tables_of(RandomMDP(), 0)
    assert tables.transitions.shape == (20, 4, 20)
    assert tables.cumulants.shape == (20, 4, 20, 4)
    np.testing.assert_allclose(tables.transitions.sum(-1), 1.0, rtol=1e-6)
    assert ((tables.transitions > 0).sum(-1) == 3).all()
    assert float(jnp.abs(tables.cumulants).max()) <= 1.0
    np.testing.assert_array_equal(tables.cumulants.any(-1), tables.transitions > 0)


def test_rows_are_drawn_as_archibald_mckinnon_and_thomas_do():
    """Next states are uniform; the longest of three pieces of [0, 1] has length 11/18 on average."""
    tables = jax.jit(jax.vmap(RandomMDP().tables))({"seed": jnp.arange(20.0)})
    reached = (tables.transitions > 0).mean((0, 1, 2))
    np.testing.assert_allclose(reached, 3 / 20, atol=0.04)
    np.testing.assert_allclose(tables.transitions.max(-1).mean(), 11 / 18, atol=0.015)
    ways = tables.cumulants[tables.transitions > 0]
    np.testing.assert_allclose([ways.mean(), ways.std()], [0.0, 1 / 3**0.5], atol=0.015)


def test_samples_are_the_tables():
    tables = tables_of(SMALL, 5)
    states, actions = (jnp.asarray(each.ravel()) for each in np.indices((6, 2)))
    each = jax.vmap(SMALL.transition, in_axes=(None, 0, 0, None))
    go = jax.jit(jax.vmap(each, in_axes=(None, None, None, 0)))
    samples = np.asarray(go(seeded(5), states, actions, jax.random.split(jax.random.key(1), 2000)))
    estimate = np.stack([(samples == state).mean(0) for state in range(6)], axis=-1)
    np.testing.assert_allclose(estimate.reshape(6, 2, 6), tables.transitions, atol=0.05)
    worth = jax.jit(jax.vmap(SMALL.cumulants, in_axes=(None, 0, 0, 0)))(seeded(5), states, actions, samples[0])
    np.testing.assert_array_equal(worth, np.asarray(tables.cumulants)[states, actions, samples[0]])


def test_another_seed_is_another_mdp_of_the_same_program():
    traced = 0

    @jax.jit
    def tables(params):
        nonlocal traced
        traced += 1
        return SMALL.tables(params).transitions

    first, repeated, other = tables(seeded(1)), tables(seeded(1.3)), tables(seeded(2))
    assert traced == 1
    np.testing.assert_array_equal(first, repeated)
    assert np.any(first != other)
    assert np.any(tables(seeded(2**24 - 1)) != tables(seeded(2**24 - 2)))


def test_successor_features_are_what_a_uniform_policy_gathers():
    """ψ = (I - γ P)⁻¹ φ of states, against samples over as many steps as the discount lets matter."""
    tables, discount, copies = tables_of(SMALL, 7), 0.8, 600
    chances = np.asarray(tables.transitions, float)
    mean = (chances[..., None] * np.asarray(tables.cumulants)).sum(2).mean(1)
    exact = np.linalg.solve(np.eye(6) - discount * chances.mean(1), mean)

    def gathered(start, key):
        def step(state, seen):
            t, key = seen
            k_act, k_step = jax.random.split(key)
            action = jax.random.randint(k_act, (), 0, 2)
            after = SMALL.transition(seeded(7), state, action, k_step)
            return after, discount**t * SMALL.cumulants(seeded(7), state, action, after)

        return jax.lax.scan(step, start, (jnp.arange(30.0), jax.random.split(key, 30)))[1].sum(0)

    keys = jax.random.split(jax.random.key(0), (6, copies))
    estimate = jax.jit(jax.vmap(jax.vmap(gathered, in_axes=(None, 0))))(jnp.arange(6), keys)
    np.testing.assert_allclose(estimate.mean(1), exact, atol=0.2)
    assert np.abs(exact).max() > 0.5


def test_starts_anywhere_and_is_observed_one_hot():
    starts = jax.jit(jax.vmap(lambda key: SMALL.initial({}, key)))(jax.random.split(jax.random.key(0), 6000))
    np.testing.assert_allclose(np.bincount(starts) / 6000, 1 / 6, atol=0.02)
    assert SMALL.observe({}, jnp.asarray(4)).tolist() == [0, 0, 0, 0, 1, 0]
    assert SMALL.cumulant_names == ("feature_1", "feature_2")


def test_invalid_sizes_and_seeds_are_refused():
    with pytest.raises(
        InputError, match=r"branching=7, features=4\) is out of range: give 1 or more of each, and no more branching"
    ):
        RandomMDP(states=6, branching=7)
    with pytest.raises(InputError, match="actions=0"):
        RandomMDP(actions=0)
    with pytest.raises(InputError, match="seed=-1 is out of bounds"):
        hs.task("RandomMDP", seed=-1)
    assert hs.task(RandomMDP(states=5), seed=3).env.observation_space.size == 5
