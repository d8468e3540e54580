"""Atomic writes, and data as JSON."""

import json
import os
import re

import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import delete_temporary, jsonable, read_json, write, write_json
from headstart.lab.checkpoint.records import read_record, write_record


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "file"
    write(file, b"before")

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(file, b"after")
    assert [path.name for path in file.parent.iterdir()] == ["file"]
    assert file.read_bytes() == b"before"


def test_written_files_are_readable_by_others(tmp_path):
    write(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_data_is_written_in_the_types_of_json(tmp_path):
    data = {1: np.float32(0.5), "a": (np.arange(2), jnp.zeros(())), "b": [float("nan"), np.inf, None, True, "x"]}
    write_json(tmp_path / "data.json", data)
    assert read_json(tmp_path / "data.json") == {"1": 0.5, "a": [[0, 1], 0.0], "b": [None, None, None, True, "x"]}
    assert json.loads(json.dumps(jsonable(data), allow_nan=False)) == jsonable(data)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "check that headstart wrote the folder"),
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
    ],
)
def test_unreadable_file_is_refused(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_json(tmp_path / "data.json")


def test_temporary_files_of_killed_processes_are_deleted(tmp_path, monkeypatch):
    (tmp_path / ".study.json.abcdefgh.part").write_text("{")
    (tmp_path / ".mine").touch()

    def delete_while_writing(*args: object) -> None:
        delete_temporary(tmp_path)
        assert {path.name[:6] for path in tmp_path.iterdir()} == {".mine", ".file."}
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", delete_while_writing)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file", b"")
    assert [path.name for path in tmp_path.iterdir()] == [".mine"]


def test_changed_byte_of_a_record_is_detected(tmp_path):
    file = tmp_path / "it.json"
    checksum = write_record(file, "a format", {"b": [1, None], "a": float("nan")})
    assert read_record(file, "a format", "repair it") == {"b": [1, None], "a": None, "checksum": checksum}
    assert json.loads(file.read_text()) == {"format": "a format", "b": [1, None], "a": None, "checksum": checksum}
    data = file.read_bytes()
    for changed in [
        *(data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :] for i in range(len(data)) for bit in (1, 32)),
        *(data[:i] for i in range(len(data))),
        *(data[:i] + data[i + 1 :] for i in range(len(data))),
        data + b"\n",
        b" " + data,
    ]:
        file.write_bytes(changed)
        with pytest.raises(InputError, match=re.escape(str(file))):
            read_record(file, "a format", "repair it")
