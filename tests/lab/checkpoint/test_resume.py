"""Trainings that are stopped or killed resume bit-exactly."""

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
from command_line import run

import headstart as hs
from headstart.core.run import Snapshot
from headstart.core.types import Method, Spec, Stage, Task
from headstart.lab.checkpoint import resume, training_files
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.resume import FileCheckpointer
from headstart.lab.watch.progress_bar import ProgressBar

SMALL = {"hidden": (4,), "num_steps": 2, "num_envs": 2, "batch_size": 8, "buffer_size": 64, "learning_starts": 8}
PPO = hs.PPO(hidden=(4,), num_steps=8, num_envs=2, batch_size=8, num_epochs=1)
CORRIDOR = probes.one(probes.Corridor())
STEPS = 400  # 25 iterations of PPO, of which 20 report progress
TESTS = pathlib.Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class TrainTwice(Method):
    """Trains its base, after a pretraining stage of the same base."""

    base: Method

    def pretraining(self, spec: Spec) -> tuple[Stage, ...]:
        return (Stage(self.base, 0.5),)

    def build(self, spec: Spec, target: bool):
        learner = self.base.learner(spec)
        return learner._replace(init=lambda key, prior: learner.init(key, None))


class StoppingCheckpointer(FileCheckpointer):
    """Runs chunks of one iteration, and stops after some of them."""

    def __init__(self, folder: pathlib.Path, after: float = np.inf, every: float = 0.0):
        super().__init__(folder, every)
        self.after = after

    def chunk_size(self, ahead: int) -> int:
        return 1

    def after_chunk(self, snapshot: Snapshot, of: int) -> None:
        self.after -= 1
        self._stop_requested = self.after <= 0
        super().after_chunk(snapshot, of)


def stop(folder: pathlib.Path, after: int, method: Method = PPO, task: Task = CORRIDOR, steps: int = STEPS) -> None:
    with pytest.raises(KeyboardInterrupt, match="the same command resumes it"):
        hs.train(method, task, steps, keep=StoppingCheckpointer(folder, after))


def check_same(first: hs.Trained, second: hs.Trained) -> None:
    assert dataclasses.replace(first, state=second.state) == second
    jax.tree.map(np.testing.assert_array_equal, first.state, second.state)


CASES = {
    "ppo": (PPO, CORRIDOR),
    "sac": (hs.SAC(**SMALL), probes.one(probes.Corridor(discrete=False))),
    "dqn": (hs.DQN(**SMALL, update_to_data=0.3), CORRIDOR),  # each iteration leaves a fraction of a gradient step
    "mujoco": (PPO, hs.task("InvertedPendulum-v5")),
    "a training before": (TrainTwice(PPO), CORRIDOR),
}


@pytest.mark.parametrize("name", CASES)
def test_resumed_training_equals_an_uninterrupted_one(name, tmp_path, capsys):
    method, task = CASES[name]
    history, points, folder = [], [], tmp_path / "run"
    uninterrupted = hs.train(
        method, task, STEPS, watch=lambda point: history.append({**point.metrics, "steps": point.steps})
    )
    for iterations in (3, 9):  # the third iteration reports no progress, the twelfth does
        stop(folder, iterations, method, task)
    checkpointer = StoppingCheckpointer(folder)
    check_same(hs.train(method, task, STEPS, keep=checkpointer), uninterrupted)
    assert repr(checkpointer.history) == repr([{name: float(x[0]) for name, x in row.items()} for row in history])
    assert capsys.readouterr().err.count("resuming from") == 2
    check_same(hs.train(method, task, STEPS, watch=points.append, keep=folder), uninterrupted)
    assert not points  # a finished training reports no progress


