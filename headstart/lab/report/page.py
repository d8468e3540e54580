"""Writes the report of a study as one HTML file that loads nothing else, so it can be mailed, archived and printed."""

import os
import pathlib
from importlib import resources
from typing import Any

from headstart.lab import formats
from headstart.lab.checkpoint.files import write
from headstart.lab.report import advice
from headstart.lab.report import html_tables as tables
from headstart.lab.report.charts import forest_plots, learning_curves, row_styles
from headstart.lab.report.clip_cards import clip_cards
from headstart.lab.report.heat_map import heat_map, matrix_table, parse_matrix, remarks
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.pairwise_table import LEAD, pairwise_table
from headstart.lab.report.sentences import row_sentence, shift_sentence
from headstart.lab.report.study_data import StudyData, get_dict, parse_study
from headstart.lab.report.styles import PAGE, Style
from headstart.lab.report.summary import summary_sentences

CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def write_report(study: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes the report of a study (the content of `study.json`) to `path`, completely or not at all.

    Any part of the study may be missing.
    """
    write(pathlib.Path(path), page(study, pathlib.Path(path).parent).encode())


def page(study: dict[str, Any], out: pathlib.Path = pathlib.Path()) -> str:
    """Returns the report as an HTML document, with the clips in the study's folder `out`."""
    data = parse_study(study)
    styles = row_styles(data, PAGE)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=CONTENT_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{data.source} → {data.target} · headstart"),
        element("link", rel="icon", href="data:,"),
        element("style", _resource("report.css")),
    )
    parts = [_header(data), _methods(data, styles), _curves(data, styles), _clips(data, out, styles)]
    parts += [_few_shots(data, styles), _ranges(data, styles), _matrix(data, styles), _metrics(data, styles)]
    parts += [
        _verdicts(data, styles),
        _section("Which row is best?", LEAD, *pairwise_table(data, styles)),
        _shift(data),
        _ledger(data, styles),
        _failures(data, styles),
        _left_out(data),
    ]
    script = element("script", _resource("report.js"))
    body = element("body", element("main", parts, _reproduce(data)), element("div", id="tip", role="status"), script)
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _left_out(study: StudyData) -> Markup | None:
    reasons = get_dict(study.raw, "left_out")
    lines = [element("p", element("strong", name), ": ", str(reason)) for name, reason in reasons.items()]
    return _section("Left out", "Requested rows that cannot run on these tasks.", *lines)


def _resource(name: str) -> Markup:
    return Markup(resources.files("headstart.lab.report").joinpath(name).read_text(encoding="utf-8"))


def _section(title: str, lead: str | None, *content: Any) -> Markup | None:
    """Returns a section of the page; None without content."""
    if not any(content):
        return None
    return element("section", element("h2", title), element("p", lead, class_="lead") if lead else None, content)


def _header(study: StudyData) -> Markup:
    title = element(
        "h1", tables.task_text(study.source), element("span", "→", class_="arrow"), " ", tables.task_text(study.target)
    )
    facts = [
        ("trained on", study.ensemble),
        ("source steps", formats.count(tables.number_of(study.raw.get("source_steps")))),
        ("target steps", formats.count(study.budget)),
        ("seeds", formats.count(len(study.seeds)) if study.seeds else None),
        ("threshold", formats.number(study.threshold) if study.threshold is not None else None),
        ("date", str(study.provenance.get("date") or "")[:10]),
    ]
    shown = [(name, value) for name, value in facts if value and value != formats.UNKNOWN]
    listed = element(
        "dl", [element("div", element("dt", n), element("dd", tables.task_text(str(v)))) for n, v in shown]
    )
    status = study.raw.get("status")
    running = status is not None and str(status) not in ("done", "complete", "completed", "finished")
    notice = f"This study is not finished (status: {status}). The report shows the results so far."
    lead, *rest = [sentence[:1].upper() + sentence[1:] for sentence in summary_sentences(study)] or [
        "There is nothing to compare yet."
    ]
    return element(
        "header",
        element("p", "Transfer study", class_="eyebrow"),
        title,
        element("p", notice, class_="notice") if running else None,
        element("p", lead, class_="answer"),
        [element("p", line, class_="lead") for line in rest],
        listed,
    )


