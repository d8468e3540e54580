"""How the program ends: whatever the terminal, the encoding and the names are, with a sentence, not a traceback."""

import io
import os
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest
from rich.progress import Progress
from rich.table import Table

from headstart.core.errors import InputError
from headstart.lab.cli import exit_codes, main
from headstart.lab.report import terminal_tables
from headstart.lab.watch import progress_bar
from headstart.lab.watch.progress_event import ProgressEvent

PROGRAM = [sys.executable, "-c", "from headstart.lab.cli import main; main()"]


def run(*words: Any) -> int:
    """Returns the exit status."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def command(*words: str, shell: str = '"$@"', **env: str) -> subprocess.CompletedProcess[bytes]:
    """Returns what came of the program, run by a shell."""
    words = ("bash", "-c", shell, "bash", *PROGRAM, *words)
    return subprocess.run(words, capture_output=True, env={**os.environ, **env}, timeout=600, check=False)


TASK = ("train", "ppo", "--source", "CartPole-v1", "--out", "out")
STUDY = ("compare", "--source", "CartPole-v1", "--target", "CartPole-v1@force=5", "--out", "out")
MOVE = ("transfer", "nowhere", "--target", "CartPole-v1", "--out", "out")
PLAY = ("play", "nowhere")
HUGE = ("1e30", "1" + "0" * 400, "inf", "nan", "many", "")


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (TASK, ("--steps", "--seed", "--save-every")),
        (
            STUDY,
            ("--source-steps", "--target-steps", "--shots", "--seeds", "--evals", "--eval-episodes", "--threshold"),
        ),
        (MOVE, ("--steps", "--shots")),
        (PLAY, ("--episodes", "--seed")),
        (("doctor", *STUDY[1:-2]), ("--steps", "--seeds")),
    ],
    ids=lambda x: x[0],
)
def test_numbers_that_are_none_get_one_sentence(words, flags, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for flag in flags:
        for value in HUGE:
            if (flag, value) in {("--save-every", "1e30"), ("--threshold", "1e30"), ("--shots", "")}:
                continue
            assert run(*words, flag, value) == 2, (flag, value)
            out, err = capsys.readouterr()
            assert (out, err.count("\n"), err.startswith("headstart: ")) == ("", 1, True), (flag, value, err)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "ppo:num_steps=1e30", *TASK[2:]), "num_steps takes a whole number up to 2147483647"),
        (("train", "ppo:hidden=1e30", *TASK[2:]), "hidden takes a whole number up to 2147483647"),
        (
            ("train", "sac:update_to_data=nan", *TASK[2:]),
            "sac:update_to_data=nan does not fit; update_to_data takes a number",
        ),
        (("tasks", "FrozenLake-v1@horizon=1e30"), "give a whole number of steps, 1 or more, up to 1e9"),
        (("train", "ppo", "--source", "FrozenLake-v1@horizon=1e30", "--out", "out"), "up to 1e9"),
        ((*TASK, "--tensorboard", "file/live"), "file/live cannot be created (Not a directory); choose another"),
        ((*TASK[:-1], "file/out"), "file/out"),
        (("train", "p\udcff", *TASK[2:]), r"'p\udcff' holds bytes that are not text"),
        (("train", "ppo", "--source", "CartPole-v1@[/b]=3", "--out", "out"), "has no parameter '[/b]'"),
        (("parameters", "[/b]:smile:"), "'[/b]:smile:'"),
        (("tasks", "[bold]"), "There is no task '[bold]'"),
    ],
    ids=str,
)
def test_a_slip_gets_one_sentence(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (out, err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_signs_that_an_encoding_lacks_are_spelt(encoding: str, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert run("methods") == 0
    sys.stdout.flush()
    shown = raw.getvalue().decode(encoding)
    assert "the lecture's order" in shown
    assert ("–" in shown) == (encoding == "utf-8")
    print("a → b \ud800 鱼", flush=True)
    assert (
        raw.getvalue()
        .decode(encoding)
        .endswith("a → b \\ud800 鱼\n" if encoding == "utf-8" else "a -> b \\ud800 \\u9c7c\n")
    )


def test_a_reader_that_goes_and_an_output_that_is_closed_are_no_failure():
    gone = command("methods", shell='"$@" | head -1; exit ${PIPESTATUS[0]}')
    assert (gone.returncode, gone.stderr) == (0, b"")
    closed = command("methods", shell='"$@" >&-')
    assert (closed.returncode, closed.stderr) == (0, b"")
    mute = command("tasks", "nothing", shell='"$@" >&- 2>&-')
    assert mute.returncode == 2
    plain = command(
        "tasks", "CartPole-v1", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert b"pole_angle rad" in plain.stdout


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes."),
        ImportError("libx.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_memory_runs_out_there_is_a_sentence(error: Exception, capsys):
    with pytest.raises(SystemExit) as end, exit_codes.exit_with_message(["train"]):
        raise error
    assert end.value.code == 3
    assert "this process ran out of memory; what was finished is saved." in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="ours"), exit_codes.exit_with_message([]):
        raise RuntimeError("ours")


@pytest.mark.parametrize("name", ["[/b]", "jnt_range[foot_joint]", "[bold]x", ":smile:", "a[link=x]b"])
def test_names_are_printed_as_they_are(name: str, capsys):
    table = Table(name, title=name)
    table.add_row(name)
    table.caption = name
    terminal_tables.print_tables(table)
    assert capsys.readouterr().out.count(name) == 4
    board = progress_bar.ProgressBar({(name, "source"): 10.0}, progress_bar.console())
    with board:
        board(ProgressEvent(name, "source", np.array([10.0]), 10.0, np.array([1.0]), {}))
    assert name in capsys.readouterr().err
    live = progress_bar.plain_console(file=io.StringIO(), force_terminal=True, width=200)
    board = progress_bar.ProgressBar({(name, "source"): 10.0}, live)
    with board:
        board(ProgressEvent(name, "source", np.array([10.0]), 10.0, np.array([1.0]), {}))
        board.bars.refresh()
    assert isinstance(board.bars, Progress)
    assert name in live.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_input_errors_pass_through_as_sentences(capsys):
    with pytest.raises(SystemExit) as end, exit_codes.exit_with_message([]):
        raise InputError("[/b] is odd.")
    assert (end.value.code, capsys.readouterr().err) == (2, "headstart: [/b] is odd.\n")
