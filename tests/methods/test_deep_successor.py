"""Deep successor features: whose weights are meant, what the target is thought to pay, and policies of many."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.stages import learn_source
from headstart.core.types import Knowledge, Task, spec, stack
from headstart.methods.values.deep_successor import DeepSuccessorFeatures, weights
from headstart.protocol.transfer import adapt, keys
from headstart.tasks.worlds import FourRooms, RandomMDP

KEY = jax.random.key(0)
weighed = jax.jit(lambda known: weights(known, 1e-6))
MDP = RandomMDP(states=4, actions=3, branching=1, features=2)
SMALL = DeepSuccessorFeatures(
    hidden=(32,), num_steps=4, num_envs=4, batch_size=32, buffer_size=4_000, learning_starts=64, update_to_data=0.5
)
WORTH = ((1.0, 0.0), (0.0, 1.0))


def sources() -> Task:
    """-> two tasks of one small MDP, each of which pays for one feature; the context says which one it is."""
    each = [probes.one(MDP, seed=3).replace(w=jnp.array(w)) for w in WORTH]
    return stack([one.replace(context=name) for one, name in zip(each, jnp.eye(2), strict=True)])


def target(w: tuple[float, float], context: tuple[float, float] = (0.0, 0.0)) -> Task:
    return stack([probes.one(MDP, target=True, seed=3).replace(w=jnp.array(w), context=jnp.array(context))])


def told(rewards: list[float]) -> Knowledge:
    """-> what is known after a target's steps with φ = (1, 1) that paid so much."""
    learner = SMALL.learner(spec(sources()), target=True)
    phi = jnp.ones((1, len(rewards), 1, 2))
    fresh = probes.experience(jnp.array(rewards)[None, :, None], cumulants=phi, context=jnp.zeros((*phi.shape[:3], 2)))
    return jax.jit(learner.prepare)(probes.known(learner), fresh, KEY, 0.0)[0]


def test_weights_of_a_target_begin_at_the_mean_of_the_sources():
    learner = SMALL.learner(spec(sources()))
    k = probes.known(learner)
    phi = jnp.tile(jnp.eye(2)[None, :, None], (2, 1, 1, 1))
    context = jnp.broadcast_to(jnp.eye(2)[:, None, None], (2, 2, 1, 2))
    reward = jnp.array([[[4.0], [0.0]], [[0.0], [2.0]]])  # each pays for one feature
    k, _ = jax.jit(learner.prepare)(k, probes.experience(reward, cumulants=phi, context=context), KEY, 0.0)
    np.testing.assert_allclose(weighed(k.value), [[4, 0], [0, 2], [2, 1]], atol=1e-4)


def test_what_the_target_pays_is_the_targets_alone():
    k = told([6.0, 6.0])
    worth = np.asarray(weighed(k.value))
    np.testing.assert_allclose(worth[:2], 0.0, atol=1e-6)
    np.testing.assert_allclose(worth[2], [3.0, 3.0], atol=1e-3)  # the least of all that explain it
    again = probes.known(SMALL.learner(spec(sources()), target=True), k)
    np.testing.assert_allclose(weighed(again.value), 0.0, atol=1e-6)


def test_two_policies_serve_a_third_task_after_one_episode():
    *_, learned = learn_source(SMALL, sources(), 6_000, keys([0]).source, num_points=1)
    judge = SMALL.learner(spec(sources()), target=True)
    wanted = (1.0, -1.0)
    before, after = adapt(SMALL, learned.state, target(wanted), 1, [1], keys([0]), eval_episodes=20)
    fitted = weights(jax.tree.map(lambda x: x[0], after.state.knowledge).value, 1e-2)[-1]
    np.testing.assert_allclose(fitted, wanted, atol=0.15)
    assert after.returns.mean() > before.returns.mean()
    own = evaluate(judge, learned.knowledge, target((1.0, 0.0), (1.0, 0.0)), 20, keys([0]).evaluation)
    other = evaluate(judge, learned.knowledge, target((1.0, 0.0), (0.0, 1.0)), 20, keys([0]).evaluation)
    assert own.mean() > other.mean()


def test_real_numbers_are_refused():
    with pytest.raises(InputError, match="of choices"):
        DeepSuccessorFeatures().learner(spec(probes.task(probes.Corridor(discrete=False))))


def test_it_takes_a_larger_world():
    tasks = stack([probes.one(FourRooms())])
    *_, point = learn_source(SMALL, tasks, 128, keys([0]).source, num_points=1)
    assert np.isfinite(np.asarray(point.knowledge.value.nets.last.weight)).all()
