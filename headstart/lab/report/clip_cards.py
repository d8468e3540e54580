"""The report's clips: each method's policy before the target has taught it anything, and in the end, side by side."""

import base64
import hashlib
import pathlib
from typing import Any

from headstart.core.errors import InputError
from headstart.lab import formats
from headstart.lab.checkpoint.files import read
from headstart.lab.report import html_tables as tables
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import StudyData, get_table, to_interval
from headstart.lab.report.styles import Style
from headstart.lab.watch import clips

WHEN = {"before": "Before", "after": "After"}


def clip_cards(study: StudyData, out: pathlib.Path, looks: dict[str, Style]) -> list[Markup]:
    """Returns a card for each row that has clips in the study's folder `out`."""
    held = get_table(study.raw, "clips")
    rows = [(row.name, get_table(held, row.name)) for row in study.compared_rows if get_table(held, row.name)]
    return [
        element(
            "article",
            element("h3", tables.method_cell(name, looks)),
            element(
                "div", [_clip(out, name, s, get_table(told, s)) for s in clips.STAGES if s in told], class_="clips"
            ),
        )
        for name, told in rows
    ]


def _clip(out: pathlib.Path, row: str, stage: str, told: dict[str, Any]) -> Markup:
    """Returns one clip with its caption; in its place, why there is none."""
    steps, shown_steps, reached = (to_interval(told.get(name)) for name in ("steps", "steps_shown", "return"))
    length = f"{formats.count(steps and steps.iqm)} steps"
    if steps and shown_steps and shown_steps.iqm < steps.iqm:
        length = f"the first {formats.count(shown_steps.iqm)} of {length}"
    score = formats.number(reached and reached.iqm)
    try:
        clip = b"" if told.get("failed") else read(clips.clip_folder(out, row) / f"{stage}.webp")
        if told.get("sha256") not in (None, hashlib.sha256(clip).hexdigest()):
            raise OSError("it is damaged")
        shown = _picture(clip, f"{row}, {stage}: {length}, return {score}.")
    except (InputError, OSError):  # not there, damaged, or no image
        why = told.get("failed") or "Its file is gone, or damaged; --video makes it again."
        return element("figure", element("p", f"{WHEN[stage]}: no clip. {why}", class_="empty"))
    caption = element("figcaption", f"{WHEN[stage]}: ", element("b", f"return {score}"), f", {length}")
    return element("figure", shown, caption)


def _picture(clip: bytes, alt: str) -> Markup:
    """Returns the clip; its first frame alone for those who asked their system for less motion."""
    calm = element("source", media="(prefers-reduced-motion: reduce)", srcset=_data(clips.first_frame(clip)))
    return element("picture", calm, element("img", src=_data(clip), alt=alt))


def _data(image: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image).decode()}"
