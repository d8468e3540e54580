"""The commands that list methods, environments and parameters."""

import json

from rich.table import Table

from headstart.core.spaces import ActionSpace, Image, ObservationSpace
from headstart.core.types import Discrete
from headstart.lab.cli import arguments
from headstart.lab.report.terminal_tables import print_tables
from headstart.methods import LEARNERS, all_entries
from headstart.methods.plugins import summary
from headstart.tasks import registry
from headstart.tasks.strings import parse

INTEGER_NOTES = {"never": "", "from whole ends": ", whole from whole ends", "always": ", whole"}


def methods(args: arguments.Methods, command_line: str) -> None:
    """Lists the methods."""
    rows = [(e.name, e.section, {"nothing": "–"}.get(e.learns_on, e.learns_on), e.about) for e in all_entries()]
    rows += [(name, "base learner", "–", summary(kind)) for name, kind in LEARNERS.items()]
    _list(rows, ("method", "section", "learns on", "what it does"), "methods, in the lecture's order", args.json)


def tasks(args: arguments.Tasks, command_line: str) -> None:
    """Lists the environments, or describes the spaces of one."""
    if args.env is not None:
        env = parse(args.env, "c").env
        rows = [("observation", _space(env.observation_space)), ("action", _space(env.action_space))]
        rows += [("horizon", f"{env.horizon} steps"), ("rewards", ", ".join(env.cumulant_names))]
        rows += [("assumed", sentence) for sentence in env.assumptions]
        _list(rows, ("property", "value"), f"observations and actions of {args.env}", args.json)
        return
    rows = [tuple(map(str, row)) for row in registry.tasks()]
    head = ("environment", "kind", "observation", "action", "horizon", "what it is")
    _list(rows, head, "environments; a task is one with @name=value,…", args.json)
    if not args.json:
        print("Any Gymnasium id works too, such as FrozenLake-v1 or module:Env-v0.")


def _space(space: ObservationSpace | ActionSpace) -> str:
    """Returns a description of a space: its size, names and bounds."""
    if isinstance(space, Image):
        rows, columns, channels = space.shape
        kind = "bits" if space.dtype == "bool" else "bytes"
        return f"an image of {rows} rows, {columns} columns and {channels} channels of {kind}"
    names = f": {', '.join(' '.join(filter(None, c)) for c in space.components)}" if space.components else ""
    if isinstance(space, Discrete):
        return f"one of {space.n} discrete actions{names}"
    ends = list(dict.fromkeys(zip(space.low, space.high, strict=True)))
    bounds = ", ".join(f"[{low:g}, {high:g}]" for low, high in ends) if len(ends) < 9 else "individual bounds"
    return f"{space.size} number{'s' * (space.size != 1)} within {bounds}{names}"


def parameters(args: arguments.Parameters, command_line: str) -> None:
    """Lists an environment's parameters."""
    rows = [
        (p.name, f"{p.nominal:.6g}", p.unit, f"{p.low:g} … {p.high:g}{INTEGER_NOTES[p.integer]}", p.description)
        for p in registry.parameters(parse(args.env, "c").env)
    ]
    _list(rows, ("parameter", "nominal", "unit", "bounds", "what it is"), f"parameters of {args.env}", args.json)


def _list(rows: list[tuple[str, ...]], head: tuple[str, ...], title: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=1))
        return
    table = Table(*head, title=title)
    for row in rows:
        table.add_row(*row)
    print_tables(table)
