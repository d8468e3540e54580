"""A tiny study of a host env that is given as a function."""

import json
import pathlib

import gymnasium
import numpy as np
import strangers

import headstart as hs


def study_clock() -> gymnasium.Env:
    return strangers.Clock(ends=6)


def test_study_of_a_host_env_function_resumes(tmp_path: pathlib.Path):
    env = hs.host(study_clock, horizon=8)
    run_study = lambda: hs.compare(
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
    data = run_study()
    assert data["status"] == "done"
    assert data["config"]["target"].endswith("@power=3")
    curve = json.loads((tmp_path / "cells" / "scratch" / "seed-0" / "curve.json").read_text())
    assert set(np.ravel(curve["returns"])) == {21.0}  # 1 + 2 + … + 6: the reward is the step, for any action
    assert "power" in (tmp_path / "report.html").read_text()
    before = (tmp_path / "study.json").read_text()
    run_study()
    assert json.loads((tmp_path / "study.json").read_text())["methods"] == json.loads(before)["methods"]
