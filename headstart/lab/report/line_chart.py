"""Line figures as SVG: bands, lines, markers and reference lines over two axes. The report and the plots share it."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from headstart.lab.formats import compact
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.styles import FONT, PAGE, SHAPES, Style, Theme


class Series(NamedTuple):
    """A line with its band. Values that are no numbers are skipped; a single point becomes a level line."""

    name: str
    x: np.ndarray  # [point]
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tooltips: Sequence[str] | None = None  # what a reader is told at each point


class Reference(NamedTuple):
    """A level to compare with, drawn as a labelled dashed line."""

    label: str
    value: float


class Scale(NamedTuple):
    """An axis: from numbers to pixels. `log` is of 1 + x, so that 0 has a place."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, x: float) -> float:
        """Returns the pixel of a number."""
        return float(self.all(np.array([x]))[0])

    def all(self, x: np.ndarray) -> np.ndarray:
        """Returns the pixels of numbers."""
        low, high, *values = np.log1p([self.low, self.high, *x]) if self.log else [self.low, self.high, *x]
        return self.start + (np.array(values, float) - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Returns round numbers within, at most about so many."""
        if self.log:
            powers = [0.0] + [10.0**k for k in range(13) if 10.0**k <= self.high * 1.001]
            return powers if len(powers) <= most + 1 else [0.0, *powers[1 :: math.ceil(len(powers) / most)]]
        rough = (self.high - self.low) / most
        base = 10.0 ** math.floor(math.log10(rough))
        gap = base * next(m for m in (1, 2, 2.5, 5, 10) if m * base >= rough * 0.999)
        first, last = math.ceil(self.low / gap - 1e-9), math.floor(self.high / gap + 1e-9)
        return [round(i * gap, 10) for i in range(first, last + 1)]


def line_chart(
    series: Sequence[Series],
    references: Sequence[Reference],
    looks: dict[str, Style],
    width: float,
    height: float,
    x_label: str,
    y_label: str,
    log: bool = False,
    theme: Theme = PAGE,
) -> Markup:
    """Returns the figure's parts, without the `svg` around them: axes, references, bands, lines, markers."""
    x, y = scales(series, references, width, height, log)
    parts = [axes(x, y, x_label, y_label, theme)]
    bands = [band(one, looks[one.name], x, y) for one in series]
    lines = [line(one, looks[one.name], x, y) for one in series]
    return element("g", parts, bands, references_at(references, series, x, y, theme), lines)


def scales(
    series: Sequence[Series], references: Sequence[Reference], width: float, height: float, log: bool
) -> tuple[Scale, Scale]:
    """Returns axes that hold all that is drawn, with room for the labels outside."""
    xs = _finite(one.x for one in series)
    ys = _finite([*(v for one in series for v in (one.y, one.low, one.high)), [r.value for r in references]])
    left, right = (xs.min(), xs.max()) if xs.size else (0.0, 1.0)
    low, high = (ys.min(), ys.max()) if ys.size else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    if right <= left:
        right = left + 1.0
    y = Scale(low - room, high + room, height - 46.0, 26.0)
    margin = 14.0 + 6.6 * max(len(compact(t)) for t in y.ticks(_rows(height)))
    return Scale(left, right, margin, width - 16.0, log), y


def axes(x: Scale, y: Scale, x_label: str, y_label: str, theme: Theme) -> Markup:
    """Returns grid lines, ticks and the names of both axes: the upright one's above its ticks, where it can be read."""
    words = {"font_family": FONT, "font_size": "12", "fill": theme.soft}
    parts = []
    for t in y.ticks(_rows(y.start + 46.0)):
        at = y(t)
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, stroke=theme.grid, stroke_width="1"))
        parts.append(element("text", compact(t), x=x.start - 8.0, y=at + 4.0, text_anchor="end", **words))
    for t in x.ticks(7 if x.end > 420 else 4):
        at, base = x(t), y.start
        parts.append(element("line", x1=at, x2=at, y1=base, y2=base + 5.0, stroke=theme.soft, stroke_width="1"))
        parts.append(element("text", compact(t), x=at, y=base + 19.0, text_anchor="middle", **words))
    parts.append(element("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, stroke=theme.soft, stroke_width="1"))
    parts.append(element("text", x_label, x=(x.start + x.end) / 2, y=y.start + 38.0, text_anchor="middle", **words))
    parts.append(element("text", y_label, x=2.0, y=14.0, **words))
    return element("g", parts)


def band(one: Series, look: Style, x: Scale, y: Scale) -> Markup | None:
    """Returns the area between low and high; nothing where it has no height."""
    xs, low, high = _level(one.x, x), _level(one.low), _level(one.high)
    good = np.isfinite(xs + low + high)
    if good.sum() < 2 or np.all(high[good] == low[good]):
        return None
    there, back = (np.stack([x.all(xs[good]), y.all(edge[good])], axis=1) for edge in (high, low))
    path = _path(np.concatenate([there, back[::-1]])) + "Z"
    return element("path", d=path, fill=look.colour, fill_opacity="0.13", data_series=one.name)


def line(one: Series, look: Style, x: Scale, y: Scale) -> Markup:
    """Returns the line and its markers; a marker carries what a reader is told when he points at it."""
    xs, ys = _level(one.x, x), _level(one.y)
    good = np.isfinite(xs + ys)
    points = np.stack([x.all(xs[good]), y.all(ys[good])], axis=1)
    style = {"stroke_width": "2", "stroke_linejoin": "round", "stroke_dasharray": look.dash}
    parts = [element("path", d=_path(points), fill="none", stroke=look.colour, **style)] if len(points) > 1 else []
    for i in np.flatnonzero(good) if one.x.size > 1 else ():
        at = f"translate({x(one.x[i]):.1f} {y(one.y[i]):.1f}) scale(.9)"
        tip = one.tooltips[int(i)] if one.tooltips else None
        parts.append(element("path", d=SHAPES[look.shape], transform=at, fill=look.colour, data_tip=tip))
    return element("g", parts, data_series=one.name)


def references_at(
    references: Sequence[Reference], series: Sequence[Series], x: Scale, y: Scale, theme: Theme
) -> list[Markup]:
    """Returns dashed lines, each labelled at that end of it which the curves leave free."""
    parts = []
    words = {"font_family": FONT, "font_size": "12", "fill": theme.soft, "paint_order": "stroke"}
    halo = {"stroke": theme.paper, "stroke_width": "4", "stroke_linejoin": "round"}
    for one in references:
        at = y(one.value)
        free = [_clearance(series, x, y, at - 9.0, side) for side in (0, 1)]
        left = free[0] > free[1]
        where = {"x": x.start + 6.0 if left else x.end - 4.0, "text_anchor": "start" if left else "end"}
        rule = {"stroke": theme.soft, "stroke_width": "1.2", "stroke_dasharray": "5 4"}
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, **rule))
        parts.append(element("text", one.label, y=at - 6.0, **where, **words, **halo))
    return parts


