"""The clips of the report: each row's policy before and after its training on the target, side by side."""

import base64
import hashlib
import pathlib
from typing import Any

from headstart.core.errors import InputError
from headstart.lab import formats
from headstart.lab.checkpoint.files import read
from headstart.lab.report import html_tables as tables
from headstart.lab.report.markup import Markup, element
from headstart.lab.report.study_data import StudyData, get_dict, to_interval
from headstart.lab.report.styles import Style
from headstart.lab.watch import clips

LABELS = {"before": "Before", "after": "After"}


def clip_cards(study: StudyData, out: pathlib.Path, styles: dict[str, Style]) -> list[Markup]:
    """Returns a card for each row that has clips in the study's folder `out`."""
    records = get_dict(study.raw, "clips")
    rows = [(row.name, get_dict(records, row.name)) for row in study.compared_rows if get_dict(records, row.name)]
    return [
        element(
            "article",
            element("h3", tables.method_cell(name, styles)),
            element(
                "div",
                [_clip(out, name, stage, get_dict(stages, stage)) for stage in clips.STAGES if stage in stages],
                class_="clips",
            ),
        )
        for name, stages in rows
    ]


def _clip(out: pathlib.Path, row: str, stage: str, record: dict[str, Any]) -> Markup:
    """Returns a clip with its caption, or the reason why it is missing."""
    steps, steps_shown, episode_return = (to_interval(record.get(key)) for key in ("steps", "steps_shown", "return"))
    length = f"{formats.count(steps and steps.iqm)} steps"
    if steps and steps_shown and steps_shown.iqm < steps.iqm:
        length = f"the first {formats.count(steps_shown.iqm)} of {length}"
    shown_return = formats.number(episode_return and episode_return.iqm)
    try:
        clip = b"" if record.get("failed") else read(clips.clip_folder(out, row) / f"{stage}.webp")
        if record.get("sha256") not in (None, hashlib.sha256(clip).hexdigest()):
            raise OSError("it is damaged")
        picture = _picture(clip, f"{row}, {stage}: {length}, return {shown_return}.")
    except (InputError, OSError):  # missing, damaged, or not an image
        reason = record.get("failed") or "Its file is missing or damaged; --video makes it again."
        return element("figure", element("p", f"{LABELS[stage]}: no clip. {reason}", class_="empty"))
    caption = element("figcaption", f"{LABELS[stage]}: ", element("b", f"return {shown_return}"), f", {length}")
    return element("figure", picture, caption)


def _picture(clip: bytes, alt: str) -> Markup:
    """Returns the clip; only its first frame if the reader prefers reduced motion."""
    still = element("source", media="(prefers-reduced-motion: reduce)", srcset=_data_url(clips.first_frame(clip)))
    return element("picture", still, element("img", src=_data_url(clip), alt=alt))


def _data_url(image: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image).decode()}"
