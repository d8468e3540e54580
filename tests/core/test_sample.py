"""Phases that draw their own batches: methods that look ahead, relabel, or mix in other transitions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
from jaxtyping import Array
from probes import experience

from headstart.core.draw import Draw, take
from headstart.core.memory import from_log
from headstart.core.sampling import uniform
from headstart.core.train import train
from headstart.core.types import Info, Learner, Params, Phase, Replay, Task, Transition, stack
from headstart.tasks.worlds.bit_flip import BitFlip


def recorder(sample: Any, replay: Replay, seen: list[Transition], **fields: Any) -> Learner:
    """Returns a learner that gives each batch of its phase to `seen`."""

    def loss(params: Params, batch: Transition, info: Info) -> tuple[Array, dict[str, Array]]:
        jax.debug.callback(seen.append, batch)
        return jnp.zeros(()), {}

    return probes.player(probes.right, replay)._replace(phases=(Phase(loss, (), optax.identity(), sample),), **fields)


def task_of(env: Any, w: tuple[float, ...] = (1.0,)) -> Task:
    return stack([Task(env, {}, jnp.array(w), jnp.zeros(0), jnp.int32(0))])


def test_a_phase_sees_the_return_that_the_episode_of_each_row_came_to():
    """As SMERL does, whose bonus depends on it."""
    seen: list[Transition] = []

    def sample(params: Params, draw: Draw, info: Info) -> Transition:
        batch, (left, ended) = draw.batch(), draw.steps_left(draw.rows)
        outcome = draw.take(draw.later(draw.rows, left)).episode_return
        return batch.replace(extras={"outcome": outcome, "ended": ended})

    replay = Replay(num_steps=5, num_envs=2, batch_size=200, buffer_size=80, update_to_data=0.1)
    corridor = probes.Corridor(length=3)
    *_, _ = train(recorder(sample, replay, seen), probes.task(corridor), 40, probes.keys(1), num_points=1)
    jax.effects_barrier()
    batch = seen[-1]
    counts, ended = batch.weight > 0, batch.extras["ended"]
    assert (batch.extras["outcome"][counts & ended] == 1.0).all()  # the corridor's end pays 1
    assert (batch.extras["outcome"][counts & ~ended] == 0.0).all()  # and before it there is nothing
    assert (counts & ended).any()
    assert (counts & ~ended).any()


def test_logged_experience_may_be_half_of_a_batch_and_traces_nothing_again():
    """As RLPD does."""
    seen: list[Transition] = []

    def sample(params: Params, draw: Draw, info: Info) -> Transition:
        assert draw.offline is not None
        half = draw.rows.shape[1] // 2
        both = draw.take(draw.rows[:, :half]), take(draw.offline, uniform(draw.offline, half, info.key))
        return jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *both)

    replay = Replay(num_steps=4, num_envs=1, batch_size=8, buffer_size=20, update_to_data=0.25)
    tasks = probes.task(probes.Corridor(length=3))
    for reward in (50.0, 70.0):
        log = from_log(experience([[[reward], [reward + 1], [reward + 2]]]))
        *_, _ = train(recorder(sample, replay, seen), tasks, 8, probes.keys(2), num_points=1, offline=(log,))
        jax.effects_barrier()
        for batch in seen:
            rewards = np.asarray(batch.reward)
            assert (rewards[..., :4] < 2).all()
            assert set(rewards[..., 4:].ravel().tolist()) <= {reward, reward + 1}
        seen.clear()


def test_goals_of_a_batch_may_be_what_the_same_episode_reached_later():
    """As hindsight experience replay does: each goal is then reached, and the reward is computed again."""
    seen: list[Transition] = []
    env = BitFlip(4)
    goal = env.goal
    assert goal is not None

    def sample(params: Params, draw: Draw, info: Info) -> Transition:
        batch, (left, _) = draw.batch(), draw.steps_left(draw.rows)
        assert info.task is not None
        w = info.task.w[0]  # the one task's
        steps = jnp.floor(jax.random.uniform(info.key, left.shape) * (left + 1)).astype(jnp.int32)
        later = draw.take(draw.later(draw.rows, steps))

        def one(t: Transition, later: Transition) -> Transition:
            new = goal.achieved(later.next_obs)
            obs, next_obs = goal.with_goal(t.obs, new), goal.with_goal(t.next_obs, new)
            reward = goal.reward(goal.achieved(t.next_obs), new) @ w
            return t.replace(obs=obs, next_obs=next_obs, reward=reward)

        return jax.vmap(jax.vmap(one))(batch, later).replace(extras={"steps": steps, "left": left})

    replay = Replay(num_steps=6, num_envs=3, batch_size=300, buffer_size=90, update_to_data=0.1)
    learner = recorder(sample, replay, seen)._replace(
        act=lambda params, carry, obs, context, info: (jax.random.randint(info.key, (), 0, 4), carry, {})
    )
    *_, _ = train(learner, task_of(env, w=(2.0,)), 54, probes.keys(1), num_points=1)
    jax.effects_barrier()
    batch = seen[-1]
    counts = np.asarray(batch.weight) > 0
    reward, steps = np.asarray(batch.reward)[counts], np.asarray(batch.extras["steps"])[counts]
    assert set(reward.tolist()) == {0.0, -2.0}
    assert (reward[steps == 0] == 0.0).all()  # the goal is what this very step reached
    assert (reward[steps == 1] == -2.0).all()  # another bit was flipped after it
    reached, wanted = np.split(np.asarray(batch.next_obs)[counts], 2, axis=-1)
    differ = np.abs(reached - wanted).sum(-1)
    np.testing.assert_array_equal(reward == 0.0, differ == 0)
    assert (differ <= steps).all()  # each step flips one bit, and no goal is of another episode
    assert ((steps - differ) % 2 == 0).all()
