"""The report's train x deploy matrix: what was learned on each source, on each task, as a heat map and as a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from headstart.lab import formats
from headstart.lab.report import html_tables as tables
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import StudyData, get_table, to_interval
from headstart.lab.report.styles import FONT, PAGE, Style
from headstart.protocol.statistics import Interval

WORSE = "▼"  # before a return that is negative transfer
NAME, CELL, NARROW, ROW, TOP = 250.0, 92.0, 70.0, 34.0, 46.0  # pixels: row names, a cell, one of many, a row, the heads
MANY, LONG = 7, 36  # columns from which they are narrow; letters of a row's name
FULL = 0.5  # the most of a colour that a cell takes, so that its number can be read
ABOUT = (
    "The return of what the row learned, on the task of the column. Blue: above an untrained policy; orange: below it; "
    "stronger: farther from it, in each column by itself. In a frame: a task that the row learned. "
    f"{WORSE}: negative transfer, clearly below an untrained policy of the same seeds and in the same episodes, by a "
    "paired t test with Holm's correction over all cells."
)


class MatrixCell(NamedTuple):
    """What a row of the matrix gets on a task."""

    task: str
    value: Interval | None
    learned: bool = False  # it learned this task
    gain: Interval | None = None  # on an untrained policy
    worse: bool = False  # it is negative transfer
    lost: Interval | None = None  # to what was learned of this task alone, where that is clearly better


class MatrixRow(NamedTuple):
    """A row of the matrix."""

    name: str
    learned_on: Sequence[str]
    cells: list[MatrixCell]


class Matrix(NamedTuple):
    """The matrix as the report tells it; its last row is an untrained policy's."""

    columns: list[str]
    rows: list[MatrixRow]

    def head(self, column: int) -> str:
        """Returns a column's name in short."""
        return "target" if column == len(self.columns) - 1 else str(column + 1)

    def title(self, row: MatrixRow) -> str:
        """Returns a short name of a row: for one that trained on one source, the source's number and its difference."""
        if len(row.learned_on) != 1 or row.learned_on[0] not in self.columns:
            return row.name
        (source,), by = row.learned_on, row.name.partition(" by ")[2]
        return f"{self.columns.index(source) + 1} · {source.partition('@')[2] or source}" + (f" ({by})" if by else "")


def parse_matrix(study: StudyData) -> Matrix | None:
    """Returns the study's matrix; None where it has none."""
    told = get_table(study.raw, "matrix")
    names, columns = _names(told.get("rows")), _names(told.get("columns"))
    if not names or not columns:
        return None
    parts = [told.get(name) for name in ("value", "difference", "mark", "interference")]
    rows = []
    for i, name in enumerate(names):
        on = _names(_at(told.get("learned_on"), i))
        here = [_at(part, i) for part in parts]
        cells = [_cell(task, task in on, *(_at(part, j) for part in here)) for j, task in enumerate(columns)]
        rows.append(MatrixRow(name, on, cells))
    values = get_table(told, "untrained").get("value")
    untrained = [MatrixCell(task, to_interval(_at(values, j))) for j, task in enumerate(columns)]
    return Matrix(columns, [*rows, MatrixRow("untrained", (), untrained)])


def heat_map(found: Matrix) -> Markup:
    """Returns the matrix as a figure: coloured by how far each return is from an untrained policy's."""
    wide = NARROW if len(found.columns) >= MANY else CELL
    width, height = NAME + wide * len(found.columns), TOP + ROW * len(found.rows) + 2.0
    words = {"font_family": FONT, "font_size": "12", "fill": PAGE.soft}
    parts = [
        element("text", "learned on", x="0", y=TOP - 10.0, **words),
        element("text", "run on", x=NAME + 2.0, y="12", **words),
    ]
    for j, task in enumerate(found.columns):
        middle = {"x": NAME + wide * (j + 0.5), "y": TOP - 10.0, "text_anchor": "middle"}
        parts.append(element("text", element("title", task), found.head(j), **middle, **words))
    for i, row in enumerate(found.rows):
        top, title = TOP + ROW * i, found.title(row)
        label = title if len(title) <= LONG else title[: LONG - 1] + "…"
        look = {**words, "fill": PAGE.ink if row.learned_on else PAGE.soft}
        parts.append(element("text", element("title", row.name), label, x="0", y=top + ROW / 2 + 4.0, **look))
        for j, cell in enumerate(row.cells):
            strength = _strength(cell, [other.cells[j] for other in found.rows])
            parts.append(_square(row, cell, strength, NAME + wide * j, top, wide))
    worse = [f"{row.name} on {cell.task}" for row in found.rows for cell in row.cells if cell.worse]
    said = f"Heat map of the table below. Negative transfer: {'; '.join(worse) or 'none'}."
    box = {"viewBox": f"0 0 {width:g} {height:g}", "style": f"width:{width:g}px", "role": "img", "aria_label": said}
    drawn = element("svg", parts, class_="chart", **box)
    scroll = element("div", drawn, class_="scroll", tabindex="0", role="region", aria_label="Each source on each task")
    return element("figure", element("figcaption", element("small", ABOUT)), scroll, class_="heat")


