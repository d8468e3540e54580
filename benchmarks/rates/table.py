"""Summaries of measurements: medians and spread, ratios, shares of the bound, and which goals are met."""

import os
import pathlib
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from headstart.lab.watch.progress_bar import short_number
from rates.rows import OURS, Row
from rates.running import figure

UNITS = {"rate": "steps/s", "seconds": "s of learning", "wall": "s in all"}


def summarise(row: Row, results: Mapping[str, list[dict]], limits: list[dict]) -> dict:
    """Returns each program's repetitions, median, minimum and maximum; our speed as a multiple of each peer's; and our
    shares of the bounds, each of its repetition."""
    programs = {name: _program(row, each) for name, each in results.items()}
    record = {"what": row.what, "goals": row.goals, "programs": programs, "times_as_fast": {}, "limits": limits}
    for name in results:
        if name != OURS:
            pair = np.array([programs[name]["figures"], programs[OURS]["figures"]])
            each = pair[1] / pair[0] if row.what == "rate" else pair[0] / pair[1]
            goal = row.goals.get(name)
            of_medians = np.median(pair, axis=1)
            ratio = of_medians[1] / of_medians[0] if row.what == "rate" else of_medians[0] / of_medians[1]
            met = None if goal is None else bool(ratio >= goal and not programs[OURS].get("never"))
            least, most = float(each.min()), float(each.max())
            record["times_as_fast"][name] = {
                "median": float(ratio),
                "min": least,
                "max": most,
                "goal": goal,
                "met": met,
            }
    if row.least is not None:
        record["least"] = {"goal": row.least, "met": programs[OURS]["median"] >= row.least}
    if limits:
        shares = np.array(programs[OURS]["figures"]) / [one["bound"] for one in limits]
        share = float(np.median(shares))
        met = None if row.share is None else share >= row.share
        spread = {"min": float(shares.min()), "max": float(shares.max())}
        record["share_of_bound"] = {"share": share, **spread, "goal": row.share, "met": met}
    return record


def _program(row: Row, each: list[dict]) -> dict:
    figures = [figure(one, row.what) for one in each]
    record: dict[str, Any] = {"figures": figures, "median": float(np.median(figures))}
    record |= {"min": min(figures), "max": max(figures), "wall_seconds": [one["wall_seconds"] for one in each]}
    if row.what == "rate":  # the rest of the wall-clock time: starting, importing, compiling
        trained = [(one["steps"] + one["warmup"]) * one["seconds"] / one["steps"] for one in each]
        starts = [one["wall_seconds"] - t for one, t in zip(each, trained, strict=True)]
        record["seconds_to_start"] = float(np.median(starts))
    if row.what == "seconds":
        record["never"] = sum(not _reached(one) for one in each)
    for name in ("settings", "versions", "device", "words"):
        if each[-1].get(name):
            record[name] = each[-1][name]
    return record


def _reached(results: dict) -> bool:
    return results["reached"] if "reached" in results else results["returns"][-1] >= results["settings"]["until"]


def machine() -> dict[str, Any]:
    """Returns the processor, its cores, the memory in GiB and how busy it was (None where the system does not say)."""
    info = pathlib.Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = names[0] if names else platform.processor()
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory, 1), "load": os.getloadavg()[0]}


def show_rows(records: Mapping[str, dict], tiny: bool) -> Table:
    """Returns the one table that is printed."""
    table = Table("", "program", "median", "least … most", "we are", "goal", "of the bound", "goal")
    table.title = "headstart beside its peers"
    table.caption = "tiny: it runs, and the figures mean nothing" if tiny else None
    for name, record in records.items():
        for i, (program, summary) in enumerate(record["programs"].items()):
            unit, spread = UNITS[record["what"]], f"{short_number(summary['min'])} … {short_number(summary['max'])}"
            ratio, share = record["times_as_fast"].get(program), record.get("share_of_bound")
            never = f" (never in {summary['never']})" if summary.get("never") else ""
            with_words = " ".join([program, *summary.get("words", ())])
            cells = [name if i == 0 else "", with_words, f"{short_number(summary['median'])} {unit}{never}", spread]
            cells += [f"{ratio['median']:.2f} x as fast", goal(ratio, "x")] if ratio else ["", least(record, program)]
            cells += [f"{100 * share['share']:.0f} %", goal(share)] if share and program == OURS else ["", ""]
            table.add_row(*cells, end_section=program == list(record["programs"])[-1])
    return table


def least(record: Mapping[str, Any], program: str) -> str:
    """Returns the steps per second that headstart should reach, and whether it does; nothing if there is no goal."""
    return goal(record["least"], "steps/s") if program == OURS and "least" in record else ""


def goal(summary: Mapping[str, Any], unit: str = "") -> str:
    """Returns a goal, and whether it is met."""
    if summary["goal"] is None:
        return "none"
    wanted = f"{summary['goal']:g} {unit}" if unit else f"{100 * summary['goal']:.0f} %"
    return f"{wanted}: {'met' if summary['met'] else 'not met'}"
