"""The report's figures: learning curves against steps and against episodes, and the metrics as forest plots."""

import math
from collections.abc import Mapping, Sequence

from headstart.lab import formats
from headstart.lab.report.line_chart import Reference, Scale, Series, line_chart
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import Row, StudyData
from headstart.lab.report.styles import FONT, PAGE, SHAPES, Style, Theme, legend_key, styles
from headstart.protocol.statistics import Interval

METRICS = {
    "jumpstart": ("Jumpstart", "return before the first target step, above scratch's"),
    "total": ("Averaged return", "the area under the curve, divided by the budget"),
    "asymptote": ("Final return", "at the end of the target budget"),
    "transfer_ratio": ("Transfer ratio", "gain over random, in multiples of scratch's"),
    "time_to_threshold": ("Time to threshold", "target steps until the threshold; fewer is better"),
    "difference": ("Difference from the control", "mean of averaged return, paired by seed; gives the verdict"),
}
SIZES = {"wide": (540.0, 380.0), "narrow": (342.0, 310.0)}
FOREST, ROW = 352.0, 30.0  # pixels: a panel's width, and what each of its rows takes


def learning_curves(study: StudyData, looks: dict[str, Style]) -> Markup:
    """Returns both panels, each in two sizes of which the page shows the one that fits, and the legend."""
    rows = [row for row in study.compared_rows if row.curve is not None]
    if not rows:
        return element("p", "No method has a curve yet.", class_="empty")
    panels = [
        _panel("Against target steps", rows, study, looks, "steps", "target steps", False),
        _panel("Against target episodes", rows, study, looks, "episodes", "target episodes, log scale", True),
    ]
    buttons = [
        element("button", swatch(looks[row.name]), row.name, type="button", aria_pressed="true", data_toggle=row.name)
        for row in rows
    ]
    legend = element("div", buttons, class_="legend", role="group", aria_label="Show or hide methods")
    return element("div", legend, element("div", panels, class_="panels"))


def row_styles(study: StudyData, theme: Theme) -> dict[str, Style]:
    """Returns the style of each row of a study."""
    return styles(
        [row.name for row in study.compared_rows],
        theme,
        {row.name for row in study.compared_rows if row.role == "scratch"},
    )


def swatch(look: Style) -> Markup:
    """Returns the key of a method, to stand in a line of text."""
    return element(
        "svg", legend_key(look), class_="swatch", viewBox="0 -8 26 16", width="26", height="16", aria_hidden="true"
    )


def _panel(
    title: str, rows: Sequence[Row], study: StudyData, looks: dict[str, Style], over: str, label: str, log: bool
) -> Markup:
    series = [series_of(row, over) for row in rows]
    levels = [Reference(f"{name} {formats.statistic(value)}", value.iqm) for name, value in study.references.items()]
    words = f"{title}: IQM of the return of {', '.join(row.name for row in rows)}, with 95 % intervals."
    drawn = []
    for size, (width, height) in SIZES.items():
        parts = line_chart(series, levels, looks, width, height, label, "return", log)
        box = {"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria_label": words}
        drawn.append(element("svg", parts, class_=f"chart {size}", **box))
    return element("figure", element("figcaption", title), drawn)


def series_of(row: Row, over: str) -> Series:
    """Returns a method's curve over its target `steps` or `episodes`."""
    assert row.curve is not None
    points = row.curve
    tips = []
    for i in range(points.iqm.size):
        told = Interval(points.iqm[i], points.low[i], points.high[i])
        spent = f"{formats.count(points.steps[i])} steps, {formats.number(points.episodes[i])} episodes"
        tips.append(f"{row.name}\n{spent}\n{formats.statistic(told)} {formats.bounds(told)}")
    x = points.steps if over == "steps" else points.episodes
    return Series(row.name, x, points.iqm, points.low, points.high, tips)


def forest(study: StudyData, looks: dict[str, Style]) -> Markup:
    """Returns one panel a metric: each method's interval, and scratch's value (or zero) as the line to compare with."""
    panels = [panel for name in METRICS if (panel := _forest_panel(name, study, looks)) is not None]
    return element("div", panels, class_="forest") if panels else element("p", "No metric can be told.", class_="empty")


