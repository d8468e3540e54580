"""Gathering experience, and being judged."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
from numpyro import distributions as dist

from headstart.core.rollout import evaluate
from headstart.core.types import Info, Params, stack

KEY = jax.random.key(0)
NOTHING: Params = {}
INFO = Info(KEY, 0.0, 1.0)


def shown(number, action):
    return number


def test_experience_has_the_axes_task_time_copy():
    tasks = stack([probes.one(probes.Corridor(), push=push) for push in (1.0, 2.5)])
    learner = probes.player(probes.right)
    worlds = probes.start(learner, tasks, 3, KEY)
    worlds, fresh = probes.rollout(learner, NOTHING, tasks, worlds, INFO, 4)
    assert fresh.obs.shape == (2, 4, 3, 1)
    np.testing.assert_allclose(fresh.next_obs[0, :, 0, 0], [0.2, 0.4, 0.6, 0.8], rtol=1e-6)
    assert fresh.last[1].tolist() == [[False] * 3, [True] * 3] * 2  # 2.5 cells a step: there in two
    _, further = probes.rollout(learner, NOTHING, tasks, worlds, INFO, 1)
    np.testing.assert_allclose(further.obs[:, 0, 0, 0], [0.8, 0.0], rtol=1e-6)  # it goes on where it stood


def test_parameters_are_drawn_for_each_copy_and_each_episode():
    law = dist.Uniform(jnp.float32(0.0), jnp.float32(1.0))
    tasks = stack([probes.one(probes.Bandit(shown, steps=2), level=law)] * 2)
    learner = probes.player(probes.left)
    _, fresh = probes.rollout(learner, NOTHING, tasks, probes.start(learner, tasks, 5, KEY), INFO, 8)
    levels = fresh.obs.reshape(2, 4, 2, 5)  # task, episode, step, copy
    np.testing.assert_array_equal(levels[:, :, 0], levels[:, :, 1])
    assert len(set(levels[:, :, 0].reshape(-1).tolist())) == 2 * 4 * 5


def test_what_a_policy_remembers_begins_anew_with_each_episode():
    counting = probes.player(probes.left)._replace(
        init_carry=lambda parameters, info: jnp.zeros(()),
        act=lambda params, carry, obs, context, info: (jnp.int32(0), carry + 1.0, {"age": carry}),
    )
    tasks = probes.task(probes.Bandit(shown, steps=3))
    _, fresh = probes.rollout(counting, NOTHING, tasks, probes.start(counting, tasks, 1, KEY), INFO, 7)
    assert fresh.extras["age"][0, :, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_an_episode_that_is_played_once_ends_for_good():
    tasks = stack([probes.one(probes.Corridor(), push=push) for push in (1.0, 2.5)])
    learner = probes.player(probes.right)
    worlds, once = probes.start(learner, tasks, 2, KEY), jnp.array([[True, False], [True, False]])
    ends, fresh = probes.rollout(learner, NOTHING, tasks, worlds, INFO, 7, single_episode=once)
    played = [[1, 1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0]]
    assert fresh.weight[:, :, 0].tolist() == played
    assert fresh.last.sum((1, 2)).tolist() == [1, 1]
    assert fresh.reward[:, :, 0].tolist() == np.where(np.array(played) > 0, fresh.reward[:, :, 0], 0.0).tolist()
    assert ends.episode.time.tolist() == [[5, 0], [2, 0]]
    assert not fresh.weight[:, :, 1].any()


def test_judged_returns_are_exact():
    tasks = stack([probes.one(probes.Corridor(), push=push) for push in (1.0, 0.1)])  # 0.1: never there in time
    judged = evaluate(probes.player(probes.right), NOTHING, tasks, 3, probes.keys(2))
    assert judged.tolist() == [[[1.0] * 3, [0.0] * 3]] * 2  # seed, task, episode
    assert not evaluate(probes.player(probes.left), NOTHING, tasks, 3, probes.keys(2)).any()


def test_only_the_first_episode_of_a_copy_is_judged():
    for steps in (7, 70):
        tasks = probes.task(probes.Bandit(shown, steps=steps), level=1.0)
        assert evaluate(probes.player(probes.left), NOTHING, tasks, 2, probes.keys(1)).tolist() == [[[steps] * 2]]


def test_what_happens_after_the_end_does_not_leak():
    def ruin(number, action):
        return jnp.where(number > 0, 1.0, jnp.nan)

    tasks = probes.task(probes.Bandit(ruin, steps=2), spread=1.0)  # every other episode pays NaN, in 25 of each copy
    judged = np.array(evaluate(probes.player(probes.left), NOTHING, tasks, 40, probes.keys(1)))[0, 0]
    assert 10 < np.isnan(judged).sum() < 30
    assert set(judged[~np.isnan(judged)]) == {2.0}


def test_a_judged_policy_does_not_explore():
    curious = probes.player(probes.left)._replace(
        act=lambda params, carry, obs, context, info: (jnp.where(info.explore > 0, 1, 0), carry, {})
    )
    tasks = probes.task(probes.Bandit(lambda number, action: action))
    assert not evaluate(curious, NOTHING, tasks, 4, probes.keys(1)).any()


def test_equal_keys_judge_in_the_same_episodes():
    law = dist.Uniform(jnp.float32(0.0), jnp.float32(1.0))
    tasks = probes.task(probes.Bandit(shown, steps=3), level=law)
    judged = [evaluate(probes.player(act), NOTHING, tasks, 4, probes.keys(2)) for act in (probes.left, probes.right)]
    np.testing.assert_array_equal(judged[0], judged[1])
    assert len(set(judged[0].reshape(-1).tolist())) == 8
