"""Where `train` and `transfer` write: a folder that is free, theirs alone, and can be written to."""

import json
import os
import pathlib
import shutil
from typing import Any

import filelock
import pytest

from headstart.core.errors import InputError
from headstart.lab import api
from headstart.lab.checkpoint import files, result_folder, save_load
from headstart.lab.checkpoint.save_load import load
from headstart.lab.cli import main

TRAIN = ("train", "ppo:hidden=8", "--source", "CartPole-v1", "--steps", "2e3", "--out")
TRANSFER = ("--target", "CartPole-v1@force=-10", "--steps", "2e3", "--shots", "0,1", "--out")


def run(*words: Any) -> int:
    """Returns the exit status."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("results") / "trained"
    assert run(*TRAIN, out) == 0
    return out


def never(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("nothing was to be learned")


def all_of(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_command_after_success_says_that_it_is_done(trained, tmp_path, capsys, monkeypatch):
    assert run("transfer", trained, *TRANSFER, tmp_path / "heavy") == 0
    first = capsys.readouterr().out.splitlines()
    before = all_of(trained), all_of(tmp_path / "heavy")
    monkeypatch.setattr(api, "train", never)
    monkeypatch.setattr(api, "transfer", never)
    assert run(*TRAIN, trained) == 0
    assert capsys.readouterr().out == f"this command has already finished\ncheckpoint: {trained}\n"
    assert run("transfer", trained, *TRANSFER, tmp_path / "heavy") == 0
    said, *table = capsys.readouterr().out.splitlines()
    assert said == "this command has already finished"
    assert table == first[-len(table) :]
    assert before == (all_of(trained), all_of(tmp_path / "heavy"))


@pytest.mark.parametrize(
    ("words", "named"),
    [(("--seed", "1"), "seed"), (("--steps", "3e3"), "steps"), (("--source", "CartPole-v1@force=9"), "tasks")],
)
def test_another_command_is_refused(trained, capsys, monkeypatch, words, named):
    monkeypatch.setattr(api, "train", never)
    before = all_of(trained)
    assert run(*TRAIN, trained, *words) == 2
    assert f"holds another result (its {named} differ); choose another --out" in capsys.readouterr().err
    assert all_of(trained) == before


def test_a_folder_that_is_in_use_is_refused(tmp_path, capsys):
    with filelock.FileLock(tmp_path / ".lock"):
        assert run(*TRAIN, tmp_path) == 2
    assert f"{tmp_path} is in use by another process" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_learned(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(api, "train", never)
    (tmp_path / "file").touch()
    assert run(*TRAIN, tmp_path / "file" / "out") == 2
    assert "cannot be written to (Not a directory); choose another --out" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(result_folder, "check_writable", lambda folder: files.write(pathlib.Path("/proc/no/such"), b""))
        assert run(*TRAIN, tmp_path / "new") == 2
    assert not (tmp_path / "new").exists()


def test_what_was_learned_is_kept_elsewhere_where_the_disk_is_full(trained, tmp_path, capsys, monkeypatch):
    def full(trained: Any, path: pathlib.Path) -> None:
        if path == tmp_path / "out":
            raise OSError(28, "No space left on device", str(path))
        real(trained, path)

    real = save_load.save
    monkeypatch.setattr(save_load, "save", full)
    monkeypatch.chdir(tmp_path)
    assert run(*TRAIN, tmp_path / "out") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    (elsewhere,) = tmp_path.glob("headstart-out-*")
    assert said == (
        f"headstart: {tmp_path / 'out'} could not be written (No space left on device); "
        f"the result is saved in {elsewhere}."
    )
    assert all_of(elsewhere) == all_of(trained)
    assert (tmp_path / "out" / "run" / "run.json").exists()
    monkeypatch.setattr(save_load, "save", real)
    monkeypatch.setattr(result_folder, "check_writable", lambda folder: None)
    assert run(*TRAIN, tmp_path / "out") == 0  # there is room again
    assert all_of(tmp_path / "out") == all_of(trained)


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    def full(folder: pathlib.Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="nor could any other folder: the result is lost"):
        result_folder.write_or_rescue(full, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_a_stop_left_is_no_obstacle(trained, tmp_path):
    """Between any two writes of a command: it goes on, and comes to the same."""
    whole = all_of(trained)
    for left in (
        {".curve.json.abcdefgh.part": b"{"},
        {"curve.json": whole["curve.json"]},
        {"curve.json": whole["curve.json"], "params-0123456789abcdef.safetensors": b"half"},
    ):
        out = tmp_path / str(len(os.listdir(tmp_path)))
        out.mkdir()
        for name, data in left.items():
            (out / name).write_bytes(data)
        assert run(*TRAIN, out) == 0
        assert all_of(out) == whole
    assert load(out).seed == 0


def test_what_a_kill_left_of_a_finished_command_is_put_in_order(trained, tmp_path):
    """Between the recipe and the arrays' usual name, and before the lock is given back."""
    out = pathlib.Path(shutil.copytree(trained, tmp_path / "out"))
    sha256 = json.loads((out / "recipe.json").read_text())["sha256"]
    (out / "params.safetensors").rename(out / f"params-{sha256[:16]}.safetensors")
    for left in (".lock", ".recipe.json.abcdefgh.part", "run/.lock"):
        (out / left).parent.mkdir(exist_ok=True)
        (out / left).touch()
    assert load(out).seed == 0
    assert run(*TRAIN, out) == 0
    assert all_of(out) == all_of(trained)


def test_a_damaged_result_is_told_of(trained, tmp_path, capsys):
    for name in ("curve.json", "recipe.json", "params.safetensors"):
        out = tmp_path / name
        out.mkdir()
        for file, data in all_of(trained).items():
            (out / file).write_bytes(data[:-9] + b"#" + data[-8:] if file == name else data)
        assert run(*TRAIN, out) == 2
        assert f"{out / name} is damaged" in capsys.readouterr().err
