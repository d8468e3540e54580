"""Tables for the terminal."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Column, Table

from headstart.lab import formats
from headstart.lab.report.summary import best_row_sentence, nothing_learned
from headstart.lab.watch.progress_bar import plain_console, short_number

PIPE_WIDTH = 160  # columns, if the output is not a terminal


def print_tables(*tables: Table) -> None:
    """Prints tables to standard output, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH
    console = plain_console(width=width)
    for table in tables:
        console.print(table)


def interval_text(value: Mapping[str, Any] | None) -> str:
    """Returns a statistic with its interval: the `mean` if there is one (tested differences have it), or the IQM."""
    statistic = None if value is None else value.get("mean", value["iqm"])
    if value is None or statistic is None:
        return "–"
    bounds = [value["low"], value["high"]]
    return short_number(statistic) + (
        "" if None in bounds else f" [{short_number(bounds[0])}, {short_number(bounds[1])}]"
    )


def study_tables(data: Mapping[str, Any]) -> Iterator[Table]:
    """Yields the tables of a study: returns, verdicts, equal total budget, pairs of rows, and the transfer matrix."""
    yield _returns(data)
    yield _verdicts(data)
    if (equal_total := data.get("equal_total") or {}).get("rows"):
        yield _equal_total(equal_total)
    pairs, matrix = data.get("pairs") or {}, data.get("matrix") or {}
    if len(pairs.get("rows", ())) > 2:  # the verdict covers two rows
        yield _pairs(pairs)
    if "rows" in matrix:
        yield _matrix(matrix)


def _returns(data: Mapping[str, Any]) -> Table:
    """Returns the table of returns after each number of shots and at the end of the budget."""
    shots = [str(n) for n in data["shots"]]
    title = f"{data['source']} → {data['target']}: return after n target episodes"
    table = Table("method", *(f"{n}-shot" for n in shots), f"{short_number(data['target_steps'])} steps", title=title)
    for name, row in data["methods"].items():
        returns = [interval_text(row.get("shots", {}).get(n)) for n in shots]
        table.add_row(name, *returns, interval_text(row.get("metrics", {}).get("asymptote")))
    failed = data.get("reference_failed") or {}
    for name, value in data["reference"].items():
        if value is None and name not in failed:
            continue  # it was not requested
        table.add_row(name, *[""] * len(shots), interval_text(value), style="dim")
    seeds = len(data["seeds"])
    caption = ["one seed" if seeds == 1 else f"IQM over {seeds} seeds [95 % bootstrap interval]"]
    if nothing_learned(data):
        caption.append("Nothing was learned on the target: no row ends clearly above random actions.")
    table.caption = "\n".join([*caption, *_failures(data)])
    return table


def _failures(data: Mapping[str, Any]) -> Iterator[str]:
    """Yields the reason of each row that failed in every seed."""
    rows = {name: row["failed"] for name, row in data["methods"].items() if row.get("failed") and not row.get("curve")}
    references = data.get("reference_failed") or {}
    rows |= {name: failed for name, failed in references.items() if data["reference"].get(name) is None}
    for name, failed in rows.items():
        yield f"{name} failed in every seed: {next(iter(failed.values()))}"


