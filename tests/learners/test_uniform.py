"""The random policy."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array

from headstart.core.rollout import evaluate
from headstart.core.types import ActionSpace, Box, Discrete, Info, Spec, spec
from headstart.learners.uniform import Uniform


def actions(space: ActionSpace, explore: float) -> Array:
    act = Uniform().learner(Spec(Box((0.0,), (1.0,)), space)).act
    each = jax.random.split(jax.random.key(0), 2000)
    return jax.vmap(lambda key: act({}, (), jnp.zeros(1), jnp.zeros(0), Info(key, explore=explore))[0])(each)


@pytest.mark.parametrize("explore", [0.0, 1.0])  # in evaluation or in training
def test_every_action_is_as_likely_as_any_other(explore: float):
    moves = actions(Box((0.0,) * 2, (5.0,) * 2), explore)  # which the env rescales from [−1, 1]
    assert moves.shape == (2000, 2)
    quarters = np.quantile(moves, [0, 0.25, 0.5, 0.75, 1], axis=0)
    np.testing.assert_allclose(quarters[:, 0], [-1, -0.5, 0, 0.5, 1], atol=0.1)
    counts = np.bincount(np.array(actions(Discrete(4), explore)))
    np.testing.assert_allclose(counts / 2000, 0.25, atol=0.04)


def test_it_learns_nothing_and_can_be_evaluated():
    tasks = probes.task(probes.Bandit(lambda shown, action: action, steps=3))
    learner, last = probes.taught(Uniform(), tasks, 3)
    assert last.params == {}
    assert learner.phases == ()
    assert learner is Uniform().learner(spec(tasks))
    returns = np.array(evaluate(learner, last.params, tasks, 500, probes.keys(1)))
    assert returns.mean() == pytest.approx(1.5, abs=0.15)
