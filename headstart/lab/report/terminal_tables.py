"""Tables on a terminal."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Column, Table

from headstart.lab import formats
from headstart.lab.report.answer import best_row_sentence, nothing_learned
from headstart.lab.watch.progress_bar import plain_console, short_number

PIPED = 160  # columns where nobody's terminal says how many there are


def print_tables(*tables: Table) -> None:
    """Prints tables to standard output, as wide as the terminal."""
    wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED
    console = plain_console(width=wide)
    for table in tables:
        console.print(table)


def interval_text(value: Mapping[str, Any] | None) -> str:
    """Returns a statistic with its interval: a mean where there is one (of a tested difference), else an IQM."""
    middle = None if value is None else value.get("mean", value["iqm"])
    if value is None or middle is None:
        return "–"
    ends = [value["low"], value["high"]]
    return short_number(middle) + ("" if None in ends else f" [{short_number(ends[0])}, {short_number(ends[1])}]")


def study_tables(data: Mapping[str, Any]) -> Iterator[Table]:
    """Returns what a study says: returns at each number of shots, the verdicts, and of several sources their matrix."""
    methods = data["methods"]
    shots = [str(n) for n in data["shots"]]
    title = f"{data['source']} → {data['target']}: return after n episodes of the target"
    table = Table("method", *(f"{n}-shot" for n in shots), f"{short_number(data['target_steps'])} steps", title=title)
    for name, row in methods.items():
        at = [interval_text(row.get("shots", {}).get(n)) for n in shots]
        table.add_row(name, *at, interval_text(row.get("metrics", {}).get("asymptote")))
    failed = data.get("reference_failed") or {}
    for name, value in data["reference"].items():
        if value is None and name not in failed:
            continue  # it was not asked for
        table.add_row(name, *[""] * len(shots), interval_text(value), style="dim")
    seeds = len(data["seeds"])
    said = ["one seed" if seeds == 1 else f"IQM over {seeds} seeds [95 % bootstrap interval]"]
    if nothing_learned(data):
        said.append("Nothing was learned on the target: no row ends clearly above acting at random.")
    table.caption = "\n".join([*said, *_lost(data)])
    yield table
    yield _verdicts(data)
    if (total := data.get("equal_total") or {}).get("rows"):
        yield _equal_total(total)
    pairs, matrix = data.get("pairs") or {}, data.get("matrix") or {}
    if len(pairs.get("rows", ())) > 2:  # of two, the verdict says all
        yield _pairs(pairs)
    if "rows" in matrix:
        yield _matrix(matrix)


def _lost(data: Mapping[str, Any]) -> Iterator[str]:
    """Returns why rows have no result: those of which every cell failed."""
    rows = {name: row["failed"] for name, row in data["methods"].items() if row.get("failed") and not row.get("curve")}
    references = data.get("reference_failed") or {}
    rows |= {name: failed for name, failed in references.items() if data["reference"].get(name) is None}
    for name, failed in rows.items():
        yield f"{name} failed in every seed: {next(iter(failed.values()))}"


def _verdicts(data: Mapping[str, Any]) -> Table:
    """Returns each row's verdict against the study's reference, and what it rests on."""
    methods = data["methods"]
    known = {row.get("control") for row in methods.values() if row.get("control")} or {"scratch"}
    rows = {
        name: row
        for name, row in methods.items()
        if row.get("control") or not (name in known or row.get("role") == "scratch")
    }
    controls = list(dict.fromkeys(row["control"] for row in rows.values() if row.get("control"))) or ["scratch"]
    heads = ["verdict", "difference", "p", "P(better)", "to threshold"]
    if failed := any(row.get("failed") for row in rows.values()):
        heads.append("failed")
    heads = ["control", *heads] if len(controls) > 1 else heads
    table = Table(
        Column("method", overflow="fold"), *(Column(head, no_wrap=head in ("p", "P(better)")) for head in heads)
    )
    whom = ", ".join("learning from scratch" if name == "scratch" else name for name in controls)
    table.title = f"against {whom}: averaged return over {short_number(data['target_steps'])} steps of the target"
    for name, row in rows.items():
        better, tested = row.get("improvement"), row.get("difference") or {}
        cells = [
            name,
            *[row.get("control") or "–"] * (len(controls) > 1),
            row.get("verdict") or "no verdict",
            interval_text(tested or None),
            formats.p_value(tested.get("p_holm")),
            f"{better['iqm']:.2f}" if better else "–",
            interval_text(row.get("metrics", {}).get("time_to_threshold")),
        ]
        table.add_row(*cells, *[", ".join(row.get("failed", {})) or "none"] * failed)
    table.caption = "\n".join(_verdict_notes(data, rows))
    return table


def _verdict_notes(data: Mapping[str, Any], rows: Mapping[str, Any]) -> Iterator[str]:
    """Yields the sentences below the table of verdicts: caveats, missing verdicts and rows that were left out."""
    yield "p: adjusted by Holm's method for all verdicts of this table. To threshold: steps of the target."
    yield from (f"{name}: {caveat}" for name, row in rows.items() for caveat in row.get("caveats") or ())
    missing: dict[str, list[str]] = {}
    for name, row in rows.items():
        if row.get("no_verdict"):
            missing.setdefault(row["no_verdict"], []).append(name)
    yield from (f"No verdict for {', '.join(names)}. {why}" for why, names in missing.items())
    left_out = dict(data.get("left_out") or {})
    if "left_out" in (matrix := data.get("matrix") or {}):
        left_out["the matrix of sources"] = matrix["left_out"]
    yield from (f"{name} is left out. {why}" for name, why in left_out.items())


def _equal_total(data: Mapping[str, Any]) -> Table:
    """Returns final returns where the source's steps count too."""
    table = Table("method", "final return", "total steps", "shots")
    table.title = f"at equal total budget: {short_number(data['steps'])} steps of source and target together"
    for name, row in data["rows"].items():
        counts = (row.get("total_steps"), row.get("shots"))
        table.add_row(name, interval_text(row), *("–" if x is None else short_number(x) for x in counts))
    table.caption = "Total steps: what a row took of both domains. Shots: episodes that it began the target with."
    return table