def test_training_is_saved_every_few_minutes(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(
        resume, "write_part", lambda folder, file, arrays, before, iterations, record: saved.append(iterations[0]) or []
    )
    hs.train(PPO, CORRIDOR, STEPS, keep=StoppingCheckpointer(tmp_path / "run", every=1e-9))
    assert saved == list(range(1, 26))
    saved.clear()
    hs.train(PPO, CORRIDOR, STEPS, keep=StoppingCheckpointer(tmp_path / "run", every=0))
    assert saved == [25]


def test_chunks_take_about_a_second(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(resume.time, "monotonic", lambda: now)
    checkpointer = FileCheckpointer(tmp_path)
    chunk_sizes = []
    for seconds in (20.0, 1 / 128, 1.0, 4.0):  # the first chunk includes compilation
        chunk_sizes.append(checkpointer.chunk_size(1_000))
        now += seconds
    assert chunk_sizes == [1, 1, 128, 128]
    assert checkpointer.chunk_size(1_000) == 32
    assert checkpointer.chunk_size(7) == 7


def make_clock() -> gymnasium.Env:
    return strangers.Clock(ends=6)


def test_host_envs_restart_on_resume_with_a_message(tmp_path, capsys):
    task = hs.task(hs.host(make_clock, horizon=8))
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
import json, pathlib, sys
import safetensors.numpy
from headstart.lab.checkpoint import files, records, training_files

tests, former, newer, out = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(tests))
from line_kills import kill_at_each_line

record = json.loads((newer / "run.json").read_text())
(part,) = record.pop("parts")
arrays = safetensors.numpy.load_file(newer / part["file"])
done = part["iterations"], part["num_iterations"]
write = lambda folder: training_files.write_part(folder, part["file"], arrays, [], done, record)
kill_at_each_line((files.__file__, records.__file__, training_files.__file__), former, out, write)
"""


def test_killed_save_leaves_the_old_or_the_new_training(tmp_path):
    uninterrupted = hs.train(PPO, CORRIDOR, STEPS)
    former, newer, out = (tmp_path / name for name in ("former", "newer", "out"))
    stop(former, 4)
    stop(pathlib.Path(shutil.copytree(former, newer)), 5)
    subprocess.run([sys.executable, "-c", KILLS, TESTS, former, newer, out], check=True, timeout=600)
    folders = sorted(out.iterdir(), key=lambda folder: int(folder.name))
    assert len(folders) > 25
    records = {name: json.loads((tmp_path / name / "run.json").read_text()) for name in ("former", "newer")}
    outcomes = []
    for folder in folders:
        record = json.loads((folder / "run.json").read_text())
        (outcome,) = (name for name in records if records[name] == record)
        outcomes.append(outcome)
        for part in record["parts"]:
            assert (folder / part["file"]).read_bytes() == (tmp_path / outcome / part["file"]).read_bytes()
    assert outcomes == sorted(outcomes)  # first the old one, then the new one
    first = outcomes.index("newer")
    assert 0 < first < len(outcomes) - 1
    for folder in folders[first - 1 : first + 1]:
        check_same(hs.train(PPO, CORRIDOR, STEPS, keep=folder), uninterrupted)
        assert len(list(folder.iterdir())) == 3  # the files of the killed save are deleted


# ------------------------------------------------------------------------------------------------ requests


def train_command(out: pathlib.Path) -> int:
    """Runs a training of ten iterations and returns its exit status."""
    settings = ("--source", "CartPole-v1", "--steps", "2e4", "--save-every", "0")
    return run("train", "ppo:hidden=8", *settings, "--out", out)


def test_ctrl_c_saves_and_the_same_command_resumes(tmp_path, capsys, monkeypatch):
    def send_signals(bar: ProgressBar, news: Any) -> None:
        for name in signals:
            signal.raise_signal(getattr(signal, name))
        signals.clear()

    monkeypatch.setattr(ProgressBar, "__call__", send_signals)
    signals, before = [], signal.getsignal(signal.SIGINT)
    assert train_command(tmp_path / "never") == 0
    signals = ["SIGUSR1", "SIGINT"]
    assert train_command(tmp_path / "out") == 130
    err = capsys.readouterr().err
    assert f"headstart: stopped. The training is saved in {tmp_path / 'out' / 'run'}; the same command" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run"]
    signals = ["SIGUSR1"]
    assert train_command(tmp_path / "out") == 0
    assert "saved in" in capsys.readouterr().err
    for name in ("curve.json", "params.safetensors", "recipe.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "never" / name).read_bytes()
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(tmp_path / "never"))
    assert signal.getsignal(signal.SIGINT) is before


def test_second_signal_stops_at_once(tmp_path):
    checkpointer = FileCheckpointer(tmp_path, log=lambda line: None)
    checkpointer._on_signal("SIGTERM")
    with pytest.raises(KeyboardInterrupt):
        checkpointer._on_signal("SIGINT")


# ------------------------------------------------------------------------------------------------ defects


@pytest.fixture(scope="module")
def stopped_training(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Returns the folder of a training that was stopped after five iterations."""
    folder = tmp_path_factory.mktemp("left") / "run"
    stop(folder, 5)
    return folder


@pytest.fixture
def copy(stopped_training: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(stopped_training, tmp_path / "copy"))


def arrays_file(folder: pathlib.Path) -> pathlib.Path:
    (file,) = folder.glob("*.safetensors")
    return file


def edit_record(change: Callable[[dict[str, Any]], Any]) -> Callable[[pathlib.Path], None]:
    def damage(folder: pathlib.Path) -> None:
        record = json.loads((folder / "run.json").read_text())
        change(record)
        write_record(folder / "run.json", record["format"], record)

    return damage


def write_other_arrays(folder: pathlib.Path) -> None:
    """Writes other arrays with a valid checksum."""
    arrays = safetensors.numpy.load_file(arrays_file(folder))
    arrays["0.key"] = arrays["0.key"][..., :1].copy()
    part = json.loads((folder / "run.json").read_text())["parts"][0]
    record = {k: v for k, v in json.loads((folder / "run.json").read_text()).items() if k != "parts"}
    training_files.write_part(folder, part["file"], arrays, [], (part["iterations"], part["num_iterations"]), record)


def flip_bit(folder: pathlib.Path) -> None:
    data = bytearray(arrays_file(folder).read_bytes())
    data[-1] ^= 1
    arrays_file(folder).write_bytes(data)


DEFECTS: dict[str, tuple[Callable[[pathlib.Path], Any], str]] = {
    "a bit": (flip_bit, r"0-\d+\.safetensors is damaged .*checksum.*delete .* to start again"),
    "no arrays": (lambda folder: arrays_file(folder).unlink(), r"There is no .*\.safetensors, which run\.json names"),
    "other arrays": (write_other_arrays, r"does not fit this training \(for example '0\.key'\)"),
    "a bit of the record": (
        lambda folder: (folder / "run.json").write_text(
            (folder / "run.json").read_text().replace("iterations", "iteration5", 1)
        ),
        r"run\.json is damaged: its content does not match its checksum; finish it",
    ),
    "a pipe": (
        lambda folder: (arrays_file(folder).unlink(), os.mkfifo(folder / "0-5.safetensors")),
        r"0-5\.safetensors is not a regular file",
    ),
    "a hole": (lambda folder: os.truncate(arrays_file(folder), 10**12), r"has 1000000000000 bytes"),
    "a text": (lambda folder: (folder / "run.json").write_text("hello"), "cannot be read as JSON"),
    "another's": (
        edit_record(lambda record: record.update(format="x")),
        "is not a record of this version of headstart",
    ),
    "an older one's": (
        edit_record(lambda record: record.update(format="headstart run 2")),
        r"but the file's is 'headstart run 2'\); finish it with the version of headstart that started it",
    ),
    "no parts": (edit_record(lambda record: record.pop("parts")), r"run\.json is damaged \(KeyError: 'parts'\)"),
    "another seed": (
        edit_record(lambda record: record["config"].update(seed=4)),
        r"another training \(its seed differ",
    ),
    "more turns": (
        edit_record(lambda record: record["parts"][0].update(num_iterations=99)),
        "holds 99 iterations, and this training has 25",
    ),
    "something else": (lambda folder: (folder / "diary.txt").touch(), "holds something other than a training"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_refused_in_one_sentence(copy, defect):
    damage, sentence = DEFECTS[defect]
    damage(copy)
    with pytest.raises(hs.InputError, match=sentence) as error:
        hs.train(PPO, CORRIDOR, STEPS, keep=copy)
    assert "\n" not in str(error.value)
    assert str(copy) in str(error.value)


def test_folder_in_use_is_refused(copy):
    with filelock.FileLock(copy / ".lock"), pytest.raises(hs.InputError, match="is in use by another process"):
        hs.train(PPO, CORRIDOR, STEPS, keep=copy)


def test_other_versions_are_reported(copy, capsys):
    edit_record(lambda record: record["machine"].update(jax="0.1"))(copy)
    hs.train(PPO, CORRIDOR, STEPS, keep=copy)
    assert f"jax 0.1, now {jax.__version__}: the result may differ in the last bits" in capsys.readouterr().err


def test_full_disk_is_reported_and_training_continues(tmp_path, capsys, monkeypatch):
    def full_disk(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training_files.safetensors.numpy, "save_file", full_disk)
    assert hs.train(PPO, CORRIDOR, STEPS, keep=tmp_path / "run").steps == STEPS
    assert "No space left on device); the training continues" in capsys.readouterr().err


def test_not_finite_params_are_not_saved(tmp_path, capsys):
    broken = dataclasses.replace(PPO, learning_rate=float("1e38"))
    with pytest.raises(hs.InputError, match="Lower learning_rate"):
        hs.train(broken, CORRIDOR, STEPS, keep=StoppingCheckpointer(tmp_path / "run", every=1e-9))
    assert "not saved: its numbers are no longer finite" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("every", "sentence"), [(-1.0, "write 0 to save only on signals"), (float("nan"), "not a finite number; give one")]
)
def test_invalid_save_interval_is_refused(every, sentence, tmp_path):
    with pytest.raises(hs.InputError, match=sentence):
        hs.train(PPO, CORRIDOR, STEPS, keep=tmp_path / "run", every=every)
