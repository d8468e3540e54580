"""Third-party envs in the compiled loop: each is called once per step, in order, and freed."""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import strangers
from gymnasium.utils.env_checker import check_env
from numpyro import distributions as dist

import headstart as hs
from headstart.core.episode import observe, reset, step
from headstart.core.rollout import evaluate, reset_envs, rollout
from headstart.core.train import train
from headstart.core.types import Info, Replay, stack
from headstart.tasks.host import calls, host

LIMIT = 12
KEY = jax.random.key(0)


def cartpole() -> gymnasium.Env:
    return strangers.Noted(gymnasium.make("CartPole-v1", max_episode_steps=LIMIT))


def clock() -> gymnasium.Env:
    return strangers.Noted(strangers.Clock(ends=7))


def falls_or_stays(obs: Any) -> Any:
    """To the right of the middle it pushes until the pole falls; to the left it keeps the pole up."""
    return jnp.where(obs[0] > 0, 1, obs[2] > 0).astype(jnp.int32)


@pytest.fixture(autouse=True)
def noted(monkeypatch) -> list[strangers.Noted]:
    notes: list[strangers.Noted] = []
    monkeypatch.setattr(strangers.Noted, "notes", notes)
    return notes


def test_batch_of_envs_equals_envs_stepped_by_hand(noted):
    env = host(cartpole)
    tasks, agent = stack([probes.one(env)]), probes.player(falls_or_stays)

    @jax.jit
    @jax.vmap
    def play(key):
        env_states = reset_envs(agent, tasks, 3, key)
        return rollout(agent, {}, tasks, env_states, Info(key), 40)[1]

    noted.clear()  # of the probe
    fresh = jax.tree.map(np.asarray, play(probes.keys(2)))
    notes = [live.note for live in noted]
    assert len(notes) == 6
    kinds = {(bool(t), bool(u)) for note in notes for (*_, t, u) in [n for n in note if n[0] == "step"]}
    assert kinds == {(False, False), (True, False), (False, True)}
    for row, note in enumerate(notes):
        at = (row // 3, 0, slice(None), row % 3)  # seed, task, time, copy
        _as_by_hand(jax.tree.map(lambda x, at=at: x[at], fresh), note)


def _as_by_hand(fresh: Any, note: list[Any]) -> None:
    """The program's outputs, the env's own records, and a clean env stepped by hand with the same seeds agree."""
    clean, t, observations = gymnasium.make("CartPole-v1", max_episode_steps=LIMIT), 0, None
    for kind, given, *_ in note:
        if kind == "reset":
            observations, _ = clean.reset(seed=given)
            continue
        after, reward, terminated, truncated, _ = clean.step(given)
        np.testing.assert_array_equal(fresh.obs[t], observations)
        np.testing.assert_array_equal(fresh.next_obs[t], after)  # where the episode ended, its own last
        assert (fresh.action[t], fresh.reward[t]) == (given, reward)
        assert (bool(fresh.last[t]), bool(fresh.discount[t])) == (terminated or truncated, not terminated)
        t, observations = t + 1, after
    assert t == 40


def test_training_makes_one_call_per_step_and_frees_all_envs(noted):
    env = host(clock, horizon=5)
    tasks, agent = (
        stack([probes.one(env), probes.one(env)]),
        probes.counter(Replay(num_steps=4, num_envs=3, batch_size=1)),
    )
    noted.clear()
    *_, last = train(agent, tasks, 6 * 24, probes.keys(2), num_points=3)
    assert last.steps.tolist() == [144.0, 144.0]
    assert len(noted) == env.pool.num_envs == 2 * 2 * 3
    assert env.pool.num_in_use == 0
    for live in noted:
        assert [n[0] for n in live.note] == (["reset"] + ["step"] * 5) * 4 + ["reset"] + ["step"] * 4
    points: Any = train(agent, tasks, 6 * 24, probes.keys(2), num_points=3)
    next(points)
    assert env.pool.num_in_use == 12
    points.close()  # as where a `for` loop is left
    assert (env.pool.num_envs, env.pool.num_in_use) == (12, 0)


def test_twenty_evaluations_make_no_more_envs_than_one(noted):
    env = host(clock, horizon=9)
    tasks, agent = stack([probes.one(env)]), probes.player(probes.left)
    returns = [evaluate(agent, {}, tasks, 3, probes.keys(2)) for _ in range(20)]
    assert {float(x) for x in np.asarray(returns).ravel()} == {28.0}  # 1 + … + 7
    assert (env.pool.num_envs, env.pool.num_in_use) == (6, 0)


def test_seed_that_has_finished_is_not_stepped_while_others_continue():
    """A batched while loop continues for seeds that are done, from states that their envs have left."""
    env = host(clock, horizon=6)
    task = probes.one(env)

    @jax.jit
    @jax.vmap
    def play(until, key):
        def on(carry):
            episode, t = carry
            return step(task, episode, jnp.int32(0), KEY)[0], t + 1

        return jax.lax.while_loop(lambda carry: carry[1] < until, on, (reset(task, key), 0))[0].state

    state = play(jnp.array([2, 5]), probes.keys(2))
    assert state.observation[:, 0].tolist() == [2.0, 5.0]
    assert not env.pop_failures()


def test_callback_of_another_backend_makes_as_many_calls(monkeypatch, noted):
    env = host(clock, horizon=4)
    task = probes.one(env)

    @jax.jit
    @jax.vmap
    def play(key):
        def on(episode, key):
            return step(task, episode, jnp.int32(1), key)

        return jax.lax.scan(on, reset(task, key), jax.random.split(key, 6))[1]

    monkeypatch.setattr(calls, "on_host", calls._by_io_callback)
    monkeypatch.setattr("headstart.tasks.host.env.on_host", calls._by_io_callback)
    noted.clear()
    observations = play(probes.keys(3))
    assert observations.reward.tolist() == [[1.0, 2.0, 3.0, 4.0, 1.0, 2.0]] * 3
    assert [len(live.note) for live in noted] == [8] * 3


def test_parameters_are_drawn_for_each_episode_and_reach_the_env():
    law = dist.Uniform(jnp.float32(1.0), jnp.float32(5.0))
    task = hs.task(host(strangers.Clock, horizon=3), level=law, power=2.0, gravity=dist.Uniform(0.0, 9.0))

    @jax.jit
    def play(key):
        def on(episode, key):
            return step(task, episode, jnp.int32(1), key)

        episode, observations = jax.lax.scan(on, reset(task, key), jax.random.split(key, 9))
        task.env.close(episode.state)
        return observations

    obs = np.asarray(play(KEY).obs)
    np.testing.assert_array_equal(obs[:, 0], [0, 1, 2] * 3)
    assert len(set(obs[:, 1].tolist())) == len(set(obs[:, 2].tolist())) == 3
    assert all(2.0 <= level <= 10.0 for level in obs[:, 1])
    bare = probes.one(task.env)
    assert observe(bare, reset(bare, KEY)).tolist() == [0.0, 2.0, 10.0]  # the same live env, nominal again
    assert task.env.pool.num_envs == 1  # pyright: ignore[reportAttributeAccessIssue]


def test_disturbances_wrap_a_host_env():
    task = hs.task(host(strangers.Clock, horizon=3), action_delay=1.0, observation_noise=0.1)

    @jax.jit
    def play(key):
        return jax.lax.scan(lambda e, k: step(task, e, jnp.int32(1), k), reset(task, key), jax.random.split(key, 6))[1]

    observations = play(KEY)
    assert observations.reward.tolist() == [1.0, 2.0, 3.0] * 2
    assert observations.last.tolist() == [False, False, True] * 2
    assert 0 < float(jnp.abs(observations.obs[:, 0] - jnp.array([0.0, 1.0, 2.0] * 2)).max()) < 1.0


@pytest.mark.filterwarnings("ignore:.*(Box observation space|assigned a `spec`).*")
def test_it_works_with_gymnasiums_interface():
    env: Any = hs.to_gymnasium(hs.task(host("CartPole-v1", horizon=4)))
    check_env(env, skip_render_check=True)
    env.reset(seed=1)
    assert [env.step(0)[2:4] for _ in range(4)] == [(False, False)] * 3 + [(False, True)]
    env.close()
    assert env.task.env.pool.num_in_use == 0
