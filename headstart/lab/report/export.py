"""A study's numbers for other programs: all points as CSV, a paper's table as LaTeX, the curves as PDF."""

import csv
import io
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.core.errors import InputError
from headstart.lab import formats
from headstart.lab.checkpoint.files import write
from headstart.lab.report.charts import row_styles
from headstart.lab.report.study_data import StudyData, parse_study
from headstart.lab.report.styles import DOTS, PAPER
from headstart.protocol.statistics import Interval

HEAD = ("row", "seed", "point", "target_steps", "target_episodes", "return", "failed")
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}"}
SPECIAL |= {letter: "\\" + letter for letter in "&%$#_{}"}
MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "down": "v", "cross": "P"}


def to_csv(study: Mapping[str, Any]) -> str:
    """Returns a line for each row, seed and point. A seed that failed has one line, which says why."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(_lines(study))
    return out.getvalue()


def _lines(study: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, row in study["methods"].items():
        curve, failed = row.get("curve") or {}, {str(seed): why for seed, why in (row.get("failed") or {}).items()}
        for i, seed in enumerate(study["seeds"]):
            if str(seed) in failed:
                yield (name, seed, "", "", "", "", failed[str(seed)])
            elif curve and (episodes := curve["episodes"][i]) is not None:
                points = zip(curve["steps"][i], episodes, curve["returns"][i], strict=False)
                for point, (steps, ended, value) in enumerate(points):
                    yield (name, seed, point, steps, ended, "" if value is None else value, "")


def to_latex(study: Mapping[str, Any]) -> str:
    """Returns a table for the package `booktabs`: returns after each number of shots and at the end, and verdicts."""
    known = parse_study(dict(study))
    heads = ["row", *(f"{n}-shot" for n in known.shots), "final return", "averaged return", "verdict", "$p$"]
    lines = [
        f"% {known.source} to {known.target}; IQM over {len(known.seeds)} seeds [95 % interval]; needs booktabs",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 3)}lr}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(" & ".join(_cells(known, row.name)) + r" \\" for row in known.compared_rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _cells(known: StudyData, name: str) -> Iterator[str]:
    """Yields the cells of a row of the table."""
    row = known.row(name)
    assert row is not None
    yield _escaped(name)
    for n in known.shots:
        yield _value(row.shots.get(n))
    for metric in ("asymptote", "total"):
        yield _value(row.metrics.get(metric))
    yield _escaped(row.verdict or "--")
    yield "--" if row.p is None else f"${formats.p_value(row.p)}$"


def _value(value: Interval | None) -> str:
    """Returns a statistic with its interval."""
    if value is None:
        return "--"
    shown = f"{formats.statistic(value)} {formats.bounds(value)}".strip()
    return shown.replace(formats.THIN, r"\,").replace(formats.MINUS, "$-$")


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def to_pdf(study: Mapping[str, Any], path: pathlib.Path) -> None:
    """Writes the learning curves: IQM over seeds with the 95 % interval. Raises InputError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            '--pdf needs matplotlib, which is not installed: `pip install "headstart[figures]"`.'
        ) from None
    known, out = parse_study(dict(study)), io.BytesIO()
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot(xlabel="target steps", ylabel="return", title=f"{known.source} → {known.target}")
    looks = row_styles(known, PAPER)
    for row in known.compared_rows:
        if row.curve is None:
            continue
        look, curve = looks[row.name], row.curve
        dash = ":" if look.dash == DOTS else "--" if look.dash else "-"
        axes.plot(curve.steps, curve.iqm, dash, color=look.colour, marker=MARKERS[look.shape], ms=4, label=row.name)
        axes.fill_between(curve.steps, curve.low, curve.high, color=look.colour, alpha=0.13, linewidth=0)
    for name, level in known.references.items():
        axes.axhline(level.iqm, color=PAPER.soft, linestyle="--", linewidth=1, label=name)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)
    figure.savefig(out, format="pdf", metadata={"CreationDate": None})  # the same study is the same file
    write(path, out.getvalue())
