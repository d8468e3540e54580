"""The transfer matrix of the report: the return of each source's policy on each task, as a heat map and as a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from headstart.lab import formats
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import StudyData, get_dict, get_item, to_interval
from headstart.lab.report.styles import FONT, PAGE
from headstart.protocol.statistics import Interval

NEGATIVE_TRANSFER = "▼"  # sign before a return
NAME_WIDTH, ROW_HEIGHT, HEAD_HEIGHT = 250.0, 34.0, 46.0  # pixels
CELL_WIDTH, NARROW_CELL_WIDTH = 92.0, 70.0  # pixels
MANY_COLUMNS = 7  # number of columns from which cells are narrow
MAX_LABEL = 36  # letters of a row's name
MAX_OPACITY = 0.5  # of a cell's color; its number stays readable


class MatrixCell(NamedTuple):
    """The return of a row's policy on a task."""

    task: str
    value: Interval | None
    trained_on: bool = False  # whether the row trained on this task
    gain: Interval | None = None  # difference from an untrained policy
    negative: bool = False  # whether it is negative transfer
    interference: Interval | None = None  # loss against training on this task alone, if it is significant


class MatrixRow(NamedTuple):
    """A row of the matrix."""

    name: str
    tasks: Sequence[str]  # that the row trained on
    cells: list[MatrixCell]


class Matrix(NamedTuple):
    """The transfer matrix. Its last row is an untrained policy."""

    columns: list[str]
    rows: list[MatrixRow]

    def head(self, column: int) -> str:
        """Returns the short name of a column: its number, or `target`."""
        return "target" if column == len(self.columns) - 1 else str(column + 1)

    def heads(self) -> list[str]:
        """Returns the titles of the columns: their short names and tasks."""
        return [f"{self.head(j)}: {task}" for j, task in enumerate(self.columns)]

    def title(self, row: MatrixRow) -> str:
        """Returns the short name of a row. If it trained on one source, this is the source's number and parameters."""
        if len(row.tasks) != 1 or row.tasks[0] not in self.columns:
            return row.name
        (source,), learner = row.tasks, row.name.partition(" by ")[2]
        number, parameters = self.columns.index(source) + 1, source.partition("@")[2]
        return f"{number} · {parameters or source}" + (f" ({learner})" if learner else "")


def parse_matrix(study: StudyData) -> Matrix | None:
    """Returns the matrix of a study; None if it has none."""
    data = get_dict(study.raw, "matrix")
    names, columns = _names(data.get("rows")), _names(data.get("columns"))
    if not names or not columns:
        return None
    keys = ("value", "difference", "mark", "interference")
    rows = []
    for i, name in enumerate(names):
        tasks = _names(get_item(data.get("learned_on"), i))
        lines = [get_item(data.get(key), i) for key in keys]
        cells = [_cell(task, task in tasks, *(get_item(line, j) for line in lines)) for j, task in enumerate(columns)]
        rows.append(MatrixRow(name, tasks, cells))
    values = get_dict(data, "untrained").get("value")
    untrained = [MatrixCell(task, to_interval(get_item(values, j))) for j, task in enumerate(columns)]
    return Matrix(columns, [*rows, MatrixRow("untrained", (), untrained)])


