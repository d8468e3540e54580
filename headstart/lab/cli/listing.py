"""What the listing commands print: methods, environments, and what there is to know of one of them."""

import inspect
import json

from rich.table import Table

from headstart.core.spaces import ActionSpace, Image, ObservationSpace
from headstart.core.types import Discrete
from headstart.lab.cli import arguments
from headstart.lab.report.terminal_tables import show
from headstart.methods import LEARNERS, all_entries
from headstart.tasks import registry
from headstart.tasks.strings import parse

WHOLE = {"never": "", "from whole ends": ", whole from whole ends", "always": ", whole"}


def methods(asked: arguments.Methods, words: str) -> None:
    """Lists the methods."""
    rows = [(e.name, e.section, {"nothing": "–"}.get(e.learns_on, e.learns_on), e.about) for e in all_entries()]
    for name, kind in LEARNERS.items():
        about = (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".")
        rows.append((name, "base learner", "–", about[0].lower() + about[1:]))
    _list(rows, ("method", "section", "learns on", "what it does"), "methods, in the lecture's order", asked.json)


def tasks(asked: arguments.Tasks, words: str) -> None:
    """Lists the environments, or says what one of them shows and takes."""
    if asked.env is not None:
        env = parse(asked.env, "c").env
        rows = [("observation", _space(env.observation_space)), ("action", _space(env.action_space))]
        rows += [("horizon", f"{env.horizon} steps"), ("rewards", ", ".join(env.cumulant_names))]
        rows += [("assumed", sentence) for sentence in env.assumptions]
        _list(rows, ("of it", "what it is"), f"what {asked.env} shows and takes", asked.json)
        return
    rows = [tuple(map(str, row)) for row in registry.tasks()]
    head = ("environment", "kind", "observation", "action", "horizon", "what it is")
    _list(rows, head, "environments; a task is one with @name=value,…", asked.json)
    if not asked.json:
        print("Any id of Gymnasium works too, such as FrozenLake-v1 or module:Env-v0.")


def _space(space: ObservationSpace | ActionSpace) -> str:
    """Returns a space in words: how many numbers or choices, their names and their bounds."""
    if isinstance(space, Image):
        rows, columns, channels = space.shape
        what = "bits" if space.dtype == "bool" else "bytes"
        return f"an image of {rows} rows and {columns} columns, with {channels} channels of {what}"
    names = f": {', '.join(' '.join(filter(None, c)) for c in space.components)}" if space.components else ""
    if isinstance(space, Discrete):
        return f"one of {space.n} choices{names}"
    ends = list(dict.fromkeys(zip(space.low, space.high, strict=True)))
    bounds = ", ".join(f"[{low:g}, {high:g}]" for low, high in ends) if len(ends) < 9 else "bounds of their own"
    return f"{space.size} number{'s' * (space.size != 1)} within {bounds}{names}"


def parameters(asked: arguments.Parameters, words: str) -> None:
    """Lists an environment's parameters."""
    rows = [
        (p.name, f"{p.nominal:.6g}", p.unit, f"{p.low:g} … {p.high:g}{WHOLE[p.integer]}", p.description)
        for p in registry.parameters(parse(asked.env, "c").env)
    ]
    _list(rows, ("parameter", "nominal", "unit", "bounds", "what it is"), f"parameters of {asked.env}", asked.json)


def _list(rows: list[tuple[str, ...]], head: tuple[str, ...], title: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=1))
        return
    table = Table(*head, title=title)
    for row in rows:
        table.add_row(*row)
    show(table)
