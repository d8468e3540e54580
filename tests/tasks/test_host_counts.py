"""A third-party env is stepped and reset exactly as often as reported."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
import probes
import pytest
import strangers

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.types import spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.methods.randomization.recurrent import Recurrent
from headstart.protocol import transfer
from headstart.tasks.host import host

PPO_ = PPO(num_steps=8, num_envs=2, num_epochs=1, batch_size=8, hidden=(4,))
DQN_ = DQN(num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=4, update_to_data=0.5, hidden=(4,))
METHODS = {"ppo": PPO_, "dqn": DQN_, "recurrent": Recurrent(PPO_, hidden_size=4, sequence_length=4)}
JUDGED = 3


class CountedEnv(strangers.Clock):
    """Counts steps and episodes of all instances. An episode is 3 to 7 steps long, by its seed."""

    played: ClassVar[dict[str, int]] = {"steps": 0, "episodes": 0}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.played["episodes"] += 1
        answer = super().reset(seed=seed)
        self._ends = 3 + int(self.np_random.integers(5))
        return answer

    def step(self, action: Any) -> Any:
        self.played["steps"] += 1
        return super().step(action)


def counted() -> gymnasium.Env:
    return CountedEnv()


ENV = host(counted, horizon=20)


@pytest.fixture(autouse=True)
def played() -> dict[str, int]:
    CountedEnv.played.update(steps=0, episodes=0)
    return CountedEnv.played


def evaluation_steps(tasks: Any, seeds: int) -> int:
    """Returns the steps of one evaluation of all seeds; episode lengths do not depend on the policy."""
    before = CountedEnv.played["steps"]
    evaluate(probes.player(probes.left), {}, tasks, JUDGED, transfer.keys(range(seeds)).evaluation)
    return CountedEnv.played["steps"] - before


def test_evaluation_takes_exactly_the_requested_episodes(played):
    tasks = stack([probes.one(ENV)])
    returns = evaluate(probes.player(probes.left), {}, tasks, JUDGED, probes.keys(2))
    assert played["episodes"] == 2 * JUDGED
    steps = [[next(n for n in range(8) if n * (n + 1) / 2 == x) for x in row] for row in returns[:, 0].tolist()]
    assert played["steps"] == np.sum(steps)  # it pays 1 + 2 + … + n
    assert ENV.pool.num_in_use == 0


@pytest.mark.parametrize(("name", "delay"), [("ppo", None), ("dqn", None), ("recurrent", None), ("ppo", 1.0)])
def test_shots_and_steps_take_as_many_as_the_curve_reports(name, delay, played):
    task = hs.task(ENV) if delay is None else hs.task(ENV, action_delay=delay)
    tasks, keys, method = stack([task]), transfer.keys([0, 1]), METHODS[name]
    each = evaluation_steps(tasks, 2)
    played.update(steps=0, episodes=0)
    points = list(transfer.adapt(method, None, tasks, 40, [0, 1, 3], keys, num_evals=2, eval_episodes=JUDGED))
    shots = [j for j in points if j.shots is not None]
    assert [j.episodes.tolist() for j in shots] == [[0, 0], [1, 1], [3, 3]]
    assert points[-1].steps.min() >= 40
    assert played["steps"] == points[-1].steps.sum() + len(points) * each
    episodes_started = played["episodes"] - len(points) * 2 * JUDGED
    ended = points[-1].episodes.sum()
    assert (
        ended <= episodes_started <= ended + 2 * method.learner(spec(tasks)).replay.num_envs
    )  # one has started in each environment
    assert ENV.pool.num_in_use == 0


def test_one_shot_is_one_episode_and_no_other_starts(played):
    tasks = stack([hs.task(ENV)])
    points = list(transfer.adapt(PPO_, None, tasks, 1, [1, 2], transfer.keys([0]), num_evals=1, eval_episodes=1))
    assert [j.episodes.tolist() for j in points] == [[0], [1], [2]]
    evaluation_episodes = len(points)
    assert played["episodes"] == 2 + evaluation_episodes
    assert ENV.pool.num_envs <= 10


def test_a_seed_without_steps_left_starts_no_episode(played):
    """Seeds whose shots were longer finish earlier."""
    tasks, keys = stack([hs.task(ENV)]), transfer.keys([0, 1, 2, 3])
    shots = list(transfer.adapt(PPO_, None, tasks, 1, [3], keys, num_evals=1, eval_episodes=1))
    target_steps = shots[-1].steps
    assert target_steps.min() < target_steps.max()
    played.update(steps=0, episodes=0)
    points = list(transfer.adapt(PPO_, None, tasks, int(target_steps.max()), [3], keys, num_evals=1, eval_episodes=1))
    rest = played["episodes"] - len(points) * 4 - 3 * 4
    going = (target_steps < target_steps.max()).sum()
    assert points[-1].steps.tolist() == [x + 16 * (x < target_steps.max()) for x in target_steps]
    assert rest <= points[-1].episodes.sum() - 12 + 2 * going
