"""The house rules: imports between rooms, lengths of files and functions, and docstrings."""

import ast
import graphlib
import pathlib
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
HOUSE = ROOT / "headstart"
FILES = sorted(HOUSE.rglob("*.py"))
FLOORS = {"core": 0, "losses": 0, "nets": 0, "tasks": 1, "learners": 1, "methods": 2, "protocol": 3, "lab": 4}
LAB = ("formats", "compilation_cache", "checkpoint", "watch", "report", "study", "inputs", "call_guard", "api", "cli")
FRONT_DOOR = ("__init__", "__main__")  # headstart's own files outside of any room
WORDS = ("types", "names", "errors")  # of core: what losses and nets speak too, though they are on the same floor
ONLY_IN_LAB = {"print", "time", "logging", "random", "pathlib"}  # modules, and the call
CALLS_ONLY_IN_LAB = {"print", "open", "input"}
METHOD_LINES = ["Transfers", "Assumes", "Fails when", "Source", "Departs from it in"]
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 250, 40
# Imports that would close a cycle, and stand inside of a function for that reason: (importer, imported).
DEFERRED = {
    ("headstart.tasks.registry", "headstart.tasks.strings"),  # `task` takes a task string too
    ("headstart.tasks.host.registry", "headstart.tasks.strings"),  # a host env is rebuilt from its task string
}
EXCEPTIONS: dict[str, str] = {}  # file, or file:function -> why it is better long

