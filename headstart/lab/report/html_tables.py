"""The report's tables: shots, generalisation, verdicts, the shift, the ledger, failures."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from headstart.lab import formats
from headstart.lab.report.charts import swatch
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.sentences import LABELS, effect_word, verdict_label
from headstart.lab.report.study_data import REFERENCES, Row, StudyData, get_table, to_interval
from headstart.lab.report.styles import Style
from headstart.protocol.statistics import Interval

RANGES = {"nominal": "nominal", "in_range": "in the ensemble's range", "held_out": "beyond its range"}
EFFECTS = {
    "initial": "first state",
    "next_state": "next state",
    "reward": "reward",
    "termination": "ends apart",
    "return": "random policy's return",
}
SPENT = ("source_steps", "target_steps", "gradient_steps", "parameters")


def html_table(caption: str, heads: Sequence[Any], rows: Sequence[Sequence[Any]], label: str = "method") -> Markup:
    """Returns a table whose first column names the rows, in a box that scrolls where the page is too narrow."""
    top = element("tr", element("th", label, scope="col"), [element("th", head, scope="col") for head in heads])
    body = [element("tr", element("th", row[0], scope="row"), [element("td", x) for x in row[1:]]) for row in rows]
    whole = element("table", element("thead", top), element("tbody", body), aria_label=caption)
    box = element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return element("figure", element("figcaption", caption), box, class_="table")


def shots_table(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns return by number of target episodes."""
    rows = [row for row in study.rows if row.shots]
    if not rows:
        return None
    heads = [f"{formats.count(k)} {'shot' if k == 1 else 'shots'}" for k in study.shots]
    return html_table(
        "Return on the target after so many of its episodes: IQM and 95 % interval. "
        "Bold: the best of its column, where its interval clears all others.",
        heads,
        _ranked(rows, study.shots, lambda row, k: row.shots.get(k), looks),
    )


