"""The report's comparison of all rows with each other, which answers which of them is best."""

from typing import Any

from headstart.lab import formats
from headstart.lab.report import html_tables as tables
from headstart.lab.report.answer import best_row_sentence
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import StudyData, get_table, to_interval
from headstart.lab.report.styles import Style

SIGNS = {"positive": ("▲", "clearly above"), "negative": ("▼", "clearly below")}
LEAD = (
    "Averaged return of each row less that of each other row: the mean over pairs of equal seeds, with the interval "
    "at the level of Holm's method over all pairs. ▲: clearly above. ▼: clearly below. No sign: these seeds show none."
)


def pairwise_table(study: StudyData, looks: dict[str, Style]) -> list[Markup]:
    """Returns the sentence that answers and the table; nothing where fewer than three rows can be compared."""
    told = get_table(study.raw, "pairs")
    rows = [str(name) for name in told.get("rows") or []]
    if len(rows) < 3:  # of two, the verdict says all
        return []
    body = []
    for i, name in enumerate(rows):
        cells = [_cell(_at(told.get("difference"), i, j), _at(told.get("verdict"), i, j)) for j in range(len(rows))]
        body.append([tables.method_cell(name, looks), *cells])
    said = best_row_sentence(told)
    heads = [["less ", name] for name in rows]
    grid = tables.html_table("Each row less each other row.", heads, body, "row")
    return [element("p", said[:1].upper() + said[1:], class_="lead"), grid] if said else [grid]


def _cell(difference: Any, verdict: Any) -> Markup | None:
    value = to_interval(difference)
    if value is None:
        return None
    sign, words = SIGNS.get(verdict, ("", ""))
    mark = [" ", element("span", sign, role="img", aria_label=words)] if sign else None
    limits = formats.bounds(value)
    return element(
        "span",
        element("span", formats.signed(value)),
        mark,
        element("small", limits) if limits else None,
        class_="told",
    )


def _at(grid: Any, i: int, j: int) -> Any:
    """Returns an entry of a list of lists; None where there is none."""
    line = grid[i] if isinstance(grid, list) and i < len(grid) else None
    return line[j] if isinstance(line, list) and j < len(line) else None
