"""The command line: its output, its exit codes, and one sentence for each mistake."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest
import tiny
from command_line import run
from PIL import Image

from headstart import __version__
from headstart.core.types import spec
from headstart.lab import api
from headstart.lab.checkpoint.recipe import FORMAT
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.save_load import load, save
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.cli import commands
from headstart.lab.cli.arguments import COMMANDS
from headstart.lab.study import source_training
from headstart.protocol import transfer

SHIFTED = ("--source", "CartPole-v1", "--target", "CartPole-v1@force=-10")
# The study of test_runner.py, so that both share compiled programs.
SMALL = ("--source-steps", "250", "--target-steps", "500", "--shots", "0,1,3", "--seeds", "2", "--evals", "2")
LEARNER = ("--learner", "ppo:hidden=8:num_envs=4:num_steps=64:num_epochs=2")
COMPARE = ("compare", *SHIFTED, "--methods", "finetune", *SMALL, *LEARNER, "--eval-episodes", "3", "--out")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Returns a folder with a study, a training, and damaged checkpoints."""
    folder = tmp_path_factory.mktemp("lab")
    assert run(*COMPARE, folder / "study") == 0
    assert run("train", "ppo:hidden=8", "--source", "CartPole-v1", "--steps", "2e3", "--out", folder / "trained") == 0
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    save(Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, 3), folder / "corridor")
    shutil.copytree(folder / "trained", folder / "damaged")
    (folder / "damaged" / "params.safetensors").write_bytes(b"half of it")
    (folder / "foreign").mkdir()
    (folder / "foreign" / "recipe.json").write_text('{"format": "another\'s"}')
    (folder / "foreign" / "study.json").write_text('{"study": "another\'s"}')
    return folder


def test_transfer_into_other_spaces_prints_what_was_copied(folder, capsys):
    names = "observation.0=cart_position,action.0=left,action.1=right"
    options = ("--target", "CartPole-v1", "--rename", names, "--steps", "16", "--shots", "0")
    assert run("transfer", folder / "corridor", *options, "--out", folder / "moved") == 0
    out, _ = capsys.readouterr()
    assert "observation: copied cart_position; new cart_velocity, pole_angle, pole_angular_velocity" in out
    assert "action: copied left, right" in out
    assert "optimizer: fresh" in out
    assert "normalizer.mean" in out
    transferred = json.loads((folder / "moved" / "curve.json").read_text())["transferred"]
    assert transferred["arrays"]["policy.net.layers.0.weight"] == {"copied": 4, "new": 12, "dropped": 0}
    assert (transferred["action"]["new"], transferred["action"]["dropped"]) == ([], [])


def test_compare_prints_its_tables_and_the_path_of_the_report(folder, capsys, monkeypatch):
    monkeypatch.setattr(source_training, "learn_source", None)  # nothing is left to train
    assert run(*COMPARE, folder / "study") == 0
    out, _ = capsys.readouterr()
    assert "finetune" in out
    assert "against learning from scratch" in out
    assert f"report: {folder / 'study' / 'report.html'}" in out
    assert json.loads((folder / "study" / "study.json").read_text())["provenance"]["command"].startswith(
        "headstart compare --source CartPole-v1 --target CartPole-v1@force=-10"
    )


