"""Active sampling: how often a source is sampled, by hand; who is inactive; and that the hard one is played most."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import active_envs
from headstart.core.train import train
from headstart.core.types import Info, Learner, Method, Replay, Spec, Task, spec
from headstart.learners.ppo import PPO
from headstart.methods.multitask.active import ActiveSampling, TaskReturns, systematic_allocation, task_probabilities
from headstart.methods.multitask.joint import Joint
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.tasks.task_ids import stack_tasks

KEY = jax.random.key(0)
SMALL = PPO(
    hidden=(8,), num_steps=4, num_envs=6, batch_size=8, num_epochs=2, learning_rate=0.03, anneal_learning_rate=False
)


def test_a_source_is_drawn_by_how_far_it_is_from_solved():
    active = ActiveSampling(SMALL, min_return=-10.0, solved_return=10.0, min_gap=0.1)
    drawn = task_probabilities(active, jnp.array([10.0, 30.0, 0.0, -10.0]))
    np.testing.assert_allclose(drawn, np.array([0.1, 0.1, 0.6, 1.1]) / 1.9, rtol=1e-6)
    np.testing.assert_allclose(
        task_probabilities(ActiveSampling(sampling="uniform"), jnp.array([1.0, 0.0])), [0.5, 0.5]
    )


@pytest.mark.parametrize(
    ("each", "luck", "counts"),
    [
        ([0.5, 0.25, 0.25], 0.9, [2, 1, 1]),
        ([0.6, 0.4], 0.5, [2, 2]),
        ([0.6, 0.4], 0.7, [3, 1]),
        ([0.01, 0.99], 0.0, [0, 4]),
        ([1.0, 0.0], 0.99, [4, 0]),
    ],
)
def test_copies_are_shared_out_to_the_last(each, luck, counts):
    assert jax.jit(systematic_allocation, static_argnums=1)(np.float32(each), 4, np.float32(luck)).tolist() == counts


def payers(*levels: float) -> Task:
    """Returns bandits that pay their number for a 1."""
    bandit = probes.Bandit(lambda shown, action: shown * action, steps=2)
    return stack_tasks([probes.one(bandit, level=level) for level in levels])


def test_environments_that_are_not_sampled_are_inactive():
    tasks = payers(1.0, 2.0, 3.0)
    learner = ActiveSampling(SMALL, min_gap=1e-6).learner(spec(tasks))
    params = {**probes.known(learner), "task_returns": TaskReturns(jnp.array([1.0, 1.0, 0.0]), None)}
    active = jax.jit(active_envs, static_argnums=0)(learner, params, tasks, jnp.int32(0), Info(KEY))
    assert active is not None
    assert active[:, 0].sum(1).sum() == SMALL.num_envs
    assert active[2].all()
    env_states = probes.start(learner, tasks, SMALL.num_envs, KEY)
    after, fresh = probes.rollout(learner, params, tasks, env_states, Info(KEY), 3, active[:, :3])
    np.testing.assert_array_equal(fresh.weight, active[:, :3])
    assert after.episode.time.tolist() == [[0] * 6, [0] * 6, [1] * 6]


def test_returns_follow_what_was_played_and_sources_count_by_it():
    learner = ActiveSampling(SMALL, step_size=0.5).learner(spec(payers(1.0, 2.0)))
    fresh = probes.experience(
        [[[1.0, 1.0]], [[2.0, 0.0]]],
        context=jnp.broadcast_to(jnp.eye(2)[:, None, None], (2, 1, 2, 2)),
        action=jnp.ones((2, 1, 2), jnp.int32),
        last=jnp.ones((2, 1, 2), bool),
        episode_return=jnp.array([[[1.0, 3.0]], [[2.0, 8.0]]]),
        weight=jnp.array([[[1.0, 1.0]], [[1.0, 0.0]]]),
        obs=jnp.zeros((2, 1, 2, 1)),
        next_obs=jnp.zeros((2, 1, 2, 1)),
    )
    params, batch = jax.jit(learner.prepare)(probes.known(learner), fresh, Info(KEY))
    # Half of the way from 0 to 2, and to 2: transitions of weight 0 are ignored.
    assert params["task_returns"].returns.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(batch.weight[:, 0], np.array([[2, 2], [1, 0]]) / 1.5, rtol=1e-6)


@dataclasses.dataclass(frozen=True)
class Replaying(Method):
    """Keeps five rows of each source, and reports the weights that its loss is given."""

    def build(self, spec: Spec, target: bool) -> Learner:
        replay = Replay(num_steps=3, num_envs=1, batch_size=2, buffer_size=5, update_to_data=1.0)
        return probes.counter(replay, loss=lambda params, batch, info: (-params["k"], {"w": batch.weight}))


def test_a_replayed_source_weighs_by_what_is_there_to_draw_from():
    """Equally many rows are drawn of each source; 3 and 1 are there, and then 5 of the 6 that were played, and 3."""
    learner = ActiveSampling(Replaying()).learner(spec(payers(1.0, 2.0)))
    params, prepare = probes.known(learner), jax.jit(learner.prepare)
    drawn = probes.experience([[1.0, 1.0], [2.0, 2.0]])
    weights = jax.jit(lambda params: probes.loss_of(learner, params, drawn)[1]["w"])
    for weight, held, shares in (([1, 0, 0], [3, 1], [1.5, 0.5]), ([1, 1, 0], [5, 3], [1.25, 0.75])):
        fresh = probes.experience(np.ones((2, 3, 1)), np.array([[1, 1, 1], weight])[..., None])
        params, batch = prepare(params, fresh, Info(KEY))
        np.testing.assert_array_equal(batch.weight, fresh.weight)  # rows in memory keep equal weights
        assert params["task_returns"].num_rows.tolist() == held
        assert weights(params).tolist() == [[share] * 2 for share in shares]


def test_it_and_surgery_on_gradients_are_one_or_the_other():
    """A task's own gradient is that of its own mean loss: what the task weighs is lost."""
    for method in (ActiveSampling(Joint(SMALL)), Joint(ActiveSampling(SMALL))):
        with pytest.raises(InputError, match=r"each source's gradient the same weight.*choose another base\.$"):
            method.learner(spec(payers(1.0, 2.0)))


def test_what_is_solved_is_hardly_played_and_steps_are_counted():
    """One bandit pays at once; the other never does, and so takes nearly all of the steps."""
    tasks = payers(1.0, 0.0)
    learner = ActiveSampling(SMALL, solved_return=1.0).learner(spec(tasks))
    *_, last = train(learner, tasks, 2_400, jax.random.split(KEY, 2), num_points=4)
    assert last.steps.tolist() == [2_400.0] * 2
    assert (last.metrics["sampled_1"] < 0.2).all()
    assert (last.metrics["sampled_2"] > 0.8).all()
    assert (last.params["task_returns"].returns[:, 0] > 0.9).all()


def test_of_one_source_there_is_nothing_to_draw():
    alone = spec(probes.task(probes.Corridor()))
    assert ActiveSampling(SMALL).learner(alone) is SMALL.learner(alone)


def test_it_stacks_on_a_base_that_adds_parts_of_its_own():
    base, tasks = UniversalPolicy(SMALL), spec(payers(1.0, 2.0))
    params = probes.known(ActiveSampling(base).learner(tasks))
    assert params.keys() == {*probes.known(base.learner(tasks)), "task_returns"}
    assert {"parameter_scale", "task_returns"} <= params.keys()


def test_what_is_never_solved_is_said():
    with pytest.raises(InputError, match="solved_return=0 is not above min_return=1"):
        ActiveSampling(min_return=1.0, solved_return=0.0)
