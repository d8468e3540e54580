"""The tables of the report: few-shot returns, generalization, verdicts, shift, cost and failures."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from headstart.lab import formats
from headstart.lab.report.charts import swatch
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.sentences import LABELS, effect_word, verdict_label
from headstart.lab.report.study_data import REFERENCES, Row, StudyData, get_dict, to_interval
from headstart.lab.report.styles import Style
from headstart.protocol.statistics import Interval

RANGES = {"nominal": "nominal", "in_range": "inside the ensemble's range", "held_out": "outside the range"}
EFFECTS = {
    "initial": "initial state",
    "next_state": "next state",
    "reward": "reward",
    "termination": "termination",
    "return": "return of random actions",
}
COSTS = ("source_steps", "target_steps", "gradient_steps", "parameters")


def html_table(caption: str, heads: Sequence[Any], rows: Sequence[Sequence[Any]], label: str = "method") -> Markup:
    """Returns a table whose first column names the rows. It scrolls if the page is too narrow."""
    top = element("tr", element("th", label, scope="col"), [element("th", head, scope="col") for head in heads])
    body = [element("tr", element("th", row[0], scope="row"), [element("td", x) for x in row[1:]]) for row in rows]
    whole = element("table", element("thead", top), element("tbody", body), aria_label=caption)
    box = element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return element("figure", element("figcaption", caption), box, class_="table")


def shots_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns the returns after each number of target episodes."""
    rows = [row for row in study.rows if row.shots]
    if not rows:
        return None
    heads = [f"{formats.count(k)} {'shot' if k == 1 else 'shots'}" for k in study.shots]
    return html_table(
        "Return on the target after each number of target episodes: IQM and 95 % interval. "
        "Bold: the highest return of a column, if its interval lies above all others.",
        heads,
        _ranked(rows, study.shots, lambda row, k: row.shots.get(k), styles),
    )


def generalization_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns the returns of the source's policies over the ensemble, before adaptation."""
    rows = [row for row in study.rows if row.generalization]
    if not rows:
        return None
    keys = list(dict.fromkeys([*RANGES, *(k for row in rows for k in row.generalization)]))
    keys = [key for key in keys if any(key in row.generalization for row in rows)]
    return html_table(
        "Return before any target episode, by the range of the task's parameters: IQM and 95 % interval.",
        [RANGES.get(key, key) for key in keys],
        _ranked(rows, keys, lambda row, key: row.generalization.get(key), styles),
    )


def verdict_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns each row against its control, with the numbers behind the verdict."""
    rows = [row for row in study.rows_with_control if row.difference is not None]
    if not rows:
        return None
    body = [
        [
            method_cell(row.name, styles),
            verdict_badge(row, study),
            row.control or "scratch",
            signed_cell(row.difference),
            formats.p_value(row.p),
            interval_cell(row.improvement, to=0.01),
        ]
        for row in rows
    ]
    heads = ["verdict", "control", "difference in average return", "adjusted p", "probability of improvement"]
    return html_table("Each row against its control, paired by seed.", heads, body)


def shift_table(study: StudyData) -> Markup | None:
    """Returns the effect of each changed parameter alone, and of all together."""
    keys = [key for key in EFFECTS if study.shift.get(key) is not None]
    parameters = get_dict(study.shift, "parameters")
    if not keys and not parameters:
        return None
    body = []
    for name, effects in parameters.items():
        values = get_dict(effects)
        change = f"{formats.value_text(values.get('source'))} → {formats.value_text(values.get('target'))}"
        body.append([name, change, *(_effect(values.get(key)) for key in keys)])
    body.append(["all parameters", "", *(_effect(study.shift.get(key)) for key in keys)])
    caption = (
        "Effect size of each changed parameter alone, in standard deviations, for the same actions in the same states. "
        "Termination: share of steps that end the episode in one of the two tasks only."
    )
    return html_table(caption, ["source → target", *(EFFECTS[key] for key in keys)], body, "parameter")


def cost_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns the returns and the cost of each row at equal target budget."""
    rows = [row for row in study.rows if row.ledger]
    if not rows:
        return None
    body = []
    for row in rows:
        spent = [formats.count(number_of(row.ledger.get(key))) for key in COSTS]
        returns = [
            interval_cell(row.metrics.get("total")),
            interval_cell(row.metrics.get("asymptote") or study.references.get(row.name)),
        ]
        body.append(
            [method_cell(row.name, styles), *returns, *spent, formats.duration(number_of(row.ledger.get("seconds")))]
        )
    heads = ["average return", "final return", *(key.replace("_", " ") for key in COSTS), "time"]
    return html_table("At equal target budget. Steps, parameters and time are means over seeds.", heads, body)


