"""Several sources, and a source beside its target: in a study, and from a checkpoint."""

import json

import numpy as np
import pytest

import headstart as hs
from headstart.lab.news import silent
from headstart.lab.study import Study
from headstart.protocol.study import Question

LEFT, RIGHT = "PointMass@goal_1_x=-0.7", "PointMass@goal_1_x=0.7"
SMALL = hs.PPO(hidden=(4,), length=8, copies=2, batch=8, epochs=1)
JOINT = "joint:base.hidden=4:base.length=8:base.copies=2:base.batch=8:base.epochs=1:combine=pcgrad"
DARC = "darc:base.hidden=4:base.batch=4:base.start=4:base.capacity=1000:spare=5"


def test_a_study_of_several_sources_and_one_learned_beside_its_target(tmp_path):
    asked = {"source_steps": 64, "target_steps": 40, "shots": (0, 1), "seeds": (0, 1), "points": 1, "judged": 2}
    question = Question(f"{LEFT} + {RIGHT}", "PointMass@goal_1_y=0.7,goal_1_x=0", (JOINT, DARC), oracle=False, **asked)
    study = Study(question, tmp_path, silent)
    for entry, method in study.rows:
        if entry.name.startswith(("joint", "darc")):
            study.run_row(entry, method)
    cells = {row.split()[0]: each for row, each in study.cells().items() if each}
    assert {name: sorted(each) for name, each in cells.items()} == {"joint": [0, 1], "darc": [0, 1]}
    joint, darc = cells["joint"][0], cells["darc"][0]
    assert joint["failed"] is darc["failed"] is None
    assert joint["ledger"]["source_steps"] == 64
    # five steps of each of two sources for one of the target
    assert darc["ledger"]["target_steps"] == pytest.approx(darc["ledger"]["source_steps"] / 10)
    assert list(darc["shots"]) == ["0"]
    recipe = json.loads(next(tmp_path.rglob("joint*/seed-0/recipe.json")).read_text())
    assert recipe["context"] == len(recipe["sources"]) == 2


def test_one_policy_of_two_tasks_is_judged_on_each_and_goes_on_to_a_third(tmp_path):
    trained = hs.train(hs.Joint(SMALL), [LEFT, RIGHT], 64)
    assert trained.trained_on == f"{LEFT} + {RIGHT}"
    again = hs.load(hs.save(trained, tmp_path / "both"))
    assert again.sources == (LEFT, RIGHT)
    for task in (LEFT, RIGHT, "PointMass@goal_1_x=0"):
        np.testing.assert_array_equal(hs.evaluate(trained, task, 2), hs.evaluate(again, task, 2))
    further = hs.transfer(again, "PointMass@goal_1_x=0", 32, shots=(0,), points=1, judged=2)
    assert further.trained.sources == (LEFT, RIGHT)
    assert further.trained.trained_on.endswith("goal_1_x=0")
