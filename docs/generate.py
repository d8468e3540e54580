"""Writes what the pages take from the code: the tables of settings, and the reference of the command line.

`python docs/generate.py` writes them into docs/. A page holds a table between the lines `<!-- settings: NAME -->` and
`<!-- end of settings -->`, where NAME is a method or a learner (two names: two columns of defaults). A row of the table
is a field of the dataclass: its meaning is the comment on the field's line, its range is what the class checks.
"""

import ast
import contextlib
import dataclasses
import functools
import inspect
import io
import math
import os
import pathlib
import re
import sys
import textwrap
import tokenize
import typing
from collections.abc import Iterator
from typing import Any, Literal
from unittest import mock

from headstart.core import errors
from headstart.core.types import Method
from headstart.lab.cli import arguments, program
from headstart.methods import LEARNERS, METHODS
from headstart.nets.mlp import ACTIVATIONS

DOCS = pathlib.Path(__file__).parent
TABLE = re.compile(r"(<!-- settings: (\w+(?: \w+)*) -->\n).*?(<!-- end of settings -->)", re.DOTALL)
STATED_RANGE = re.compile(r",? (?:(?:in|within) [\[(][^\])]*[\])]|[<>]=? ?[\w.]+)")  # in a comment
WIDTH = 80  # columns of the command line's help
NO_UNIT = "–"
UNITS = {  # of a field in every class, or of CLASS.FIELD
    **dict.fromkeys(
        ["num_steps", "n_step", "history_length", "sequence_length", "burn_in", "learning_starts"], "steps"
    ),
    **dict.fromkeys(["batch_size", "buffer_size"], "transitions"),
    **dict.fromkeys(["hidden", "hidden_size"], "units"),
    **dict.fromkeys(["target_kl", "target_entropy"], "nats"),
    **dict.fromkeys(["min_return", "solved_return"], "return"),
    **dict.fromkeys(["warmup_fraction", "exploration_fraction"], "share of training"),
    "relabel_fraction": "share of batch",
    **dict.fromkeys(["distillation_fraction", "identification_fraction"], "share of source steps"),
    **dict.fromkeys(["source_temperature", "target_temperature", "bonus_coef"], "reward per nat"),
    "anneal_fraction": "share of training",
    "cagrad_c": "gradient norms",
    "DARC.weight": "reward per nat",
    "discount": "per step",
    "Distil.temperature": "Q-value",
    "entropy_coef": "loss per nat",
    "epsilon": "share of actions",
    "episodes_per_skill": "episodes",
    "EPOpt.epsilon": "share of paths",
    "gae_lambda": "per step",
    "huber_delta": "return",
    "max_grad_norm": "gradient norm",
    "max_policies": "policies",
    "min_gap": "share of the gap",
    "noise_std": "standard deviations",
    "num_skills": "skills",
    "optimal_return": "return",
    "num_envs": "environments",
    "num_epochs": "passes",
    "ridge": "steps",
    "SAC.temperature": "reward per nat",
    "scale_std": "factor",
    "source_steps_per_target_step": "source steps per target step",
    "step_size": "share per rollout",
    "target_update_period": "gradient steps",
    "tau": "share per update",
    "tolerance": "share of the optimal return",
    "true_parameters_fraction": "share of identification",
    "update_to_data": "gradient steps per step",
    **dict.fromkeys(
        [
            *("act_by", "activation", "anneal_learning_rate", "asymmetric_critic", "base", "clip_eps", "dueling"),
            *("feature_coef", "freeze", "kernel", "l2_sp", "layers", "learning_rate", "learning_rate_scales", "loss"),
            *("memory", "normalizer", "optimizer", "reset", "reset_head", "reversal_gamma", "reward_learning_rate"),
            *("rollout_policy", "sampling", "strategy", "surgery", "teachers", "value_coef", "weight"),
        ],
        NO_UNIT,
    ),
}


