"""Tests that the pages show what the code has: settings, options, method strings, calls, and the generated parts."""

import ast
import dataclasses
import inspect
import json
import pathlib
import pydoc
import re
import runpy

import pytest

import headstart
from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.lab.cli import arguments
from headstart.methods import CLASSES, LEARNERS, METHODS
from headstart.methods.strings import find_any
from headstart.tasks.registry import parameters, tasks

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *(path for path in sorted(DOCS.rglob("*.md")) if path != DOCS / "cli.md")]
GENERATOR = runpy.run_path(str(DOCS / "generate.py"))
NAMES = [*METHODS, *LEARNERS]
INLINE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
METHOD_STRING = re.compile(rf"(?<![\w/.])(?:{'|'.join(NAMES)})(?::[a-z_][\w.]*=[\w.+=-]+)+")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
SETTING = re.compile(r"[a-z_][a-z_.\d]*=\S+")
FOREIGN_FLAGS = {"--logdir", "--signal", "--xla"}  # of TensorBoard, Slurm and XLA
FOREIGN_SETTINGS = {"inline", "size", "repeat_action_probability", "reward_clipping"}  # of JAX and of environments


def each(pages: list[pathlib.Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda path: path.relative_to(ROOT).as_posix())


def read(page: pathlib.Path) -> str:
    return page.read_text(encoding="utf-8")


def code(page: pathlib.Path) -> list[str]:
    """Returns the pieces of code on a page, inline and in blocks."""
    text = read(page)
    return [body for _, body in BLOCK.findall(text)] + INLINE.findall(BLOCK.sub("", text))


def table_names(page: pathlib.Path) -> list[str]:
    """Returns the methods and learners whose settings a page lists."""
    return [name for _, names, _ in GENERATOR["TABLE"].findall(read(page)) for name in names.split()]


def command_flags() -> set[str]:
    """Returns every option that some command of `headstart` has."""
    return set(FLAG.findall(GENERATOR["command_line"]())) | {"--version"}


# ------------------------------------------------------------------------------------------------ generated parts


def test_what_is_generated_is_up_to_date():
    stale = [path.relative_to(ROOT).as_posix() for path, text in GENERATOR["pages"]() if read(path) != text]
    assert not stale, f"{', '.join(stale)}: run python docs/generate.py"


def test_every_method_and_learner_has_a_table_on_one_page():
    shown = [name for page in PAGES for name in table_names(page)]
    kinds = [type(GENERATOR["default_method"](name)).__name__ for name in shown]
    assert sorted(set(kinds)) == sorted(set(CLASSES) - {"Uniform"}), "each class has a table on its page"
    assert len(set(shown)) == len(shown), "no class has two tables"


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_type_unit_range_and_default_of_every_field(name):
    head, _, *rows = GENERATOR["settings"]([name]).splitlines()
    assert head == "| field | type | unit | range | default | meaning |"
    kind = type(GENERATOR["default_method"](name))
    assert [row.split("`")[1] for row in rows] == [field.name for field in dataclasses.fields(kind)]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 6, row
        assert all(cells), row
        default = cells[4].strip("`")
        field = cells[0].strip("`")
        if "method" not in cells[1] and default != "none":
            find_any(f"{name}:{field}={default}")


@dataclasses.dataclass(frozen=True)
class Example(Method):
    """A method to make a table of."""

    steps: int = 4  # steps per environment
    lag: int = 1  # steps that wait, >= 1, <= steps
    share: float = 0.5  # share of them, in (0, 1); 1 at first
    names: tuple[str, ...] = ()  # what is kept
    widths: tuple[int, ...] = (8, 4)  # widths
    bound: float | None = None  # where it ends, > 0; None: nowhere

    def __post_init__(self) -> None:
        from headstart.core.errors import check_range

        check_range(self, "steps", 1, float("inf"))

    def build(self, spec, target):
        raise NotImplementedError


def test_comments_are_read_off_the_fields_lines():
    notes = GENERATOR["comments"](Example)
    assert notes["bound"] == "where it ends, > 0; None: nowhere"
    assert GENERATOR["meaning"](notes["bound"]) == "Where it ends; none: nowhere"
    assert GENERATOR["meaning"](notes["share"]) == "Share of them; 1 at first"
    assert GENERATOR["meaning"]("γ, in [0, 1]") == "γ"


def test_a_range_is_the_one_that_the_class_checks():
    ranges = GENERATOR["ranges"]
    ppo, dqn, recurrent = ranges(headstart.PPO), ranges(headstart.DQN), ranges(headstart.Recurrent)
    assert (ppo["learning_rate"], ppo["entropy_coef"], ppo["discount"]) == ("> 0", "≥ 0", "[0, 1]")
    assert dqn["exploration_fraction"] == "(0, 1]"
    assert dqn["n_step"] == "≥ 1"
    assert recurrent["burn_in"] == "[0, `sequence_length` − 1]"
    assert ranges(headstart.UPOSI)["identification_fraction"] == "(0, 1)"


def test_types_and_defaults_in_words():
    words, text = GENERATOR["type_words"], GENERATOR["default_text"]
    assert [words(hint) for hint in (int, float | None, tuple[str, ...], bool)] == [
        *("integer", "number or none", "names", "true or false"),
    ]
    assert [text(value) for value in (3e-4, (64, 32), (), None, True, headstart.PPO(num_steps=8))] == [
        *("0.0003", "64+32", "none", "none", "true", "ppo:num_steps=8"),
    ]


def test_the_help_is_80_columns_wide():
    long = [line for line in GENERATOR["command_line"]().splitlines() if len(line) > 80]
    assert all(re.match(r" *(headstart|--)", line) for line in long), long


def test_numbers_and_intervals_stay_on_one_line():
    hook = runpy.run_path(str(DOCS / "hooks.py"))["on_page_content"]
    html = "<p>1 344 [−4 855, 5 619] of 10 seeds</p><pre>1 000 [1, 2]</pre>"
    assert (
        hook(html).replace("\N{NO-BREAK SPACE}", "_")
        == "<p>1_344_[−4_855,_5_619] of 10 seeds</p><pre>1 000 [1, 2]</pre>"
    )


# --------------------------------------------------------------------------------------------------- the API page


def test_the_api_page_has_every_public_name_once():
    shown = re.findall(r"^::: headstart\.(\w+)$", read(DOCS / "api.md"), re.MULTILINE)
    assert sorted(shown) == sorted(headstart.__all__)


def test_the_navigation_has_every_page_once():
    listed = re.findall(r": (\S+\.md)$", read(ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


# ---------------------------------------------------------------------------------------------- lists of methods


def test_the_readme_lists_every_method_with_its_section():
    """The rows of a section follow the row that names it, in the order of the map."""
    rows = [row.split(" | ") for row in read(ROOT / "README.md").splitlines() if row.startswith("| ")]
    section, shown = "", []
    for cells in rows[1:]:
        section = re.sub(r"[|\[ ]*([\w -]*?)s?( |\].*)?$", r"\1", cells[0]).strip().lower() or section
        shown += [(name, section) for name in re.findall(r"`(\w+)`", cells[1])]
    assert sorted(shown) == sorted((entry.name, re.sub("s$", "", entry.section)) for entry in METHODS.values())


def test_the_map_of_the_lecture_has_31_systems_and_links_those_that_exist():
    rows = re.findall(r"^\| (\d+) \|(.*)$", read(DOCS / "index.md"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 32))
    linked = {name for _, row in rows for name in re.findall(r"`(\w+)`", row)}
    assert linked == set(METHODS) - {"scratch", "naive", "separate"}
    there = [row for _, row in rows if not row.endswith("| not yet |") and "| not yet;" not in row]
    assert len(there) == 14


# ----------------------------------------------------------------------------------- names on the handwritten pages


@each(PAGES)
def test_method_strings_are_read_by_the_parser(page):
    for text in METHOD_STRING.findall(read(page)):
        assert find_any(text)


def test_method_strings_are_found():
    assert METHOD_STRING.findall("`epopt:epsilon=0.2:base.hidden=8+8`, sac:tau=1") == [
        *("epopt:epsilon=0.2:base.hidden=8+8", "sac:tau=1"),
    ]
    assert sum(len(METHOD_STRING.findall(read(page))) for page in PAGES) > 10
    with pytest.raises(InputError):
        find_any("ppo:length=128")


@each(PAGES)
def test_options_exist(page):
    """Options of `headstart` anywhere; options of a benchmark beside the benchmark's name."""
    known = command_flags() | FOREIGN_FLAGS
    for piece in code(page):
        scripts = re.findall(r"benchmarks/[\w/]+\.py", piece)
        texts = [read(ROOT / script) for script in [*scripts, "benchmarks/flags.py"] if scripts]
        wrong = [flag for flag in FLAG.findall(piece) if flag not in known and f'"{flag}"' not in "".join(texts)]
        if wrong and not scripts:  # an option of a benchmark that the page names
            wrong = [flag for flag in wrong if not any(f'"{flag}"' in read(path) for path in named_scripts(page))]
        assert not wrong, f"{piece!r} has {wrong}"


def named_scripts(page: pathlib.Path) -> list[pathlib.Path]:
    return [ROOT / script for script in sorted(set(re.findall(r"benchmarks/[\w/]+\.py", read(page))))]


@pytest.fixture(scope="module")
def task_parameters() -> set[str]:
    """Returns the names of all parameters of headstart's own tasks."""
    return {parameter.name for row in tasks() for parameter in parameters(row.id)}


@each(sorted((DOCS / "methods").glob("*.md")))
def test_settings_on_a_methods_page_are_settings(page, task_parameters):
    names = [*table_names(page), *LEARNERS]
    for text in INLINE.findall(read(page)):
        if SETTING.fullmatch(text) and not set(re.findall(r"(\w+)=", text)) <= task_parameters:
            assert any(fits(f"{name}:{text}") for name in names), f"{text} is no setting of {', '.join(names)}"


def fits(text: str) -> bool:
    try:
        return find_any(text) is not None
    except InputError:
        return False


@each([page for page in PAGES if page.parent != DOCS / "methods"])
def test_settings_on_other_pages_are_settings(page, task_parameters):
    fields = {field.name for kind in CLASSES.values() for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    known = fields | task_parameters | keywords() | FOREIGN_SETTINGS
    for text in INLINE.findall(read(page)):
        if SETTING.fullmatch(text) and not text.startswith("w."):
            assert text.partition("=")[0] in known, f"{text} sets nothing that there is"


def keywords() -> set[str]:
    """Returns the names of all arguments of the public functions."""
    functions = [getattr(headstart, name) for name in headstart.__all__ if name[0].islower()]
    return {name for function in functions for name in inspect.signature(function).parameters}


@each(PAGES)
def test_calls_of_headstart_have_arguments_that_exist(page):
    python = [body for language, body in BLOCK.findall(read(page)) if language == "python"]
    inline = [text for text in INLINE.findall(BLOCK.sub("", read(page))) if re.fullmatch(r"[\w.]+\(.*\)", text)]
    for text in [*python, *(text.replace("…", "...") for text in inline)]:
        try:
            tree = ast.parse(text)
        except SyntaxError:
            assert text not in python, f"{text!r} is no Python"
            continue
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in headstart.__all__:
                check_call(name, [word.arg for word in call.keywords if word.arg])


def check_call(name: str, given: list[str]) -> None:
    taken = inspect.signature(getattr(headstart, name)).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        assert set(given) <= set(taken), f"{name} takes {', '.join(taken)}"


def test_commands_have_pages():
    shown = re.findall(r"^## ([\w-]+)$", read(DOCS / "cli.md"), re.MULTILINE)
    assert len(shown) == len(arguments.COMMANDS)


@each(PAGES)
def test_files_and_modules_that_pages_name_exist(page):
    text = read(page)
    for path in re.findall(r"`((?:headstart|benchmarks|examples|tests|docs)/[a-z\d_/.]*\w\.\w+)`", text):
        assert (ROOT / path).exists(), f"{path} is not there"
    for name in re.findall(r"`(headstart(?:\.\w+)+)", text):
        assert pydoc.locate(name) is not None or name.rpartition(".")[2] in headstart.__all__, f"{name} is not there"


@each(sorted((DOCS / "methods").glob("*.md")))
def test_metrics_that_a_page_lists_are_logged(page):
    source = "".join(read(path) for path in (ROOT / "headstart").rglob("*.py"))
    section = read(page).partition("## The metrics")[2].partition("\n## ")[0]
    for name in re.findall(r"`([a-z_]+?)(?:_1)?`", section):
        part = re.sub("^(policy|value)_", "", name)  # a metric of each part
        assert re.search(rf'"(?:{name}|{part})(?:_{{|")', source), f"{name} is logged nowhere"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> dict:
    """Returns the recipe of a checkpoint of PPO with one hidden layer on Pendulum."""
    ppo = headstart.PPO(hidden=(8,), num_steps=8, num_envs=2, num_epochs=1, batch_size=16)
    trained = headstart.train(ppo, "Pendulum-v1", steps=16)
    return json.loads((headstart.save(trained, tmp_path_factory.mktemp("checkpoint")) / "recipe.json").read_text())


def test_the_page_of_checkpoints_describes_a_checkpoint(recipe):
    page = read(DOCS / "checkpoints.md")
    table = page[page.index("| in `recipe.json` |") :].partition("\n\n")[0].splitlines()[2:]
    assert sorted(key for row in table for key in re.findall(r"`(\w+)`", row.split(" | ")[0])) == sorted(recipe)
    [shown] = [body for language, body in BLOCK.findall(page) if language == "json"]
    assert json.loads(shown) == recipe["policy"]


# ------------------------------------------------------------------------------------------------ measured numbers

NUMBER = r"[−-]?\d[\d ]*(?:\.\d+)?"
INTERVAL = re.compile(rf"({NUMBER})(?: %| ×)? \[({NUMBER}), ({NUMBER})\]")


def records(page: pathlib.Path) -> list[pathlib.Path]:
    """Returns the committed records of the benchmarks that a page names; all of them for the README."""
    results, text = ROOT / "benchmarks" / "results", read(page)
    scripts = re.findall(r"benchmarks/(?:results/)?(\w+)\.(?:py|json)", text) + re.findall(r"studies\.py (\w+)", text)
    everything = not scripts or page.parent == ROOT
    return [
        path for path in results.glob("*.json") if everything or any(path.stem.startswith(name) for name in scripts)
    ]


def estimates(record: object) -> list[tuple[float, float, float]]:
    """Returns each estimate in a record with the ends of its interval."""
    found = []
    if isinstance(record, dict):
        keys = [key for key in ("iqm", "mean", "median", "ratio") if isinstance(record.get(key), float)]
        if {"low", "high"} <= set(record) and record["low"] is not None:
            found = [(record[key], record["low"], record["high"]) for key in keys]
        record = list(record.values())
    if isinstance(record, list):
        found += [one for part in record for one in estimates(part)]
    return found


def rounds_to(text: str, value: float) -> bool:
    """Returns whether a value, or the same in per cent, is written as that text."""
    decimals = len(text.partition(".")[2])
    shown = float(text.replace(" ", "").replace("−", "-"))
    return any(abs(scale * value - shown) <= 0.51 * 10**-decimals for scale in (1, 100))


@each(PAGES)
def test_measured_numbers_are_those_of_the_committed_records(page):
    known = [one for path in records(page) for one in estimates(json.loads(path.read_text(encoding="utf-8")))]
    for shown in INTERVAL.findall(re.sub(r"\s+", " ", read(page))):
        assert any(all(map(rounds_to, shown, one)) for one in known), f"{shown} is in no record"