def _pairs(data: Mapping[str, Any]) -> Table:
    """Returns the differences of all rows from each other."""
    numbered = [f"{i} {name}" for i, name in enumerate(data["rows"], 1)]
    table = Table("row less column", *(str(i) for i in range(1, len(numbered) + 1)))
    table.title = "averaged return, each row less each other row"
    signs = {"positive": " ▲", "negative": " ▼"}
    for name, differences, verdicts in zip(numbered, data["difference"], data["verdict"], strict=True):
        told = zip(differences, verdicts, strict=True)
        table.add_row(
            name, *("" if x is None else short_number(x["mean"] or 0.0) + signs.get(sign, "") for x, sign in told)
        )
    table.caption = (
        f"▲ ▼: clearly above, clearly below (Holm's correction over all pairs). {best_row_sentence(data) or ''}"
    )
    return table


def _matrix(data: Mapping[str, Any]) -> Table:
    """Returns what was learned on each source, on each task."""
    title = "what was learned on the sources, run on each task as it is"
    heads = (Column(name, overflow="fold") for name in ("what was learned", *data["columns"]))
    table = Table(*heads, title=title)
    for name, values, marks in zip(data["rows"], data["value"], data["mark"], strict=True):
        told = zip(map(interval_text, values), marks, strict=True)
        table.add_row(name, *(f"{shown} ▼" if mark == "negative" else shown for shown, mark in told))
    table.add_row("untrained", *map(interval_text, data["untrained"]["value"]), style="dim")
    table.caption = "▼: negative transfer (clearly below an untrained policy, by Holm's correction over all cells)"
    return table
