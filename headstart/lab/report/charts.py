"""The charts of the report: learning curves over steps and over episodes, and the metrics as forest plots."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from headstart.lab import formats
from headstart.lab.report.line_chart import Reference, Scale, Series, line_chart
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import Row, StudyData
from headstart.lab.report.styles import FONT, MARKERS, PAGE, Style, Theme, assign_styles, legend_key
from headstart.protocol.statistics import Interval

METRICS = {
    "jumpstart": ("Jumpstart", "return before the first target step, minus scratch's"),
    "total": ("Average return", "area under the curve, divided by the budget"),
    "asymptote": ("Final return", "return at the end of the target budget"),
    "transfer_ratio": ("Transfer ratio", "average return above random, divided by scratch's"),
    "time_to_threshold": ("Time to threshold", "target steps until the threshold; fewer is better"),
    "difference": ("Difference from the control", "mean paired difference in average return, which the verdict tests"),
}
SIZES = {"wide": (540.0, 380.0), "narrow": (342.0, 310.0)}  # pixels; CSS shows the one that fits the screen
FOREST_WIDTH, FOREST_ROW = 352.0, 30.0  # pixels: width of a forest plot, height of one of its rows
MAX_LABEL = 12  # letters of a row's name in a forest plot


class Panel(NamedTuple):
    """A panel of learning curves."""

    title: str
    charts: list[Markup]  # one for each of SIZES


class ForestPlot(NamedTuple):
    """A metric of all rows."""

    title: str
    definition: str
    chart: Markup
    notes: list[str]  # why numbers are undefined, and how many seeds never reached the threshold


def learning_curves(study: StudyData, styles: dict[str, Style]) -> list[Panel]:
    """Returns two panels: return over target steps, and over target episodes. Without a curve there is no panel."""
    rows = [row for row in study.compared_rows if row.curve is not None]
    if not rows:
        return []
    return [
        _panel("Return over target steps", rows, study, styles, "steps", "target steps", False),
        _panel("Return over target episodes", rows, study, styles, "episodes", "target episodes, log scale", True),
    ]


def row_styles(study: StudyData, theme: Theme) -> dict[str, Style]:
    """Returns the style of each row of a study."""
    scratch_rows = {row.name for row in study.compared_rows if row.role == "scratch"}
    return assign_styles([row.name for row in study.compared_rows], theme, scratch_rows)


def swatch(style: Style) -> Markup:
    """Returns the legend key of a row for use in a line of text."""
    box = {"viewBox": "0 -8 26 16", "width": "26", "height": "16"}
    return element("svg", legend_key(style), class_="swatch", aria_hidden="true", **box)


def row_series(row: Row, x_axis: str) -> Series:
    """Returns the curve of a row over its target `steps` or `episodes`."""
    assert row.curve is not None
    points = row.curve
    tooltips = []
    for i in range(points.iqm.size):
        value = Interval(points.iqm[i], points.low[i], points.high[i])
        at = f"{formats.count(points.steps[i])} steps, {formats.number(points.episodes[i])} episodes"
        tooltips.append(f"{row.name}\n{at}\n{formats.statistic(value)} {formats.bounds(value)}")
    x = points.steps if x_axis == "steps" else points.episodes
    return Series(row.name, x, points.iqm, points.low, points.high, tooltips)


def forest_plots(study: StudyData, styles: dict[str, Style]) -> list[ForestPlot]:
    """Returns a plot for each metric, with the interval of each row and a line at scratch's value or zero."""
    return [plot for name in METRICS if (plot := _forest_plot(name, study, styles)) is not None]


def _panel(
    title: str, rows: Sequence[Row], study: StudyData, styles: dict[str, Style], x_axis: str, x_label: str, log: bool
) -> Panel:
    series = [row_series(row, x_axis) for row in rows]
    references = [
        Reference(f"{name} {formats.statistic(value)}", value.iqm) for name, value in study.references.items()
    ]
    label = f"{title}: IQM and 95 % interval of {', '.join(row.name for row in rows)}."
    charts = []
    for size, (width, height) in SIZES.items():
        chart = line_chart(series, references, styles, width, height, x_label, "return", log)
        box = {"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria_label": label}
        charts.append(element("svg", chart, class_=f"chart {size}", **box))
    return Panel(title, charts)


