"""How many times as fast: a bar for each row and peer, the repetitions' range on it, and the goal as a mark."""

import math
import pathlib
from collections.abc import Mapping

from headstart.lab.checkpoint.files import write
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.styles import FONT, PAPER

WIDTH, LEFT, RIGHT, TOP, LINE = 720.0, 250.0, 90.0, 64.0, 30.0  # pixels


def figure_bars(records: Mapping[str, dict], path: pathlib.Path, title: str) -> None:
    """Writes the figure; `records` are of `table.summarise`."""
    bars = [
        (f"{name}: {peer}", summary) for name, row in records.items() for peer, summary in row["times_as_fast"].items()
    ]
    tops = [x for _, summary in bars for x in (summary["max"], summary["goal"] or 0.0)]
    most = max(tops, default=1.0)
    to_x = lambda x: LEFT + (WIDTH - LEFT - RIGHT) * math.log1p(x) / math.log1p(most)
    height = TOP + LINE * max(len(bars), 1) + 24.0
    card = element(
        "rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx="10", fill=PAPER.background, stroke=PAPER.grid
    )
    head = element("text", title, x=20.0, y=34.0, font_family=FONT, font_size="16", font_weight="600", fill=PAPER.text)
    lines = [_bar(label, summary, TOP + i * LINE, to_x) for i, (label, summary) in enumerate(bars)]
    even = {"x1": to_x(1.0), "x2": to_x(1.0), "y1": TOP - 8, "y2": height - 20, "stroke": PAPER.muted}
    about = element("title", title)
    box = {"viewBox": f"0 0 {WIDTH:g} {height:g}", "width": WIDTH, "height": height, "role": "img"}
    alike = element("line", **even, stroke_dasharray="3 3")
    svg = element("svg", [about, card, head, alike, lines], xmlns="http://www.w3.org/2000/svg", **box)
    write(path, svg.encode())


def _bar(label: str, summary: Mapping, y: float, to_x) -> Markup:
    """Returns one bar from 0, its range, its goal and its number."""
    words = {"font_family": FONT, "font_size": "13"}
    middle, end = y + LINE / 2 - 4, to_x(summary["median"])
    name = element("text", label, x=LEFT - 10, y=middle + 4, text_anchor="end", fill=PAPER.text, **words)
    bar = element("rect", x=LEFT, y=y + 2, width=end - LEFT, height=LINE - 12, fill=PAPER.series[0])
    low, high = to_x(summary["min"]), to_x(summary["max"])
    span = element("line", x1=low, x2=high, y1=middle, y2=middle, stroke=PAPER.text, stroke_width="2")
    beyond = max(end, high, to_x(summary["goal"] or 0.0)) + 8
    number = element("text", f"{summary['median']:.1f} x", x=beyond, y=middle + 4, fill=PAPER.text, **words)
    if summary["goal"] is None:
        return element("g", name, bar, span, number)
    goal_x, colour = to_x(summary["goal"]), PAPER.series[2] if summary["met"] else PAPER.series[1]
    mark = element("line", x1=goal_x, x2=goal_x, y1=y - 1, y2=y + LINE - 7, stroke=colour, stroke_width="3")
    return element("g", name, bar, span, mark, number)
