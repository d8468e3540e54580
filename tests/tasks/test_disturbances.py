"""Disturbances: delayed actions, noisy actions and noisy observations, on envs whose right answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.episode import reset, step
from headstart.core.types import Box, Task
from headstart.tasks.disturbances import MAX_DELAY, Disturbed, disturb, offered
from headstart.tasks.worlds import Breakout, CartPole, Pendulum

ALL = ("action_delay", "action_noise", "observation_noise")
LENGTH = 30


def values(env, **given):
    return {k: jnp.float32(v) for k, v in {**env.defaults, **given}.items()}


def play(env, params, actions, key=None):
    """Returns the observations at the start and after each action, the cumulants and the terminations."""
    key = jax.random.key(7) if key is None else key
    k_start, k_play = jax.random.split(key)
    state = env.initial(params, k_start)

    def tick(state, now):
        action, key = now
        after = env.transition(params, state, action, key)
        step = env.observe(params, after), env.cumulants(params, state, action, after), env.terminal(params, after)
        return after, step

    return env.observe(params, state), *jax.lax.scan(tick, state, (actions, jax.random.split(k_play, len(actions))))[1]


def some_actions(env, length=LENGTH):
    if isinstance(env.action_space, Box):
        return jax.random.uniform(jax.random.key(1), (length, env.action_space.size), minval=-2.0, maxval=2.0)
    return jax.random.bernoulli(jax.random.key(1), 0.5, (length,)).astype(jnp.int32)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("env", [CartPole(), Pendulum()], ids=lambda env: env.name)
@pytest.mark.parametrize("late", [0, 1, 3, MAX_DELAY])
def test_a_delay_of_k_is_the_same_actions_k_steps_later(env, late):
    actions = np.asarray(some_actions(env))
    disturbed = disturb(env, ["action_delay"])
    shifted = np.concatenate([np.zeros_like(actions[:late]), actions])[:LENGTH]
    ours = jax.jit(play, static_argnums=0)(disturbed, values(disturbed, action_delay=late), actions)
    same(ours, jax.jit(play, static_argnums=0)(env, values(env), shifted))


def test_a_drawn_delay_is_rounded_to_a_whole_step():
    env = disturb(Pendulum(), ["action_delay"])
    actions = some_actions(env)
    late = jax.jit(lambda late: play(env, values(env, action_delay=late), actions))
    same(late(2.4), late(2.0))
    same(late(1.6), late(2.0))


def test_pending_actions_are_dropped_when_an_episode_ends():
    env = disturb(Pendulum(), ["action_delay"])
    task = Task(env, {"action_delay": jnp.float32(3)}, jnp.ones(1), jnp.zeros(0), jnp.int32(0))
    episode = reset(task, jax.random.key(0))
    step_once = jax.jit(step)
    for t in range(env.horizon):
        episode, transition = step_once(task, episode, jnp.ones(1), jax.random.key(t))
    assert bool(transition.last)
    np.testing.assert_array_equal(episode.state.pending, 0.0)


@pytest.mark.parametrize("env", [CartPole(), Pendulum()], ids=lambda env: env.name)
def test_disturbances_of_zero_equal_the_bare_env_exactly(env):
    actions = some_actions(env, 8)
    disturbed = disturb(env, [p.name for p in offered(env)])
    assert isinstance(disturbed, Disturbed)
    with jax.disable_jit():  # compiled as a whole, each program rounds its sums in an order of its own
        same(play(disturbed, values(disturbed), actions), play(env, values(env), actions))


def test_observation_noise_has_the_right_deviation_and_does_not_change_the_state():
    env, bare = disturb(Pendulum(), ["observation_noise"]), Pendulum()
    actions, keys = some_actions(env), jax.random.split(jax.random.key(3), 4000)
    many = jax.jit(jax.vmap(lambda key: play(env, values(env, observation_noise=0.3), actions, key)))(keys)
    clean = jax.jit(jax.vmap(lambda key: play(bare, values(bare), actions, key)))(keys)
    with jax.disable_jit():  # compiled as a whole, each program rounds its sums in an order of its own
        for key in keys[:2]:
            noisy = play(env, values(env, observation_noise=0.3), actions[:8], key)
            same(noisy[2:], play(bare, values(bare), actions[:8], key)[2:])
    for noisy, true in zip(many[:2], clean[:2], strict=True):
        noise = np.asarray(noisy - true).reshape(-1, 3)
        np.testing.assert_allclose(noise.std(0), 0.3, rtol=0.04)
        np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(3), atol=0.06)
    steps = np.asarray(many[1] - clean[1])  # [episode, step, number]: a new draw at each
    assert abs(np.corrcoef(steps[:, 0, 0], steps[:, 1, 0])[0, 1]) < 0.06


def test_action_noise_is_in_half_ranges_within_bounds_and_the_reward_is_for_the_noisy_action():
    env, world = disturb(Pendulum(), ["action_noise"]), Pendulum()
    params = values(env, action_noise=0.1)
    states = jax.jit(jax.vmap(lambda key: env.initial(params, key)))(jax.random.split(jax.random.key(0), 4000))
    move = jax.jit(jax.vmap(lambda state, action, key: env.transition(params, state, action, key), (0, None, 0)))
    keys = jax.random.split(jax.random.key(1), 4000)
    after = move(states, jnp.array([0.5]), keys)
    np.testing.assert_allclose(after.executed.mean(), 0.5, atol=0.015)
    np.testing.assert_allclose(after.executed.std(), 0.1 * 2.0, rtol=0.04)
    assert float(jnp.abs(move(states, jnp.array([2.0]), keys).executed).max()) == 2.0
    paid = jax.jit(jax.vmap(lambda s, s2: env.cumulants(params, s, jnp.array([0.5]), s2)))(states, after)
    due = jax.jit(jax.vmap(lambda s, s2: world.cumulants(values(world), s.inner, s2.executed, s2.inner)))(states, after)
    same(paid, due)


def test_only_the_named_disturbances_are_present():
    bare = Pendulum()
    assert disturb(bare, ["mass", "gravity"]) is bare
    env = disturb(bare, ["mass", "observation_noise", "action_delay"])
    assert env == disturb(disturb(bare, ["action_delay"]), ["observation_noise"])
    assert [p.name for p in env.parameters] == [p.name for p in bare.parameters] + ["action_delay", "observation_noise"]
    assert env.defaults == {**bare.defaults, "action_delay": 0.0, "observation_noise": 0.0}
    state = disturb(bare, ["action_noise"]).initial(values(bare, action_noise=1), jax.random.key(0))
    assert state.pending.size == state.noise.size == 0
    assert [p.name for p in offered(CartPole())] == ["action_delay", "observation_noise"]
    assert [p.name for p in offered(bare)] == list(ALL)
    with pytest.raises(ValueError, match="CartPole-v1 has no action_noise"):
        disturb(CartPole(), ["action_noise"])
    assert [p.name for p in offered(Breakout())] == ["action_delay"]
    with pytest.raises(ValueError, match="Breakout-MinAtar has no observation_noise, because it observes images"):
        disturb(Breakout(), ["observation_noise"])


def test_changing_a_value_does_not_trace_again():
    env, traces = disturb(Pendulum(), ALL), []

    @jax.jit
    def run(params, actions):
        traces.append(1)
        return play(env, params, actions)[1].sum()

    actions = some_actions(env)
    given = [(0, 0, 0), (3, 0.1, 0.2), (10, 1.0, 0.0)]
    returns = {float(run(values(env, **dict(zip(ALL, numbers, strict=True))), actions)) for numbers in given}
    assert len(traces) == 1
    assert len(returns) == 3