def test_compare_and_report_print_the_study_as_json(folder, capsys):
    assert run(*COMPARE, folder / "study", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert run("report", folder / "study", "--json") == 0
    assert json.loads(capsys.readouterr().out) == data
    assert list(data["methods"]) == ["naive", "scratch", "finetune"]


def test_report_is_written_again(folder, capsys):
    (folder / "study" / "report.html").unlink()
    assert run("report", folder / "study") == 0
    assert "report.html" in capsys.readouterr().out
    assert "finetune" in (folder / "study" / "report.html").read_text()


def test_progress_is_plain_text_without_a_terminal(tmp_path, capsys):
    assert run("train", "ppo:hidden=8", "--source", "CartPole-v1", "--steps", "2e3", "--out", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    *_, last = err.strip().splitlines()
    assert "\x1b" not in err
    assert last.startswith("100 %")
    assert "2 048 of 2 000 steps" in last
    assert "· return " in last
    assert "return" in out
    assert f"checkpoint: {tmp_path / 'out'}" in out


def test_checkpoint_is_transferred_to_the_target(folder, tmp_path, capsys):
    trainings = load(folder / "trained")
    assert (trainings.trained_on, trainings.steps, trainings.seed) == ("CartPole-v1", 2_048, 0)
    options = ("--target", "CartPole-v1@force=-10", "--steps", "2e3", "--shots", "1,0,1", "--json")
    assert run("transfer", folder / "trained", *options, "--out", tmp_path / "heavy") == 0
    printed, saved = json.loads(capsys.readouterr().out), json.loads((tmp_path / "heavy" / "curve.json").read_text())
    assert printed == {name: saved[name] for name in ("steps", "episodes", "returns", "shots", "transferred")}
    assert list(saved["shots"]) == ["0", "1"]
    assert saved["episodes"][:2] == [0, 1]
    assert saved["steps"][-1] >= 2_000
    adapted = load(tmp_path / "heavy")
    assert adapted.trained_on == "CartPole-v1, then CartPole-v1@force=-10"
    assert adapted.steps == 2_048 + saved["steps"][-1]


def test_training_writes_tensorboard_scalars(tmp_path):
    options = ("--source", "CartPole-v1", "--steps", "2e3", "--seed", "1", "--out", tmp_path / "out")
    assert run("train", "ppo:hidden=8", *options, "--tensorboard", tmp_path / "live") == 0
    [file] = (tmp_path / "live" / "ppo hidden-8" / "seed-1").iterdir()
    for name in (b"source/return", b"source/policy_loss", b"source/value_loss", b"source/entropy"):
        assert name in file.read_bytes()


def test_play_records_a_checkpoint(folder, tmp_path, capsys):
    assert run("play", folder / "trained", "--episodes", "2", "--out", tmp_path / "clip.gif") == 0
    first, second, message = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"CartPole-v1: return (\d+) in \1 steps", first)
    assert first != second
    assert message == f"video: {tmp_path / 'clip.gif'}"
    with Image.open(tmp_path / "clip.gif") as image:
        assert image.n_frames > 2  # pyright: ignore[reportAttributeAccessIssue]
    assert run("play", folder / "trained", "--target", "CartPole-v1@force=-10") == 0
    assert "CartPole-v1@force=-10: return" in capsys.readouterr().out
    assert (folder / "trained" / "clip.webp").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("trained", "--out", "clip.mp4"), r"clip\.mp4 is not a file for a clip; .*\.webp, \.gif"),
        (("nowhere",), r"There is no .*recipe\.json"),
        (("study/cells/random/seed-0",), r"seed-0 was trained on no task; name one with --target"),
        (("trained", "--target", "Pendulum-v1"), r"Pendulum-v1"),
        (("trained", "--episodes", "0"), r"--episodes"),
    ],
)
def test_invalid_play_is_refused_in_one_sentence(folder, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert run("play", folder / options[0], *options[1:]) == 2
    out, err = capsys.readouterr()
    assert re.search(message, err)
    assert (out, err.count("\n")) == ("", 1)
    assert not list(tmp_path.iterdir())


def test_checkpoint_from_elsewhere_runs_no_code(folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "intruder.py").write_text("raise SystemExit('it was let in')")
    monkeypatch.syspath_prepend(tmp_path)
    foreign = pathlib.Path(shutil.copytree(folder / "trained", tmp_path / "theirs"))
    recipe = json.loads((foreign / "recipe.json").read_text())
    recipe["trained_on"] = "CartPole-v1, then intruder:CartPole-v1"
    write_record(foreign / "recipe.json", FORMAT, recipe)
    assert run("play", foreign) == 2
    message = capsys.readouterr().err
    assert re.search(r"theirs/recipe\.json: The task 'intruder:CartPole-v1' imports .*by --target\.$", message.strip())
    assert run("play", foreign, "--target", "CartPole-v1", "--out", tmp_path / "clip.gif") == 0


def test_doctor_reports_the_shift_by_parameter(capsys):
    assert run("doctor", *SHIFTED, "--steps", "0") == 0
    out = capsys.readouterr().out
    assert "another task" in out
    assert out.endswith("To measure the headroom by two short trainings, add --steps 100000.\n")
    assert run("doctor", *SHIFTED, "--steps", "0", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["differs"], result["same"], result["along_policy"]) == (True, False, False)
    assert result["effects"].keys() == {"all together", "force"}
    assert result["headroom"] is None
    assert run("doctor", *SHIFTED[:3], "CartPole-v1@force=10", "--json") == 0  # equal tasks need no training
    result = json.loads(capsys.readouterr().out)
    assert (result["differs"], result["same"]) == (False, True)
    assert result["advice"].startswith("Source and target are the same task")


def test_doctor_measures_the_headroom_with_a_checkpoint(folder, capsys, monkeypatch):
    """The checkpoint replaces the training in the source; each seed trains in the target."""
    trainings = []
    monkeypatch.setattr(api, "train", lambda method, task, steps, seed: trainings.append((steps, seed)))
    returns = lambda trainings, task, seed: np.full(3, 500.0 if trainings is None else 100.0 + seed)
    monkeypatch.setattr(api, "evaluate", returns)
    checkpoint = folder / "study" / "cells" / "naive" / "seed-0"
    assert run("doctor", *SHIFTED, "--steps", "500", "--seeds", "0,2,2", "--checkpoint", checkpoint) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "headroom after 500 steps each (2 seeds)" in out
    assert "101 [100, 102]" in out
    assert out.endswith(
        "There is something to adapt: without training on the target, the source policy scores 101 of the 500 that as "
        "much training on the target reaches."
    )
    assert trainings == [(500, 0), (500, 2)]


@pytest.mark.parametrize(
    "options",
    [
        ("methods",),
        ("tasks",),
        ("parameters", "CartPole-v1"),
        ("parameters", "Hopper-v5"),
        ("parameters", "FrozenLake-v1@map_name=8x8,horizon=20"),
    ],
)
def test_lists_are_printed_as_tables_and_json(options, capsys):
    assert run(*options) == 0
    printed = capsys.readouterr().out
    assert run(*options, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 5
    name = next(iter(rows[-1].values()))
    assert name in printed
    assert all(row.keys() == rows[0].keys() for row in rows)


def test_assumptions_about_an_env_are_printed(capsys):
    assert run("tasks", "FrozenLake-v1@horizon=20", "--json") == 0
    rows = {row["property"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert (rows["observation"], rows["action"]) == ("16 numbers within [0, 1]", "one of 4 discrete actions")
    assert run("tasks", "Blackjack-v1@horizon=20") == 0
    assert "The parts of its observation are concatenated: 0, 1, 2." in capsys.readouterr().out


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"headstart {__version__}\n"


@pytest.mark.parametrize(
    "options", [[], *([re.sub(r"\B([A-Z])", r"-\1", kind.__name__).lower()] for kind in COMMANDS)], ids=str
)
def test_every_command_has_help(options, capsys):
    assert run(*options, "--help") == 0
    out, err = capsys.readouterr()
    assert "usage: headstart" in out
    assert err == ""


def test_help_has_examples(capsys):
    assert run() == 0
    assert "headstart compare --source Hopper-v5" in capsys.readouterr().out


OUT = object()  # a folder in which nothing may be written

SPACES = "unequal observation spaces (4 and 3 components); choose tasks of one env"
MISTAKES: list[tuple[list[Any], str]] = [
    (["train", "ppo", "--source", "CartPol-v1", "--out", OUT], "the nearest are CartPole-v1"),
    (["train", "ppo", "--source", "Hoper-v5", "--out", OUT], "the nearest are Hopper-v5"),
    (
        ["train", "ppo", "--source", "CartPole-v1@pole_mas=1", "--out", OUT],
        "no parameter 'pole_mas'; the nearest is pole_mass",
    ),
    (["train", "ppo", "--source", "CartPole-v1@force=1e9", "--out", OUT], "out of bounds; force lies within"),
    (["train", "ppo", "--source", "CartPole-v1@force=5..5", "--out", OUT], "empty range; write force=5"),
    (["train", "ppo", "--source", "CartPole-v1@force=9..5", "--out", OUT], "write the smaller end first: 5..9"),
    (["train", "ppo", "--source", "CartPole-v1@force", "--out", OUT], "has no value for force; write force=VALUE"),
    (["train", "ppo", "--source", "CartPole-v1@", "--out", OUT], "ends after its @"),
    (["train", "ppo", "--source", "", "--out", OUT], "names no env"),
    (["train", "epop", "--source", "CartPole-v1", "--out", OUT], "did you mean epopt"),
    (["train", "epopt:epsilon=2", "--source", "CartPole-v1", "--out", OUT], "epsilon is within (0, 1]"),
    (
        ["train", "ppo", "--source", "CartPole-v1", "--steps", "0", "--out", OUT],
        "--steps is 0, but a budget is at least 1",
    ),
    (["train", "ppo", "--source", "CartPole-v1", "--steps", "-3", "--out", OUT], "--steps is -3"),
    (["train", "ppo", "--source", "CartPole-v1", "--steps", "1e400", "--out", OUT], "'1e400' is not a finite number"),
    (["train", "ppo", "--source", "CartPole-v1", "--steps", "1e300", "--out", OUT], "write a smaller number"),
    (["train", "ppo", "--source", "CartPole-v1", "--steps", "2.5", "--out", OUT], "'2.5' is not a whole number"),
    (["train", "ppo", "--source", "CartPole-v1", "--seed", "-1", "--out", OUT], "--seed has -1"),
    (["train", "ppo", "--source", "CartPole-v1", "--out", "study"], "is not empty; choose another --out"),
    ([*COMPARE, OUT, "--target", "Pendulum-v1"], SPACES),
    ([*COMPARE, OUT, "--target", "CartPole-v1@force=10"], "Change the target, or add --allow-no-shift"),
    ([*COMPARE, OUT, "--methods", "finetune,epopt"], "name one, such as --ensemble CartPole-v1@NAME=LOW..HIGH"),
    ([*COMPARE, OUT, "--methods", "finetune,rainbow"], "There is no method 'rainbow'; did you mean"),
    ([*COMPARE, OUT, "--methods", ""], "write --methods scratch,naive,finetune"),
    ([*COMPARE, OUT, "--ensemble", "CartPole-v1@force=5"], "has no random parameter; write a range"),
    ([*COMPARE, OUT, "--source-steps", "0"], "--source-steps is 0"),
    ([*COMPARE, OUT, "--target-steps", "-1"], "--target-steps is -1"),
    ([*COMPARE, OUT, "--seeds", "0"], "0 is not a number of seeds; write one from 1 to"),
    ([*COMPARE, OUT, "--seeds", "-1"], "-1 is not a number of seeds"),
    ([*COMPARE, OUT, "--seeds", "1e9"], "1e9 is not a number of seeds"),
    ([*COMPARE, OUT, "--seeds", "0,-1"], "--seeds has -1"),
    ([*COMPARE, OUT, "--seeds", "many"], "how many seeds, such as 5, or which, such as 0,1,2"),
    (
        [*COMPARE, OUT, "--shots", "a"],
        "'a' is not a number; write one, several with commas between them, such as 0,1,10",
    ),
    ([*COMPARE, OUT, "--shots", "0,-1"], "--shots has -1"),
    ([*COMPARE, OUT, "--threshold", "nan"], "'nan' is not a finite number"),
    ([*COMPARE, OUT, "--evals", "0"], "--evals is 0"),
    ([*COMPARE, "study", "--learner", "ppo"], "holds another study (its learner differ)"),
    ([*COMPARE, "trained"], "is not empty and holds no study"),
    (["doctor", *SHIFTED[:2], "--target", "Pendulum-v1"], SPACES),
    (["doctor", *SHIFTED, "--steps", "-1"], "--steps is -1"),
    (["transfer", "nowhere", "--target", "CartPole-v1", "--out", OUT], "check that headstart wrote the folder"),
    (["transfer", "damaged", "--target", "CartPole-v1", "--out", OUT], "take another copy of it"),
    (["transfer", "foreign", "--target", "CartPole-v1", "--out", OUT], "not a record of this version of headstart"),
    (["transfer", "corridor", "--target", "CartPole-v1", "--out", OUT], "(1 and 4 components)"),
    (["transfer", "trained", "--target", "CartPole-v1", "--steps", "0", "--out", OUT], "--steps is 0"),
    (["transfer", "trained", "--target", "CartPole-v1", "--shots", "-5", "--out", OUT], "--shots has -5"),
    (["transfer", "trained", "--target", "CartPole-v1", "--out", "study"], "is not empty; choose another --out"),
    (
        ["transfer", "trained", "--target", "CartPole-v1", "--method", "finetune:freeze=x", "--out", OUT],
        "cannot freeze",
    ),
    (
        ["transfer", "trained", "--target", "CartPole-v1", "--method", "dqn", "--out", OUT],
        "DQN cannot start from what PPO learned",
    ),
    (["report", "nowhere"], "There is no"),
    (
        ["report", "foreign"],
        "not a record of this version of headstart (format 'headstart study 2'); name a folder that",
    ),
    (["parameters", "Hopper"], "the nearest is Hopper-v5"),
    (["parameters", "Blackjack-v1"], "write Blackjack-v1@horizon=1000"),
]


@pytest.mark.parametrize(("options", "sentence"), MISTAKES, ids=[sentence for _, sentence in MISTAKES])
def test_mistake_is_refused_in_one_sentence_and_writes_nothing(folder, capsys, monkeypatch, options, sentence):
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run(*("new" if word is OUT else word for word in options)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("headstart: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("options", [["compare"], ["comparee"], ["train", "ppo", "--sourc", "CartPole-v1"]])
def test_invalid_commands_are_refused(options, capsys):
    assert run(*options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "headstart" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            KeyboardInterrupt(),
            130,
            "headstart: stopped. Finished cells are saved; the same command resumes the study.",
        ),
        (
            PermissionError(13, "Permission denied", "/there"),
            2,
            "headstart: /there: Permission denied; choose another place.",
        ),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_interrupts_and_file_errors_end_without_a_traceback(tmp_path, capsys, monkeypatch, error, status, message):
    def raise_error(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(commands, "compare", raise_error)
    assert run(*COMPARE, tmp_path) == status
    assert capsys.readouterr().err.strip() == message


def test_duplicate_seeds_shots_and_methods_change_nothing(folder, capsys, monkeypatch):
    """The same study, written in another way, reuses all of its cells."""
    monkeypatch.setattr(transfer, "adapt", None)
    options = ("--seeds", "0,1,0", "--shots", "3,0,1,3", "--methods", "finetune,finetune")
    assert run(*COMPARE, folder / "study", *options) == 0


def test_help_and_version_do_not_import_jax():
    """The test runs the program in a process of its own, and lists the slow imports."""
    code = """
import sys
from headstart.lab.cli import main
main(["--version"])
try:
    main(["--help"])
except SystemExit as end:
    heavy = {"jax", "numpy", "mujoco", "gymnasium", "plotly", "typeguard"}
    print("status", end.code, *sorted(heavy & set(sys.modules)))
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert process.stderr == ""
    assert process.stdout.splitlines()[0] == f"headstart {__version__}"
    assert process.stdout.splitlines()[-1] == "status 0"


def test_program_exits_with_2_on_invalid_input(tmp_path):
    code = "from headstart.lab.cli import main; main()"
    options = [sys.executable, "-c", code, "train", "ppo", "--source", "CartPole-v1@force=9..5", "--out", "out"]
    env = {"PYTHONWARNINGS": "error::DeprecationWarning:headstart", "JAX_PLATFORMS": "cpu"}
    process = subprocess.run(options, capture_output=True, text=True, cwd=tmp_path, env=os.environ | env, timeout=600)
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.startswith("headstart: CartPole-v1: force=9..5 runs backwards")
    assert list(tmp_path.iterdir()) == []