@dataclasses.dataclass(frozen=True)
class Range:
    """What `check_range` was called with."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False


def comments(kind: type) -> dict[str, str]:
    """Returns the comment on each field's line, by the field's name."""
    source = inspect.getsource(kind)
    notes = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    [definition] = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    return {
        node.target.id: " ".join(
            notes[i] for i in range(node.lineno, (node.end_lineno or node.lineno) + 1) if i in notes
        )
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def checked_ranges(kind: type, **values: Any) -> dict[str, Range]:
    """Returns the range that a class checks for each field, as an instance is made with those values."""
    found: dict[str, Range] = {}

    def record(owner: object, name: str, low: float, high: float, open_low: bool = False, open_high: bool = False):
        found[name] = Range(low, high, open_low, open_high)

    users = [module for module in list(sys.modules.values()) if vars(module).get("check_range") is errors.check_range]
    with contextlib.ExitStack() as stack:
        for module in users:
            stack.enter_context(mock.patch.object(module, "check_range", record))
        kind(**values)
    return found


def ranges(kind: type) -> dict[str, str]:
    """Returns each checked range in words; an end that another field sets is written by that field's name."""
    default, found = kind(), checked_ranges(kind)
    others = [f.name for f in dataclasses.fields(kind) if type(getattr(default, f.name)) is int]  # pyright: ignore[reportArgumentType]
    moved = {other: checked_ranges(kind, **{other: getattr(default, other) + 1}) for other in others}
    words = {}
    for name, limits in found.items():
        high = f"{limits.high:g}"
        for other in others:
            if moved[other][name].high != limits.high:
                less = getattr(default, other) - int(limits.high)
                high = f"`{other}`" + (f" − {less}" if less else "")
        words[name] = interval(limits, high)
    return words


def interval(limits: Range, high: str) -> str:
    """Returns a range in words."""
    if math.isinf(limits.low) and math.isinf(limits.high):
        return "any"
    if math.isinf(limits.high):
        return f"{'>' if limits.open_low else '≥'} {limits.low:g}"
    return f"{'(' if limits.open_low else '['}{limits.low:g}, {high}{')' if limits.open_high else ']'}"


def type_words(hint: Any) -> str:
    """Returns a field's type in words."""
    inner, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is Literal:
        return "choice"
    if origin is tuple:
        return f"{type_words(inner[0])}s"
    if inner:  # `X | None`
        return f"{type_words(inner[0])} or none"
    return {bool: "true or false", int: "integer", float: "number", str: "name", Method: "method"}[hint]


def default_text(value: Any) -> str:
    """Returns a value as a method string has it."""
    if isinstance(value, Method):
        return describe(value)
    if isinstance(value, tuple):
        return "+".join(default_text(one) for one in value) or "none"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def describe(method: Method) -> str:
    """Returns a method as a string: its name, and the fields that differ from its defaults."""
    [name] = [name for name, kind in LEARNERS.items() if kind is type(method)]
    names = [field.name for field in dataclasses.fields(method)]  # pyright: ignore[reportArgumentType]
    own = {name: default_text(getattr(method, name)) for name in names}
    usual = {name: default_text(getattr(type(method)(), name)) for name in names}
    return ":".join([name, *(f"{field}={text}" for field, text in own.items() if text != usual[field])])


def unit(kind: type, name: str) -> str:
    """Returns a field's unit."""
    found = UNITS.get(f"{kind.__name__}.{name}", UNITS.get(name))
    if found is None:
        raise errors.InputError(f"{kind.__name__}.{name} has no unit; add it to UNITS in docs/generate.py.")
    return found


