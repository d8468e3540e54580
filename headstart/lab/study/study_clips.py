"""A study's clips: what each method's policy does before the target has taught it anything, and what in the end.

Nothing is recorded for them while the study runs. They are made of what it left on disk, after all that counts is done:
a clip that cannot be made is a sentence, and takes nothing with it.
"""

import hashlib
import pathlib
from typing import Any

import jax

from headstart.core.errors import InputError
from headstart.core.interrupts import reraising
from headstart.core.train import init_loop_state
from headstart.core.types import Learner, Method, Params, PyTree
from headstart.lab.checkpoint.files import read as read_bytes
from headstart.lab.checkpoint.files import sweep
from headstart.lab.checkpoint.policy import Policy
from headstart.lab.checkpoint.records import CHECKSUM, read_record, write_record
from headstart.lab.study import source_training, study_folder
from headstart.lab.study.study import Study
from headstart.lab.watch import clips
from headstart.methods import Entry
from headstart.protocol import transfer

FORMAT = "headstart clip 1"


def read(study: Study) -> dict[str, Any]:
    """Returns the study's entry `clips`, where it has any: [row][stage], its return and steps, or why it failed."""
    told: dict[str, dict[str, Any]] = {}
    for entry, method in sorted(study.rows, key=lambda row: row[0].name):
        cell = _cell(study, entry, method)
        for stage in clips.STAGES:
            held = _held(clips.clip_folder(study.out, entry.name) / stage)
            if held is not None and cell is not None and held["cell"] == cell[CHECKSUM]:
                shown = {name: x for name, x in held.items() if name not in ("row", "stage", "cell", CHECKSUM)}
                told.setdefault(entry.name, {})[stage] = shown
    return {"clips": told} if told else {}


def run(study: Study) -> None:
    """Makes the clips that are missing, of the first seed of every row."""
    for entry, method, stage in missing(study):
        place = clips.clip_folder(study.out, entry.name) / stage
        cell, file = _cell(study, entry, method), place.with_suffix(".webp")
        told: dict[str, Any]
        try:
            told = _film(study, entry, method, stage, file)
            told |= {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        except Exception as error:  # whatever a renderer may throw
            told = {"failed": str(error) if isinstance(error, InputError) else study_folder.reason(error)}
        sweep(place.parent)
        told |= {"row": entry.name, "stage": stage, "cell": None if cell is None else cell[CHECKSUM]}
        write_record(place.with_suffix(".json"), FORMAT, told)  # last: a clip that has it is whole


def missing(study: Study) -> list[tuple[Entry, Method, str]]:
    """Returns the clips that are not there yet. One that failed is not: another machine may be able to draw it."""
    rows = [row for row in study.rows if row[0].role not in ("random", "oracle")]  # what is compared
    each = [
        (entry, method, stage)
        for entry, method in rows
        for stage in (clips.STAGES if entry.adapts else clips.STAGES[:1])
    ]
    return [one for one in each if not _is_done(study, *one)]


def _is_done(study: Study, entry: Entry, method: Method, stage: str) -> bool:
    place = clips.clip_folder(study.out, entry.name) / stage
    held, cell, file = _held(place), _cell(study, entry, method), place.with_suffix(".webp")
    if held is None or cell is None or held.get("failed") is not None or held["cell"] != cell[CHECKSUM]:
        return False
    return file.is_file() and hashlib.sha256(read_bytes(file)).hexdigest() == held["sha256"]


def _held(place: pathlib.Path) -> dict[str, Any] | None:
    """Returns what a clip shows, None where there is none. Raises InputError where that file is damaged."""
    file = place.with_suffix(".json")
    mend = f"move {file.parent} away, and the same command with --video makes its clips again"
    held = read_record(file, FORMAT, mend) if file.exists() else None
    if held is not None and (held["row"], held["stage"]) != (place.parent.name, place.name):
        raise InputError(f"{file} is another clip's; {mend}.")
    return held


def _cell(study: Study, entry: Entry, method: Method) -> dict[str, Any] | None:
    """Returns the cell that a row's clips are of."""
    return study.shelf(entry, method).record(study.question.seeds[0])


@reraising()
def _film(study: Study, entry: Entry, method: Method, stage: str, file: pathlib.Path) -> dict[str, Any]:
    """Writes a clip -> what it shows."""
    keys = transfer.keys(study.question.seeds)
    *_, (_, of, in_target) = study.stages(entry, method)
    learner = method.learner(of, in_target)
    known = _before(study, entry, method, learner, keys) if stage == "before" else _after(study, entry, method)
    target = jax.tree.map(lambda x: x[0], study.domains.target_tasks)
    policy = Policy(learner, known, of, target.context, key=keys.evaluation[0])
    take = clips.film(policy, target, keys.evaluation[0])
    clips.save([take], file)
    seed = study.question.seeds[0]
    return {"seed": seed, "return": take.episode_return, "steps": take.steps, "filmed": take.filmed, "failed": None}


def _before(study: Study, entry: Entry, method: Method, learner: Learner, keys: transfer.Keys) -> Params:
    """-> what the first seed knows at point 0 of its curve: begun anew, just as it was then."""
    prior, before = None, study.before(entry)
    if before is not None:
        source = source_training.learned(study.out, method, before, study.question.seeds)
        if source is None or source.state is None or study.question.seeds[0] in source.lost:
            raise InputError("What its first seed learned in the source is not there any more, or came to nothing.")
        prior = source.state
    return _first(init_loop_state(learner, keys.target, prior).state.params)


def _after(study: Study, entry: Entry, method: Method) -> Params:
    """Returns what the first seed knows in the end."""
    shelf, seed = study.shelf(entry, method), study.question.seeds[0]
    cell = shelf.record(seed)
    if cell is None or cell["failed"]:
        raise InputError(f"Its first seed failed: {cell and cell['failed']}.")
    return _first(shelf.load(seed).state.params)


def _first(params: PyTree) -> Any:
    return jax.tree.map(lambda x: x[0], params)