def _verdicts(data: Mapping[str, Any]) -> Table:
    """Returns the table of each row against its control: verdict, difference, p value and time to the threshold."""
    methods = data["methods"]
    all_controls = {row.get("control") for row in methods.values() if row.get("control")} or {"scratch"}
    rows = {
        name: row
        for name, row in methods.items()
        if row.get("control") or not (name in all_controls or row.get("role") == "scratch")
    }
    controls = list(dict.fromkeys(row["control"] for row in rows.values() if row.get("control"))) or ["scratch"]
    heads = ["verdict", "difference", "p", "P(better)", "to threshold"]
    if any_failed := any(row.get("failed") for row in rows.values()):
        heads.append("failed")
    heads = ["control", *heads] if len(controls) > 1 else heads
    table = Table(
        Column("method", overflow="fold"), *(Column(head, no_wrap=head in ("p", "P(better)")) for head in heads)
    )
    against = ", ".join("learning from scratch" if name == "scratch" else name for name in controls)
    table.title = f"against {against}: average return over {short_number(data['target_steps'])} target steps"
    for name, row in rows.items():
        improvement, difference = row.get("improvement"), row.get("difference") or {}
        cells = [
            name,
            *[row.get("control") or "–"] * (len(controls) > 1),
            row.get("verdict") or "no verdict",
            interval_text(difference or None),
            formats.p_value(difference.get("p_holm")),
            f"{improvement['iqm']:.2f}" if improvement else "–",
            interval_text(row.get("metrics", {}).get("time_to_threshold")),
        ]
        table.add_row(*cells, *[", ".join(row.get("failed", {})) or "none"] * any_failed)
    table.caption = "\n".join(_verdict_notes(data, rows))
    return table


def _verdict_notes(data: Mapping[str, Any], rows: Mapping[str, Any]) -> Iterator[str]:
    """Yields the caption of the table of verdicts: caveats, missing verdicts and rows that were left out."""
    yield "p: adjusted by Holm's method over all verdicts of this table. To threshold: target steps."
    yield from (f"{name}: {caveat}" for name, row in rows.items() for caveat in row.get("caveats") or ())
    names: dict[str, list[str]] = {}
    for name, row in rows.items():
        if row.get("no_verdict"):
            names.setdefault(row["no_verdict"], []).append(name)
    yield from (f"No verdict for {', '.join(same)}. {reason}" for reason, same in names.items())
    left_out = dict(data.get("left_out") or {})
    if "left_out" in (matrix := data.get("matrix") or {}):
        left_out["the transfer matrix"] = matrix["left_out"]
    yield from (f"{name} is left out. {reason}" for name, reason in left_out.items())


def _equal_total(data: Mapping[str, Any]) -> Table:
    """Returns the table of final returns at an equal budget of source and target steps together."""
    table = Table("method", "final return", "total steps", "shots")
    table.title = f"at equal total budget: {short_number(data['steps'])} steps of source and target together"
    for name, row in data["rows"].items():
        counts = (row.get("total_steps"), row.get("shots"))
        table.add_row(name, interval_text(row), *("–" if x is None else short_number(x) for x in counts))
    table.caption = (
        "Total steps: steps in source and target together. Shots: target episodes at the start, which count."
    )
    return table


def _pairs(data: Mapping[str, Any]) -> Table:
    """Returns the table of differences between all rows."""
    numbered = [f"{i} {name}" for i, name in enumerate(data["rows"], 1)]
    table = Table("row minus column", *(str(i) for i in range(1, len(numbered) + 1)))
    table.title = "average return, each row minus each other row"
    signs = {"positive": " ▲", "negative": " ▼"}
    for name, differences, verdicts in zip(numbered, data["difference"], data["verdict"], strict=True):
        cells = [
            "" if x is None else short_number(x["mean"] or 0.0) + signs.get(verdict, "")
            for x, verdict in zip(differences, verdicts, strict=True)
        ]
        table.add_row(name, *cells)
    table.caption = (
        f"▲ ▼: significantly above, significantly below (Holm's method over all pairs). {best_row_sentence(data) or ''}"
    )
    return table


def _matrix(data: Mapping[str, Any]) -> Table:
    """Returns the table of the return of each source's policy on each task."""
    heads = (Column(name, overflow="fold") for name in ("policy", *data["columns"]))
    table = Table(*heads, title="return of each source's policy on each task, without further training")
    for name, values, marks in zip(data["rows"], data["value"], data["mark"], strict=True):
        cells = zip(map(interval_text, values), marks, strict=True)
        table.add_row(name, *(f"{text} ▼" if mark == "negative" else text for text, mark in cells))
    table.add_row("untrained", *map(interval_text, data["untrained"]["value"]), style="dim")
    table.caption = "▼: negative transfer (significantly below an untrained policy; Holm's method over all cells)"
    return table
