"""Writes figures as SVG files with background, title and legend, for a README or the results of a benchmark."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.lab.checkpoint.files import write
from headstart.lab.report.charts import row_series
from headstart.lab.report.line_chart import Reference, Series, line_chart
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import parse_study
from headstart.lab.report.styles import FONT, PAPER, Style, Theme, assign_styles, legend_key

WIDTH, HEIGHT, PADDING = 720.0, 400.0, 20.0  # pixels: width of the file, height of its chart, padding
LETTER_WIDTH = 7.0  # pixels, at most


def figure_curves(
    series: Sequence[Series],
    path: str | os.PathLike[str],
    title: str,
    x_label: str = "target steps",
    y_label: str = "return",
    references: Sequence[Reference] = (),
    log: bool = False,
) -> None:
    """Writes learning curves with their bands. With `log`, the x axis is log(1 + x)."""
    write(pathlib.Path(path), _figure(series, title, x_label, y_label, references, log).encode())


def figure_sweep(
    series: Sequence[Series],
    path: str | os.PathLike[str],
    title: str,
    x_label: str,
    y_label: str = "return",
    references: Sequence[Reference] = (),
) -> None:
    """Writes returns over a swept parameter, one line with its band for each policy, as in figure 1 of 1610.01283."""
    write(pathlib.Path(path), _figure(series, title, x_label, y_label, references, log=False).encode())


def figure_study(study: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes a study's learning curves over target steps. `study` is the content of its study.json."""
    data = parse_study(dict(study))
    curves = [row_series(row, "steps")._replace(tooltips=None) for row in data.compared_rows if row.curve is not None]
    references = [Reference(name, value.iqm) for name, value in data.references.items()]
    figure_curves(curves, path, f"{data.source} → {data.target}", references=references)


def _figure(
    series: Sequence[Series],
    title: str,
    x_label: str,
    y_label: str,
    references: Sequence[Reference],
    log: bool,
    theme: Theme = PAPER,
) -> Markup:
    """Returns an SVG file: background, title, legend and chart."""
    names = [curve.name for curve in series]
    styles = assign_styles(names, theme)
    legend, top = _legend(names, styles, theme)
    chart = line_chart(series, references, styles, WIDTH - 2 * PADDING, HEIGHT, x_label, y_label, log, theme)
    height = top + HEIGHT + PADDING
    border = {"fill": theme.background, "stroke": theme.grid, "rx": "10"}
    background = element("rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, **border)
    font = {"font_family": FONT, "font_size": "16", "font_weight": "600", "fill": theme.text}
    heading = element("text", title, x=PADDING, y=34.0, **font)
    placed = element("g", chart, transform=f"translate({PADDING:g} {top:g})")
    parts = [element("title", title), background, heading, legend, placed]
    box = {"viewBox": f"0 0 {WIDTH:g} {height:g}", "width": WIDTH, "height": height, "role": "img"}
    return element("svg", parts, xmlns="http://www.w3.org/2000/svg", **box)


def _legend(names: Sequence[str], styles: dict[str, Style], theme: Theme) -> tuple[Markup, float]:
    """Returns the legend below the title, wrapped to the width, and its lower edge in pixels."""
    x, y, parts = PADDING, 60.0, []
    for name in names:
        width = 34.0 + LETTER_WIDTH * len(name) + 18.0
        if x > PADDING and x + width > WIDTH - PADDING:
            x, y = PADDING, y + 22.0
        parts.append(element("g", legend_key(styles[name]), transform=f"translate({x:g} {y - 4:g})"))
        parts.append(element("text", name, x=x + 32.0, y=y, font_family=FONT, font_size="13", fill=theme.text))
        x += width
    return element("g", parts), y + 12.0
