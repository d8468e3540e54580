"""Jobs shared between processes, and locks of killed processes."""

import pathlib

from headstart.lab.checkpoint.locks import LOCK, locked
from headstart.lab.study.jobs import Job, run_jobs


def test_lock_of_a_killed_process_in_a_finished_job_is_deleted(tmp_path: pathlib.Path):
    (tmp_path / LOCK).touch()
    run_jobs([Job("row", tmp_path, lambda: True, lambda: None)], print)
    assert not (tmp_path / LOCK).exists()


def test_lock_of_a_running_process_stays(tmp_path: pathlib.Path):
    with locked(tmp_path) as acquired:
        assert acquired
        run_jobs([Job("row", tmp_path, lambda: True, lambda: None)], print)
        assert (tmp_path / LOCK).exists()
