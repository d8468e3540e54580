"""Like with like: whoever learns by another learner has a scratch and an oracle of that learner beside it."""

from typing import Any

import pytest

from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.methods.strings import find
from headstart.protocol.baselines import caveats, learner_name, matching_scratch, needed_rows
from headstart.protocol.study_config import StudyConfig


def asked(*methods: str, **fields: Any) -> StudyConfig:
    return StudyConfig("Pendulum-v1", "Pendulum-v1@mass=2", methods, **fields)


def names(config: StudyConfig) -> list[str]:
    return [entry.name for entry, _ in config.rows()]


def added(config: StudyConfig) -> list[str]:
    return [entry.name for entry, _ in config.rows() if entry.added_for is not None]


@pytest.mark.parametrize(
    ("method", "learner"),
    [
        ("finetune", PPO()),
        ("uposi", PPO()),
        ("darc:base.batch_size=64", SAC(batch_size=64)),
        ("distil:base=dqn", DQN()),
        ("sf:epsilon=0.3", QLearning(epsilon=0.3)),
        (
            "deep_sf:hidden=16",
            DQN(
                1e-3, True, 0.95, 0.1, update_to_data=0.25, batch_size=64, buffer_size=50_000, num_envs=4, hidden=(16,)
            ),
        ),
    ],
)
def test_what_learns_one_task_from_nothing(method, learner):
    assert find(method)[1].base_learner() == learner


def test_a_row_by_another_learner_brings_its_scratch_and_its_oracle():
    config = asked("finetune", "darc", "darc:weight=2", "sf")
    assert names(config) == [
        "random", "naive", "scratch", "finetune", "darc", "darc weight-2", "sf", "oracle",
        "scratch (SAC)", "oracle (SAC)", "scratch (QLearning)", "oracle (QLearning)",
    ]  # fmt: skip
    rows = dict(zip(names(config), config.rows(), strict=True))
    assert rows["scratch (SAC)"][1] == rows["oracle (SAC)"][1] == SAC()
    assert rows["oracle (SAC)"][0].about == "learns the target with all the steps of both domains, by SAC"
    assert matching_scratch(config.rows()) == {
        "naive": "scratch", "finetune": "scratch", "darc": "scratch (SAC)", "darc weight-2": "scratch (SAC)",
        "sf": "scratch (QLearning)",
    }  # fmt: skip


def test_nothing_is_added_where_learners_are_alike_or_the_reference_is_another():
    assert not added(asked("finetune", "epopt", ensemble="Pendulum-v1@mass=1..2"))
    assert not added(asked("darc", learner="sac"))
    assert not added(asked("finetune", "darc", reference="finetune"))
    assert "oracle (SAC)" not in names(asked("darc", oracle=False))


def test_other_settings_of_another_learner_are_another_scratch():
    assert names(asked("darc", "darc:base.batch_size=64"))[-4:] == [
        "scratch (SAC)", "oracle (SAC)", "scratch (SAC batch_size-64)", "oracle (SAC batch_size-64)",
    ]  # fmt: skip
    assert learner_name(SAC(batch_size=64, hidden=(8, 8))) == "SAC batch_size-64 hidden-8+8"


def test_what_nobody_needs_is_taken_away():
    rows = asked("finetune", "darc").rows()
    left = [row for row in rows if row[0].name != "darc"]  # it cannot run
    assert needed_rows(left, matching_scratch(rows)) == {"random", "naive", "scratch", "finetune", "oracle"}
    assert needed_rows(rows, matching_scratch(rows)) == {entry.name for entry, _ in rows}


def test_what_is_unlike_is_said():
    rows = asked("finetune:base.discount=0.9", "dann", "darc").rows()
    said = {
        entry.name: caveats(entry, method, matching_scratch(rows).get(entry.name), rows, (0, 10))
        for entry, method in rows
    }
    assert said["naive"] == said["scratch"] == said["oracle"] == []
    assert said["finetune base.discount-0.9"] == ["Its PPO has other settings than that of scratch: discount=0.9."]
    schedules = "It takes no shots, but {} begins with its shots: their schedules in the target differ."
    assert said["dann"] == [schedules.format("scratch")]
    assert said["darc"] == [schedules.format("scratch (SAC)")]
    by_name = {entry.name: (entry, method) for entry, method in rows}
    assert caveats(*by_name["darc"], "scratch (SAC)", rows, (0,)) == []
    assert caveats(*by_name["darc"], "naive", rows, (0,)) == ["It uses SAC, and naive uses PPO."]
