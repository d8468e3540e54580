"""One HTML file that answers a study's question. It fetches nothing, so it can be mailed, archived and printed."""

import os
import pathlib
from importlib import resources
from typing import Any

from headstart.lab import formats
from headstart.lab.checkpoint.files import write
from headstart.lab.report import advice
from headstart.lab.report import html_tables as tables
from headstart.lab.report.answer import summary_sentences
from headstart.lab.report.charts import forest, learning_curves, row_styles
from headstart.lab.report.clip_cards import clip_cards
from headstart.lab.report.heat_map import heat_map, matrix_table, parse_matrix, remarks
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.pairwise_table import LEAD, pairwise_table
from headstart.lab.report.sentences import row_sentence, shift_sentence
from headstart.lab.report.study_data import StudyData, get_table, parse_study
from headstart.lab.report.styles import PAGE, Style

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def write_report(study: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes the report of a study (what `study.json` holds) to `path`, whole or not at all.

    Any part of the study may be missing: the report then does without it.
    """
    write(pathlib.Path(path), page(study, pathlib.Path(path).parent).encode())


def page(study: dict[str, Any], out: pathlib.Path = pathlib.Path()) -> str:
    """Returns the report as one HTML document; clips are those of the study's folder `out`."""
    told = parse_study(study)
    looks = row_styles(told, PAGE)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{told.source} → {told.target} · headstart"),
        element("link", rel="icon", href="data:,"),
        element("style", _resource("report.css")),
    )
    parts = [_header(told), _methods(told, looks), _curves(told, looks), _clips(told, out, looks)]
    parts += [_few_shots(told, looks), _ranges(told, looks), _matrix(told, looks), _metrics(told, looks)]
    parts += [
        _verdicts(told, looks),
        _section("Which row is best?", LEAD, *pairwise_table(told, looks)),
        _shift(told),
        _ledger(told, looks),
        _failures(told, looks),
        _left_out(told),
    ]
    script = element("script", _resource("report.js"))
    body = element("body", element("main", parts, _reproduce(told)), element("div", id="tip", role="status"), script)
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _left_out(study: StudyData) -> Markup | None:
    why = get_table(study.raw, "left_out")
    lines = [element("p", element("strong", name), ": ", str(sentence)) for name, sentence in why.items()]
    return _section("Left out", "Rows that were asked for and cannot run on these tasks.", *lines)


def _resource(name: str) -> Markup:
    return Markup(resources.files("headstart.lab.report").joinpath(name).read_text(encoding="utf-8"))


def _section(title: str, lead: str | None, *content: Any) -> Markup | None:
    """Returns a part of the page; nothing where there is nothing to show."""
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
    notice = f"This study is not finished (it is {status}); what follows is what there is so far."
    lead, *rest = [said[:1].upper() + said[1:] for said in summary_sentences(study)] or [
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


def _methods(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    cards = [
        element(
            "article",
            element(
                "h3",
                tables.method_cell(row.name, looks),
                tables.verdict_badge(row, study) if row.verdict or row.no_verdict else None,
            ),
            element("p", row_sentence(row, study)),
            element("p", row.about, class_="about") if row.about else None,
        )
        for row in study.rows_with_control
    ]
    few = " With fewer than 5 seeds there is no verdict." if 1 < len(study.seeds) < 5 else ""
    if len(study.seeds) == 1:
        few = " One seed gives no interval, and so no verdict."
    reference = advice.and_list(
        list(dict.fromkeys(row.control or "scratch" for row in study.rows_with_control)) or ["scratch"]
    )
    lead = (
        f"Each row against {reference}, with equal steps of the target. A verdict comes from a paired t test, and is "
        f"corrected for how many there are.{few}"
    )
    return _section("What transfer did", lead, element("div", cards, class_="cards")) if cards else None


def _curves(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    drawn = learning_curves(study, looks)
    lead = "Return of the deterministic policy on the target: the IQM of the seeds, and its 95 % interval as a band."
    return _section("Learning curves", lead, drawn, _behind(study, looks))


def _clips(study: StudyData, out: pathlib.Path, looks: dict[str, Style]) -> Markup | None:
    cards = clip_cards(study, out, looks)
    lead = (
        f"One episode of the target each, by the deterministic policy of seed {study.seeds[0] if study.seeds else 0}: "
        "before it has met the target, and at the end of its budget. All start alike; judged are other episodes."
    )
    return _section("Before and after", lead, element("div", cards, class_="cards wide")) if cards else None


def _behind(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    """Returns the figures' numbers as a table, for those who cannot see them."""
    rows = []
    for row in study.compared_rows:
        for steps, episodes, *value in zip(*row.curve or (), strict=True):
            cells = [
                formats.count(steps),
                formats.number(episodes),
                tables.interval_cell(tables.to_interval(_named(value))),
            ]
            rows.append([tables.method_cell(row.name, looks), *cells])
    if not rows:
        return None
    whole = tables.html_table("Return along the curves: IQM and 95 % interval.", ["steps", "episodes", "return"], rows)
    return element("details", element("summary", "The numbers behind the curves"), whole)


def _named(value: list[float]) -> dict[str, float]:
    return {key: float(x) for key, x in zip(("iqm", "low", "high"), value, strict=True)}


def _few_shots(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    return _section("Few shots", "A shot is one episode spent in the target.", tables.shots_table(study, looks))


def _ranges(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    return _section("Generalisation", None, tables.generalization_table(study, looks))


def _matrix(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    lead = (
        "What was learned on one source alone, and on all of them, run on each task as it is: the return of its "
        "deterministic policy, before any episode of the target."
    )
    found = parse_matrix(study)
    parts = (heat_map(found), matrix_table(found, looks)) if found else ()
    return _section("Each source on each task", lead, *parts, remarks(study))


def _metrics(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    lead = "After Taylor & Stone (2009). Points are IQMs, bars their 95 % intervals, dashes what to compare with."
    return _section("Metrics", lead, forest(study, looks))


def _verdicts(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    lead = (
        "The difference is that of the averaged returns, as a mean over pairs of equal seeds. Its interval is at the "
        "level at which Holm's method compares the row, so it excludes 0 exactly where p is at most 0.05. The "
        "probability of improvement is how often a run of the row beats a run of its control, both drawn by chance. "
        "A row that lost a seed gets no verdict in its favour."
    )
    return _section("Verdicts", lead, tables.verdict_table(study, looks))


def _shift(study: StudyData) -> Markup | None:
    said = shift_sentence(study)
    return _section("The shift", None, element("p", said, class_="lead") if said else None, tables.shift_table(study))


def _ledger(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    lead = "What each method was given, and what it made of it."
    return _section("Ledger", lead, tables.cost_table(study, looks), tables.equal_total_table(study, looks))


def _failures(study: StudyData, looks: dict[str, Style]) -> Markup | None:
    return _section("Failures", None, tables.failure_table(study, looks))


def _reproduce(study: StudyData) -> Markup | None:
    told = dict(study.provenance)
    command = told.pop("command", None)
    versions = told.pop("versions", None) or {}
    copy = element("button", "Copy", type="button", data_copy="#command", class_="copy")
    code = element("code", tables.task_text(str(command)), id="command")
    line = element("div", element("pre", code, tabindex="0"), copy, class_="command")
    facts = [(str(name), value) for name, value in (told | dict(versions)).items() if value]
    listed = element("dl", [element("div", element("dt", name), element("dd", _said(value))) for name, value in facts])
    return _section("Reproduce", None, line if command else None, listed if facts else None)


def _said(value: Any) -> str:
    """Returns plain data in a line of text."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_said(part)}" for name, part in value.items() if part)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
