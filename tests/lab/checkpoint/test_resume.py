"""Trainings that are stopped, killed and gone on with: to the bit what they would have been."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import filelock
import gymnasium
import jax
import numpy as np
import probes
import pytest
import safetensors.numpy
import strangers

import headstart as hs
from headstart.core.run import Snapshot
from headstart.core.types import Method, Spec, Stage, Task
from headstart.lab.checkpoint import resume, training_files
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.resume import FileCheckpointer
from headstart.lab.cli import main
from headstart.lab.watch.progress_bar import ProgressBar

SMALL = {"hidden": (4,), "num_steps": 2, "num_envs": 2, "batch_size": 8, "buffer_size": 64, "learning_starts": 8}
PPO = hs.PPO(hidden=(4,), num_steps=8, num_envs=2, batch_size=8, num_epochs=1)
CORRIDOR = probes.one(probes.Corridor())
STEPS = 400  # PPO's 25 turns, of which 20 points tell


@dataclasses.dataclass(frozen=True)
class Twice(Method):
    """Learns as its base does, and before that as much."""

    base: Method

    def pretraining(self, spec: Spec) -> tuple[Stage, ...]:
        return (Stage(self.base, 0.5),)

    def build(self, spec: Spec, target: bool):
        learner = self.base.learner(spec)
        return learner._replace(init=lambda key, prior: learner.init(key, None))


class Stops(FileCheckpointer):
    """Looks after every turn, and ends after so many of them."""

    def __init__(self, folder: pathlib.Path, after: float = np.inf, every: float = 0.0):
        super().__init__(folder, every)
        self.after = after

    def chunk_size(self, ahead: int) -> int:
        return 1

    def after_chunk(self, left: Snapshot, of: int) -> None:
        self.after -= 1
        self._stop_requested = self.after <= 0
        super().after_chunk(left, of)


def stop(folder: pathlib.Path, after: int, method: Method = PPO, task: Task = CORRIDOR, steps: int = STEPS) -> None:
    with pytest.raises(KeyboardInterrupt, match="the same command resumes it"):
        hs.train(method, task, steps, keep=Stops(folder, after))


def check_same(one: hs.Trained, other: hs.Trained) -> None:
    assert dataclasses.replace(one, state=other.state) == other
    jax.tree.map(np.testing.assert_array_equal, one.state, other.state)


CASES = {
    "ppo": (PPO, CORRIDOR),
    "sac": (hs.SAC(**SMALL), probes.one(probes.Corridor(discrete=False))),
    "dqn": (hs.DQN(**SMALL, update_to_data=0.3), CORRIDOR),  # of a gradient step, a part is owed at every turn
    "mujoco": (PPO, hs.task("InvertedPendulum-v5")),
    "a training before": (Twice(PPO), CORRIDOR),
}


@pytest.mark.parametrize("name", CASES)
def test_going_on_is_never_having_stopped(name, tmp_path, capsys):
    method, task = CASES[name]
    told, seen, folder = [], [], tmp_path / "run"
    never = hs.train(method, task, STEPS, watch=lambda point: told.append({**point.metrics, "steps": point.steps}))
    for turns in (3, 9):  # the third is no point, the twelfth is one
        stop(folder, turns, method, task)
    keeper = Stops(folder)
    check_same(hs.train(method, task, STEPS, keep=keeper), never)
    assert repr(keeper.history) == repr([{name: float(x[0]) for name, x in row.items()} for row in told])
    assert capsys.readouterr().err.count("resuming from") == 2
    check_same(hs.train(method, task, STEPS, watch=seen.append, keep=folder), never)
    assert not seen  # what is finished is there at once


def test_it_is_kept_every_so_many_minutes(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        resume, "write_part", lambda folder, file, arrays, before, turns, record: kept.append(turns[0]) or []
    )
    hs.train(PPO, CORRIDOR, STEPS, keep=Stops(tmp_path / "run", every=1e-9))
    assert kept == list(range(1, 26))
    kept.clear()
    hs.train(PPO, CORRIDOR, STEPS, keep=Stops(tmp_path / "run", every=0))
    assert kept == [25]


def test_stretches_take_about_a_second(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(resume.time, "monotonic", lambda: now)
    keeper = FileCheckpointer(tmp_path)
    taken = []
    for seconds in (20.0, 1 / 128, 1.0, 4.0):  # the first is compiled
        taken.append(keeper.chunk_size(1_000))
        now += seconds
    assert taken == [1, 1, 128, 128]
    assert keeper.chunk_size(1_000) == 32
    assert keeper.chunk_size(7) == 7


def resumed() -> gymnasium.Env:
    return strangers.Clock(ends=6)


def test_worlds_that_live_elsewhere_begin_anew_and_it_says_so(tmp_path, capsys):
    task = hs.task(hs.host(resumed, horizon=8))
    method = hs.DQN(**SMALL)
    stop(tmp_path / "run", 5, method, task, 80)
    (file,) = (tmp_path / "run").glob("*.safetensors")
    arrays = safetensors.numpy.load_file(file)
    assert not [name for name in arrays if name.startswith("0.env_states")]
    assert [name for name in arrays if name.startswith("0.memory")]
    trained = hs.train(method, task, 80, keep=tmp_path / "run")
    assert trained.steps == 80
    assert "live environments restart with new episodes" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ kills

KILLS = """
import json, os, pathlib, shutil, signal, sys
import safetensors.numpy
from headstart.lab.checkpoint import files, records, training_files

