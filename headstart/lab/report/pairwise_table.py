"""The table of differences between all rows, and the sentence on which row is best."""

from typing import Any

from headstart.lab import formats
from headstart.lab.report import html_tables as tables
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import StudyData, get_dict, to_interval
from headstart.lab.report.styles import Style
from headstart.lab.report.summary import best_row_sentence

SIGNS = {"positive": ("▲", "significantly above"), "negative": ("▼", "significantly below")}
LEAD = (
    "Difference in average return: row minus column, as the mean over pairs of equal seeds, with the interval at its "
    "level in Holm's method over all pairs. ▲: significantly above. ▼: significantly below. No sign: not "
    "significant, or a seed failed."
)


def pairwise_table(study: StudyData, styles: dict[str, Style]) -> list[Markup]:
    """Returns the sentence and the table; an empty list for fewer than three rows."""
    pairs = get_dict(study.raw, "pairs")
    rows = [str(name) for name in pairs.get("rows") or []]
    if len(rows) < 3:  # the verdict covers two rows
        return []
    body = []
    for i, name in enumerate(rows):
        cells = [_cell(_at(pairs.get("difference"), i, j), _at(pairs.get("verdict"), i, j)) for j in range(len(rows))]
        body.append([tables.method_cell(name, styles), *cells])
    sentence = best_row_sentence(pairs)
    heads = [["minus ", name] for name in rows]
    grid = tables.html_table("Each row minus each other row.", heads, body, "row")
    return [element("p", sentence[:1].upper() + sentence[1:], class_="lead"), grid] if sentence else [grid]


def _cell(difference: Any, verdict: Any) -> Markup | None:
    value = to_interval(difference)
    if value is None:
        return None
    sign, label = SIGNS.get(verdict, ("", ""))
    mark = [" ", element("span", sign, role="img", aria_label=label)] if sign else None
    bounds = formats.bounds(value)
    return element(
        "span",
        element("span", formats.signed(value)),
        mark,
        element("small", bounds) if bounds else None,
        class_="interval",
    )


def _at(grid: Any, i: int, j: int) -> Any:
    """Returns an entry of a list of lists; None if it is missing."""
    line = grid[i] if isinstance(grid, list) and i < len(grid) else None
    return line[j] if isinstance(line, list) and j < len(line) else None
