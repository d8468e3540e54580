"""The folders that `train` and `transfer` write: checks, locks and unfinished results."""

import json
import os
import pathlib
import shutil
from typing import Any

import filelock
import pytest
from command_line import run

from headstart.core.errors import InputError
from headstart.lab import api
from headstart.lab.checkpoint import files, result_folder, save_load
from headstart.lab.checkpoint.save_load import load

TRAIN = ("train", "ppo:hidden=8", "--source", "CartPole-v1", "--steps", "2e3", "--out")
TRANSFER = ("--target", "CartPole-v1@force=-10", "--steps", "2e3", "--shots", "0,1", "--out")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("results") / "trained"
    assert run(*TRAIN, out) == 0
    return out


def fail_if_called(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("nothing is left to train")


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_finished_command_prints_that_it_is_done(trained, tmp_path, capsys, monkeypatch):
    assert run("transfer", trained, *TRANSFER, tmp_path / "heavy") == 0
    first = capsys.readouterr().out.splitlines()
    before = contents(trained), contents(tmp_path / "heavy")
    monkeypatch.setattr(api, "train", fail_if_called)
    monkeypatch.setattr(api, "transfer", fail_if_called)
    assert run(*TRAIN, trained) == 0
    assert capsys.readouterr().out == f"this command has already finished\ncheckpoint: {trained}\n"
    assert run("transfer", trained, *TRANSFER, tmp_path / "heavy") == 0
    message, *table = capsys.readouterr().out.splitlines()
    assert message == "this command has already finished"
    assert table == first[-len(table) :]
    assert before == (contents(trained), contents(tmp_path / "heavy"))


@pytest.mark.parametrize(
    ("options", "field"),
    [(("--seed", "1"), "seed"), (("--steps", "3e3"), "steps"), (("--source", "CartPole-v1@force=9"), "tasks")],
)
def test_folder_of_another_command_is_refused(trained, capsys, monkeypatch, options, field):
    monkeypatch.setattr(api, "train", fail_if_called)
    before = contents(trained)
    assert run(*TRAIN, trained, *options) == 2
    assert f"holds another result (its {field} differ); choose another --out" in capsys.readouterr().err
    assert contents(trained) == before


def test_folder_in_use_is_refused(tmp_path, capsys):
    with filelock.FileLock(tmp_path / ".lock"):
        assert run(*TRAIN, tmp_path) == 2
    assert f"{tmp_path} is in use by another process" in capsys.readouterr().err


def test_unwritable_folder_is_refused_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(api, "train", fail_if_called)
    (tmp_path / "file").touch()
    assert run(*TRAIN, tmp_path / "file" / "out") == 2
    assert "cannot be written to (Not a directory); choose another --out" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(result_folder, "check_writable", lambda folder: files.write(pathlib.Path("/proc/no/such"), b""))
        assert run(*TRAIN, tmp_path / "new") == 2
    assert not (tmp_path / "new").exists()


def test_result_is_saved_elsewhere_if_the_disk_is_full(trained, tmp_path, capsys, monkeypatch):
    def full_disk(trained: Any, path: pathlib.Path) -> None:
        if path == tmp_path / "out":
            raise OSError(28, "No space left on device", str(path))
        real(trained, path)

    real = save_load.save
    monkeypatch.setattr(save_load, "save", full_disk)
    monkeypatch.chdir(tmp_path)
    assert run(*TRAIN, tmp_path / "out") == 2
    message = capsys.readouterr().err.splitlines()[-1]
    (rescue_folder,) = tmp_path.glob("headstart-out-*")
    assert message == (
        f"headstart: {tmp_path / 'out'} could not be written (No space left on device); "
        f"the result is saved in {rescue_folder}."
    )
    assert contents(rescue_folder) == contents(trained)
    assert (tmp_path / "out" / "run" / "run.json").exists()
    monkeypatch.setattr(save_load, "save", real)
    monkeypatch.setattr(result_folder, "check_writable", lambda folder: None)
    assert run(*TRAIN, tmp_path / "out") == 0  # the disk has space again
    assert contents(tmp_path / "out") == contents(trained)


def test_unwritable_disk_is_reported(tmp_path):
    def full_disk(folder: pathlib.Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="nor could any other folder: the result is lost"):
        result_folder.write_or_rescue(full_disk, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_command_resumes_after_a_stop_between_any_two_writes(trained, tmp_path):
    """The result equals that of a command that was not stopped."""
    complete = contents(trained)
    for leftovers in (
        {".curve.json.abcdefgh.part": b"{"},
        {"curve.json": complete["curve.json"]},
        {"curve.json": complete["curve.json"], "params-0123456789abcdef.safetensors": b"half"},
    ):
        out = tmp_path / str(len(os.listdir(tmp_path)))
        out.mkdir()
        for name, data in leftovers.items():
            (out / name).write_bytes(data)
        assert run(*TRAIN, out) == 0
        assert contents(out) == complete
    assert load(out).seed == 0


def test_finished_command_completes_a_killed_save(trained, tmp_path):
    """The kill came after the recipe was written, before the arrays were renamed and the lock released."""
    out = pathlib.Path(shutil.copytree(trained, tmp_path / "out"))
    sha256 = json.loads((out / "recipe.json").read_text())["sha256"]
    (out / "params.safetensors").rename(out / f"params-{sha256[:16]}.safetensors")
    for leftovers in (".lock", ".recipe.json.abcdefgh.part", "run/.lock"):
        (out / leftovers).parent.mkdir(exist_ok=True)
        (out / leftovers).touch()
    assert load(out).seed == 0
    assert run(*TRAIN, out) == 0
    assert contents(out) == contents(trained)


def test_damaged_result_is_refused(trained, tmp_path, capsys):
    for name in ("curve.json", "recipe.json", "params.safetensors"):
        out = tmp_path / name
        out.mkdir()
        for file, data in contents(trained).items():
            (out / file).write_bytes(data[:-9] + b"#" + data[-8:] if file == name else data)
        assert run(*TRAIN, out) == 2
        assert f"{out / name} is damaged" in capsys.readouterr().err
