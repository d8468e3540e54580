"""Exports a study: all points as CSV, a table for a paper as LaTeX, the learning curves as PDF."""

import csv
import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headstart.core.errors import InputError
from headstart.lab import formats
from headstart.lab.checkpoint.files import write
from headstart.lab.report.charts import row_styles
from headstart.lab.report.study_data import Row, parse_study
from headstart.lab.report.styles import DOTTED, PAPER
from headstart.protocol.statistics import Interval

COLUMNS = ("row", "seed", "point", "target_steps", "target_episodes", "return", "failed")
LATEX_ESCAPES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}"}
LATEX_ESCAPES |= {letter: "\\" + letter for letter in "&%$#_{}"}
MATPLOTLIB_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "down": "v", "cross": "P"}


def to_csv(study: Mapping[str, Any]) -> str:
    """Returns a line for each row, seed and point. A failed seed has one line with its reason."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_csv_lines(study))
    return out.getvalue()


def _csv_lines(study: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, row in study["methods"].items():
        curve, failed = (
            row.get("curve") or {},
            {str(seed): reason for seed, reason in (row.get("failed") or {}).items()},
        )
        for i, seed in enumerate(study["seeds"]):
            if str(seed) in failed:
                yield (name, seed, "", "", "", "", failed[str(seed)])
            elif curve and (episodes := curve["episodes"][i]) is not None:
                points = zip(curve["steps"][i], episodes, curve["returns"][i], strict=False)
                for point, (steps, episode, value) in enumerate(points):
                    yield (name, seed, point, steps, episode, "" if value is None else value, "")


def to_latex(study: Mapping[str, Any]) -> str:
    """Returns a `booktabs` table of the returns after each number of shots, final returns and verdicts."""
    data = parse_study(dict(study))
    columns = ["row", *(f"{n}-shot" for n in data.shots), "final return", "average return", "verdict", "$p$"]
    lines = [
        f"% {data.source} to {data.target}; IQM over {len(data.seeds)} seeds [95 % interval]; needs booktabs",
        rf"\begin{{tabular}}{{l{'r' * (len(columns) - 3)}lr}}",
        r"\toprule",
        " & ".join(columns) + r" \\",
        r"\midrule",
        *(" & ".join(_latex_cells(row, data.shots)) + r" \\" for row in data.compared_rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cells(row: Row, shots: Sequence[int]) -> Iterator[str]:
    """Yields the cells of a row of the table."""
    yield _escape(row.name)
    for n in shots:
        yield _latex_interval(row.shots.get(n))
    for metric in ("asymptote", "total"):
        yield _latex_interval(row.metrics.get(metric))
    yield _escape(row.verdict or "--")
    yield "--" if row.p is None else f"${formats.p_value(row.p)}$"


def _latex_interval(value: Interval | None) -> str:
    """Returns the statistic with its interval."""
    if value is None:
        return "--"
    text = f"{formats.statistic(value)} {formats.bounds(value)}".strip()
    return text.replace(formats.THIN, r"\,").replace(formats.MINUS, "$-$")


def _escape(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(letter, letter) for letter in text)


def to_pdf(study: Mapping[str, Any], path: pathlib.Path) -> None:
    """Writes the learning curves: the IQM over seeds with its 95 % interval.

    Raises InputError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            '--pdf needs matplotlib, which is not installed: `pip install "headstart[figures]"`.'
        ) from None
    data, buffer = parse_study(dict(study)), io.BytesIO()
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot(xlabel="target steps", ylabel="return", title=f"{data.source} → {data.target}")
    styles = row_styles(data, PAPER)
    for row in data.compared_rows:
        if row.curve is None:
            continue
        style, curve = styles[row.name], row.curve
        dash = ":" if style.dash == DOTTED else "--" if style.dash else "-"
        axes.plot(
            curve.steps,
            curve.iqm,
            dash,
            color=style.color,
            marker=MATPLOTLIB_MARKERS[style.marker],
            ms=4,
            label=row.name,
        )
        axes.fill_between(curve.steps, curve.low, curve.high, color=style.color, alpha=0.13, linewidth=0)
    for name, value in data.references.items():
        axes.axhline(value.iqm, color=PAPER.muted, linestyle="--", linewidth=1, label=name)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
    figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})  # equal studies give equal files
    write(path, buffer.getvalue())
