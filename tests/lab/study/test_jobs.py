"""How processes share jobs: what a killed one leaves behind is cleared away."""

import pathlib

from headstart.lab.checkpoint.locks import LOCK, locked
from headstart.lab.study.jobs import Job, run_jobs


def test_the_lock_that_a_killed_process_left_in_a_finished_job_is_deleted(tmp_path: pathlib.Path):
    (tmp_path / LOCK).touch()
    run_jobs([Job("row", tmp_path, lambda: True, lambda: None)], print)
    assert not (tmp_path / LOCK).exists()


def test_the_lock_of_a_living_process_stays(tmp_path: pathlib.Path):
    with locked(tmp_path) as mine:
        assert mine
        run_jobs([Job("row", tmp_path, lambda: True, lambda: None)], print)
        assert (tmp_path / LOCK).exists()