def _methods(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    cards = [
        element(
            "article",
            element(
                "h3",
                tables.method_cell(row.name, styles),
                tables.verdict_badge(row, study) if row.verdict or row.no_verdict else None,
            ),
            element("p", row_sentence(row, study)),
            element("p", row.about, class_="about") if row.about else None,
        )
        for row in study.rows_with_control
    ]
    few = " With fewer than 5 seeds there is no verdict." if 1 < len(study.seeds) < 5 else ""
    if len(study.seeds) == 1:
        few = " One seed gives no interval and no verdict."
    reference = advice.join_names(
        list(dict.fromkeys(row.control or "scratch" for row in study.rows_with_control)) or ["scratch"]
    )
    lead = (
        f"Each row is compared with {reference} at equal target steps. Verdicts come from paired t tests with Holm's "
        f"correction for their number.{few}"
    )
    return _section("Effect of transfer", lead, element("div", cards, class_="cards")) if cards else None


def _curves(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    curves = learning_curves(study, styles)
    lead = "Return of the deterministic policy on the target. Lines: IQM over seeds. Bands: 95 % interval."
    return _section("Learning curves", lead, curves, _curve_table(study, styles))


def _clips(study: StudyData, out: pathlib.Path, styles: dict[str, Style]) -> Markup | None:
    cards = clip_cards(study, out, styles)
    lead = (
        f"One target episode of the deterministic policy of seed {study.seeds[0] if study.seeds else 0}, before and "
        "after training on the target. All clips have the same initial state. The returns in the other sections are "
        "those of other episodes."
    )
    return _section("Before and after", lead, element("div", cards, class_="cards wide")) if cards else None


def _curve_table(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    """Returns the numbers of the learning curves as a table."""
    rows = []
    for row in study.compared_rows:
        for steps, episodes, *value in zip(*row.curve or (), strict=True):
            cells = [
                formats.count(steps),
                formats.number(episodes),
                tables.interval_cell(tables.to_interval(_named(value))),
            ]
            rows.append([tables.method_cell(row.name, styles), *cells])
    if not rows:
        return None
    whole = tables.html_table(
        "Return at each point of the curves: IQM and 95 % interval.", ["steps", "episodes", "return"], rows
    )
    return element("details", element("summary", "The curves as a table"), whole)


def _named(value: list[float]) -> dict[str, float]:
    return {key: float(x) for key, x in zip(("iqm", "low", "high"), value, strict=True)}


def _few_shots(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    return _section(
        "Few-shot returns", "A shot is one training episode in the target.", tables.shots_table(study, styles)
    )


def _ranges(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    return _section("Generalization", None, tables.generalization_table(study, styles))


def _matrix(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    lead = (
        "Policies trained on one source or on all sources, evaluated on each task without further training: the return "
        "of the deterministic policy before any target episode."
    )
    matrix = parse_matrix(study)
    parts = (heat_map(matrix), matrix_table(matrix, styles)) if matrix else ()
    return _section("Each source on each task", lead, *parts, remarks(study))


def _metrics(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    lead = (
        "The metrics of Taylor & Stone (2009). Points: IQM over seeds. Bars: 95 % interval. Dashed line: scratch, or 0."
    )
    return _section("Metrics", lead, forest_plots(study, styles))


def _verdicts(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    lead = (
        "The difference in average return is a mean over pairs of equal seeds. Its interval is at the level at which "
        "Holm's method compares the row, so it excludes 0 exactly if the adjusted p is at most 0.05. The probability "
        "of improvement is the probability that a random run of the row has a higher average return than a random run "
        "of its control. A row with a failed seed gets no positive verdict."
    )
    return _section("Verdicts", lead, tables.verdict_table(study, styles))


def _shift(study: StudyData) -> Markup | None:
    sentence = shift_sentence(study)
    lead = element("p", sentence, class_="lead") if sentence else None
    return _section("Shift from source to target", None, lead, tables.shift_table(study))


def _ledger(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    lead = "The returns of each row and what they cost."
    return _section("Cost", lead, tables.cost_table(study, styles), tables.equal_total_table(study, styles))


def _failures(study: StudyData, styles: dict[str, Style]) -> Markup | None:
    return _section("Failures", None, tables.failure_table(study, styles))


def _reproduce(study: StudyData) -> Markup | None:
    provenance = dict(study.provenance)
    command = provenance.pop("command", None)
    versions = provenance.pop("versions", None) or {}
    copy = element("button", "Copy", type="button", data_copy="#command", class_="copy")
    code = element("code", tables.task_text(str(command)), id="command")
    line = element("div", element("pre", code, tabindex="0"), copy, class_="command")
    facts = [(str(name), value) for name, value in (provenance | dict(versions)).items() if value]
    listed = element(
        "dl", [element("div", element("dt", name), element("dd", _plain_text(value))) for name, value in facts]
    )
    return _section("Reproduce", None, line if command else None, listed if facts else None)


def _plain_text(value: Any) -> str:
    """Returns JSON data as one line of text."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain_text(part)}" for name, part in value.items() if part)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