def heat_map(matrix: Matrix) -> Markup:
    """Returns the matrix as SVG. The color of a cell shows the difference from an untrained policy."""
    cell_width = NARROW_CELL_WIDTH if len(matrix.columns) >= MANY_COLUMNS else CELL_WIDTH
    width, height = NAME_WIDTH + cell_width * len(matrix.columns), HEAD_HEIGHT + ROW_HEIGHT * len(matrix.rows) + 2.0
    font = {"font_family": FONT, "font_size": "12", "fill": PAGE.muted}
    parts = [
        element("text", "trained on", x="0", y=HEAD_HEIGHT - 10.0, **font),
        element("text", "evaluated on", x=NAME_WIDTH + 2.0, y="12", **font),
    ]
    for j, task in enumerate(matrix.columns):
        place = {"x": NAME_WIDTH + cell_width * (j + 0.5), "y": HEAD_HEIGHT - 10.0, "text_anchor": "middle"}
        parts.append(element("text", element("title", task), matrix.head(j), **place, **font))
    for i, row in enumerate(matrix.rows):
        top, title = HEAD_HEIGHT + ROW_HEIGHT * i, matrix.title(row)
        label = title if len(title) <= MAX_LABEL else title[: MAX_LABEL - 1] + "…"
        row_font = {**font, "fill": PAGE.text if row.tasks else PAGE.muted}
        parts.append(
            element("text", element("title", row.name), label, x="0", y=top + ROW_HEIGHT / 2 + 4.0, **row_font)
        )
        for j, cell in enumerate(row.cells):
            strength = _strength(cell, [other.cells[j] for other in matrix.rows])
            parts.append(_heat_cell(row, cell, strength, NAME_WIDTH + cell_width * j, top, cell_width))
    negative = [f"{row.name} on {cell.task}" for row in matrix.rows for cell in row.cells if cell.negative]
    label = f"Heat map of the table below. Negative transfer: {'; '.join(negative) or 'none'}."
    box = {"viewBox": f"0 0 {width:g} {height:g}", "style": f"width:{width:g}px", "role": "img", "aria_label": label}
    return element("svg", parts, class_="chart", **box)


def _heat_cell(row: MatrixRow, cell: MatrixCell, strength: float, x: float, y: float, width: float) -> Markup:
    box = {"x": x + 1.5, "y": y + 1.5, "width": width - 3.0, "height": ROW_HEIGHT - 3.0, "rx": "4"}
    fill = {"fill": PAGE.series[strength < 0.0], "fill_opacity": MAX_OPACITY * abs(strength)}
    frame = (
        {"stroke": PAGE.text, "stroke_width": "1.6"} if cell.trained_on else {"stroke": PAGE.grid, "stroke_width": "1"}
    )
    font = {"font_family": FONT, "font_size": "13", "text_anchor": "middle", "fill": PAGE.text}
    label = (f"{NEGATIVE_TRANSFER} " if cell.negative else "") + formats.statistic(cell.value)
    tooltip = f"{row.name}\non {cell.task}\n{formats.statistic(cell.value)} {formats.bounds(cell.value)}"
    if cell.gain:
        tooltip += f"\ndifference from untrained: {formats.signed(cell.gain)} {formats.bounds(cell.gain)}"
    number = element("text", label, x=x + width / 2, y=y + ROW_HEIGHT / 2 + 4.5, **font)
    return element("g", element("rect", **box, **fill, **frame), number, data_tip=tooltip)


def _strength(cell: MatrixCell, column: Sequence[MatrixCell]) -> float:
    """Returns the gain as a share of the largest absolute gain of its column, in [-1, 1]."""
    largest = max((abs(other.gain.iqm) for other in column if other.gain is not None), default=0.0)
    return cell.gain.iqm / largest if cell.gain is not None and largest > 0.0 else 0.0


def remarks(study: StudyData, matrix: Matrix | None) -> list[str]:
    """Returns sentences on interference from joint training, failures, and why the matrix was left out."""
    data, sentences = get_dict(study.raw, "matrix"), []
    for row in matrix.rows if matrix else ():
        for cell in row.cells:
            if cell.interference is not None:
                loss = f"{formats.statistic(cell.interference)} {formats.bounds(cell.interference)}"
                sentences.append(
                    f"Interference: {row.name} scores {loss} less on {cell.task} than training on that task alone."
                )
    sentences += [f"{name} failed: {reason}." for name, reason in get_dict(data, "failed").items()]
    if data.get("left_out"):
        sentences.append(f"This section is left out. {data['left_out']}")
    return sentences


def _cell(task: str, trained_on: bool, value: Any, gain: Any, mark: Any, interference: Any) -> MatrixCell:
    shown = to_interval(value)
    difference = to_interval(interference) if get_dict(interference).get("verdict") == "negative" else None
    loss = None if difference is None else Interval(-difference.iqm, -difference.high, -difference.low)
    return MatrixCell(task, shown, trained_on, to_interval(gain), mark == "negative" and shown is not None, loss)


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
