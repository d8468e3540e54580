"""Hindsight experience replay: which goals a transition is replayed with, and what it then pays."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core import memory
from headstart.core.draw import Draw
from headstart.core.env import GoalFunctions
from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.types import Info, Replay, Task, Transition, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.methods.multitask.her import HER, relabel, steps_to_goal
from headstart.methods.randomization.recurrent import Recurrent
from headstart.tasks.registry import task
from headstart.tasks.worlds.bit_flip import BitFlip

KEY = jax.random.key(0)
LINE = GoalFunctions(  # an observation is (place, goal); each step pays minus the distance to the goal
    achieved=lambda obs: obs[:1],
    desired=lambda obs: obs[1:],
    with_goal=lambda obs, goal: jnp.concatenate([obs[:1], goal]),
    reward=lambda achieved, desired: -jnp.abs(achieved - desired),
)
DQN_ = DQN(hidden=(4,), num_steps=3, num_envs=2, batch_size=600, buffer_size=64, learning_starts=4)


def step(place: float, then: float, goal: float) -> Transition:
    """Returns a transition of the line, with a second cumulant that does not depend on the goal."""
    cumulants = jnp.array([-abs(then - goal), 5.0])
    t = jax.tree.map(lambda x: x[0], experience([0.0]))
    obs, next_obs = jnp.array([place, goal]), jnp.array([then, goal])
    return t.replace(obs=obs, next_obs=next_obs, cumulants=cumulants, reward=cumulants @ jnp.array([1.0, 2.0]))


def two_rewards(achieved: Array, desired: Array) -> Array:
    return jnp.concatenate([LINE.reward(achieved, desired), jnp.zeros(1)])


def test_a_relabelled_transition_by_hand():
    """From 1 to 3 with goal 10, replayed with goal 4: the distance is 1, not 7, and the rest of the reward stays."""
    goals = LINE._replace(reward=two_rewards)
    t = step(1.0, 3.0, 10.0)
    new = jax.jit(lambda chosen: relabel(goals, t, jnp.array([4.0]), chosen, jnp.array([1.0, 2.0])))
    assert new(True).obs.tolist() == [1.0, 4.0]
    assert new(True).next_obs.tolist() == [3.0, 4.0]
    assert new(True).cumulants.tolist() == [-1.0, 5.0]
    assert float(new(True).reward) == -1.0 + 2 * 5.0
    probes.check_same(new(False), t)


def drawn(strategy: str) -> dict[int, set[int]]:
    """Returns the steps whose goals each step of a memory is replayed with: episodes of 2, 3 and 2 + steps."""
    last = np.zeros((1, 9, 1), bool)
    last[0, [1, 4], 0] = True
    fresh = experience(np.arange(1.0, 10.0).reshape(1, 9, 1), last=last)
    held = jax.jit(lambda x: memory.add(memory.empty(x, Replay(1, 1, 1, buffer_size=20)), x))(fresh)
    rows = jnp.broadcast_to(jnp.arange(10), (400, 10)).reshape(1, -1)

    def steps(held: memory.Memory) -> tuple[Array, Array]:
        draw = Draw(rows, held)
        return draw.take(rows).reward, draw.take(draw.later(rows, steps_to_goal(strategy, draw, KEY))).reward

    own, goal = jax.jit(steps)(held)
    pairs = set(zip(own[0].tolist(), goal[0].tolist(), strict=True))
    counts = {int(x) for x in fresh.reward.ravel()[:8]}
    return {i: {int(b) for a, b in pairs if a == i} for i in counts}


def test_goals_are_those_of_the_same_episode():
    """The third episode goes on: of its steps 6 to 9 the last has no next observation yet."""
    assert drawn("future") == {1: {1, 2}, 2: {2}, 3: {3, 4, 5}, 4: {4, 5}, 5: {5}, 6: {6, 7, 8}, 7: {7, 8}, 8: {8}}
    assert drawn("final") == {1: {2}, 2: {2}, 3: {5}, 4: {5}, 5: {5}, 6: {8}, 7: {8}, 8: {8}}
    episodes = ({1, 2}, {3, 4, 5}, {6, 7, 8})
    assert drawn("episode") == {row: steps for steps in episodes for row in steps}


def test_a_share_of_each_batch_is_relabelled_with_the_reward_of_the_new_goal():
    tasks = stack([task(BitFlip(3), w=[2.0])])
    learner = HER(DQN_, relabel_fraction=0.75).learner(spec(tasks))
    fresh = played(tasks, steps=12)
    held = jax.jit(lambda x: memory.add(memory.empty(x, Replay(1, 2, 1, buffer_size=40)), x))(fresh)

    def both(held: memory.Memory) -> tuple[Transition, Transition]:
        draw = Draw(jnp.broadcast_to(jnp.arange(16), (100, 16)).reshape(1, -1), held)
        return draw.batch(), learner.phases[0].sample({}, draw, Info(KEY, task=tasks))

    plain, new = jax.jit(both)(held)
    counts = np.asarray(plain.weight[0]) > 0
    goal = lambda t: np.asarray(t.obs[0])[counts][:, 3:]
    np.testing.assert_array_equal(np.asarray(plain.obs[0])[:, :3], np.asarray(new.obs[0])[:, :3])
    assert 0.4 < (goal(plain) != goal(new)).any(1).mean() < 0.75  # some new goals equal the old ones
    reached = np.asarray(new.next_obs[0])[counts]
    np.testing.assert_array_equal(
        np.asarray(new.reward[0])[counts], 2.0 * ((reached[:, :3] == reached[:, 3:]).all(1) - 1.0)
    )
    np.testing.assert_array_equal(goal(new), reached[:, 3:])


def played(tasks: Task, steps: int) -> Transition:
    """Returns a rollout with random actions."""
    learner = probes.player(lambda obs: jnp.int32(0))._replace(
        act=lambda params, carry, obs, context, info: (jax.random.randint(info.key, (), 0, 3), carry, {})
    )
    return probes.rollout(learner, {}, tasks, probes.start(learner, tasks, 2, KEY), Info(KEY), steps)[1]


def test_it_finds_goals_that_dqn_never_sees():
    tasks = stack([task(BitFlip(8))])
    dqn = DQN(hidden=(64,), discount=0.9, num_envs=8, num_steps=8, update_to_data=0.25, anneal_learning_rate=False)
    learner, last = probes.taught(HER(dqn), tasks, 120)
    returns = np.asarray(evaluate(learner, last.params, tasks, 50, probes.keys(1)))
    assert (returns > -8).mean() > 0.9


@pytest.mark.parametrize("base", [PPO(), Recurrent(DQN_, asymmetric_critic=False)])
def test_a_base_without_single_replayed_transitions_is_refused(base):
    with pytest.raises(InputError, match=r"HER needs a learner that replays single transitions.*use SAC or DQN\.$"):
        HER(base).learner(spec(stack([task(BitFlip(3))])))


def test_n_step_rewards_are_refused():
    with pytest.raises(InputError, match="HER needs each step's next observation"):
        HER(DQN(n_step=2)).learner(spec(stack([task(BitFlip(3))])))


def test_an_env_without_goals_is_refused_in_a_sentence():
    tasks = probes.task(probes.Corridor())
    learner = HER(DQN_).learner(spec(tasks))
    with pytest.raises(
        InputError,
        match=r"HER needs episodes with goals, and .* has none .*; use BitFlip, GoalPointMass or PlanarReacher\.",
    ):
        probes.trained(learner, tasks, 2)


def test_values_out_of_range_are_refused():
    with pytest.raises(InputError, match="relabel_fraction"):
        HER(relabel_fraction=1.5)
