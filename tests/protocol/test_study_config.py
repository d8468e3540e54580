"""The configuration of a study: its checks and its rows."""

from typing import Any

import pytest

from headstart.core.errors import InputError
from headstart.learners.ppo import PPO
from headstart.methods.forward.finetune import Finetune
from headstart.protocol.study_config import StudyConfig, row_name


def config_of(**fields: Any) -> StudyConfig:
    defaults: dict[str, Any] = {"source": "CartPole-v1", "target": "CartPole-v1@force=-10", "methods": ("finetune",)}
    return StudyConfig(**defaults | fields)


def rows(**fields: Any) -> list[str]:
    return [entry.name for entry, _ in config_of(**fields).rows()]


def test_every_study_has_its_controls_and_references():
    assert rows() == ["random", "naive", "scratch", "finetune", "oracle"]
    assert rows(oracle=False) == ["random", "naive", "scratch", "finetune"]
    assert rows(methods=("scratch", "naive")) == ["random", "naive", "scratch", "oracle"]


def test_settings_make_another_row_of_the_same_method():
    config = config_of(methods=("finetune", "finetune:base.learning_rate=1e-3:layers=last"))
    (entry, method), (other, plain) = config.rows()[4], config.rows()[3]
    assert entry.name == "finetune base.learning_rate-1e-3 layers-last"
    assert (entry.learns_on, entry.adapts) == (other.learns_on, other.adapts)
    assert plain == Finetune(PPO())
    assert method == Finetune(PPO(learning_rate=1e-3), layers="last")


def test_reference_must_be_one_of_the_rows():
    assert rows(reference="finetune") == rows()
    with pytest.raises(
        InputError, match="--reference epopt is not a row of this study; choose one of naive, scratch, f"
    ):
        rows(reference="epopt")


def test_row_name_is_a_valid_folder_name():
    assert row_name("epopt:epsilon=0.2") == "epopt epsilon-0.2"


def test_duplicates_are_removed():
    config = config_of(seeds=(2, 0), shots=(0, 1, 10), methods=("finetune", "naive"))
    assert config_of(seeds=(2, 0, 2), shots=(10, 0, 1, 1), methods=("finetune", "naive", "finetune")) == config
    assert config.seeds == (2, 0)
    assert config.shots == (0, 1, 10)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"source_steps": 0}, r"--source-steps is 0, but .* at least 1"),
        ({"target_steps": -5}, r"--target-steps is -5, but .* at least 1"),
        ({"target_steps": 10**15}, "--target-steps"),
        ({"num_evals": 0}, "--evals is 0"),
        ({"eval_episodes": 0}, "--eval-episodes is 0"),
        ({"seeds": ()}, "write --seeds 5"),
        ({"seeds": (0, -1)}, r"--seeds has -1.*write another"),
        ({"seeds": (2**32,)}, r"--seeds has 4294967296"),
        ({"shots": (0, -1)}, r"--shots has -1.*such as 0,1,10"),
        ({"methods": ()}, "write --methods"),
        ({"threshold": float("nan")}, "--threshold is nan"),
    ],
)
def test_invalid_configuration_is_refused(fields, sentence):
    with pytest.raises(InputError, match=sentence):
        config_of(**fields)


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("finetun", "did you mean finetune"),
        ("finetune:layer=last", r"FIELD=VALUE takes base .*, base\.FIELD of PPO, layers"),
        ("finetune:layers=first", "one of all, last"),
        ("finetune:base.num_envs=1.5", "a whole number"),
        ("finetune:base.learning_rate=1e999", "a number"),
        ("finetune:base=PPO", "FIELD=VALUE takes"),
        ("epopt", r"name one, such as --ensemble CartPole-v1@NAME=LOW\.\.HIGH"),
        ("epopt:epsilon=2", r"within \(0, 1\]"),
    ],
)
def test_invalid_row_is_refused(method, sentence):
    with pytest.raises(InputError, match=sentence):
        config_of(methods=(method,)).rows()
