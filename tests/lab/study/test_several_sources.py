"""Studies with several sources and with rows that train in both domains, and transfer from several tasks."""

import dataclasses
import json

import numpy as np
import pytest
from documented import documented

import headstart as hs
from headstart.core.types import spec
from headstart.lab.cli.commands import plan
from headstart.lab.study import cross_evaluation, source_training
from headstart.lab.study.runner import run_row
from headstart.lab.study.study import Study
from headstart.lab.study.study_tasks import make_study_tasks
from headstart.lab.watch.progress_event import ignore
from headstart.methods.strings import find_learner
from headstart.protocol.study_config import StudyConfig
from headstart.protocol.transfer import adapt, keys

LEFT, RIGHT = "PointMass@goal_1_x=-0.7,goal_1_y=0", "PointMass@goal_1_x=0.7,goal_1_y=0"
UP = "PointMass@goal_1_x=0,goal_1_y=0.7"
LEARNER = "ppo:hidden=4:num_steps=8:num_envs=2:batch_size=8:num_epochs=1"
SMALL = find_learner(LEARNER)
CONFIG = StudyConfig(
    f"{LEFT} + {RIGHT}",
    UP,
    (
        "joint:surgery=pcgrad",
        "darc:base=sac:base.hidden=4:base.batch_size=4:base.learning_starts=4:base.buffer_size=1000:source_steps_per_target_step=5",
    ),
    source_steps=64,
    target_steps=40,
    shots=(0, 1),
    seeds=(0, 1),
    num_evals=1,
    eval_episodes=2,
    oracle=False,
    learner=LEARNER,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Returns a study with only the rows that the tests read, and with its matrix."""
    study = Study(CONFIG, tmp_path_factory.mktemp("several"), ignore)
    study.rows = [row for row in study.rows if row[0].name.startswith(("joint", "darc"))]
    for row in study.rows:
        run_row(study, *row)
    cross_evaluation.run(study.out, CONFIG, study.study_tasks, study.rows, ignore)
    return study


@pytest.fixture
def matrix(study: Study) -> dict:
    """Returns its matrix."""
    return cross_evaluation.read(study.out)["matrix"]


def test_study_of_several_sources_with_a_row_that_trains_in_both_domains(study):
    cells = {row.split()[0]: cells_of_row for row, cells_of_row in study.cells().items()}
    assert {name: sorted(cells_of_row) for name, cells_of_row in cells.items()} == {"joint": [0, 1], "darc": [0, 1]}
    joint, darc = cells["joint"][0], cells["darc"][0]
    assert joint["failed"] is darc["failed"] is None
    assert joint["ledger"]["source_steps"] == 64
    # five steps of each of two sources for one of the target
    assert darc["ledger"]["target_steps"] == pytest.approx(darc["ledger"]["source_steps"] / 10)
    assert list(darc["shots"]) == ["0"]
    recipe = json.loads(next(study.out.rglob("joint*/seed-0/recipe.json")).read_text())
    assert recipe["context_dim"] == len(recipe["sources"]) == 2


# ------------------------------------------------------------------------------------------------ each on each


def test_documentation_lists_all_keys_of_the_matrix(matrix):
    assert documented("key of the matrix") == {*matrix, "left_out"} - {"config", "format", "checksum"}


def test_matrix_has_rows_for_each_source_alone_and_for_all_together(matrix):
    assert matrix["columns"] == [LEFT, RIGHT, UP]
    assert matrix["rows"] == [f"learned on {LEFT}", f"learned on {RIGHT}", "joint surgery-pcgrad"]
    assert matrix["learned_on"] == [[LEFT], [RIGHT], [LEFT, RIGHT]]
    assert matrix["returns"].shape == (3, 3, 2)
    assert np.isfinite(matrix["returns"]).all()


def test_returns_in_the_target_equal_the_first_evaluation_of_the_row(study, matrix):
    [joint] = [cells_of_row for row, cells_of_row in study.cells().items() if row.startswith("joint")]
    assert matrix["returns"][2][2].tolist() == [joint[seed]["returns"][0] for seed in (0, 1)]


def test_untrained_policy_is_the_initial_policy_of_scratch(study, matrix):
    scratch, seeds = find_learner(LEARNER), keys(CONFIG.seeds)
    first = next(
        adapt(scratch, None, study.study_tasks.target_tasks, 40, (), seeds, eval_episodes=CONFIG.eval_episodes)
    )
    np.testing.assert_array_equal(matrix["untrained"]["returns"][2], first.returns.mean(1))


def test_columns_are_the_sources_and_the_target(study):
    tasks = cross_evaluation.columns(study.study_tasks)
    assert [task.context.tolist() for task in tasks] == [[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]]
    assert [round(float(task.params["goal_1_x"][0]), 3) for task in tasks] == [-0.7, 0.7, 0.0]
    assert [task.domain.tolist() for task in tasks] == [[0], [0], [1]]


def test_checkpoint_of_separate_policies_has_the_returns_of_the_matrix(study, matrix):
    """The policy of a task, loaded from its checkpoint, has the returns of the matrix on that task."""
    [folder] = (study.out / "sources").glob("separate-*")
    trained = hs.load(folder / "seed-1")
    assert trained.sources == (LEFT, RIGHT)
    for i, name in enumerate(trained.sources):
        assert matrix["returns"][i][i][1] == pytest.approx(hs.evaluate(trained, name, 2, seed=1).mean(), rel=1e-5)
    # with a context of zeros, it acts by the first policy
    assert matrix["returns"][0][2][1] == pytest.approx(hs.evaluate(trained, UP, 2, seed=1).mean(), rel=1e-5)


def test_existing_matrix_is_kept_and_a_deleted_one_is_computed_equally(study, monkeypatch):
    path = study.out / "matrix.json"
    before, run = (
        path.read_bytes(),
        lambda: cross_evaluation.run(study.out, CONFIG, study.study_tasks, study.rows, ignore),
    )
    monkeypatch.setattr(source_training, "learn_source", None)  # all trainings are stored
    with monkeypatch.context() as patch:
        patch.setattr(cross_evaluation, "_evaluate_matrix", None)
        run()
    path.unlink()
    run()
    assert path.read_bytes() == before


def test_matrix_is_left_out_if_sources_cannot_be_trained_separately(tmp_path):
    config = dataclasses.replace(CONFIG, learner="ppo:target_kl=0.01")
    cross_evaluation.run(tmp_path, config, make_study_tasks(config), (), ignore)
    assert cross_evaluation.read(tmp_path) == {
        "matrix": {"left_out": "Separate cannot stop one task's updates and continue the others'; leave target_kl out."}
    }


def test_study_of_one_source_has_no_matrix(tmp_path):
    config = dataclasses.replace(CONFIG, source=LEFT, methods=("finetune",))
    cross_evaluation.run(tmp_path, config, make_study_tasks(config), config.rows(), ignore)
    assert cross_evaluation.read(tmp_path) == {}


def test_separate_row_provides_the_policies_of_the_matrix():
    """Then the matrix needs no training of its own, and the progress bar plans none."""
    config = dataclasses.replace(CONFIG, methods=("finetune", "separate"))
    trainings = cross_evaluation.trainings(config.rows(), spec(make_study_tasks(config).source_tasks))
    assert {type(method).__name__: names for method, names in trainings.items()} == {
        "PPO": ["naive", "finetune"],
        "Separate": ["separate"],
    }
    assert (cross_evaluation.SEPARATE_ROW, "source") not in plan(config)
    assert plan(CONFIG)[cross_evaluation.SEPARATE_ROW, "source"] == 64


def test_failed_training_leaves_the_other_rows_of_the_matrix(study, matrix, tmp_path, monkeypatch):
    def broken(out, row, method, *rest):
        if row.startswith("joint"):
            raise ZeroDivisionError("nothing to divide")
        return real(out, row, method, *rest)

    real = source_training.train_source
    monkeypatch.setattr(source_training, "train_source", broken)
    (tmp_path / "sources").symlink_to(study.out / "sources")
    cross_evaluation.run(tmp_path, CONFIG, study.study_tasks, study.rows, ignore)
    loaded = cross_evaluation.read(tmp_path)["matrix"]
    assert loaded["failed"] == {"joint surgery-pcgrad": "ZeroDivisionError: nothing to divide"}
    np.testing.assert_array_equal(loaded["returns"][:2], matrix["returns"][:2])
    assert loaded["value"][2] == [None] * 3


# ------------------------------------------------------------------------------------------------ from a checkpoint


def test_policy_of_two_tasks_is_evaluated_on_each_and_transferred_to_a_third(tmp_path):
    trained = hs.train(hs.Joint(SMALL), [LEFT, RIGHT], 64)
    assert trained.trained_on == f"{LEFT} + {RIGHT}"
    loaded = hs.load(hs.save(trained, tmp_path / "both"))
    assert loaded.sources == (LEFT, RIGHT)
    for task in (LEFT, RIGHT, "PointMass@goal_1_x=0"):
        np.testing.assert_array_equal(hs.evaluate(trained, task, 2), hs.evaluate(loaded, task, 2))
    transferred = hs.transfer(loaded, "PointMass@goal_1_x=0", 32, shots=(0,), num_evals=1, eval_episodes=2)
    assert transferred.trained.sources == (LEFT, RIGHT)
    assert transferred.trained.trained_on.endswith("goal_1_x=0")
