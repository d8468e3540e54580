"""Files that are whole or not there, and data that JSON can hold."""

import json
import os
import re

import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.lab.files import plain, read_json, write, write_json


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
    assert json.loads(json.dumps(plain(data), allow_nan=False)) == plain(data)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "a folder that headstart wrote?"),
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
    ],
)
def test_a_file_that_cannot_be_read_gets_its_sentence(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_json(tmp_path / "data.json")
