"""What a person sees while a study runs."""

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


def news(row: str, stage: str, steps: float) -> ProgressEvent:
    spent, returns = np.array([steps, steps], np.float32), np.array([1234.5, np.nan], np.float32)
    return ProgressEvent(row, stage, spent, PLAN[row, stage], returns)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Returns the time, in a list, to be set."""
    now = [100.0]
    monkeypatch.setattr("headstart.lab.watch.progress_bar.time.monotonic", lambda: now[0])
    return now


def test_lines_tell_how_far_it_is_how_fast_and_how_well(clock):
    page = io.StringIO()
    with ProgressBar(PLAN, Console(file=page, width=200)) as board:
        clock[0] += 10.0
        board(news("naive", "source", 0))
        clock[0] += 10.0
        board(news("naive", "source", 500))
        clock[0] += 1.0
        board(news("naive", "source", 550))  # too soon for another line
        clock[0] += 9.0
        board(news("naive", "source", 1000))
    first, half, whole = page.getvalue().splitlines()
    assert " ".join(first.split()) == "0 % -:-- naive source 0 of 1 000 steps · return 1 234 –"
    assert " ".join(half.split()) == "20 % 1:20 left naive source 500 of 1 000 steps · 100 steps/s · return 1 234 –"
    assert whole.startswith(" 40 %   0:45 left")


def test_what_was_done_before_or_is_shared_is_no_measure_of_its_speed(clock):
    """The source of finetune is naive's: the bar jumps over it, and the time left does not believe in miracles."""
    board = ProgressBar(PLAN, Console(file=io.StringIO()))
    board(news("finetune", "target", 0))
    assert board.steps_completed(("finetune", "target")) == 2000.0
    clock[0] += 50.0
    board(news("finetune", "target", 250))
    done = board.steps_completed(("finetune", "target"))
    assert done == 2250.0
    assert board.time_left(done, clock[0]) == " 0:50 left"


def test_what_another_process_did_is_no_measure_of_its_speed_either(clock):
    board = ProgressBar({("ppo", "source"): 1000.0}, Console(file=io.StringIO()))
    board.before = 400.0
    clock[0] += 50.0
    board(ProgressEvent("ppo", "source", np.array([500.0]), 1000.0, np.zeros(1)))
    assert board.time_left(500.0, clock[0]) == " 4:10 left"


def test_shots_beyond_the_budget_are_not_more_than_all_of_it(clock):
    board = ProgressBar(PLAN, Console(file=io.StringIO()))
    board(news("finetune", "target", 9999))
    assert board.steps_completed(("finetune", "target")) == 2500.0


@pytest.mark.parametrize(
    ("x", "shown"),
    [(1234567, "1 234 567"), (0.123456, "0.123"), (12.0, "12"), (-1234.5, "-1 234"), (np.float32(0.25), "0.25"),
     (float("nan"), "–"), (float("inf"), "–")],
)  # fmt: skip
def test_numbers_are_thin(x, shown):
    assert short_number(x) == shown
