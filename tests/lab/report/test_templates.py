"""Every template is written for a full study, uses only names that it is given, and escapes what the study says."""

import html.parser
import pathlib
import subprocess
import sys
import tomllib
from typing import Any

import jinja2
import jinja2.meta
import numpy as np
import pytest
from lab.fake_study import study
from lab.report.fake_matrix import matrix

from headstart.lab.report.markup import Markup, element, task_text
from headstart.lab.report.page import page, template_environment, template_variables
from headstart.lab.report.study_data import parse_study
from headstart.lab.watch.clips import Clip, save

ROOT = pathlib.Path(__file__).parents[3]
REPORT = ROOT / "headstart" / "lab" / "report"
TEMPLATES = sorted(path.name for path in (REPORT / "templates").iterdir())
WRITTEN = {  # template -> HTML that only it writes
    "page.html.j2": ["<!DOCTYPE html>", "</html>\n"],
    "macros.html.j2": ['<figure class="table">', '<span class="method">', '<span class="badge positive">'],
    "header.html.j2": ["This study is not finished (status: running)", "<div><dt>seeds</dt><dd>"],
    "effect.html.j2": ["<h2>Effect of transfer</h2>", '<p class="about">'],
    "curves.html.j2": ["<h2>Learning curves</h2>", 'data-toggle="finetune"', "The curves as a table"],
    "clips.html.j2": ["<h2>Before and after</h2>", "<b>return 310</b>", "After: no clip. There is no display."],
    "returns.html.j2": ["<h2>Few-shot returns</h2>", "<h2>Generalization</h2>"],
    "matrix.html.j2": ["<h2>Each source on each task</h2>", '<figure class="heat">', "negative transfer</span>"],
    "metrics.html.j2": ["<h2>Metrics</h2>", '<div class="forest">', ": no seed reached the threshold.</p>"],
    "verdicts.html.j2": ["<h2>Verdicts</h2>", "<h2>Which row is best?</h2>", 'aria-label="significantly above"'],
    "shift.html.j2": ["<h2>Shift from source to target</h2>", '<i style="width:32%">'],
    "cost.html.j2": ["<h2>Cost</h2>", "At equal target budget.", "At equal total budget: 1\u202f200\u202f000 steps of"],
    "failures.html.j2": ["<h2>Failures</h2>", "<h2>Left out</h2>", "<p><strong>darc</strong>: SAC needs"],
    "reproduce.html.j2": ["<h2>Reproduce</h2>", '<code id="command">', "<div><dt>commit</dt><dd>"],
}


@pytest.fixture(scope="module")
def full_study(tmp_path_factory) -> tuple[dict[str, Any], pathlib.Path]:
    """Returns a study with content for every template, and its folder."""
    folder = tmp_path_factory.mktemp("study")
    clip = Clip([np.full((9, 18, 3), 80 * i, np.uint8) for i in range(3)], 3, 6, 1_000, 310.0)
    save([clip], folder / "clips" / "finetune" / "before.webp")
    record = {"seed": 0, "return": 310.0, "steps": 1_000, "steps_shown": 6, "failed": None}
    data = study() | {
        "status": "running",
        "matrix": matrix(),
        "clips": {"finetune": {"before": record, "after": {"failed": "There is no display."}}},
        "left_out": {"darc": "SAC needs continuous actions."},
    }
    return data, folder


def test_every_template_is_written_for_a_full_study(full_study):
    source = page(*full_study)
    assert sorted(WRITTEN) == TEMPLATES
    missing = [(name, text) for name, texts in WRITTEN.items() for text in texts if text not in source]
    assert not missing
    assert "{{" not in source
    assert "{%" not in source


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_uses_only_names_that_the_page_gives_it(name: str):
    environment = template_environment()
    given = {*template_variables({}, pathlib.Path()), *environment.globals, "caller"}
    tree = environment.parse((REPORT / "templates" / name).read_text(encoding="utf-8"))
    assert jinja2.meta.find_undeclared_variables(tree) <= given


def test_every_name_that_the_page_gives_is_used():
    environment = template_environment()
    trees = [environment.parse((REPORT / "templates" / name).read_text(encoding="utf-8")) for name in TEMPLATES]
    used = set().union(*map(jinja2.meta.find_undeclared_variables, trees))
    assert not template_variables({}, pathlib.Path()).keys() - used


def test_an_undefined_name_is_an_error():
    environment = template_environment()
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        environment.from_string("{{ missing }}").render()
    with pytest.raises(jinja2.UndefinedError, match="wrong"):
        environment.from_string("{{ study.wrong }}").render(study=parse_study({}))


class Tags(html.parser.HTMLParser):
    """Collects the tags of a page."""

    def __init__(self):
        super().__init__()
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)


def with_tags(data: Any, place: str = "") -> Any:
    """Returns the data with an HTML tag in every text and in every name that is the user's."""
    if isinstance(data, dict):
        own = place in ("methods", "left_out", "clips", "parameters", "versions", "rows", "failed", "provenance")
        own_names = {k: f'{k}"<evil>&' if own and k not in KEYS else k for k in data}
        return {own_names[k]: with_tags(value, k) for k, value in data.items()}
    if isinstance(data, list):
        return [with_tags(item, place) for item in data]
    return f'{data}"<evil>&' if isinstance(data, str) and place not in ("verdict", "role", "mark") else data


KEYS = ("command", "versions", "machine")  # of the provenance, which the page reads by name


def test_everything_that_the_study_says_is_escaped(full_study):
    data, folder = full_study
    source = page(with_tags(data), folder)
    parser = Tags()
    parser.feed(source)
    assert "evil" not in parser.tags
    assert source.count("&lt;evil&gt;&amp;") > 200
    assert source.count("<script>") == 1
    assert page(data, folder).count("evil") == 0


def test_elements_escape_text_and_attributes_but_not_markup():
    inner = element("tspan", 'a < b & "c"')
    assert inner == "<tspan>a &lt; b &amp; &#34;c&#34;</tspan>"
    drawn = element("g", [inner, None, (1, "<")], data_tip='"&<', class_="x", aria_label=None, x=1.0, y=2.349)
    assert drawn == f'<g data-tip="&#34;&amp;&lt;" class="x" x="1" y="2.35">{inner}1&lt;</g>'
    assert isinstance(drawn, Markup)


def test_task_strings_break_after_their_separators():
    assert task_text("Arm@a=<b>:2") == '<span class="task">Arm@<wbr>a=&lt;b&gt;:<wbr>2<wbr></span>'


def test_the_package_holds_all_files_of_the_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["headstart"]
    packed = {path for pattern in patterns for path in (ROOT / "headstart").glob(pattern)}
    files = {path for path in REPORT.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert len(files) == len(TEMPLATES) + 2
    assert files <= packed


def test_jinja_is_imported_only_when_a_page_is_written():
    code = "import sys, headstart.lab.report.page; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False"]
