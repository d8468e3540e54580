"""Tables on a terminal."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from headstart.lab.progress import thin

PIPED = 160  # columns where nobody's terminal says how many there are


def show(*tables: Table) -> None:
    """Prints tables to standard output, as wide as the terminal."""
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED
    console = Console(width=wide, highlight=False)
    for table in tables:
        console.print(table)


def interval(value: Mapping[str, Any] | None) -> str:
    """-> an IQM with its interval."""
    if value is None or value["iqm"] is None:
        return "–"
    return f"{thin(value['iqm'])} [{thin(value['low'])}, {thin(value['high'])}]"


def study_tables(data: Mapping[str, Any]) -> Iterator[Table]:
    """-> what a study says: returns at each number of shots, the verdicts, and of several sources their matrix."""
    methods = data["methods"]
    shots = [str(n) for n in data["shots"]]
    title = f"{data['source']} → {data['target']}: return after n episodes of the target"
    table = Table("method", *(f"{n}-shot" for n in shots), f"{thin(data['target_steps'])} steps", title=title)
    for name, row in methods.items():
        at = [interval(row.get("shots", {}).get(n)) for n in shots]
        table.add_row(name, *at, interval(row.get("metrics", {}).get("asymptote")))
    for name, value in data["reference"].items():
        table.add_row(name, *[""] * len(shots), interval(value), style="dim")
    table.caption = f"IQM over {len(data['seeds'])} seeds [95 % bootstrap interval]"
    yield table
    table = Table("method", "verdict", "area above scratch", "P(better)", "steps to threshold", "failed seeds")
    table.title = f"against learning from scratch, over {thin(data['target_steps'])} steps of the target"
    for name, row in methods.items():
        if name == "scratch":
            continue
        time = row.get("metrics", {}).get("time_to_threshold")
        better = row.get("improvement")
        table.add_row(
            name,
            row.get("verdict") or "–",
            interval(row.get("difference")),
            f"{better['iqm']:.2f}" if better else "–",
            interval(time),
            ", ".join(row.get("failed", {})) or "none",
        )
    left_out, matrix = dict(data.get("left_out") or {}), data.get("matrix") or {}
    if "left_out" in matrix:
        left_out["the matrix of sources"] = matrix["left_out"]
    table.caption = "\n".join(f"{name} is left out. {why}" for name, why in left_out.items()) or None
    yield table
    if "rows" in matrix:
        yield _matrix(matrix)


def _matrix(data: Mapping[str, Any]) -> Table:
    """-> what was learned on each source, on each task."""
    title = "what was learned on the sources, run on each task as it is"
    heads = (Column(name, overflow="fold") for name in ("what was learned", *data["columns"]))
    table = Table(*heads, title=title)
    for name, values, marks in zip(data["rows"], data["value"], data["mark"], strict=True):
        told = zip(map(interval, values), marks, strict=True)
        table.add_row(name, *(f"{shown} ▼" if mark == "negative" else shown for shown, mark in told))
    table.add_row("untrained", *map(interval, data["untrained"]["value"]), style="dim")
    table.caption = "▼: negative transfer (the 95 % interval of the difference from an untrained policy is below 0)"
    return table
