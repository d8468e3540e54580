"""Runs each benchmark at a small size. The tests assert nothing about their results."""

import json
import pathlib
import runpy
import subprocess
import sys
import warnings

import numpy as np
import pytest
from judging import compared, met, shown
from rates.limit import forward, gradient
from rates.rows import Row
from rates.table import summarise
from rejudge import JUDGES, rejudged, verdicts

ROOT = pathlib.Path(__file__).parents[1]
SEEDLESS = ("kills", "damage")  # whose records hold no training
APART = (
    "growth",
    "speed",
)  # run in a process of their own, since they measure it; the others run in the tests' process


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("epopt", []),
        ("ppo_hopper", []),
        ("studies", ["reversed"]),
        ("learners", ["--only", "DQN on CartPole-v1"]),
        ("growth", ["--only", "seeds"]),
        ("gradients", []),
        ("surgery", ["--only", "reacher"]),
        ("popart", []),
        ("active", []),
        ("uposi", []),
        ("successor", []),
        ("deep_successor", []),
        ("darc", []),
        ("her", []),
        ("maxent", []),
        ("smerl", []),
        ("confusion", []),
        ("distil", []),
        ("recurrent", []),
        ("error_rates", []),
        ("speed", ["--only", "PPO on CartPole-v1", "Hopper-v5 stepped"]),
        ("speed", ["--gpu", "--only", "PPO on many CartPoles"]),
    ],
)
def test_benchmark_runs_at_a_small_size(name, words, tmp_path, monkeypatch):
    script = ROOT / "benchmarks" / f"{name}.py"
    arguments = [*words, "--tiny", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    if name in APART:
        run = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=600)
        assert run.returncode == 0, run.stderr[-2000:]
    else:
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two seeds that learned nothing divide by it
            runpy.run_path(str(script), run_name="__main__")
    [record] = (tmp_path / "out").glob("*.json")
    assert json.loads(record.read_text())["provenance"]["command"].startswith(f"python benchmarks/{name}.py")
    figures = [path.read_text() for path in (tmp_path / "out").glob("*.svg")]
    assert figures
    assert all(figure.startswith("<svg") for figure in figures)


@pytest.mark.parametrize("name", ["kills", "damage"])
def test_kills_and_damage_of_files_are_handled(name, tmp_path):
    words = ["--tiny", "--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *words], capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2000:]
    assert json.loads((tmp_path / f"{name}.json").read_text())["provenance"]


def test_summary_of_speed_measurements():
    """Ours takes half of the seconds; its share is that of the bound measured beside it."""
    limits = [{"bound": 100.0}, {"bound": 50.0}]
    results = {"headstart": [measured(2.0), measured(4.0)], "SB3": [measured(6.0), measured(6.0)]}
    summary = summarise(Row({}, {"SB3": 2.0}, share=0.8), results, limits)
    assert summary["times_as_fast"]["SB3"] == pytest.approx(
        {"median": 2.25, "min": 1.5, "max": 3.0, "goal": 2.0, "met": 1}
    )
    assert summary["share_of_bound"] == {"share": 0.5, "min": 0.5, "max": 0.5, "goal": 0.8, "met": False}
    assert summary["programs"]["SB3"]["seconds_to_start"] == pytest.approx(1.0)
    summary = summarise(Row({}, {"SB3": 4.0}, what="wall"), results, [])
    assert summary["times_as_fast"]["SB3"]["median"] == pytest.approx(10.0 / 5.5)
    assert summary["times_as_fast"]["SB3"]["met"] is False


def test_goal_is_not_met_if_the_level_is_never_reached():
    results = {"headstart": [{**measured(1.0), "reached": False}], "SB3": [{**measured(9.0), "reached": True}]}
    summary = summarise(Row({}, {"SB3": 8.0}, what="seconds"), results, [])
    assert summary["programs"]["headstart"]["never"] == 1
    assert summary["times_as_fast"]["SB3"]["median"] == pytest.approx(9.0)
    assert summary["times_as_fast"]["SB3"]["met"] is False


def measured(seconds: float) -> dict:
    """Returns 100 steps after a warm-up of 50, and a second to start."""
    return {"steps": 100, "warmup": 50, "seconds": seconds, "wall_seconds": 1.5 * seconds + 1.0}


def test_flops_of_a_network_are_those_of_its_products():
    assert forward((3, 4, 2)) == 2 * (12 + 8)
    assert gradient((3, 4, 2)) == 2 * (12 + 8) + 2 * (12 + 8) + 2 * 8  # forward, weights, and hidden layers backward


def test_bar_is_met_only_by_a_significant_difference():
    steady, lucky = np.array([1.0, 1.1, 0.9, 1.2, 0.8]), np.array([0.0, 0.0, 0.9, 4.0, 3.0])
    results = compared({"steady": (steady, np.zeros(5)), "lucky": (lucky, np.zeros(5))})
    assert (met(results["steady"], 0.5), met(results["steady"], 1.5), met(results["lucky"], 0.5)) == (
        True,
        False,
        False,
    )
    assert shown(results["steady"]).endswith(" ▲")
    assert shown(results["lucky"]).endswith("]")
    assert shown(None) == ""


@pytest.mark.parametrize("name", JUDGES)
def test_committed_record_has_the_claims_of_the_current_code(name):
    data = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    try:
        results = rejudged(name, data)
    except KeyError:
        assert name in ("heavier", "reversed"), "its seeds are not kept"
        return
    assert verdicts(results)
    assert data.keys() <= results.keys()
    if "judged_by" in data:
        assert verdicts(results) == verdicts(data), f"compute it again: python benchmarks/rejudge.py {name}"


def test_committed_results_are_of_full_size():
    for record in (ROOT / "benchmarks" / "results").glob("*.json"):
        data = json.loads(record.read_text())
        if "trials" in data:  # a simulation of studies, not a study
            assert data["trials"] >= 10_000
            continue
        if record.stem in SEEDLESS:
            continue
        seeds = data["seeds"] if isinstance(data["seeds"], int) else len(data["seeds"])
        assert seeds >= 5, f"{record.name} rests on {seeds} seeds"
        assert "--tiny" not in data["provenance"]["command"]
