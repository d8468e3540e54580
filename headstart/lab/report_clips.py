"""The report's clips: each method's policy before the target has taught it anything, and in the end, side by side."""

import base64
import pathlib
from typing import Any

from headstart.lab import clips, numbers
from headstart.lab import report_tables as tables
from headstart.lab.figure_look import Style
from headstart.lab.filming import STAGES, folder
from headstart.lab.markup import Markup, element
from headstart.lab.report_data import Study, table

WHEN = {"before": "before its first episode of the target", "after": "at the end of its budget"}


def before_and_after(study: Study, out: pathlib.Path, looks: dict[str, Style]) -> list[Markup]:
    """-> a card for each row that has clips in the study's folder `out`."""
    held = table(study.raw, "clips")
    rows = [(row.name, table(held, row.name)) for row in study.contenders if table(held, row.name)]
    return [
        element(
            "article",
            element("h3", tables.named(name, looks)),
            element("div", [_clip(out, name, s, table(told, s)) for s in STAGES if s in told], class_="clips"),
        )
        for name, told in rows
    ]


def _clip(out: pathlib.Path, row: str, stage: str, told: dict[str, Any]) -> Markup:
    """-> one clip with its caption; in its place, why there is none."""
    when, file = WHEN[stage][0].upper() + WHEN[stage][1:], folder(out, row) / f"{stage}.webp"
    if told.get("failed") or not file.exists():
        why = told.get("failed") or "its file is not in the study's folder any more"
        return element("figure", element("p", f"{when}: no clip. {why}", class_="empty"))
    steps, filmed = told.get("steps"), told.get("filmed")
    length = f"{numbers.count(steps)} steps"
    length = length if filmed == steps else f"the first {numbers.count(filmed)} of {length}"
    reached = numbers.number(told.get("return"))
    alt = f"{row} {WHEN[stage]}: an episode of {numbers.count(steps)} steps with a return of {reached}."
    caption = element("figcaption", when, element("br"), element("b", f"return {reached}"), f", {length}")
    return element("figure", _picture(file.read_bytes(), alt), caption)


def _picture(clip: bytes, alt: str) -> Markup:
    """-> the clip; its first frame alone for those who asked their system for less motion."""
    calm = element("source", media="(prefers-reduced-motion: reduce)", srcset=_data(clips.still(clip)))
    return element("picture", calm, element("img", src=_data(clip), alt=alt))


def _data(image: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image).decode()}"
