"""Exit codes: errors end in a sentence, for any terminal, encoding and name."""

import io
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from command_line import run
from rich.progress import Progress
from rich.table import Table

from headstart.core.errors import InputError
from headstart.lab.cli import exit_codes
from headstart.lab.report import terminal_tables
from headstart.lab.watch import progress_bar
from headstart.lab.watch.progress_event import ProgressEvent

PROGRAM = [sys.executable, "-c", "from headstart.lab.cli import main; main()"]


def run_in_shell(*arguments: str, shell: str = '"$@"', **env: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the program in a shell."""
    arguments = ("bash", "-c", shell, "bash", *PROGRAM, *arguments)
    return subprocess.run(arguments, capture_output=True, env={**os.environ, **env}, timeout=600, check=False)


TRAIN = ("train", "ppo", "--source", "CartPole-v1", "--out", "out")
COMPARE = ("compare", "--source", "CartPole-v1", "--target", "CartPole-v1@force=5", "--out", "out")
TRANSFER = ("transfer", "nowhere", "--target", "CartPole-v1", "--out", "out")
PLAY = ("play", "nowhere")
HUGE = ("1e30", "1" + "0" * 400, "inf", "nan", "many", "")


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (TRAIN, ("--steps", "--seed", "--save-every")),
        (
            COMPARE,
            ("--source-steps", "--target-steps", "--shots", "--seeds", "--evals", "--eval-episodes", "--threshold"),
        ),
        (TRANSFER, ("--steps", "--shots")),
        (PLAY, ("--episodes", "--seed")),
        (("doctor", *COMPARE[1:-2]), ("--steps", "--seeds")),
    ],
    ids=lambda x: x[0],
)
def test_invalid_numbers_are_refused_in_one_sentence(arguments, flags, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for flag in flags:
        for value in HUGE:
            if (flag, value) in {("--save-every", "1e30"), ("--threshold", "1e30"), ("--shots", "")}:
                continue
            assert run(*arguments, flag, value) == 2, (flag, value)
            out, err = capsys.readouterr()
            assert (out, err.count("\n"), err.startswith("headstart: ")) == ("", 1, True), (flag, value, err)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "ppo:num_steps=1e30", *TRAIN[2:]), "num_steps takes a whole number up to 2147483647"),
        (("train", "ppo:hidden=1e30", *TRAIN[2:]), "hidden takes a whole number up to 2147483647"),
        (
            ("train", "sac:update_to_data=nan", *TRAIN[2:]),
            "sac:update_to_data=nan does not fit; update_to_data takes a number",
        ),
        (("tasks", "FrozenLake-v1@horizon=1e30"), "give a whole number of steps, 1 or more, up to 1e9"),
        (("train", "ppo", "--source", "FrozenLake-v1@horizon=1e30", "--out", "out"), "up to 1e9"),
        ((*TRAIN, "--tensorboard", "file/live"), "file/live cannot be created (Not a directory); choose another"),
        ((*TRAIN[:-1], "file/out"), "file/out"),
        (("train", "p\udcff", *TRAIN[2:]), r"'p\udcff' holds bytes that are not text"),
        (("train", "ppo", "--source", "CartPole-v1@[/b]=3", "--out", "out"), "has no parameter '[/b]'"),
        (("parameters", "[/b]:smile:"), "'[/b]:smile:'"),
        (("tasks", "[bold]"), "There is no task '[bold]'"),
    ],
    ids=str,
)
def test_invalid_arguments_are_refused_in_one_sentence(arguments, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert (out, err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_an_encoding_lacks_are_replaced(encoding: str, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert run("methods") == 0
    sys.stdout.flush()
    text = raw.getvalue().decode(encoding)
    assert "the lecture's order" in text
    assert ("–" in text) == (encoding == "utf-8")
    print("a → b \ud800 鱼", flush=True)
    assert (
        raw.getvalue()
        .decode(encoding)
        .endswith("a → b \\ud800 鱼\n" if encoding == "utf-8" else "a -> b \\ud800 \\u9c7c\n")
    )


def test_closed_output_is_not_an_error():
    reader_gone = run_in_shell("methods", shell='"$@" | head -1; exit ${PIPESTATUS[0]}')
    assert (reader_gone.returncode, reader_gone.stderr) == (0, b"")
    closed = run_in_shell("methods", shell='"$@" >&-')
    assert (closed.returncode, closed.stderr) == (0, b"")
    both_closed = run_in_shell("tasks", "nothing", shell='"$@" >&- 2>&-')
    assert both_closed.returncode == 2
    ascii_output = run_in_shell(
        "tasks", "CartPole-v1", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert (ascii_output.returncode, ascii_output.stderr) == (0, b"")
    assert b"pole_angle rad" in ascii_output.stdout


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
def test_running_out_of_memory_is_reported(error: Exception, capsys):
    with pytest.raises(SystemExit) as exit_error, exit_codes.exit_with_message(["train"]):
        raise error
    assert exit_error.value.code == 3
    assert "this process ran out of memory; what was finished is saved." in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="ours"), exit_codes.exit_with_message([]):
        raise RuntimeError("ours")


@pytest.mark.parametrize("name", ["[/b]", "jnt_range[foot_joint]", "[bold]x", ":smile:", "a[link=x]b"])
def test_names_with_markup_are_printed_unchanged(name: str, capsys):
    table = Table(name, title=name)
    table.add_row(name)
    table.caption = name
    terminal_tables.print_tables(table)
    assert capsys.readouterr().out.count(name) == 4
    bar = progress_bar.ProgressBar({(name, "source"): 10.0}, progress_bar.console())
    with bar:
        bar(ProgressEvent(name, "source", np.array([10.0]), 10.0, np.array([1.0]), {}))
    assert name in capsys.readouterr().err
    live = progress_bar.plain_console(file=io.StringIO(), force_terminal=True, width=200)
    bar = progress_bar.ProgressBar({(name, "source"): 10.0}, live)
    with bar:
        bar(ProgressEvent(name, "source", np.array([10.0]), 10.0, np.array([1.0]), {}))
        bar.bars.refresh()
    assert isinstance(bar.bars, Progress)
    assert name in live.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_input_errors_are_printed_as_sentences(capsys):
    with pytest.raises(SystemExit) as exit_error, exit_codes.exit_with_message([]):
        raise InputError("[/b] is odd.")
    assert (exit_error.value.code, capsys.readouterr().err) == (2, "headstart: [/b] is odd.\n")
