"""Writes the report of a study as one HTML file that loads nothing else, so it can be mailed, archived and printed."""

import functools
import os
import pathlib
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

from headstart.lab import formats
from headstart.lab.checkpoint.files import write
from headstart.lab.report import advice, sentences, table_data
from headstart.lab.report.charts import forest_plots, learning_curves, row_styles, swatch
from headstart.lab.report.clip_cards import clip_cards
from headstart.lab.report.heat_map import heat_map, parse_matrix, remarks
from headstart.lab.report.markup import Markup, task_text
from headstart.lab.report.study_data import StudyData, get_dict, parse_study
from headstart.lab.report.styles import PAGE
from headstart.lab.report.summary import best_row_sentence, summary_sentences
from headstart.protocol.baselines import SCRATCH

if TYPE_CHECKING:
    import jinja2


def write_report(study: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes the report of a study (the content of `study.json`) to `path`, completely or not at all.

    Any part of the study may be missing.
    """
    write(pathlib.Path(path), page(study, pathlib.Path(path).parent).encode())


def page(study: dict[str, Any], out: pathlib.Path = pathlib.Path()) -> str:
    """Returns the report as an HTML document, with the clips in the study's folder `out`."""
    return template_environment().get_template("page.html.j2").render(template_variables(study, out))


def template_variables(study: dict[str, Any], out: pathlib.Path) -> dict[str, Any]:
    """Returns the variables of the templates."""
    data = parse_study(study)
    styles = row_styles(data, PAGE)
    controls = dict.fromkeys(row.control or SCRATCH for row in data.rows_with_control) or [SCRATCH]
    matrix, pairs = parse_matrix(data), table_data.pair_differences(data)
    return {
        "study": data,
        "swatches": {name: swatch(style) for name, style in styles.items()},
        "css": _resource("report.css"),
        "script": _resource("report.js"),
        "summary": _summary(data),
        "facts": _facts(data),
        "status": None if _is_finished(study) else study["status"],
        "controls": advice.join_names([*controls]),
        "panels": learning_curves(data, styles),
        "curve_points": table_data.curve_points(data),
        "clips": clip_cards(data, out),
        "few_shot": table_data.few_shot_returns(data),
        "generalization": table_data.generalization_returns(data),
        "matrix": matrix,
        "heat_map": heat_map(matrix) if matrix else None,
        "remarks": remarks(data, matrix),
        "forest_plots": forest_plots(data, styles),
        "pairs": pairs,
        "best_row": _capitalize(best_row_sentence(get_dict(study, "pairs")) or "") if pairs else "",
        "shift": table_data.shift_effects(data),
        "equal_total": table_data.equal_total_returns(data),
        "failures": table_data.failed_seeds(data),
        "left_out": get_dict(study, "left_out"),
        "command": data.provenance.get("command"),
        "provenance": list(_provenance(data)),
    }


@functools.cache
def template_environment() -> "jinja2.Environment":
    """Returns the environment that loads the templates. In a template, an undefined name is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("headstart.lab.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: "" if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"formats": formats, "sentences": sentences, "to_number": table_data.to_number}
    environment.filters["task"] = task_text
    return environment


def _resource(name: str) -> Markup:
    return Markup(resources.files("headstart.lab.report").joinpath(name).read_text(encoding="utf-8"))


def _is_finished(study: dict[str, Any]) -> bool:
    status = study.get("status")
    return status is None or str(status) in ("done", "complete", "completed", "finished")


def _summary(study: StudyData) -> list[str]:
    return [_capitalize(line) for line in summary_sentences(study)] or ["There is nothing to compare yet."]


def _capitalize(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _facts(study: StudyData) -> list[tuple[str, str]]:
    """Returns the facts of the page's header that are known."""
    facts = {
        "trained on": study.ensemble,
        "source steps": formats.count(table_data.to_number(study.raw.get("source_steps"))),
        "target steps": formats.count(study.budget),
        "seeds": formats.count(len(study.seeds)) if study.seeds else None,
        "threshold": formats.number(study.threshold) if study.threshold is not None else None,
        "date": str(study.provenance.get("date") or "")[:10],
    }
    return [(name, value) for name, value in facts.items() if value and value != formats.UNKNOWN]


def _provenance(study: StudyData) -> Iterator[tuple[str, str]]:
    """Yields how the study was made, without its command."""
    for name, value in (study.provenance | get_dict(study.provenance, "versions")).items():
        if value and name not in ("command", "versions"):
            yield str(name), _plain_text(value)


def _plain_text(value: Any) -> str:
    """Returns JSON data as one line of text."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain_text(part)}" for name, part in value.items() if part)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
