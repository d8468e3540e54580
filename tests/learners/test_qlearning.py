"""Tabular Q-learning: steps by hand, and the optimum of a small MDP."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.types import Info, Spec, spec
from headstart.learners.qlearning import QLearning
from headstart.tasks.worlds import BitFlip, GridWall, RandomMDP

KEY = jax.random.key(0)
SMALL = RandomMDP(states=3, actions=2, branching=1, features=1)
ONE_HOT = jnp.eye(3)


def test_it_learns_from_steps_one_after_the_other_by_hand():
    of = spec(probes.task(SMALL))
    learner = QLearning(learning_rate=0.5, discount=0.5).learner(of)
    # From 0 to 1 for 4; from 1 to 2 for 2, which ends; from 0 to 1 again; and one of weight 0.
    seen = lambda *states: ONE_HOT[jnp.array(states)][None, :, None]
    fresh = probes.experience(
        [[[4.0], [2.0], [4.0], [9.0]]],
        weight=[[[1.0], [1.0], [1.0], [0.0]]],
        obs=seen(0, 1, 0, 2),
        next_obs=seen(1, 2, 1, 0),
        action=jnp.array([[[0], [1], [0], [1]]]),
        discount=jnp.array([[[1.0], [0.0], [1.0], [1.0]]]),
    )
    params, _ = jax.jit(learner.prepare)({"value": jnp.zeros((3, 2))}, fresh, Info(KEY))
    # 4/2; 2/2; then 2 + ½ (4 + ½ · 1 − 2)
    np.testing.assert_allclose(params["value"], [[3.25, 0.0], [0.0, 1.0], [0.0, 0.0]])


def test_it_finds_the_best_values_of_a_small_mdp():
    tasks = probes.task(SMALL, seed=1)
    learner = QLearning(learning_rate=0.2, discount=0.9, epsilon=1.0).learner(spec(tasks))
    last = probes.trained(learner, tasks, 3000)
    full = jax.jit(SMALL.tables)({"seed": jnp.float32(1.0)})
    p, r = np.asarray(full.transitions, float), np.asarray((full.transitions[..., None] * full.cumulants).sum((2, 3)))
    q = np.zeros((3, 2))
    for _ in range(500):
        q = r + 0.9 * p @ q.max(1)
    np.testing.assert_allclose(last.params["value"][0], q, atol=1e-2)
    assert int(last.gradient_steps[0]) == 0


def test_it_acts_by_its_table_and_sometimes_at_random():
    learner = QLearning(epsilon=0.5).learner(spec(probes.task(SMALL)))
    params = {"value": jnp.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])}
    one = lambda key, explore: learner.act(params, (), ONE_HOT[1], jnp.zeros(0), Info(key, explore=explore))[0]
    act = lambda explore: jax.vmap(lambda key: one(key, explore))(jax.random.split(KEY, 2000))
    assert float(act(1.0).mean()) == pytest.approx(0.25, abs=0.03)
    assert int(act(0.0).sum()) == 0


@pytest.mark.parametrize("task", [probes.task(probes.Corridor()), probes.task(probes.Corridor(discrete=False))])
def test_tasks_without_enumerable_states_are_refused(task):
    with pytest.raises(InputError, match="QLearning keeps a table, which needs enumerable states"):
        QLearning().learner(spec(task))


def test_a_table_of_too_many_states_is_refused():
    with pytest.raises(InputError, match="states are too many for one; use DQN"):
        QLearning().learner(spec(probes.task(BitFlip(25))))


def test_several_tasks_at_once_are_refused():
    of: Spec = spec(probes.task(GridWall()))._replace(num_tasks=3, context_dim=3)
    with pytest.raises(InputError, match="give it one source, not 3 together"):
        QLearning().learner(of)
