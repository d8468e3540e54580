"""The progress bar of a study."""

import io

import numpy as np
import pytest
from rich.console import Console

from headstart.lab.watch.progress_bar import ProgressBar, short_number
from headstart.lab.watch.progress_event import ProgressEvent

PLAN = {
    ("naive", "source"): 1000.0,
    ("naive", "target"): 0.0,
    ("finetune", "source"): 1000.0,
    ("finetune", "target"): 500.0,
}


def event(row: str, stage: str, steps: float) -> ProgressEvent:
    steps_of_seeds, returns = np.array([steps, steps], np.float32), np.array([1234.5, np.nan], np.float32)
    return ProgressEvent(row, stage, steps_of_seeds, PLAN[row, stage], returns)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Returns the time in a list, so that tests can set it."""
    now = [100.0]
    monkeypatch.setattr("headstart.lab.watch.progress_bar.time.monotonic", lambda: now[0])
    return now


def test_lines_show_progress_speed_and_returns(clock):
    text = io.StringIO()
    with ProgressBar(PLAN, Console(file=text, width=200)) as bar:
        clock[0] += 10.0
        bar(event("naive", "source", 0))
        clock[0] += 10.0
        bar(event("naive", "source", 500))
        clock[0] += 1.0
        bar(event("naive", "source", 550))  # too soon for another line
        clock[0] += 9.0
        bar(event("naive", "source", 1000))
    first, half, last = text.getvalue().splitlines()
    assert " ".join(first.split()) == "0 % -:-- naive source 0 of 1 000 steps · return 1 234 –"
    assert " ".join(half.split()) == "20 % 1:20 left naive source 500 of 1 000 steps · 100 steps/s · return 1 234 –"
    assert last.startswith(" 40 %   0:45 left")


def test_shared_or_earlier_stages_do_not_count_for_the_speed(clock):
    """Finetune uses naive's source training: the bar counts it as completed, and the time left ignores it."""
    bar = ProgressBar(PLAN, Console(file=io.StringIO()))
    bar(event("finetune", "target", 0))
    assert bar.steps_completed(("finetune", "target")) == 2000.0
    clock[0] += 50.0
    bar(event("finetune", "target", 250))
    done = bar.steps_completed(("finetune", "target"))
    assert done == 2250.0
    assert bar.time_left(done, clock[0]) == " 0:50 left"


def test_steps_of_an_earlier_process_do_not_count_for_the_speed(clock):
    bar = ProgressBar({("ppo", "source"): 1000.0}, Console(file=io.StringIO()))
    bar.earlier_steps = 400.0
    clock[0] += 50.0
    bar(ProgressEvent("ppo", "source", np.array([500.0]), 1000.0, np.zeros(1)))
    assert bar.time_left(500.0, clock[0]) == " 4:10 left"


def test_shots_beyond_the_budget_count_as_the_budget(clock):
    bar = ProgressBar(PLAN, Console(file=io.StringIO()))
    bar(event("finetune", "target", 9999))
    assert bar.steps_completed(("finetune", "target")) == 2500.0


@pytest.mark.parametrize(
    ("x", "shown"),
    [(1234567, "1 234 567"), (0.123456, "0.123"), (12.0, "12"), (-1234.5, "-1 234"), (np.float32(0.25), "0.25"),
     (float("nan"), "–"), (float("inf"), "–")],
)  # fmt: skip
def test_short_number(x, shown):
    assert short_number(x) == shown