def generalization_table(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns return of the source's policies over the ensemble, without any adaptation."""
    rows = [row for row in study.rows if row.generalisation]
    if not rows:
        return None
    keys = list(dict.fromkeys([*RANGES, *(k for row in rows for k in row.generalisation)]))
    keys = [key for key in keys if any(key in row.generalisation for row in rows)]
    return html_table(
        "Return without any target episode, by where the task is drawn from: IQM and 95 % interval.",
        [RANGES.get(key, key) for key in keys],
        _ranked(rows, keys, lambda row, key: row.generalisation.get(key), looks),
    )


def verdict_table(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns each row against its control: what the verdict rests on."""
    rows = [row for row in study.rows_with_control if row.difference is not None]
    if not rows:
        return None
    body = [
        [
            method_cell(row.name, looks),
            verdict_badge(row, study),
            row.control or "scratch",
            signed_cell(row.difference),
            formats.p_value(row.p),
            interval_cell(row.improvement, to=0.01),
        ]
        for row in rows
    ]
    heads = ["verdict", "control", "difference in averaged return", "p, adjusted", "probability of improvement"]
    return html_table("Each row against its control, over the same seeds.", heads, body)


def shift_table(study: StudyData) -> Markup | None:
    """Returns how far each changed parameter alone, and all together, take the target from the source."""
    keys = [key for key in EFFECTS if study.shift.get(key) is not None]
    parameters = get_table(study.shift, "parameters")
    if not keys and not parameters:
        return None
    body = []
    for name, told_of in parameters.items():
        values = get_table(told_of)
        change = f"{formats.value_text(values.get('source'))} → {formats.value_text(values.get('target'))}"
        body.append([name, change, *(_effect(values.get(key)) for key in keys)])
    body.append(["everything", "", *(_effect(study.shift.get(key)) for key in keys)])
    caption = (
        "Effect of each changed parameter alone, in standard deviations, for equal actions from equal states. "
        "Ends apart: the share of steps that end the episode in one of the two only."
    )
    return html_table(caption, ["source → target", *(EFFECTS[key] for key in keys)], body, "parameter")


def cost_table(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns what each row was given and what it got: all have the same budget in the target."""
    rows = [row for row in study.rows if row.ledger]
    if not rows:
        return None
    body = []
    for row in rows:
        spent = [formats.count(number_of(row.ledger.get(key))) for key in SPENT]
        returns = [
            interval_cell(row.metrics.get("total")),
            interval_cell(row.metrics.get("asymptote") or study.references.get(row.name)),
        ]
        body.append(
            [method_cell(row.name, looks), *returns, *spent, formats.duration(number_of(row.ledger.get("seconds")))]
        )
    heads = ["averaged return", "final return", *(key.replace("_", " ") for key in SPENT), "time"]
    return html_table("At equal target budget. Steps, parameters and time are means over seeds.", heads, body)


def equal_total_table(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns the rows again, now with the source's steps counted too."""
    if not study.equal_total:
        return None
    rows, extra = [], []
    for row in study.equal_total:
        name = str(row.get("method") or row.get("name") or "–")
        rest = {
            key: x for key, x in row.items() if key not in ("method", "name", "iqm", "low", "high", "seeds", "left_out")
        }
        result = to_interval(row) or to_interval(row.get("return")) or to_interval(row.get("asymptote"))
        rest = {key: x for key, x in rest.items() if key not in ("return", "asymptote")}
        extra = list(dict.fromkeys([*extra, *rest]))
        rows.append((name, result, rest))
    body = [
        [method_cell(name, looks), interval_cell(result), *(formats.value_text(rest.get(key)) for key in extra)]
        for name, result, rest in rows
    ]
    steps = number_of(get_table(study.raw, "equal_total").get("steps"))
    of = f"{formats.count(steps)} steps" if steps else "steps"
    caption = (
        f"At equal total budget: {of} of source and target together, of which each row took the total that stands "
        "beside it. Rows with shots began the target with so many episodes, which are counted."
    )
    return html_table(caption, ["final return", *(key.replace("_", " ") for key in extra)], body)


def failure_table(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns the cells that failed, each with its reason."""
    failed = {**get_table(study.raw, "reference_failed"), **{row.name: row.failed for row in study.rows}}
    body = [[method_cell(name, looks), seed, why] for name, each in failed.items() for seed, why in each.items()]
    caption = "Cells that failed. No number above counts them, and no verdict is in favour of a row that has one."
    return html_table(caption, ["seed", "reason"], body) if body else None


def method_cell(name: str, looks: dict[str, Style]) -> Markup:
    """Returns a method's name behind its key."""
    return element("span", swatch(looks[name]) if name in looks else None, name, class_="method")


def task_text(text: str) -> Markup:
    """Returns a task string that may break after its signs, so that it fits a phone."""
    pieces = re.split(r"(?<=[@,:|])", text)
    return element("span", [[piece, element("wbr")] for piece in pieces], class_="task")


def verdict_badge(row: Row, study: StudyData) -> Markup:
    """Returns the verdict as a word with a sign; colour only repeats it."""
    kind = row.verdict if row.verdict in LABELS else "none"
    sign = {"positive": "▲", "negative": "▼", "none": "■"}[kind]
    return element(
        "span", element("span", sign, aria_hidden="true"), " ", verdict_label(row, study), class_=f"badge {kind}"
    )


def interval_cell(value: Interval | None, best: bool = False, to: float | None = None) -> Markup:
    """Returns an interval in a table's cell."""
    number = element("strong" if best else "span", formats.statistic(value, to))
    limits = formats.bounds(value, to)
    return element("span", number, element("small", limits) if limits else None, class_="told")


def signed_cell(value: Interval | None) -> Markup:
    """Returns the interval of a difference in a table's cell."""
    limits = formats.bounds(value)
    return element("span", element("span", formats.signed(value)), element("small", limits), class_="told")


def number_of(value: Any) -> float | None:
    """Returns the number, or the middle of the interval, or None."""
    found = to_interval(value)
    return None if found is None else found.iqm


def _ranked(
    rows: Sequence[Row], columns: Sequence[Any], cell: Callable[[Row, Any], Interval | None], looks
) -> list[list]:
    best = {}
    for column in columns:
        values = {r.name: v for r in rows if r.name not in REFERENCES and (v := cell(r, column)) is not None}
        top = max(values, key=lambda name: values[name].iqm, default=None)
        if (
            top is not None
            and values[top].low < values[top].high
            and all(values[top].low > v.high for name, v in values.items() if name != top)
        ):
            best[column] = top if len(values) > 1 else None
    return [
        [
            method_cell(row.name, looks),
            *(interval_cell(cell(row, column), best.get(column) == row.name) for column in columns),
        ]
        for row in rows
    ]


def _effect(size: Any) -> Markup:
    x = number_of(size)
    strength = min(abs(x or 0.0), 2.0) / 2.0
    bar = element("i", style=f"width:{100 * strength:.0f}%") if x is not None else None
    number = element("span", formats.number(x, 2), element("small", effect_word(x)), class_="told")
    return element("span", number, element("span", bar, class_="bar", aria_hidden="true"), class_="effect")