former, newer, out = map(pathlib.Path, sys.argv[1:])
record = json.loads((newer / "run.json").read_text())
(part,) = record.pop("parts")
arrays = safetensors.numpy.load_file(newer / part["file"])

def die_at(count):
    seen = set()
    def trace(frame, event, arg):
        if frame.f_code.co_filename not in (files.__file__, records.__file__, training_files.__file__):
            return None
        seen.add((frame.f_code, frame.f_lineno))
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

for count in range(1, 1000):
    shutil.copytree(former, out / str(count))
    child = os.fork()
    if child == 0:
        die_at(count)
        done = part["iterations"], part["num_iterations"]
        training_files.write_part(out / str(count), part["file"], arrays, [], done, record)
        os._exit(0)
    if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        break
"""


def test_a_kill_at_any_line_of_the_write_leaves_the_former_or_the_new(tmp_path):
    never = hs.train(PPO, CORRIDOR, STEPS)
    former, newer, out = (tmp_path / name for name in ("former", "newer", "out"))
    stop(former, 4)
    stop(pathlib.Path(shutil.copytree(former, newer)), 5)
    subprocess.run([sys.executable, "-c", KILLS, former, newer, out], check=True, timeout=600)
    killed = sorted(out.iterdir(), key=lambda folder: int(folder.name))
    assert len(killed) > 25
    records = {name: json.loads((tmp_path / name / "run.json").read_text()) for name in ("former", "newer")}
    left = []
    for folder in killed:
        record = json.loads((folder / "run.json").read_text())
        (left_as,) = (name for name in records if records[name] == record)
        left.append(left_as)
        for part in record["parts"]:
            assert (folder / part["file"]).read_bytes() == (tmp_path / left_as / part["file"]).read_bytes()
    assert left == sorted(left)  # the former, and from some moment on the newer
    first = left.index("newer")
    assert 0 < first < len(left) - 1
    for folder in killed[first - 1 : first + 1]:
        check_same(hs.train(PPO, CORRIDOR, STEPS, keep=folder), never)
        assert len(list(folder.iterdir())) == 3  # what the kill left was tidied away


# ------------------------------------------------------------------------------------------------ requests


def train_command(out: pathlib.Path) -> int:
    """Returns the exit status of a training in ten turns."""
    try:
        main(
            [
                "train",
                "ppo:hidden=8",
                "--source",
                "CartPole-v1",
                "--steps",
                "2e4",
                "--out",
                str(out),
                "--save-every",
                "0",
            ]
        )
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_ctrl_c_keeps_it_and_the_same_command_goes_on(tmp_path, capsys, monkeypatch):
    def at_once(board: ProgressBar, news: Any) -> None:
        for name in asked:
            signal.raise_signal(getattr(signal, name))
        asked.clear()

    monkeypatch.setattr(ProgressBar, "__call__", at_once)
    asked, before = [], signal.getsignal(signal.SIGINT)
    assert train_command(tmp_path / "never") == 0
    asked = ["SIGUSR1", "SIGINT"]
    assert train_command(tmp_path / "out") == 130
    err = capsys.readouterr().err
    assert f"headstart: stopped. The training is saved in {tmp_path / 'out' / 'run'}; the same command" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run"]
    asked = ["SIGUSR1"]
    assert train_command(tmp_path / "out") == 0
    assert "saved in" in capsys.readouterr().err
    for name in ("curve.json", "params.safetensors", "recipe.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "never" / name).read_bytes()
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(tmp_path / "never"))
    assert signal.getsignal(signal.SIGINT) is before


def test_asked_twice_it_ends_at_once(tmp_path):
    keeper = FileCheckpointer(tmp_path, log=lambda line: None)
    keeper._on_signal("SIGTERM")
    with pytest.raises(KeyboardInterrupt):
        keeper._on_signal("SIGINT")


# ------------------------------------------------------------------------------------------------ defects


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Returns a training that was stopped after five turns."""
    folder = tmp_path_factory.mktemp("left") / "run"
    stop(folder, 5)
    return folder


@pytest.fixture
def copy(left: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(left, tmp_path / "copy"))


