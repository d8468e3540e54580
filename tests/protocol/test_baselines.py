"""Rows with another base learner are compared with a scratch row and an oracle of that learner."""

from typing import Any

import pytest

from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.methods.strings import find
from headstart.protocol.baselines import caveats, learner_name, matching_scratch, needed_rows
from headstart.protocol.study_config import StudyConfig


def config_of(*methods: str, **fields: Any) -> StudyConfig:
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
def test_learner_of_a_row_without_transfer(method, learner):
    assert find(method)[1].base_learner() == learner


def test_row_with_another_learner_adds_its_scratch_and_oracle():
    config = config_of("finetune", "darc", "darc:weight=2", "sf")
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


def test_no_references_are_added_for_equal_learners_or_another_reference():
    assert not added(config_of("finetune", "epopt", ensemble="Pendulum-v1@mass=1..2"))
    assert not added(config_of("darc", learner="sac"))
    assert not added(config_of("finetune", "darc", reference="finetune"))
    assert "oracle (SAC)" not in names(config_of("darc", oracle=False))


def test_other_settings_of_another_learner_add_another_scratch():
    assert names(config_of("darc", "darc:base.batch_size=64"))[-4:] == [
        "scratch (SAC)", "oracle (SAC)", "scratch (SAC batch_size-64)", "oracle (SAC batch_size-64)",
    ]  # fmt: skip
    assert learner_name(SAC(batch_size=64, hidden=(8, 8))) == "SAC batch_size-64 hidden-8+8"


def test_references_that_no_row_uses_are_removed():
    rows = config_of("finetune", "darc").rows()
    remaining = [row for row in rows if row[0].name != "darc"]  # it cannot run
    assert needed_rows(remaining, matching_scratch(rows)) == {"random", "naive", "scratch", "finetune", "oracle"}
    assert needed_rows(rows, matching_scratch(rows)) == {entry.name for entry, _ in rows}


def test_caveats_name_differences_from_the_control():
    rows = config_of("finetune:base.discount=0.9", "dann", "darc").rows()
    found_caveats = {
        entry.name: caveats(entry, method, matching_scratch(rows).get(entry.name), rows, (0, 10))
        for entry, method in rows
    }
    assert found_caveats["naive"] == found_caveats["scratch"] == found_caveats["oracle"] == []
    assert found_caveats["finetune base.discount-0.9"] == [
        "Its PPO has other settings than that of scratch: discount=0.9."
    ]
    schedules = "It takes no shots, but {} begins with its shots: their schedules in the target differ."
    assert found_caveats["dann"] == [schedules.format("scratch")]
    assert found_caveats["darc"] == [schedules.format("scratch (SAC)")]
    by_name = {entry.name: (entry, method) for entry, method in rows}
    assert caveats(*by_name["darc"], "scratch (SAC)", rows, (0,)) == []
    assert caveats(*by_name["darc"], "naive", rows, (0,)) == ["It uses SAC, and naive uses PPO."]
