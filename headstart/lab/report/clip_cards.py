"""The clips of the report: each row's policy before and after its training on the target, side by side."""

import base64
import hashlib
import pathlib
from typing import Any, NamedTuple

from headstart.core.errors import InputError
from headstart.lab import formats
from headstart.lab.checkpoint.files import read
from headstart.lab.report.study_data import StudyData, get_dict, to_interval
from headstart.lab.watch import clips

LABELS = {"before": "Before", "after": "After"}


class ShownClip(NamedTuple):
    """A clip with its caption, or the reason why it is missing."""

    label: str
    episode_return: str
    length: str
    alt: str
    picture: str = ""  # data URL
    first_frame: str = ""  # data URL; replaces the clip if the reader prefers reduced motion
    missing: str = ""


def clip_cards(study: StudyData, out: pathlib.Path) -> dict[str, list[ShownClip]]:
    """Returns the clips in the study's folder `out`, by row."""
    records = get_dict(study.raw, "clips")
    rows = {row.name: get_dict(records, row.name) for row in study.compared_rows if get_dict(records, row.name)}
    return {
        name: [_clip(out, name, stage, get_dict(stages, stage)) for stage in clips.STAGES if stage in stages]
        for name, stages in rows.items()
    }


def _clip(out: pathlib.Path, row: str, stage: str, record: dict[str, Any]) -> ShownClip:
    steps, steps_shown, episode_return = (to_interval(record.get(key)) for key in ("steps", "steps_shown", "return"))
    length = f"{formats.count(steps and steps.iqm)} steps"
    if steps and steps_shown and steps_shown.iqm < steps.iqm:
        length = f"the first {formats.count(steps_shown.iqm)} of {length}"
    shown_return = formats.number(episode_return and episode_return.iqm)
    shown = ShownClip(LABELS[stage], shown_return, length, f"{row}, {stage}: {length}, return {shown_return}.")
    try:
        clip = b"" if record.get("failed") else read(clips.clip_folder(out, row) / f"{stage}.webp")
        if record.get("sha256") not in (None, hashlib.sha256(clip).hexdigest()):
            raise OSError("it is damaged")
        return shown._replace(picture=_data_url(clip), first_frame=_data_url(clips.first_frame(clip)))
    except (InputError, OSError):  # missing, damaged, or not an image
        reason = record.get("failed") or "Its file is missing or damaged; --video makes it again."
        return shown._replace(missing=str(reason))


def _data_url(image: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image).decode()}"
