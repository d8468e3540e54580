"""That each benchmark still runs, in small. What it finds is nothing that a test asserts."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [("epopt", []), ("ppo_hopper", []), ("studies", ["reversed"]), ("learners", ["--only", "DQN on CartPole-v1"])],
)
def test_a_benchmark_runs_in_small(name, words, tmp_path):
    script = ROOT / "benchmarks" / f"{name}.py"
    where = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    run = subprocess.run(
        [sys.executable, str(script), *words, "--tiny", *where], capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr[-2000:]
    [record] = (tmp_path / "out").glob("*.json")
    assert json.loads(record.read_text())["provenance"]["command"].startswith(f"python benchmarks/{name}.py")
    [figure] = (tmp_path / "out").glob("*.svg")
    assert figure.read_text().startswith("<svg")


def test_committed_results_are_of_full_size():
    for record in (ROOT / "benchmarks" / "results").glob("*.json"):
        data = json.loads(record.read_text())
        seeds = data["seeds"] if isinstance(data["seeds"], int) else len(data["seeds"])
        assert seeds >= 5, f"{record.name} rests on {seeds} seeds"
        assert "--tiny" not in data["provenance"]["command"]
