"""A whole study, tiny, of an env that somebody else wrote and gave as a function."""

import json
import pathlib

import gymnasium
import numpy as np
import strangers

import headstart as hs


def studied() -> gymnasium.Env:
    return strangers.Clock(ends=6)


def test_a_study_of_somebodys_function_goes_on_where_it_was(tmp_path: pathlib.Path):
    env = hs.host(studied, horizon=8)
    ask = lambda: hs.compare(
        ["scratch"],
        source=hs.task(env),
        target=hs.task(env, power=3),
        out=tmp_path,
        source_steps=32,
        target_steps=32,
        shots=[0, 1],
        seeds=[0],
        num_evals=1,
        eval_episodes=2,
        oracle=False,
        learner="ppo:hidden=4:num_steps=8:num_envs=2:batch_size=8:num_epochs=1",
    )
    data = ask()
    assert data["status"] == "done"
    assert data["config"]["target"].endswith("@power=3")
    curve = json.loads((tmp_path / "cells" / "scratch" / "seed-0" / "curve.json").read_text())
    assert set(np.ravel(curve["returns"])) == {21.0}  # 1 + 2 + … + 6: it pays the step, whatever one does
    assert "power" in (tmp_path / "report.html").read_text()
    before = (tmp_path / "study.json").read_text()
    ask()
    assert json.loads((tmp_path / "study.json").read_text())["methods"] == json.loads(before)["methods"]
