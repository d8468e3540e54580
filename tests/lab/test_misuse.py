"""Invalid arguments of public functions raise an InputError of one sentence."""

import json
import pathlib
import subprocess
import sys

import pytest

MISUSE = pathlib.Path(__file__).with_name("misuse.py")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Returns the outcomes of the calls in misuse.py: of valid ones and of invalid ones."""
    folder = tmp_path_factory.mktemp("misuse")
    subprocess.run([sys.executable, MISUSE, folder], check=True, capture_output=True, cwd=folder)
    return json.loads((folder / "ended.json").read_text())


def test_python_functions_take_the_strings_of_the_command_line(outcomes):
    assert {name: outcome for name, outcome in outcomes[0].items() if outcome != "! it works"} == {}


def test_invalid_arguments_of_python_functions_are_refused(outcomes):
    assert len(outcomes[1]) > 500
    assert {
        name: outcome for name, outcome in outcomes[1].items() if outcome[-1] not in ".?" or outcome.startswith("!")
    } == {}
