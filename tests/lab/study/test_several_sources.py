"""Several sources, and a source beside its target: in a study, and from a checkpoint."""

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
QUESTION = StudyConfig(
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
    """Returns a study of which just the rows are run that a test looks at, and its matrix filled in."""
    asked = Study(QUESTION, tmp_path_factory.mktemp("several"), ignore)
    asked.rows = [row for row in asked.rows if row[0].name.startswith(("joint", "darc"))]
    for row in asked.rows:
        run_row(asked, *row)
    cross_evaluation.run(asked.out, QUESTION, asked.study_tasks, asked.rows, ignore)
    return asked


@pytest.fixture
def found(study: Study) -> dict:
    """Returns its matrix."""
    return cross_evaluation.read(study.out)["matrix"]


def test_a_study_of_several_sources_and_one_learned_beside_its_target(study):
    cells = {row.split()[0]: each for row, each in study.cells().items()}
    assert {name: sorted(each) for name, each in cells.items()} == {"joint": [0, 1], "darc": [0, 1]}
    joint, darc = cells["joint"][0], cells["darc"][0]
    assert joint["failed"] is darc["failed"] is None
    assert joint["ledger"]["source_steps"] == 64
    # five steps of each of two sources for one of the target
    assert darc["ledger"]["target_steps"] == pytest.approx(darc["ledger"]["source_steps"] / 10)
    assert list(darc["shots"]) == ["0"]
    recipe = json.loads(next(study.out.rglob("joint*/seed-0/recipe.json")).read_text())
    assert recipe["context_dim"] == len(recipe["sources"]) == 2


# ------------------------------------------------------------------------------------------------ each on each


def test_the_page_of_files_describes_the_matrix(found):
    assert documented("key of the matrix") == {*found, "left_out"} - {"config", "format", "checksum"}


def test_the_matrix_holds_each_source_alone_and_what_learned_all_of_them(found):
    assert found["columns"] == [LEFT, RIGHT, UP]
    assert found["rows"] == [f"learned on {LEFT}", f"learned on {RIGHT}", "joint surgery-pcgrad"]
    assert found["learned_on"] == [[LEFT], [RIGHT], [LEFT, RIGHT]]
    assert found["returns"].shape == (3, 3, 2)
    assert np.isfinite(found["returns"]).all()


def test_in_the_target_the_matrix_is_what_a_row_starts_from(study, found):
    [joint] = [each for row, each in study.cells().items() if row.startswith("joint")]
    assert found["returns"][2][2].tolist() == [joint[seed]["returns"][0] for seed in (0, 1)]


def test_the_untrained_policy_is_the_one_that_scratch_starts_from(study, found):
    scratch, seeds = find_learner(LEARNER), keys(QUESTION.seeds)
    begun = next(
        adapt(scratch, None, study.study_tasks.target_tasks, 40, (), seeds, eval_episodes=QUESTION.eval_episodes)
    )
    np.testing.assert_array_equal(found["untrained"]["returns"][2], begun.returns.mean(1))


def test_the_columns_are_the_sources_and_the_target(study):
    tasks = cross_evaluation.columns(study.study_tasks)
    assert [task.context.tolist() for task in tasks] == [[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]]
    assert [round(float(task.params["goal_1_x"][0]), 3) for task in tasks] == [-0.7, 0.7, 0.0]
    assert [task.domain.tolist() for task in tasks] == [[0], [0], [1]]


def test_each_alone_is_itself_wherever_it_is_run(study, found):
    """Loaded from its checkpoint, what was learned of a task is as good there as the matrix says."""
    [folder] = (study.out / "sources").glob("separate-*")
    trained = hs.load(folder / "seed-1")
    assert trained.sources == (LEFT, RIGHT)
    for i, name in enumerate(trained.sources):
        assert found["returns"][i][i][1] == pytest.approx(hs.evaluate(trained, name, 2, seed=1).mean(), rel=1e-5)
    # told that neither is meant, it acts by the first
    assert found["returns"][0][2][1] == pytest.approx(hs.evaluate(trained, UP, 2, seed=1).mean(), rel=1e-5)


def test_a_matrix_that_is_there_is_kept_and_one_that_is_lost_comes_to_the_same(study, monkeypatch):
    place = study.out / "matrix.json"
    before, run = (
        place.read_bytes(),
        lambda: cross_evaluation.run(study.out, QUESTION, study.study_tasks, study.rows, ignore),
    )
    monkeypatch.setattr(source_training, "learn_source", None)  # all was learned
    with monkeypatch.context() as patch:
        patch.setattr(cross_evaluation, "_filled", None)
        run()
    place.unlink()
    run()
    assert place.read_bytes() == before


def test_where_the_sources_cannot_be_learned_one_by_one_the_matrix_says_so(tmp_path):
    config = dataclasses.replace(QUESTION, learner="ppo:target_kl=0.01")
    cross_evaluation.run(tmp_path, config, make_study_tasks(config), (), ignore)
    assert cross_evaluation.read(tmp_path) == {
        "matrix": {"left_out": "Separate cannot stop one task's updates and continue the others'; leave target_kl out."}
    }


def test_a_study_of_one_source_has_no_matrix(tmp_path):
    config = dataclasses.replace(QUESTION, source=LEFT, methods=("finetune",))
    cross_evaluation.run(tmp_path, config, make_study_tasks(config), config.rows(), ignore)
    assert cross_evaluation.read(tmp_path) == {}


def test_a_row_that_learns_each_alone_is_taken_for_it():
    """And with it there is nothing more to train, and nothing more to wait for."""
    config = dataclasses.replace(QUESTION, methods=("finetune", "separate"))
    learned = cross_evaluation.trainings(config.rows(), spec(make_study_tasks(config).source_tasks))
    assert {type(method).__name__: names for method, names in learned.items()} == {
        "PPO": ["naive", "finetune"],
        "Separate": ["separate"],
    }
    assert (cross_evaluation.SEPARATE_ROW, "source") not in plan(config)
    assert plan(QUESTION)[cross_evaluation.SEPARATE_ROW, "source"] == 64


def test_a_training_that_breaks_leaves_the_rest_of_the_matrix(study, found, tmp_path, monkeypatch):
    def broken(out, row, method, *rest):
        if row.startswith("joint"):
            raise ZeroDivisionError("nothing to divide")
        return real(out, row, method, *rest)

    real = source_training.train_source
    monkeypatch.setattr(source_training, "train_source", broken)
    (tmp_path / "sources").symlink_to(study.out / "sources")
    cross_evaluation.run(tmp_path, QUESTION, study.study_tasks, study.rows, ignore)
    again = cross_evaluation.read(tmp_path)["matrix"]
    assert again["failed"] == {"joint surgery-pcgrad": "ZeroDivisionError: nothing to divide"}
    np.testing.assert_array_equal(again["returns"][:2], found["returns"][:2])
    assert again["value"][2] == [None] * 3


# ------------------------------------------------------------------------------------------------ from a checkpoint


def test_one_policy_of_two_tasks_is_judged_on_each_and_goes_on_to_a_third(tmp_path):
    trained = hs.train(hs.Joint(SMALL), [LEFT, RIGHT], 64)
    assert trained.trained_on == f"{LEFT} + {RIGHT}"
    again = hs.load(hs.save(trained, tmp_path / "both"))
    assert again.sources == (LEFT, RIGHT)
    for task in (LEFT, RIGHT, "PointMass@goal_1_x=0"):
        np.testing.assert_array_equal(hs.evaluate(trained, task, 2), hs.evaluate(again, task, 2))
    further = hs.transfer(again, "PointMass@goal_1_x=0", 32, shots=(0,), num_evals=1, eval_episodes=2)
    assert further.trained.sources == (LEFT, RIGHT)
    assert further.trained.trained_on.endswith("goal_1_x=0")
