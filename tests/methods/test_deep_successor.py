"""Deep successor features: whose reward weights count, how those of the target are estimated, and several policies."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.stages import learn_source
from headstart.core.types import Info, Params, Task, spec, stack
from headstart.methods.values.deep_successor import DeepSuccessorFeatures, reward_weights
from headstart.protocol.transfer import adapt, keys
from headstart.tasks.worlds import FourRooms, RandomMDP

KEY = jax.random.key(0)
fitted_weights = jax.jit(lambda params: reward_weights(params["rewards"], 1e-6))
MDP = RandomMDP(states=4, actions=3, branching=1, features=2)
SMALL = DeepSuccessorFeatures(
    hidden=(32,), num_steps=4, num_envs=4, batch_size=32, buffer_size=4_000, learning_starts=64, update_to_data=0.5
)
WORTH = ((1.0, 0.0), (0.0, 1.0))


def sources() -> Task:
    """Returns two tasks of one small MDP, each of which pays for one feature; the context says which one it is."""
    each = [probes.one(MDP, seed=3).replace(w=jnp.array(w)) for w in WORTH]
    return stack([one.replace(context=name) for one, name in zip(each, jnp.eye(2), strict=True)])


def target(w: tuple[float, float], context: tuple[float, float] = (0.0, 0.0)) -> Task:
    return stack([probes.one(MDP, target=True, seed=3).replace(w=jnp.array(w), context=jnp.array(context))])


def after_target(rewards: list[float]) -> Params:
    """Returns the params after steps in a target with φ = (1, 1) and these rewards."""
    learner = SMALL.learner(spec(sources()), target=True)
    phi = jnp.ones((1, len(rewards), 1, 2))
    fresh = probes.experience(jnp.array(rewards)[None, :, None], cumulants=phi, context=jnp.zeros((*phi.shape[:3], 2)))
    return jax.jit(learner.prepare)(probes.known(learner), fresh, Info(KEY))[0]


def test_weights_of_a_target_begin_at_the_mean_of_the_sources():
    learner = SMALL.learner(spec(sources()))
    params = probes.known(learner)
    phi = jnp.tile(jnp.eye(2)[None, :, None], (2, 1, 1, 1))
    context = jnp.broadcast_to(jnp.eye(2)[:, None, None], (2, 2, 1, 2))
    reward = jnp.array([[[4.0], [0.0]], [[0.0], [2.0]]])  # each pays for one feature
    fresh = probes.experience(reward, cumulants=phi, context=context)
    params, _ = jax.jit(learner.prepare)(params, fresh, Info(KEY))
    np.testing.assert_allclose(fitted_weights(params), [[4, 0], [0, 2], [2, 1]], atol=1e-4)


def test_the_reward_weights_of_a_target_are_its_own():
    params = after_target([6.0, 6.0])
    w = np.asarray(fitted_weights(params))
    np.testing.assert_allclose(w[:2], 0.0, atol=1e-6)
    np.testing.assert_allclose(w[2], [3.0, 3.0], atol=1e-3)  # the smallest of all that fit
    again = probes.known(SMALL.learner(spec(sources()), target=True), params)
    np.testing.assert_allclose(fitted_weights(again), 0.0, atol=1e-6)


def test_two_policies_serve_a_third_task_after_one_episode():
    *_, learned = learn_source(SMALL, sources(), 6_000, keys([0]).source, num_points=1)
    judge = SMALL.learner(spec(sources()), target=True)
    wanted = (1.0, -1.0)
    before, after = adapt(SMALL, learned.state, target(wanted), 1, [1], keys([0]), eval_episodes=20)
    fitted = reward_weights(jax.tree.map(lambda x: x[0], after.state.params["rewards"]), 1e-2)[-1]
    np.testing.assert_allclose(fitted, wanted, atol=0.15)
    assert after.returns.mean() > before.returns.mean()
    own = evaluate(judge, learned.params, target((1.0, 0.0), (1.0, 0.0)), 20, keys([0]).evaluation)
    other = evaluate(judge, learned.params, target((1.0, 0.0), (0.0, 1.0)), 20, keys([0]).evaluation)
    assert own.mean() > other.mean()


def test_continuous_actions_are_refused():
    with pytest.raises(InputError, match="need discrete actions"):
        DeepSuccessorFeatures().learner(spec(probes.task(probes.Corridor(discrete=False))))


def test_it_takes_a_larger_world():
    tasks = stack([probes.one(FourRooms())])
    *_, point = learn_source(SMALL, tasks, 128, keys([0]).source, num_points=1)
    assert np.isfinite(np.asarray(point.params["successors"].nets.last.weight)).all()