def _square(row: MatrixRow, cell: MatrixCell, strength: float, x: float, y: float, wide: float) -> Markup:
    box = {"x": x + 1.5, "y": y + 1.5, "width": wide - 3.0, "height": ROW - 3.0, "rx": "4"}
    paint = {"fill": PAGE.series[strength < 0.0], "fill_opacity": FULL * abs(strength)}
    frame = {"stroke": PAGE.ink if cell.learned else PAGE.grid, "stroke_width": "1.6" if cell.learned else "1"}
    words = {"font_family": FONT, "font_size": "13", "text_anchor": "middle", "fill": PAGE.ink}
    shown = (f"{WORSE} " if cell.worse else "") + formats.statistic(cell.value)
    tip = f"{row.name}\non {cell.task}\n{formats.statistic(cell.value)} {formats.bounds(cell.value)}"
    tip += f"\nfrom untrained: {formats.signed(cell.gain)} {formats.bounds(cell.gain)}" if cell.gain else ""
    number = element("text", shown, x=x + wide / 2, y=y + ROW / 2 + 4.5, **words)
    return element("g", element("rect", **box, **paint, **frame), number, data_tip=tip)


def _strength(cell: MatrixCell, column: Sequence[MatrixCell]) -> float:
    """Returns how far it is from an untrained policy, in [-1, 1]: 1 is the farthest of its column."""
    far = max((abs(other.gain.iqm) for other in column if other.gain is not None), default=0.0)
    return cell.gain.iqm / far if cell.gain is not None and far > 0.0 else 0.0


def matrix_table(found: Matrix, looks: dict[str, Style]) -> Markup:
    """Returns the matrix with its intervals."""
    badge = element("span", element("span", WORSE, aria_hidden="true"), " negative transfer", class_="badge negative")
    body = []
    for row in found.rows:
        title = tables.task_text(row.name) if len(row.learned_on) == 1 else tables.method_cell(row.name, looks)
        body.append([title, *([tables.interval_cell(cell.value), badge if cell.worse else None] for cell in row.cells)])
    heads = [[f"{found.head(j)}: ", tables.task_text(task)] for j, task in enumerate(found.columns)]
    caption = "Return on each task of what was learned on the sources: IQM and 95 % interval."
    return tables.html_table(caption, heads, body, "what was learned")


def remarks(study: StudyData) -> list[Markup]:
    """Returns sentences: what was lost by learning all sources together, and what could not be told."""
    found, told = parse_matrix(study), get_table(study.raw, "matrix")
    said = []
    for row in found.rows if found else ():
        for cell in row.cells:
            if cell.lost is not None:
                less = f"{formats.statistic(cell.lost)} {formats.bounds(cell.lost)}"
                said.append(
                    f"Interference: {row.name} gets {less} less on {cell.task} than what was learned there alone."
                )
    said += [f"{name} broke: {reason}." for name, reason in get_table(told, "failed").items()]
    if told.get("left_out"):
        said.append(f"It is left out. {told['left_out']}")
    return [element("p", line, class_="lead") for line in said]


def _cell(task: str, learned: bool, value: Any, gain: Any, mark: Any, beside: Any) -> MatrixCell:
    shown, lost = to_interval(value), to_interval(beside) if get_table(beside).get("verdict") == "negative" else None
    less = None if lost is None else Interval(-lost.iqm, -lost.high, -lost.low)
    return MatrixCell(task, shown, learned, to_interval(gain), mark == "negative" and shown is not None, less)


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []


def _at(value: Any, i: int) -> Any:
    """Returns an item of a list; None where there is none."""
    return value[i] if isinstance(value, list | tuple) and i < len(value) else None