def _forest_panel(name: str, study: StudyData, looks: dict[str, Style]) -> Markup | None:
    title, about = METRICS[name]
    told = {row.name: _metric(row, name) for row in study.compared_rows}
    if name == "difference":
        told = {row.name: told[row.name] for row in study.rows_with_control}
    if name == "jumpstart":
        told = {row: value for row, value in told.items() if not study.is_scratch(row)}
    known = [value for value in told.values() if value is not None]
    if not known:
        return None
    zero = 0.0 if name in ("difference", "jumpstart") else None
    base = told.get("scratch")
    level = zero if zero is not None else base.iqm if base is not None else None
    scale = _scale(known, level)
    height = 22.0 + ROW * len(told) + 22.0
    parts = [_ticks(scale, height), _level(level, "0" if zero is not None else "scratch", scale, height)]
    for i, row in enumerate(row for row in study.compared_rows if row.name in told):
        parts.append(_whisker(row, told[row.name], name, looks[row.name], scale, 22.0 + ROW * (i + 0.5)))
    words = "; ".join(f"{n}: {formats.statistic(v)} {formats.bounds(v)}" for n, v in told.items())
    box = {"viewBox": f"0 0 {FOREST:g} {height:g}", "role": "img", "aria_label": f"{title}. {words}"}
    heading = element("figcaption", title, element("small", about))
    return element("figure", heading, element("svg", parts, class_="chart", **box), _notes(name, told, study))


def _notes(name: str, told: Mapping[str, Interval | None], study: StudyData) -> Markup | None:
    """Returns what the numbers do not say: why some cannot be told, and how many seeds never arrived."""
    found: dict[str, list[str]] = {}
    for row in study.compared_rows:
        if row.name in told and (note := row.notes.get(name)):
            found.setdefault(note, []).append(row.name)
    lines = [element("p", f"{', '.join(names)}: {note}.", class_="about") for note, names in found.items()]
    return element("div", lines) if lines else None


def _metric(row: Row, name: str) -> Interval | None:
    return row.difference if name == "difference" else row.metrics.get(name)


def _scale(known: Sequence[Interval], level: float | None) -> Scale:
    ends = [x for one in known for x in one[:3] if math.isfinite(x)] + ([] if level is None else [level])
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Scale(low - room, high + room, 92.0, FOREST - 130.0)


def _ticks(scale: Scale, height: float) -> list[Markup]:
    words = {"font_family": FONT, "font_size": "11", "fill": PAGE.soft, "text_anchor": "middle"}
    shown = scale.ticks(3)
    base = height - 20.0
    rule = element("line", x1=scale.start, x2=scale.end, y1=base, y2=base, stroke=PAGE.grid)
    return [rule, *(element("text", formats.compact(t), x=scale(t), y=base + 15.0, **words) for t in shown)]


def _level(level: float | None, label: str, scale: Scale, height: float) -> Markup | None:
    if level is None:
        return None
    at = scale(level)
    words = {"font_family": FONT, "font_size": "11", "fill": PAGE.soft, "text_anchor": "middle"}
    rule = {"stroke": PAGE.soft, "stroke_width": "1.2", "stroke_dasharray": "4 3"}
    line = element("line", x1=at, x2=at, y1=16.0, y2=height - 20.0, **rule)
    return element("g", line, element("text", label, x=at, y=11.0, **words))


def _whisker(row: Row, value: Interval | None, metric: str, look: Style, scale: Scale, y: float) -> Markup:
    words = {"font_family": FONT, "font_size": "12", "y": y + 4.0}
    label = row.name if len(row.name) <= 12 else row.name[:11] + "…"
    parts = [element("text", element("title", row.name), label, x="0", fill=PAGE.ink, **words)]
    note = row.notes.get(metric, "")
    if value is None:
        told = "never" if "reached" in note else "cannot be told" if note else formats.UNKNOWN
        parts.append(element("text", element("title", note), told, x=FOREST - 124.0, fill=PAGE.soft, **words))
        return element("g", parts)
    low, mid, high = (scale(x) for x in (value.low, value.iqm, value.high))
    parts.append(element("line", x1=low, x2=high, y1=y, y2=y, stroke=look.colour, stroke_width="2.2"))
    parts.append(
        element("path", d=SHAPES[look.shape], transform=f"translate({mid:.1f} {y:.1f}) scale(1.25)", fill=look.colour)
    )
    shown = _compact(value) if metric == "time_to_threshold" else f"{formats.statistic(value)} {formats.bounds(value)}"
    parts.append(element("text", element("title", note), shown, x=FOREST - 124.0, fill=PAGE.ink, **words))
    return element("g", parts, data_tip=f"{row.name}\n{shown}" + (f"\n{note}" if note else ""))


def _compact(value: Interval) -> str:
    grain = formats.interval_step(value)
    low, mid, high = (formats.compact(round(x / grain) * grain) for x in (value.low, value.iqm, value.high))
    return f"{mid} [{low}, {high}]"
