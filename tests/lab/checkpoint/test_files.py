"""Files that are whole or not there, and data that JSON can hold."""

import json
import os
import re

import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import delete_temporary, jsonable, read_json, write, write_json
from headstart.lab.checkpoint.records import read_record, write_record


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "deep" / "file"
    write(file, b"before")

    def pulled(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", pulled)
    with pytest.raises(KeyboardInterrupt):
        write(file, b"after")
    assert [path.name for path in file.parent.iterdir()] == ["file"]
    assert file.read_bytes() == b"before"


def test_others_may_read_what_is_written(tmp_path):
    write(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_data_is_written_in_json_s_own_types(tmp_path):
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
def test_a_file_that_cannot_be_read_gets_its_sentence(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_json(tmp_path / "data.json")


def test_what_killed_writers_left_is_swept_and_what_living_ones_write_stays(tmp_path, monkeypatch):
    (tmp_path / ".study.json.abcdefgh.part").write_text("{")
    (tmp_path / ".mine").touch()

    def look(*args: object) -> None:
        delete_temporary(tmp_path)
        assert {path.name[:6] for path in tmp_path.iterdir()} == {".mine", ".file."}
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", look)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file", b"")
    assert [path.name for path in tmp_path.iterdir()] == [".mine"]


def test_any_changed_byte_of_a_record_is_noticed(tmp_path):
    file = tmp_path / "it.json"
    checksum = write_record(file, "a format", {"b": [1, None], "a": float("nan")})
    assert read_record(file, "a format", "mend it") == {"b": [1, None], "a": None, "checksum": checksum}
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
            read_record(file, "a format", "mend it")
