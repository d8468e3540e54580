"""Line charts as SVG: bands, lines, markers and reference lines over two axes, for pages and for files."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from headstart.lab.formats import compact
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.styles import FONT, MARKERS, PAGE, Style, Theme


class Series(NamedTuple):
    """A line with its band. NaNs are skipped; a single point becomes a level line."""

    name: str
    x: np.ndarray  # [point]
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tooltips: Sequence[str] | None = None  # one for each point


class Reference(NamedTuple):
    """A level, drawn as a dashed line with a label."""

    label: str
    value: float


class Scale(NamedTuple):
    """An axis: maps numbers to pixels. With `log` it maps log(1 + x), which is defined at 0."""

    low: float
    high: float
    start: float  # pixel of `low`
    end: float  # pixel of `high`
    log: bool = False

    def __call__(self, x: float) -> float:
        """Returns the pixel of a number."""
        return float(self.all(np.array([x]))[0])

    def all(self, x: np.ndarray) -> np.ndarray:
        """Returns the pixels of numbers."""
        low, high, *values = np.log1p([self.low, self.high, *x]) if self.log else [self.low, self.high, *x]
        return self.start + (np.array(values, float) - low) / (high - low) * (self.end - self.start)

    def ticks(self, num_ticks: int) -> list[float]:
        """Returns round numbers between `low` and `high`, about `num_ticks` of them."""
        if self.log:
            powers = [0.0] + [10.0**k for k in range(13) if 10.0**k <= self.high * 1.001]
            return powers if len(powers) <= num_ticks + 1 else [0.0, *powers[1 :: math.ceil(len(powers) / num_ticks)]]
        exact = (self.high - self.low) / num_ticks
        base = 10.0 ** math.floor(math.log10(exact))
        step = base * next(m for m in (1, 2, 2.5, 5, 10) if m * base >= exact * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def line_chart(
    series: Sequence[Series],
    references: Sequence[Reference],
    styles: dict[str, Style],
    width: float,
    height: float,
    x_label: str,
    y_label: str,
    log: bool = False,
    theme: Theme = PAGE,
) -> Markup:
    """Returns the content of an `svg` element of that size: axes, bands, reference lines, lines, markers."""
    x, y = scales(series, references, width, height, log)
    bands = [_band(curve, styles[curve.name], x, y) for curve in series]
    lines = [_line(curve, styles[curve.name], x, y) for curve in series]
    return element(
        "g", _axes(x, y, x_label, y_label, theme), bands, _reference_lines(references, series, x, y, theme), lines
    )


def scales(
    series: Sequence[Series], references: Sequence[Reference], width: float, height: float, log: bool
) -> tuple[Scale, Scale]:
    """Returns axes that contain all series and references and leave room for their labels."""
    xs = _finite(curve.x for curve in series)
    ys = _finite([*(v for curve in series for v in (curve.y, curve.low, curve.high)), [r.value for r in references]])
    left, right = (xs.min(), xs.max()) if xs.size else (0.0, 1.0)
    low, high = (ys.min(), ys.max()) if ys.size else (0.0, 1.0)
    padding = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    if right <= left:
        right = left + 1.0
    y = Scale(low - padding, high + padding, height - 46.0, 26.0)
    margin = 14.0 + 6.6 * max(len(compact(t)) for t in y.ticks(_num_y_ticks(height)))
    return Scale(left, right, margin, width - 16.0, log), y


def _axes(x: Scale, y: Scale, x_label: str, y_label: str, theme: Theme) -> Markup:
    """Returns grid lines, ticks and axis labels. The label of the y axis is horizontal, above its ticks."""
    font = {"font_family": FONT, "font_size": "12", "fill": theme.muted}
    parts = []
    for tick in y.ticks(_num_y_ticks(y.start + 46.0)):
        at = y(tick)
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, stroke=theme.grid, stroke_width="1"))
        parts.append(element("text", compact(tick), x=x.start - 8.0, y=at + 4.0, text_anchor="end", **font))
    for tick in x.ticks(7 if x.end > 420 else 4):
        at, base = x(tick), y.start
        parts.append(element("line", x1=at, x2=at, y1=base, y2=base + 5.0, stroke=theme.muted, stroke_width="1"))
        parts.append(element("text", compact(tick), x=at, y=base + 19.0, text_anchor="middle", **font))
    parts.append(element("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, stroke=theme.muted, stroke_width="1"))
    parts.append(element("text", x_label, x=(x.start + x.end) / 2, y=y.start + 38.0, text_anchor="middle", **font))
    parts.append(element("text", y_label, x=2.0, y=14.0, **font))
    return element("g", parts)


def _band(curve: Series, style: Style, x: Scale, y: Scale) -> Markup | None:
    """Returns the area between `low` and `high`; None if it has no height."""
    xs, low, high = _extend(curve.x, x), _extend(curve.low), _extend(curve.high)
    finite = np.isfinite(xs + low + high)
    if finite.sum() < 2 or np.all(high[finite] == low[finite]):
        return None
    upper, lower = (np.stack([x.all(xs[finite]), y.all(edge[finite])], axis=1) for edge in (high, low))
    path = _path(np.concatenate([upper, lower[::-1]])) + "Z"
    return element("path", d=path, fill=style.color, fill_opacity="0.13", data_series=curve.name)


def _line(curve: Series, style: Style, x: Scale, y: Scale) -> Markup:
    """Returns the line and its markers. Each marker carries its tooltip."""
    xs, ys = _extend(curve.x, x), _extend(curve.y)
    finite = np.isfinite(xs + ys)
    points = np.stack([x.all(xs[finite]), y.all(ys[finite])], axis=1)
    stroke = {"stroke_width": "2", "stroke_linejoin": "round", "stroke_dasharray": style.dash}
    parts = [element("path", d=_path(points), fill="none", stroke=style.color, **stroke)] if len(points) > 1 else []
    for i in np.flatnonzero(finite) if curve.x.size > 1 else ():
        at = f"translate({x(curve.x[i]):.1f} {y(curve.y[i]):.1f}) scale(.9)"
        tooltip = curve.tooltips[int(i)] if curve.tooltips else None
        parts.append(element("path", d=MARKERS[style.marker], transform=at, fill=style.color, data_tip=tooltip))
    return element("g", parts, data_series=curve.name)


def _reference_lines(
    references: Sequence[Reference], series: Sequence[Series], x: Scale, y: Scale, theme: Theme
) -> list[Markup]:
    """Returns dashed lines. Each has its label at the end where the curves are farther away."""
    parts = []
    font = {"font_family": FONT, "font_size": "12", "fill": theme.muted, "paint_order": "stroke"}
    halo = {"stroke": theme.background, "stroke_width": "4", "stroke_linejoin": "round"}
    for reference in references:
        at = y(reference.value)
        left, right = (_clearance(series, x, y, at - 9.0, side) for side in (0, 1))
        place = (
            {"x": x.start + 6.0, "text_anchor": "start"} if left > right else {"x": x.end - 4.0, "text_anchor": "end"}
        )
        stroke = {"stroke": theme.muted, "stroke_width": "1.2", "stroke_dasharray": "5 4"}
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, **stroke))
        parts.append(element("text", reference.label, y=at - 6.0, **place, **font, **halo))
    return parts


def _clearance(series: Sequence[Series], x: Scale, y: Scale, height: float, side: int) -> float:
    """Returns the distance in pixels of the nearest curve from a height, in the left (0) or right (1) third."""
    third = np.linspace(x.start, x.start + (x.end - x.start) / 3.0, 12)
    third = third if side == 0 else x.end + x.start - third
    distances = [math.inf]
    for curve in series:
        xs, ys = _extend(curve.x, x), _extend(curve.y)
        finite = np.isfinite(xs + ys)
        if finite.any():
            curve_height = np.interp(third, x.all(xs[finite]), y.all(ys[finite]))
            distances.append(float(np.abs(curve_height - height).min()))
    return min(distances)


def _extend(values: np.ndarray, x: Scale | None = None) -> np.ndarray:
    """Returns the values. A single value is repeated; with `x`, it becomes both ends of that axis."""
    if values.size != 1:
        return values
    return np.repeat(values, 2) if x is None else np.array([x.low, x.high])


def _num_y_ticks(height: float) -> int:
    return max(3, round((height - 72.0) / 44.0))


def _path(points: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def _finite(arrays: Iterable[Sequence[float] | np.ndarray]) -> np.ndarray:
    x = np.concatenate([np.zeros(0), *(np.asarray(values, float) for values in arrays)])
    return x[np.isfinite(x)]