def arrays_of(folder: pathlib.Path) -> pathlib.Path:
    (file,) = folder.glob("*.safetensors")
    return file


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[pathlib.Path], None]:
    def damage(folder: pathlib.Path) -> None:
        record = json.loads((folder / "run.json").read_text())
        change(record)
        write_record(folder / "run.json", record["format"], record)

    return damage


def rewrite(folder: pathlib.Path) -> None:
    """Other arrays, whose checksum is right."""
    arrays = safetensors.numpy.load_file(arrays_of(folder))
    arrays["0.key"] = arrays["0.key"][..., :1].copy()
    part = json.loads((folder / "run.json").read_text())["parts"][0]
    record = {k: v for k, v in json.loads((folder / "run.json").read_text()).items() if k != "parts"}
    training_files.write_part(folder, part["file"], arrays, [], (part["iterations"], part["num_iterations"]), record)


def flip(folder: pathlib.Path) -> None:
    data = bytearray(arrays_of(folder).read_bytes())
    data[-1] ^= 1
    arrays_of(folder).write_bytes(data)


DEFECTS: dict[str, tuple[Callable[[pathlib.Path], Any], str]] = {
    "a bit": (flip, r"0-\d+\.safetensors is damaged .*checksum.*delete .* to start again"),
    "no arrays": (lambda folder: arrays_of(folder).unlink(), r"There is no .*\.safetensors, which run\.json names"),
    "other arrays": (rewrite, r"does not fit this training \(for example '0\.key'\)"),
    "a bit of the record": (
        lambda folder: (folder / "run.json").write_text(
            (folder / "run.json").read_text().replace("iterations", "iteration5", 1)
        ),
        r"run\.json is damaged: its content does not match its checksum; finish it",
    ),
    "a pipe": (
        lambda folder: (arrays_of(folder).unlink(), os.mkfifo(folder / "0-5.safetensors")),
        r"0-5\.safetensors is not a regular file",
    ),
    "a hole": (lambda folder: os.truncate(arrays_of(folder), 10**12), r"has 1000000000000 bytes"),
    "a text": (lambda folder: (folder / "run.json").write_text("hello"), "cannot be read as JSON"),
    "another's": (edit(lambda record: record.update(format="x")), "is not a record of this version of headstart"),
    "an older one's": (
        edit(lambda record: record.update(format="headstart run 2")),
        r"but the file's is 'headstart run 2'\); finish it with the version of headstart that started it",
    ),
    "no parts": (edit(lambda record: record.pop("parts")), r"run\.json is damaged \(KeyError: 'parts'\)"),
    "another seed": (edit(lambda record: record["config"].update(seed=4)), r"another training \(its seed differ"),
    "more turns": (
        edit(lambda record: record["parts"][0].update(num_iterations=99)),
        "holds 99 iterations, and this training has 25",
    ),
    "something else": (lambda folder: (folder / "diary.txt").touch(), "holds something other than a training"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_its_sentence(copy, defect):
    damage, sentence = DEFECTS[defect]
    damage(copy)
    with pytest.raises(hs.InputError, match=sentence) as caught:
        hs.train(PPO, CORRIDOR, STEPS, keep=copy)
    assert "\n" not in str(caught.value)
    assert str(copy) in str(caught.value)


def test_a_folder_is_one_training_s_at_a_time(copy):
    with filelock.FileLock(copy / ".lock"), pytest.raises(hs.InputError, match="is in use by another process"):
        hs.train(PPO, CORRIDOR, STEPS, keep=copy)


def test_another_version_is_told_of(copy, capsys):
    edit(lambda record: record["machine"].update(jax="0.1"))(copy)
    hs.train(PPO, CORRIDOR, STEPS, keep=copy)
    assert f"jax 0.1, now {jax.__version__}: the result may differ in the last bits" in capsys.readouterr().err


def test_a_full_disk_is_told_of_and_ends_nothing(tmp_path, capsys, monkeypatch):
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training_files.safetensors.numpy, "save_file", full)
    assert hs.train(PPO, CORRIDOR, STEPS, keep=tmp_path / "run").steps == STEPS
    assert "No space left on device); the training continues" in capsys.readouterr().err


def test_numbers_that_went_wrong_are_not_kept(tmp_path, capsys):
    broken = dataclasses.replace(PPO, learning_rate=float("1e38"))
    with pytest.raises(hs.InputError, match="Lower learning_rate"):
        hs.train(broken, CORRIDOR, STEPS, keep=Stops(tmp_path / "run", every=1e-9))
    assert "not saved: its numbers are no longer finite" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("every", "mend"), [(-1.0, "write 0 to save only on signals"), (float("nan"), "not a finite number; give one")]
)
def test_minutes_are_minutes(every, mend, tmp_path):
    with pytest.raises(hs.InputError, match=mend):
        hs.train(PPO, CORRIDOR, STEPS, keep=tmp_path / "run", every=every)