def equal_total_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns the final returns at an equal budget of source and target steps together."""
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
        [method_cell(name, styles), interval_cell(result), *(formats.value_text(rest.get(key)) for key in extra)]
        for name, result, rest in rows
    ]
    steps = number_of(get_dict(study.raw, "equal_total").get("steps"))
    budget = f"{formats.count(steps)} steps" if steps else "steps"
    caption = (
        f"At equal total budget: {budget} of source and target together. Total steps: the steps that the row used. "
        "Shots: target episodes at the start of the target training; their steps count."
    )
    return html_table(caption, ["final return", *(key.replace("_", " ") for key in extra)], body)


def failure_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns the failed cells with their reasons."""
    failed = {**get_dict(study.raw, "reference_failed"), **{row.name: row.failed for row in study.rows}}
    body = [
        [method_cell(name, styles), seed, reason] for name, seeds in failed.items() for seed, reason in seeds.items()
    ]
    caption = "Failed cells. No number above includes them, and a row with a failed cell gets no positive verdict."
    return html_table(caption, ["seed", "reason"], body) if body else None


def method_cell(name: str, styles: dict[str, Style]) -> Markup:
    """Returns a row's name after its legend key."""
    return element("span", swatch(styles[name]) if name in styles else None, name, class_="method")


def task_text(text: str) -> Markup:
    """Returns a task string with line breaks allowed after its separators."""
    pieces = re.split(r"(?<=[@,:|])", text)
    return element("span", [[piece, element("wbr")] for piece in pieces], class_="task")


def verdict_badge(row: Row, study: StudyData) -> Markup:
    """Returns the verdict with a sign and a color."""
    kind = row.verdict if row.verdict in LABELS else "none"
    sign = {"positive": "▲", "negative": "▼", "none": "■"}[kind]
    return element(
        "span", element("span", sign, aria_hidden="true"), " ", verdict_label(row, study), class_=f"badge {kind}"
    )


def interval_cell(value: Interval | None, best: bool = False, to: float | None = None) -> Markup:
    """Returns a statistic above its interval."""
    number = element("strong" if best else "span", formats.statistic(value, to))
    limits = formats.bounds(value, to)
    return element("span", number, element("small", limits) if limits else None, class_="interval")


def signed_cell(value: Interval | None) -> Markup:
    """Returns a difference with its sign above its interval."""
    limits = formats.bounds(value)
    return element("span", element("span", formats.signed(value)), element("small", limits), class_="interval")


def number_of(value: Any) -> float | None:
    """Returns the number, or the statistic of the interval, or None."""
    interval = to_interval(value)
    return None if interval is None else interval.iqm


def _ranked(
    rows: Sequence[Row], columns: Sequence[Any], cell: Callable[[Row, Any], Interval | None], styles
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
            method_cell(row.name, styles),
            *(interval_cell(cell(row, column), best.get(column) == row.name) for column in columns),
        ]
        for row in rows
    ]


def _effect(size: Any) -> Markup:
    x = number_of(size)
    strength = min(abs(x or 0.0), 2.0) / 2.0
    bar = element("i", style=f"width:{100 * strength:.0f}%") if x is not None else None
    number = element("span", formats.number(x, 2), element("small", effect_word(x)), class_="interval")
    return element("span", number, element("span", bar, class_="bar", aria_hidden="true"), class_="effect")
