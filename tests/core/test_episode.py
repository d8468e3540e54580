"""One copy of one task: its parameters, its steps and its end."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
from numpyro import distributions as dist

from headstart.core.episode import observe, params_of, reset, sample_params, step

KEY = jax.random.key(0)
UNIFORM = dist.Uniform(jnp.float32(-2.0), jnp.float32(2.0))


def left_pays_1(shown, action):
    return 1.0 - action


def test_fixed_parameters_are_kept_and_the_rest_is_nominal():
    params = sample_params(probes.one(probes.Bandit(left_pays_1), level=3.5), KEY)
    assert {name: float(x) for name, x in params.items()} == {"level": 3.5, "spread": 0.0, "ends": 0.0}


def test_random_parameters_are_drawn():
    task = probes.one(probes.Bandit(left_pays_1), level=UNIFORM, spread=UNIFORM)
    drawn = jax.vmap(lambda key: sample_params(task, key))(jax.random.split(KEY, 500))
    assert abs(float(drawn["level"].mean())) < 0.2
    assert -2.0 <= float(drawn["level"].min()) < -1.9
    assert 1.9 < float(drawn["level"].max()) <= 2.0
    assert abs(np.corrcoef(drawn["level"], drawn["spread"])[0, 1]) < 0.15  # each from a key of its own


def test_an_episode_holds_only_sampled_parameters():
    task = probes.one(probes.Bandit(left_pays_1), level=UNIFORM, spread=2.5)
    episode = reset(task, KEY)
    assert list(episode.sampled) == ["level"]
    assert params_of(task, episode) == {"level": episode.sampled["level"], "spread": 2.5, "ends": 0.0}
    after, _ = step(task, episode, jnp.int32(1), KEY)
    assert after.sampled["level"] != episode.sampled["level"]  # each of its episodes is one step long


def test_a_step_by_hand_up_to_a_termination():
    task = probes.one(probes.Corridor(length=2), push=1.0).replace(w=jnp.array([3.0]))
    episode = reset(task, KEY)
    assert observe(task, episode).tolist() == [0.0]
    episode, seen = step(task, episode, jnp.int32(1), KEY)
    assert (seen.obs.tolist(), seen.next_obs.tolist()) == ([0.0], [0.5])
    assert (float(seen.reward), float(seen.discount), bool(seen.last)) == (0.0, 1.0, False)
    assert int(episode.time) == 1

    episode, seen = step(task, episode, jnp.int32(1), KEY)
    assert (seen.obs.tolist(), seen.next_obs.tolist()) == ([0.5], [1.0])  # of the step, not of the next episode
    assert (seen.cumulants.tolist(), float(seen.reward), float(seen.episode_return)) == ([1.0], 3.0, 3.0)
    assert (float(seen.discount), bool(seen.last)) == (0.0, True)
    assert (int(episode.time), float(episode.episode_return), observe(task, episode).tolist()) == (0, 0.0, [0.0])


def test_a_truncation_ends_the_episode_but_not_the_discount():
    task = probes.one(probes.Bandit(lambda shown, action: shown, steps=3), level=2.0)
    episode = reset(task, KEY)
    seen = []
    for _ in range(4):
        episode, transition = step(task, episode, jnp.int32(0), KEY)
        seen.append(transition)
    assert [bool(t.last) for t in seen] == [False, False, True, False]
    assert [float(t.discount) for t in seen] == [1.0] * 4
    assert [float(t.episode_return) for t in seen] == [2.0, 4.0, 6.0, 2.0]


def test_parameters_are_drawn_for_each_episode_and_stay_within_one():
    task = probes.one(probes.Bandit(left_pays_1, steps=3), level=UNIFORM)

    def on(episode, key):
        return step(task, episode, jnp.int32(0), key)

    _, seen = jax.lax.scan(on, reset(task, KEY), jax.random.split(KEY, 30))
    shown = seen.obs.reshape(10, 3)
    np.testing.assert_array_equal(shown, np.repeat(shown[:, :1], 3, 1))
    np.testing.assert_array_equal(seen.next_obs, seen.obs)
    assert len(set(shown[:, 0].tolist())) == 10


def test_actions_reach_the_env_in_its_units():
    task = probes.one(probes.Bandit(lambda shown, action: action[0], choices=probes.Box((0.0,), (10.0,))))
    paid = [step(task, reset(task, KEY), jnp.array([a]), KEY)[1] for a in (-1.0, 0.0, 5.0)]
    assert [float(t.reward) for t in paid] == [0.0, 5.0, 10.0]
    assert [t.action.tolist() for t in paid] == [[-1.0], [0.0], [5.0]]  # and are remembered as they were chosen
