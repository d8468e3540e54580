"""How figures look: the colours of a page and of a file, and which shape, dash and colour a method has."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from headstart.lab.report.markup import Markup, element

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SHAPES = {
    "circle": "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z",
    "square": "M-3-3h6v6h-6z",
    "triangle": "M0-4l3.9 6.8h-7.8z",
    "diamond": "M0-4.3l4.3 4.3-4.3 4.3-4.3-4.3z",
    "down": "M0 4l3.9-6.8h-7.8z",
    "cross": "M-3.6-1.3h2.3v-2.3h2.6v2.3h2.3v2.6h-2.3v2.3h-2.6v-2.3h-2.3z",
}


DOTS = "2 3"  # of a policy that is only run: a level line without markers


class Theme(NamedTuple):
    """Colours: names of CSS variables where a page sets them, numbers where a file stands alone."""

    paper: str
    ink: str
    soft: str
    grid: str
    controls: tuple[str, str]
    series: tuple[str, ...]


# Hues after Okabe & Ito 2008 (apart for all common kinds of colour blindness), darkened to a contrast of 4 on white.
PAPER = Theme(
    paper="#ffffff",
    ink="#1d2430",
    soft="#59626f",
    grid="#e6e5e1",
    controls=("#3b4350", "#7a828e"),
    series=("#1768ac", "#c2480a", "#0a7d5c", "#9b3f98", "#8a6a00", "#b3254f"),
)
PAGE = Theme(
    *(f"var(--{name})" for name in ("card", "ink", "soft", "grid")),
    controls=("var(--scratch)", "var(--naive)"),
    series=tuple(f"var(--s{i})" for i in range(6)),
)


class Style(NamedTuple):
    """How a series looks. Shape and dashes tell it apart where its colour does not."""

    colour: str
    shape: str
    dash: str | None = None


def styles(names: Sequence[str], theme: Theme, scratches: Collection[str] = ()) -> dict[str, Style]:
    """Returns a style for each name: `scratch`, `naive` and the other `scratches` in grey, the rest in colours."""
    fixed = {"scratch": Style(theme.controls[0], "square"), "naive": Style(theme.controls[1], "circle", DOTS)}
    more = [name for name in names if name not in fixed and name in scratches]
    fixed |= {name: Style(theme.controls[0], "diamond", f"{7 - 3 * (i % 2)} 3") for i, name in enumerate(more)}
    shapes = ("circle", "triangle", "diamond", "down", "cross")
    others = [name for name in names if name not in fixed]
    looks = {name: Style(theme.series[i % 6], shapes[i % 5], None if i < 6 else "7 3") for i, name in enumerate(others)}
    return fixed | looks


def legend_key(look: Style) -> Markup:
    """Returns a short piece of the line with its marker, 26 pixels wide, around the height 0."""
    stroke = {"stroke": look.colour, "stroke_width": "2", "stroke_dasharray": look.dash}
    mark = element("path", d=SHAPES[look.shape], transform="translate(13 0)", fill=look.colour)
    return element("g", element("line", x1="0", x2="26", y1="0", y2="0", **stroke), None if look.dash == DOTS else mark)