METHODS = [path for path in FILES if path.match("headstart/methods/*/*.py") and path.stem != "__init__"]


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each(files: list[pathlib.Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=name_of)


def parse(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def count_lines(path: pathlib.Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def imports(tree: ast.Module) -> Iterator[str]:
    """Returns the full name of everything imported, wherever in the file: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import does not say which floor it reaches"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: pathlib.Path) -> str:
    """Returns a file's module, such as `headstart.core.train`; of an `__init__.py`, its package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}


def imported_modules(path: pathlib.Path) -> set[str]:
    """Returns the modules of headstart that a file imports, wherever in the file."""
    names = {name for name in imports(parse(path)) if name.startswith("headstart.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} & MODULES


def calls(tree: ast.Module) -> Iterator[str]:
    """Returns what is called, such as `print` or `np.random.seed`."""
    return (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def may_import(room: str, imported: str) -> bool:
    """Returns whether a module in `room` may import this name of headstart's."""
    _, *inner = imported.split(".")
    if not inner or inner[0] not in FLOORS:
        return room == "lab"  # headstart's own front door leads everywhere: it is for those who stand on the top floor
    if room in ("losses", "nets") and inner[0] == "core":
        return len(inner) > 1 and inner[1] in WORDS
    return inner[0] == room or FLOORS[inner[0]] < FLOORS[room]


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns a function's lines without those of functions in it: a method's `build` holds a learner's closures."""
    length = lambda f: (f.end_lineno or f.lineno) - f.lineno + 1
    direct: list[ast.FunctionDef] = []
    pending = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            direct.append(node)
        else:
            pending += ast.iter_child_nodes(node)
    return length(function) - sum(map(length, direct))


def test_may_import_tells_the_floors_apart():
    assert may_import("methods", "headstart.learners.ppo.PPO")
    assert may_import("core", "headstart.core.train.train")
    assert may_import("nets", "headstart.core.types.Record")
    assert may_import("lab", "headstart")
    assert not may_import("protocol", "headstart")
    assert not may_import("nets", "headstart.core.train.train")
    assert not may_import("core", "headstart.losses.policy_gradient.gae")
    assert not may_import("losses", "headstart.nets.mlp.MLP")
    assert not may_import("learners", "headstart.tasks.registry.task")
    assert not may_import("learners", "headstart.methods.find")
    assert not may_import("methods", "headstart.protocol.transfer.adapt")
    assert not may_import("protocol", "headstart.task")


def test_the_picture_of_the_floors_is_that_of_the_tree():
    drawn = runpy.run_path(str(ROOT / "docs" / "floors.py"))
    assert drawn["PICTURE"].read_text(encoding="utf-8") == drawn["draw"](), "draw it anew: python docs/floors.py"


@each(FILES)
def test_every_file_lives_in_a_room(path: pathlib.Path):
    assert room_of(path) in {*FLOORS, *FRONT_DOOR}


@each([path for path in FILES if room_of(path) in FLOORS])
def test_a_file_imports_only_from_floors_below(path: pathlib.Path):
    ours = [name for name in imports(parse(path)) if name.split(".")[0] == "headstart"]
    wrong = [name for name in ours if not may_import(room_of(path), name)]
    assert not wrong, f"{name_of(path)} may not know {', '.join(wrong)}"


def lab_room_of(module: str) -> int:
    """Returns the place in LAB of a module such as `headstart.lab.study.jobs`."""
    return LAB.index(module.split(".")[2])


@each([path for path in FILES if room_of(path) == "lab" and path.parent.name + path.stem != "lab__init__"])
def test_a_room_of_the_lab_imports_only_from_rooms_before_it(path: pathlib.Path):
    here = lab_room_of(module_of(path))
    ours = [name for name in imported_modules(path) if name.startswith("headstart.lab.")]
    wrong = [name for name in ours if lab_room_of(name) > here]
    assert not wrong, f"{name_of(path)} imports {', '.join(wrong)}, which LAB lists after it"


def test_no_modules_import_each_other_in_a_cycle():
    graph = {module_of(path): imported_modules(path) - {module_of(path)} for path in FILES if path.parent != HOUSE}
    for importer, imported in DEFERRED:
        assert imported in graph[importer], f"{importer} no longer imports {imported}: take it out of DEFERRED"
        graph[importer].remove(imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"these modules import each other: {' <- '.join(error.args[1])}")


def test_no_two_modules_of_the_lab_and_the_protocol_share_a_name():
    names = [path.stem for path in FILES if room_of(path) in ("lab", "protocol") and path.stem != "__init__"]
    assert sorted(set(names)) == sorted(names)


@each([path for path in FILES if room_of(path) in FLOORS and room_of(path) != "lab"])
def test_below_the_lab_nothing_prints_or_touches_disk_clock_or_global_randomness(path: pathlib.Path):
    tree = parse(path)
    modules = {name.split(".")[0] for name in imports(tree)} & ONLY_IN_LAB
    called = {name for name in calls(tree) if name in CALLS_ONLY_IN_LAB or name.endswith("random.seed")}
    assert not modules | called, f"{name_of(path)} uses {', '.join(sorted(modules | called))}"


@each(FILES)
def test_a_file_says_what_it_is_and_stays_short(path: pathlib.Path):
    tree = parse(path)
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
    if name_of(path) not in EXCEPTIONS:
        length = count_lines(path)
        assert length <= MOST_LINES, f"{name_of(path)} has {length} lines, more than {MOST_LINES}"
    lengths = {f.name: own_lines(f) for f in functions(tree)}
    long = {name: n for name, n in lengths.items() if n > MOST_LINES_OF_A_FUNCTION}
    long = {name: n for name, n in long.items() if f"{name_of(path)}:{name}" not in EXCEPTIONS}
    assert not long, f"{name_of(path)} has functions of more than {MOST_LINES_OF_A_FUNCTION} lines: {long}"


def test_exceptions_are_still_needed():
    for place in EXCEPTIONS:
        file, _, function = place.partition(":")
        tree = parse(ROOT / file)
        names = [f.name for f in functions(tree) if own_lines(f) > MOST_LINES_OF_A_FUNCTION]
        assert function in names if function else count_lines(ROOT / file) > MOST_LINES, f"{place} is short by now"


def test_there_are_methods():
    assert METHODS


@each(METHODS)
def test_a_method_says_what_it_transfers_and_when_it_fails(path: pathlib.Path):
    lines = (ast.get_docstring(parse(path)) or "").splitlines()
    heads = [head for line in lines if (head := line.partition(":")[0]) in METHOD_LINES]
    assert heads == METHOD_LINES, f"{name_of(path)} has {heads}"
    said = [line.partition(":")[2].strip() for line in lines if line.partition(":")[0] in METHOD_LINES]
    assert all(said), f"{name_of(path)} leaves one of {METHOD_LINES} empty"


def test_importing_headstart_is_cheap():
    """The command line answers --help before anything heavy is loaded."""
    code = (
        "import sys, headstart; print(*sorted({'jax', 'numpyro', 'mujoco', 'gymnasium', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=600
    )
    assert done.stdout.split() == []


def test_types_are_checked_in_every_package():
    """By jaxtyping wherever arrays are spoken of; elsewhere in the lab by beartype alone (conftest.py)."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    [named] = [word.partition("=")[2] for word in options.split() if word.startswith("--jaxtyping-packages")]
    packages = {path.parent.name for path in (ROOT / "headstart").glob("*/__init__.py")} - {"lab"}
    speak = {module_of(path) for path in FILES if room_of(path) == "lab" and "from jaxtyping" in path.read_text()}
    wanted = {*(f"headstart.{name}" for name in packages), *speak}
    assert wanted <= set(named.split(","))
    from headstart.lab.report.markup import element

    with pytest.raises(TypeError, match="parameter"):
        element(3)  # pyright: ignore[reportArgumentType]