def _clearance(series: Sequence[Series], x: Scale, y: Scale, at: float, side: int) -> float:
    """Returns how many pixels the nearest line is away from a label's height, in the left (0) or right (1) third."""
    edge = np.linspace(x.start, x.start + (x.end - x.start) / 3.0, 12)
    edge = edge if side == 0 else x.end + x.start - edge
    gaps = [math.inf]
    for one in series:
        xs, ys = _level(one.x, x), _level(one.y)
        good = np.isfinite(xs + ys)
        if good.any():
            gaps.append(float(np.abs(np.interp(edge, x.all(xs[good]), y.all(ys[good])) - at).min()))
    return min(gaps)


def _level(values: np.ndarray, over: Scale | None = None) -> np.ndarray:
    """Returns the values; a single one twice, at (where it is an x) both ends of the axis."""
    if values.size != 1:
        return values
    return np.repeat(values, 2) if over is None else np.array([over.low, over.high])


def _rows(height: float) -> int:
    return max(3, round((height - 72.0) / 44.0))


def _path(points: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def _finite(arrays: Iterable[Sequence[float] | np.ndarray]) -> np.ndarray:
    x = np.concatenate([np.zeros(0), *(np.asarray(one, float) for one in arrays)])
    return x[np.isfinite(x)]
