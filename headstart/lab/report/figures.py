"""Figures as SVG files, for a README and for benchmarks' results, with their own background, legend and fonts."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.lab.checkpoint.files import write
from headstart.lab.report.charts import series_of
from headstart.lab.report.line_chart import Reference, Series, line_chart
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import parse_study
from headstart.lab.report.styles import FONT, PAPER, Style, Theme, legend_key, styles

WIDTH, HEIGHT, PAD = 720.0, 400.0, 20.0  # pixels: the figure, and the white around it
LETTER = 7.0  # pixels that one letter of the legend takes, at most


def figure_curves(
    series: Sequence[Series],
    path: str | os.PathLike[str],
    title: str,
    x_label: str = "target steps",
    y_label: str = "return",
    references: Sequence[Reference] = (),
    log: bool = False,
) -> None:
    """Writes learning curves with their bands; `log` spreads few episodes out (an axis of log(1 + x))."""
    write(pathlib.Path(path), _figure(series, title, x_label, y_label, references, log).encode())


def figure_sweep(
    series: Sequence[Series],
    path: str | os.PathLike[str],
    title: str,
    x_label: str,
    y_label: str = "return",
    references: Sequence[Reference] = (),
) -> None:
    """Writes return over a swept parameter, one line with its band for each policy: figure 1 of EPOpt (1610.01283)."""
    write(pathlib.Path(path), _figure(series, title, x_label, y_label, references, log=False).encode())


def figure_study(study: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes a study's learning curves against target steps; `study` is what its study.json holds."""
    known = parse_study(dict(study))
    lines = [series_of(row, "steps")._replace(tooltips=None) for row in known.compared_rows if row.curve is not None]
    levels = [Reference(name, value.iqm) for name, value in known.references.items()]
    figure_curves(lines, path, f"{known.source} → {known.target}", references=levels)


def _figure(
    series: Sequence[Series],
    title: str,
    x_label: str,
    y_label: str,
    references: Sequence[Reference],
    log: bool,
    theme: Theme = PAPER,
) -> Markup:
    """Returns a whole SVG file: white card, title, legend, figure."""
    looks = styles([one.name for one in series], theme)
    legend, top = _legend([one.name for one in series], looks, theme)
    inner = line_chart(series, references, looks, WIDTH - 2 * PAD, HEIGHT, x_label, y_label, log, theme)
    height = top + HEIGHT + PAD
    card = element(
        "rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx="10", fill=theme.paper, stroke=theme.grid
    )
    words = {"font_family": FONT, "font_size": "16", "font_weight": "600", "fill": theme.ink}
    heading = element("text", title, x=PAD, y=34.0, **words)
    body = element("g", inner, transform=f"translate({PAD:g} {top:g})")
    about = [element("title", title), card, heading, legend, body]
    box = {"viewBox": f"0 0 {WIDTH:g} {height:g}", "width": WIDTH, "height": height, "role": "img"}
    return element("svg", about, xmlns="http://www.w3.org/2000/svg", **box)


def _legend(names: Sequence[str], looks: dict[str, Style], theme: Theme) -> tuple[Markup, float]:
    """Returns the legend under the title, wrapped to the width, and where it ends."""
    x, y, parts = PAD, 60.0, []
    for name in names:
        wide = 34.0 + LETTER * len(name) + 18.0
        if x > PAD and x + wide > WIDTH - PAD:
            x, y = PAD, y + 22.0
        parts.append(element("g", legend_key(looks[name]), transform=f"translate({x:g} {y - 4:g})"))
        parts.append(element("text", name, x=x + 32.0, y=y, font_family=FONT, font_size="13", fill=theme.ink))
        x += wide
    return element("g", parts), y + 12.0
