"""A study's clips: what each method's policy does before the target has taught it anything, and what in the end.

Nothing is recorded for them while the study runs. They are made of what it left on disk, after all that counts is done:
a clip that cannot be made is a sentence, and takes nothing with it.
"""

import pathlib
from typing import TYPE_CHECKING, Any

import jax

from headstart.core.errors import InputError
from headstart.core.train import begin
from headstart.core.types import Knowledge, Learner, Method, PyTree
from headstart.lab import cells, clips, sources
from headstart.lab.checkpoint import load
from headstart.lab.files import read_json, write_json
from headstart.methods import Entry
from headstart.protocol import transfer

if TYPE_CHECKING:
    from headstart.lab.study import Study

REFERENCES = ("random", "oracle")  # which are not compared, and so not shown
STAGES = ("before", "after")


def folder(out: pathlib.Path, row: str) -> pathlib.Path:
    """-> where a row's clips are: `before.webp` and `after.webp`, each with a JSON file of what it shows."""
    return out / "clips" / row


def read(out: pathlib.Path) -> dict[str, Any]:
    """-> the study's entry `clips`, where there are any: [row][stage], its return and steps, or why there is none."""
    rows = sorted(path for path in (out / "clips").glob("*") if path.is_dir())
    told = {row.name: {s: read_json(at) for s in STAGES if (at := row / f"{s}.json").exists()} for row in rows}
    return {"clips": told} if told else {}


def run(study: "Study") -> None:
    """Makes the clips that are missing, of the first seed of every row."""
    for entry, method in study.rows:
        if entry.name in REFERENCES:
            continue
        for stage in STAGES if entry.adapts else STAGES[:1]:
            place = folder(study.out, entry.name) / stage
            if _done(place):
                continue
            try:
                told = _film(study, entry, method, stage, place.with_suffix(".webp"))
            except Exception as error:  # whatever a renderer may throw
                told = {"failed": str(error) if isinstance(error, InputError) else cells.reason(error)}
            write_json(place.with_suffix(".json"), told)  # last: a clip that has it is whole


def _done(place: pathlib.Path) -> bool:
    """-> whether a clip is there. One that failed is tried again: another machine may be able to draw it."""
    told = place.with_suffix(".json")
    return told.exists() and place.with_suffix(".webp").exists() and read_json(told).get("failed") is None


def _film(study: "Study", entry: Entry, method: Method, stage: str, file: pathlib.Path) -> dict[str, Any]:
    """Writes a clip -> what it shows."""
    keys = transfer.keys(study.question.seeds)
    *_, (_, of, in_target) = study.stages(entry, method)
    learner = method.learner(of, in_target)
    known = _before(study, entry, method, learner, keys) if stage == "before" else _after(study, entry)
    target = jax.tree.map(lambda x: x[0], study.domains.target_tasks)
    take = clips.film(learner, known, target, keys.judge[0])
    clips.save([take], file)
    seed = study.question.seeds[0]
    return {"seed": seed, "return": take.score, "steps": take.steps, "filmed": take.filmed, "failed": None}


def _before(study: "Study", entry: Entry, method: Method, learner: Learner, keys: transfer.Keys) -> Knowledge:
    """-> what the first seed knows at point 0 of its curve: begun anew, just as it was then."""
    prior, before = None, study.before(entry)
    if before is not None:
        source = sources.learned(study.out, method, before, study.question.seeds)
        if source is None or source.state is None or study.question.seeds[0] in source.lost:
            raise InputError("What its first seed learned in the source is not there any more, or came to nothing.")
        prior = source.state
    return _first(begin(learner, keys.target, prior).state.knowledge)


def _after(study: "Study", entry: Entry) -> Knowledge:
    """-> what the first seed knows in the end."""
    place = cells.folder(study.out, entry.name, study.question.seeds[0])
    if why := read_json(place / "curve.json").get("failed"):
        raise InputError(f"Its first seed failed: {why}.")
    return _first(load(place).state.knowledge)


def _first(knowledge: PyTree) -> Any:
    return jax.tree.map(lambda x: x[0], knowledge)
