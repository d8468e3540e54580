"""Packages of envs with an extra: found by their ids, with correct observations and parameters, and trained."""

import importlib.util
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ale_py import AtariVectorEnv

import headstart as hs
from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.spaces import Image
from headstart.core.types import spec, stack
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.protocol.transfer import keys
from headstart.tasks.host import HostEnv
from headstart.tasks.host.atari import Console, Game, default_switches
from headstart.tasks.strings import describe, parse

TINY = PPO(num_steps=4, num_envs=2, num_epochs=1, batch_size=8, hidden=(4,))
RULES: dict[str, Any] = {"noop_max": 1, "full_action_space": False, "frameskip": 4, "max_num_frames_per_episode": 480}
RULES |= {"repeat_action_probability": 0.25, "use_fire_reset": True, "episodic_life": False, "reward_clipping": False}


def host_of(text: str) -> HostEnv:
    env: Any = parse(text).env
    return env


def pulled(
    env: HostEnv, seeds: Sequence[int], actions: Sequence[Any], **params: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns observations [time row observation], from the start on, and rewards. All rows have these parameters."""
    for name in params:
        assert parse(f"{env.name}@{name}={params[name]}").env == env  # and so the catalogue knows it
    names, values = (
        tuple(sorted(params)),
        np.array([[params[name] for name in sorted(params)]] * len(seeds), np.float32),
    )
    out = [env.pool.start(names, len(seeds), np.array(seeds, np.int32), values)]
    for action in actions:
        out.append(env.pool.step(len(seeds), out[-1].handle, out[-1].calls, np.array([action] * len(seeds))))
    env.pool.release(len(seeds), out[-1].handle)
    return np.stack([x.obs for x in out]), np.stack([x.reward for x in out])


@pytest.mark.parametrize(
    ("text", "observations", "done"),
    [
        ("LunarLander-v3@horizon=8,gravity=-3", 8, 4),
        ("MiniGrid-Empty-5x5-v0@horizon=8", 4 + 7 * 7 * 3, 7),
        ("FetchReach-v4@horizon=8,gravity=5", 16, 4),
    ],
)
def test_each_env_runs_in_the_loop(text: str, observations: int, done: int):
    """Learning from it compiles the same program as for any third-party env."""
    env, tasks = host_of(text), stack([parse(text)])
    assert (env.observation_space.size, env.action_space.size, env.horizon) == (observations, done, 8)
    assert describe(parse(text)) == text
    returns = evaluate(Uniform().learner(spec(tasks)), {}, tasks, 2, keys([0]).evaluation)
    assert np.isfinite(returns).all()
    assert (env.pool.num_in_use, env.pop_failures()) == (0, {})


def test_one_of_them_transfers_in_one_shot():
    text = "Meta-World/reach-v3@horizon=8"
    trained = hs.train(TINY, text, steps=16)
    assert (trained.gradient_steps, trained.trained_on) == (2, text)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(trained.state.params))
    moved = hs.transfer(trained, "Meta-World/push-v3@horizon=8", steps=8, shots=[0, 1], num_evals=1, eval_episodes=1)
    assert np.isfinite([*moved.shots.values(), *moved.returns]).all()
    assert moved.trained.gradient_steps > 2
    pushed = host_of("Meta-World/push-v3@horizon=8")
    assert (pushed.pool.num_in_use, pushed.pop_failures()) == (0, {})


def test_atari_trains_a_little():
    points: list[Any] = []
    trained = hs.train(TINY, "ALE/Freeway-v5@horizon=8,mode=1", steps=16, watch=points.append)
    assert (trained.gradient_steps, trained.spec.observation_space) == (2, Image((84, 84, 4), "uint8"))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(trained.state.params))
    assert points[-1].episodes.tolist() == [2.0]
    assert points[-1].metrics["return"].tolist() == [0.0]  # a chicken does not cross the road in 8 steps
    assert not host_of("ALE/Freeway-v5@horizon=8").pop_failures()


@pytest.mark.parametrize(
    ("text", "actions", "changed"),
    [
        ("LunarLander-v3", [0] * 3, {"gravity": -3.0}),
        ("FetchReach-v4", [[0.5, 0.5, 0.5, 0.0]] * 3, {"body_pos[robot0:torso_lift_link][2]": 0.5}),
        ("ALE/Freeway-v5", [1] * 30, {"mode": 4.0}),
        ("ALE/Freeway-v5", [1, 0] * 15, {"repeat_action_probability": 0.9}),
        ("Meta-World/reach-v3", [[0.5, 0.5, 0.5, 0.0]] * 3, {"seed": 1.0}),
    ],
)
def test_a_parameter_changes_what_happens_and_the_same_seed_repeats_it(
    text: str, actions: list[Any], changed: dict[str, float]
):
    env = host_of(text)
    observations, paid = pulled(env, [3], actions)
    other, _ = pulled(env, [3], actions, **changed)
    assert not np.array_equal(observations, other)
    repeated, paid_again = pulled(env, [3], actions)  # the same live env, nominal again
    np.testing.assert_array_equal(observations, repeated)
    np.testing.assert_array_equal(paid, paid_again)
    assert not np.array_equal(observations, pulled(env, [4], actions)[0])
    assert not env.pop_failures()


def test_minigrid_shows_all_but_its_mission():
    env = host_of("MiniGrid-Empty-5x5-v0")
    assert [tuple(part) for part in env.parts] == [("direction", 0, 4), ("image", 4, 151)]
    assert env.horizon == 100
    observations, paid = pulled(env, [0], [2, 2, 1, 2, 2])  # two ahead, right, two ahead: the goal
    assert paid[1:, 0].tolist() == pytest.approx([0, 0, 0, 0, 1 - 0.9 * 5 / 100])
    assert observations[[0, 3], 0, :4].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    with pytest.raises(
        InputError, match=r"BabyAI-GoToObj-v0 has no limit of an episode.s steps; write BabyAI-GoToObj-v0@horizon=1000"
    ):
        parse("BabyAI-GoToObj-v0")


def test_goal_envs_show_their_goals():
    env = host_of("FetchReach-v4")
    assert [part.name for part in env.parts] == ["achieved_goal", "desired_goal", "observation"]
    goal = env.parts[1]
    observations, _ = pulled(env, [3, 4], [[1.0, 0.0, 0.0, 0.0]] * 2)
    np.testing.assert_array_equal(
        observations[0, :, goal.start : goal.stop], observations[2, :, goal.start : goal.stop]
    )
    assert not np.array_equal(observations[0, 0, goal.start : goal.stop], observations[0, 1, goal.start : goal.stop])


def test_meta_world_has_fifty_goals_that_are_observed_and_equal_in_each_env():
    env = host_of("Meta-World/reach-v3")
    assert (env.observation_space.size, env.action_space.size, env.horizon) == (39, 4, 500)
    goals = pulled(env, range(12), [])[0][0, :, -3:]
    assert len(np.unique(goals, axis=0)) > 6
    np.testing.assert_array_equal(pulled(env, [7], [])[0][0, 0, -3:], goals[7])
    with pytest.raises(InputError, match="There is no task 'Meta-World/reech-v3'; the nearest are Meta-World/reach-v3"):
        parse("Meta-World/reech-v3")


def test_atari_equals_ale_pys_vector_env():
    env, seeds = host_of("ALE/Pong-v5"), np.array([5, 9])
    assert (env.observation_space, env.horizon) == (Image((84, 84, 4), "uint8"), 27_000)
    theirs = AtariVectorEnv("pong", 2, repeat_action_probability=0.25, reward_clipping=False)
    stacks, rewards = [theirs.reset(seed=seeds)[0].copy()], [np.zeros(2)]
    for t in range(80):
        observations, reward, *_ = theirs.step(np.full(2, t % 6))
        stacks.append(observations.copy())
        rewards.append(reward)
    observations, paid = pulled(env, [5, 9], [t % 6 for t in range(80)])
    np.testing.assert_array_equal(observations, np.stack(stacks).reshape(81, 2, -1))
    np.testing.assert_array_equal(paid, rewards)
    assert min(reward.min() for reward in rewards) == -1.0
    shown = env.pool.observations.to_observation(jnp.asarray(observations[9, 1]))
    np.testing.assert_array_equal(shown, np.moveaxis(stacks[9][1], 0, -1))
    assert shown.dtype == jnp.uint8


@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_a_console_of_any_mode_is_atari_to_a_shade_of_grey(game: str):
    ours, theirs = Game(game, **RULES), Game(game, **RULES)
    assert isinstance(ours._console, AtariVectorEnv)
    theirs._console, drawn = Console(game, *default_switches(game), **RULES), np.random.default_rng(0)
    np.testing.assert_array_equal(ours.reset(seed=5)[0], theirs.reset(seed=5)[0])
    wrong = []
    for _ in range(121):
        action = int(drawn.integers(len(theirs._console.actions)))
        (observations, *results), (shown, *their_results) = ours.step(action), theirs.step(action)
        assert results == their_results
        if results[1] or results[2]:
            break
        wrong.append(np.abs(observations.astype(int) - shown))
    else:
        raise AssertionError("it never ended")
    assert np.max(wrong) <= 1
    assert np.mean(wrong) < 1e-3


def test_a_mode_that_a_game_has_not_is_refused():
    with pytest.raises(InputError, match=r"^ALE/Pong-v5 does not take mode=77: "):
        hs.task("ALE/Pong-v5", mode=77.0)


@pytest.mark.parametrize(
    ("env_id", "extra"),
    [
        ("LunarLander-v3", "box2d"),
        ("MiniGrid-Empty-5x5-v0", "minigrid"),
        ("ALE/Pong-v5", "atari"),
        ("FetchReach-v4", "robotics"),
        ("Meta-World/reach-v3", "metaworld"),
    ],
)
def test_a_missing_package_is_named(env_id: str, extra: str, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=rf'{env_id} needs \w+, which is not installed: `pip install "headstart\[{extra}'
    ):
        parse(env_id)
