"""TensorBoard scalars: their files, tags and steps."""

import pathlib
import struct
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

from headstart.core.errors import InputError
from headstart.lab.watch.progress_event import ProgressEvent, call_both
from headstart.lab.watch.tensorboard import tensorboard_writer


def read_events(folder: pathlib.Path) -> list[tuple[str, int, float]]:
    """Returns (tag, step, value) of each scalar in a run's folder."""
    [file] = folder.iterdir()
    data, events = file.read_bytes(), []
    while data:  # a length and its checksum, then that many bytes and their checksum
        (size,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return [(value.tag, event.step, value.simple_value) for event in events for value in event.summary.value]


def test_each_method_and_seed_is_a_run_with_its_stages(tmp_path: pathlib.Path):
    steps, returns = np.array([64.0, 128.0]), np.array([1.5, np.nan])
    metrics = {"policy_loss": jnp.array([0.5, 0.25]), "return": jnp.array([1.5, jnp.nan])}
    with tensorboard_writer(tmp_path / "live", (3, 8)) as watch:
        watch(ProgressEvent("epopt:epsilon=0.2", "source", steps, 128, returns, metrics))
        watch(ProgressEvent("epopt:epsilon=0.2", "target", np.zeros(2), 128, np.array([2.0, 3.0])))
        watch(ProgressEvent("epopt:epsilon=0.2", "target", steps, 128, np.array([4.0, 5.0]), metrics))
    runs = tmp_path / "live" / "epopt epsilon-0.2"
    assert sorted(read_events(runs / "seed-3")) == [
        ("source/policy_loss", 64, 0.5),
        ("source/return", 64, 1.5),
        ("target/policy_loss", 64, 0.5),
        ("target/return", 0, 2.0),
        ("target/return", 64, 4.0),
        ("target/training_return", 64, 1.5),
    ]
    assert sorted(read_events(runs / "seed-8")) == [
        ("source/policy_loss", 128, 0.25),
        ("target/policy_loss", 128, 0.25),
        ("target/return", 0, 3.0),
        ("target/return", 128, 5.0),
    ]


def test_without_a_folder_tensorboard_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    events = []
    with tensorboard_writer(None, (0,)) as watch:
        call_both(watch, events.append)(ProgressEvent("ppo", "source", np.zeros(1), 1, np.zeros(1)))
    assert [event.row for event in events] == ["ppo"]


def test_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file cannot be created \(File exists\); choose another --tensorboard\.$"):
        tensorboard_writer(tmp_path / "file", (0,))
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"needs tensorboardX, .*pip install \"headstart\[tensorboard\]\"`\.$"):
        tensorboard_writer(tmp_path, (0,))