def range_text(name: str, hint: Any, checked: str | None, comment: str) -> str:
    """Returns what a field takes: the checked range, the choices, or the range that its comment states."""
    inner = [one for one in typing.get_args(hint) if one is not type(None)]
    if typing.get_origin(hint) is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if checked is not None:
        return checked
    if name == "activation":
        return ", ".join(f"`{one}`" for one in ACTIVATIONS)
    if hint == tuple[int, ...]:
        return "each ≥ 1"
    if Method in (hint, *inner):
        return "learner or method"
    stated = [one.lstrip(", ").replace(">=", "≥").replace("<=", "≤") for one in STATED_RANGE.findall(comment)]
    if inner[:1] == [str]:
        return ", ".join(["parts", *stated])
    if stated:
        return re.sub(r"[a-z_]{3,}", r"`\g<0>`", stated[0])  # another field's name
    return "true, false" if hint is bool else "any"


def meaning(comment: str) -> str:
    """Returns a field's comment without the range, as a sentence of a table."""
    text = STATED_RANGE.sub("", comment).replace("None:", "none:").replace("|", "\\|").strip()
    return text[:1].upper() + text[1:] if text[:1].isascii() else text  # γ stays γ


def default_method(name: str) -> Method:
    """Returns a method or a learner of that name, as it is by default."""
    return METHODS[name].make() if name in METHODS else LEARNERS[name]()


def settings(names: list[str]) -> str:
    """Returns the table of a method's fields, with a column of defaults for each name."""
    methods = [default_method(name) for name in names]
    kind = type(methods[0])
    assert all(type(method) is kind for method in methods), f"{names} are not of one class"
    notes, checked, hints = comments(kind), ranges(kind), typing.get_type_hints(kind)
    heads = ["default"] if len(names) == 1 else [f"default of `{name}`" for name in names]
    rows = [["field", "type", "unit", "range", *heads, "meaning"]]
    rows.append(["---"] * len(rows[0]))
    for field in dataclasses.fields(kind):  # pyright: ignore[reportArgumentType]
        name, hint = field.name, hints[field.name]
        rows.append(
            [
                f"`{name}`",
                type_words(hint),
                unit(kind, name),
                range_text(name, hint, checked.get(name), notes[name]),
                *(f"`{default_text(getattr(method, name))}`" for method in methods),
                meaning(notes[name]),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_settings(page: str) -> str:
    """Returns a page with the tables that the code gives now."""
    return TABLE.sub(lambda match: f"{match[1]}\n{settings(match[2].split())}\n\n{match[3]}", page)


def help_text(words: list[str]) -> str:
    """Returns what a command prints for --help, as plain text of 80 columns."""
    with (
        mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH), "NO_COLOR": "1"}),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.suppress(SystemExit),
    ):
        program.parse([*words, "--help"])
    paragraphs = re.split(r"\n[ ]*\n", out.getvalue().strip())
    return "\n\n".join(wrapped(paragraph) for paragraph in paragraphs)


def wrapped(paragraph: str) -> str:
    """Returns a paragraph in lines of 80 columns; a paragraph with commands, or of short lines, stays as it is."""
    lines = [line.rstrip() for line in paragraph.splitlines()]
    starts = [line.lstrip() for line in lines]
    if max(map(len, lines)) <= WIDTH or any(start.startswith("headstart") for start in starts):
        return "\n".join(lines)
    text = " ".join(starts)
    if text.startswith("usage:"):
        text = text.replace(",", ", ")  # so that the list of commands can be broken
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


@functools.cache
def command_line() -> str:
    """Returns the page of the command line: what each command prints for --help."""
    commands = [re.sub("(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower() for kind in arguments.COMMANDS]
    parts = [
        "# Command line\n",
        "This page shows what `headstart --help` and `headstart COMMAND --help` print.\n",
        f"```text\n{help_text([])}\n```\n",
    ]
    for name in commands:
        parts += [f"## {name}\n", f"```text\n{help_text([name])}\n```\n"]
    return "\n".join(parts)


def pages() -> Iterator[tuple[pathlib.Path, str]]:
    """Yields each page that holds something generated, and its text as it should be."""
    yield DOCS / "cli.md", command_line()
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if TABLE.search(text):
            yield path, with_settings(text)


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
