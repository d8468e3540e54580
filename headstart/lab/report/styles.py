"""Colors of a page and of an SVG file, and the marker, dash and color of each series."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from headstart.lab.report.markup import Markup, element

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MARKERS = {  # SVG paths around (0, 0), about 8 pixels wide
    "circle": "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z",
    "square": "M-3-3h6v6h-6z",
    "triangle": "M0-4l3.9 6.8h-7.8z",
    "diamond": "M0-4.3l4.3 4.3-4.3 4.3-4.3-4.3z",
    "down": "M0 4l3.9-6.8h-7.8z",
    "cross": "M-3.6-1.3h2.3v-2.3h2.6v2.3h2.3v2.6h-2.3v2.3h-2.6v-2.3h-2.3z",
}
DOTTED = "2 3"  # dash of a policy that never trains on the target: a level line without markers


class Theme(NamedTuple):
    """Colors: CSS variables for a page, which sets them; hex values for an SVG file."""

    background: str
    text: str
    muted: str
    grid: str
    controls: tuple[str, str]  # scratch, naive
    series: tuple[str, ...]


# Hues after Okabe & Ito 2008 (distinct for common color blindness), darkened to a contrast of 4 on white.
PAPER = Theme(
    background="#ffffff",
    text="#1d2430",
    muted="#59626f",
    grid="#e6e5e1",
    controls=("#3b4350", "#7a828e"),
    series=("#1768ac", "#c2480a", "#0a7d5c", "#9b3f98", "#8a6a00", "#b3254f"),
)
PAGE = Theme(
    *(f"var(--{name})" for name in ("card", "text", "muted", "grid")),
    controls=("var(--scratch)", "var(--naive)"),
    series=tuple(f"var(--s{i})" for i in range(6)),
)


class Style(NamedTuple):
    """The style of a series. Marker and dash distinguish series of the same color."""

    color: str
    marker: str
    dash: str | None = None


def assign_styles(names: Sequence[str], theme: Theme, scratch_rows: Collection[str] = ()) -> dict[str, Style]:
    """Returns a style for each name: gray for `scratch`, `naive` and other `scratch_rows`, colors for the rest."""
    styles = {"scratch": Style(theme.controls[0], "square"), "naive": Style(theme.controls[1], "circle", DOTTED)}
    other_scratch = [name for name in names if name not in styles and name in scratch_rows]
    styles |= {
        name: Style(theme.controls[0], "diamond", f"{7 - 3 * (i % 2)} 3") for i, name in enumerate(other_scratch)
    }
    markers = ("circle", "triangle", "diamond", "down", "cross")
    methods = [name for name in names if name not in styles]
    return styles | {
        name: Style(theme.series[i % 6], markers[i % 5], None if i < 6 else "7 3") for i, name in enumerate(methods)
    }


def legend_key(style: Style) -> Markup:
    """Returns a short piece of the line with its marker, 26 pixels wide, at height 0."""
    stroke = {"stroke": style.color, "stroke_width": "2", "stroke_dasharray": style.dash}
    line = element("line", x1="0", x2="26", y1="0", y2="0", **stroke)
    marker = element("path", d=MARKERS[style.marker], transform="translate(13 0)", fill=style.color)
    return element("g", line, None if style.dash == DOTTED else marker)
