"""What cannot be used is refused in a sentence by every public function, and by every command; strings are welcome."""

import json
import pathlib
import subprocess
import sys

import pytest

MISUSE = pathlib.Path(__file__).with_name("misuse.py")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Returns how the calls of misuse.py ended: those that work, and those that do not."""
    folder = tmp_path_factory.mktemp("misuse")
    subprocess.run([sys.executable, MISUSE, folder], check=True, capture_output=True, cwd=folder)
    return json.loads((folder / "ended.json").read_text())


def test_python_takes_the_strings_of_the_command_line(ended):
    assert {name: how for name, how in ended[0].items() if how != "! it works"} == {}


def test_what_python_functions_cannot_use_gets_a_sentence(ended):
    assert len(ended[1]) > 500
    assert {name: how for name, how in ended[1].items() if how[-1] not in ".?" or how.startswith("!")} == {}
