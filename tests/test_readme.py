"""What the README and the pages show is what there is: the Python runs, and the commands are commands."""

import pathlib
import re
import shlex

import numpy as np
import pytest

from headstart.lab.cli import arguments, program
from headstart.lab.cli.examples import EXAMPLES

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: pathlib.Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(text: str) -> list[list[str]]:
    """Returns the words of each line that calls headstart; a backslash at its end joins it to the next."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.split()[:1] == ["headstart"]]
    return [shlex.split(line, comments=True)[1:] for line in lines]


SHOWN = [(page.name, words) for page in PAGES for block in blocks(page, "") for words in commands(block)]
SHOWN += [("--help", words) for words in commands(EXAMPLES.replace("tasks: ", "\n"))]


def test_the_python_of_the_readme_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    """At small size: only the numbers of steps and of shots are others."""
    (block,) = blocks(ROOT / "README.md", "python")
    code = [line for line in block.splitlines() if line]
    assert 12 <= len(code) <= 18, "about fifteen lines"
    # Fewer steps than the shots take: nearly all of the time goes into compiling, and this leaves one loop out.
    small, replaced = re.subn(r"steps=[\d_]+", "steps=10", block)
    assert replaced == 2
    assert "shots=[0, 1, 10]" in small
    small = small.replace("shots=[0, 1, 10]", "shots=[0, 1, 2]")
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(compile(small, "README.md", "exec"), space)
    first, *shots = capsys.readouterr().out.splitlines()
    assert float(first) > 0.0
    assert [line.split()[0] for line in shots] == ["0", "1", "2"]
    observation = np.zeros(11, np.float32)
    action = space["policy"].act(observation)
    assert action.shape == (3,)
    np.testing.assert_array_equal(action, space["epopt"].policy().act(observation))
    assert {path.name for path in (tmp_path / "runs" / "epopt").iterdir()} == {"params.safetensors", "recipe.json"}


@pytest.mark.parametrize(("page", "words"), SHOWN, ids=[f"{page}: {words[0]}" for page, words in SHOWN])
def test_each_command_that_is_shown_is_a_command(page, words):
    assert isinstance(program.parse(words), arguments.COMMANDS)


def test_commands_are_shown():
    kinds = {type(program.parse(words)) for _, words in SHOWN}
    assert kinds == set(arguments.COMMANDS)
    assert "README.md" in {page for page, _ in SHOWN}
