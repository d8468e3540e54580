"""A library of policies: what one step changes, by hand, and how a new task starts."""

import jax
import jax.numpy as jnp
import numpy as np
import probes

from headstart.core.train import init_loop_state
from headstart.core.types import Info, Key, spec
from headstart.methods.values.successor_features import Library, SuccessorFeatures
from headstart.tasks.worlds import RandomMDP

KEY = jax.random.key(0)
ENV = RandomMDP(states=3, actions=2, branching=1, features=2)
METHOD = SuccessorFeatures(max_policies=3, learning_rate=0.5, reward_learning_rate=0.5, discount=0.5)


def step(library: Library, state: int, action: int, after: int, phi: list[float], reward: float) -> Library:
    """Returns the library after one step."""
    seen = lambda s: jnp.eye(3)[s][None, None, None]
    fresh = probes.experience([[[reward]]], obs=seen(state), next_obs=seen(after))
    fresh = fresh.replace(action=jnp.array([[[action]]]), cumulants=jnp.array(phi)[None, None, None])
    prepare = jax.jit(METHOD.learner(spec(probes.task(ENV))).prepare)
    return prepare({"library": library}, fresh, Info(KEY))[0]["library"]


def empty(newest: int) -> Library:
    return Library(jnp.zeros((3, 3, 2, 2)), jnp.zeros((3, 2)), jnp.int32(newest))


def test_the_newest_policy_learns_its_features_and_its_reward_weights():
    before = empty(0)
    before = before.replace(
        psi=before.psi.at[0, 1, 1].set(jnp.array([0.0, 8.0])), w=before.w.at[0].set(jnp.array([0.0, 1.0]))
    )
    after = step(before, 0, 0, 1, [1.0, 0.0], reward=3.0)
    np.testing.assert_allclose(after.w[0], [1.5, 1.0])  # half of the error 3, along φ
    # In state 1 the second choice is worth 8 · 1: ψ = ½ ((1, 0) + ½ (0, 8))
    np.testing.assert_allclose(after.psi[0, 0, 0], [0.5, 2.0])
    assert float(jnp.abs(after.psi[1:]).sum()) == 0.0


def test_the_policy_that_was_followed_learns_by_its_own_choice():
    """Policy 0 is followed, since by the newest one's w it promises more; it goes on by the choice of its own w."""
    before = empty(1)
    psi = before.psi.at[0, 0, 0].set(jnp.array([4.0, 0.0]))
    psi = psi.at[0, 1, 0].set(jnp.array([2.0, 0.0])).at[0, 1, 1].set(jnp.array([0.0, 6.0]))
    before = before.replace(psi=psi, w=jnp.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    after = step(before, 0, 0, 1, [0.0, 0.0], reward=0.0)
    # The newest: in state 1 choice 0 is best by its w (2 against 0), but its own ψ there is nothing.
    np.testing.assert_allclose(after.psi[1, 0, 0], [0.0, 0.0])
    # Policy 0 goes on by choice 1, worth 6 by its own w: (4, 0) + ½ (½ (0, 6) − (4, 0))
    np.testing.assert_allclose(after.psi[0, 0, 0], [2.0, 1.5])


def test_a_new_task_starts_with_a_copy_of_the_newest_policy_and_reward_weights_of_its_own():
    learner = METHOD.learner(spec(probes.task(ENV)), target=True)

    def onward(prior, key: Key):
        return init_loop_state(learner, key, prior).state

    first = init_loop_state(learner, jax.random.split(KEY, 2)).state
    second = onward(first, jax.random.split(jax.random.key(1), 2))
    library, before = second.params["library"], first.params["library"]
    assert library.newest.tolist() == [1, 1]
    np.testing.assert_array_equal(library.psi[:, :2], jnp.stack([before.psi[:, 0]] * 2, 1))
    np.testing.assert_array_equal(library.w[:, 0], before.w[:, 0])
    assert (library.w[:, 1] != before.w[:, 0]).all()
    full = onward(onward(second, jax.random.split(KEY, 2)), jax.random.split(KEY, 2))
    assert full.params["library"].newest.tolist() == [2, 2]  # the newest policy is overwritten


def test_act_by_last_ignores_older_policies():
    psi = jnp.zeros((3, 3, 2, 2)).at[0, 0, 1].set(9.0).at[1, 0, 0].set(1.0)
    params = {"library": Library(psi, jnp.ones((3, 2)), jnp.int32(1))}

    def chosen(method: SuccessorFeatures) -> int:
        learner = method.learner(spec(probes.task(ENV)))
        return int(learner.act(params, (), jnp.eye(3)[0], jnp.zeros(0), Info(KEY, explore=0.0))[0])

    assert (chosen(METHOD), chosen(SuccessorFeatures(max_policies=3, act_by="last"))) == (1, 0)