def _forest_plot(metric: str, study: StudyData, styles: dict[str, Style]) -> ForestPlot | None:
    title, definition = METRICS[metric]
    rows = study.rows_with_control if metric == "difference" else study.compared_rows
    if metric == "jumpstart":
        rows = [row for row in rows if not study.is_scratch(row.name)]
    values = {row.name: row.difference if metric == "difference" else row.metrics.get(metric) for row in rows}
    known = [value for value in values.values() if value is not None]
    if not known:
        return None
    is_difference = metric in ("difference", "jumpstart")
    scratch = values.get("scratch")
    level = 0.0 if is_difference else scratch.iqm if scratch is not None else None
    scale = _forest_scale(known, level)
    height = 22.0 + FOREST_ROW * len(rows) + 22.0
    parts = [_ticks(scale, height), _reference_line(level, "0" if is_difference else "scratch", scale, height)]
    for i, row in enumerate(rows):
        middle = 22.0 + FOREST_ROW * (i + 0.5)
        parts.append(_forest_row(row, values[row.name], metric, styles[row.name], scale, middle))
    numbers = "; ".join(f"{name}: {formats.statistic(v)} {formats.bounds(v)}" for name, v in values.items())
    box = {"viewBox": f"0 0 {FOREST_WIDTH:g} {height:g}", "role": "img", "aria_label": f"{title}. {numbers}"}
    return ForestPlot(title, definition, element("svg", parts, class_="chart", **box), _notes(metric, rows))


def _notes(metric: str, rows: Sequence[Row]) -> list[str]:
    names: dict[str, list[str]] = {}
    for row in rows:
        if note := row.notes.get(metric):
            names.setdefault(note, []).append(row.name)
    return [f"{', '.join(same)}: {note}." for note, same in names.items()]


def _forest_scale(values: Sequence[Interval], level: float | None) -> Scale:
    ends = [x for value in values for x in value[:3] if math.isfinite(x)] + ([] if level is None else [level])
    low, high = min(ends), max(ends)
    padding = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Scale(low - padding, high + padding, 92.0, FOREST_WIDTH - 130.0)


def _ticks(scale: Scale, height: float) -> list[Markup]:
    font = {"font_family": FONT, "font_size": "11", "fill": PAGE.muted, "text_anchor": "middle"}
    base = height - 20.0
    axis = element("line", x1=scale.start, x2=scale.end, y1=base, y2=base, stroke=PAGE.grid)
    ticks = [element("text", formats.compact(tick), x=scale(tick), y=base + 15.0, **font) for tick in scale.ticks(3)]
    return [axis, *ticks]


def _reference_line(level: float | None, label: str, scale: Scale, height: float) -> Markup | None:
    if level is None:
        return None
    at = scale(level)
    font = {"font_family": FONT, "font_size": "11", "fill": PAGE.muted, "text_anchor": "middle"}
    stroke = {"stroke": PAGE.muted, "stroke_width": "1.2", "stroke_dasharray": "4 3"}
    line = element("line", x1=at, x2=at, y1=16.0, y2=height - 20.0, **stroke)
    return element("g", line, element("text", label, x=at, y=11.0, **font))


def _forest_row(row: Row, value: Interval | None, metric: str, style: Style, scale: Scale, y: float) -> Markup:
    """Returns a row of a forest plot: its name, the interval with a marker at the IQM, and both as numbers."""
    font = {"font_family": FONT, "font_size": "12", "y": y + 4.0}
    label = row.name if len(row.name) <= MAX_LABEL else row.name[: MAX_LABEL - 1] + "…"
    parts = [element("text", element("title", row.name), label, x="0", fill=PAGE.text, **font)]
    note = row.notes.get(metric, "")
    at = FOREST_WIDTH - 124.0
    if value is None:
        missing = "never" if "reached" in note else "undefined" if note else formats.UNKNOWN
        parts.append(element("text", element("title", note), missing, x=at, fill=PAGE.muted, **font))
        return element("g", parts)
    low, middle, high = (scale(x) for x in (value.low, value.iqm, value.high))
    transform = f"translate({middle:.1f} {y:.1f}) scale(1.25)"
    parts.append(element("line", x1=low, x2=high, y1=y, y2=y, stroke=style.color, stroke_width="2.2"))
    parts.append(element("path", d=MARKERS[style.marker], transform=transform, fill=style.color))
    number = f"{formats.statistic(value)} {formats.bounds(value)}"
    number = _compact(value) if metric == "time_to_threshold" else number
    parts.append(element("text", element("title", note), number, x=at, fill=PAGE.text, **font))
    return element("g", parts, data_tip=f"{row.name}\n{number}" + (f"\n{note}" if note else ""))


def _compact(value: Interval) -> str:
    step = formats.interval_step(value)
    low, middle, high = (formats.compact(round(x / step) * step) for x in (value.low, value.iqm, value.high))
    return f"{middle} [{low}, {high}]"
