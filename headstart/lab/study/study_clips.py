"""Records the clips of a study: each policy before the first target episode, and at the end of its budget.

Clips are recorded from the saved checkpoints after the study has finished. A clip that fails has an error message and
changes nothing else.
"""

import hashlib
import pathlib
from typing import Any

import jax

from headstart.core.errors import InputError
from headstart.core.interrupts import reraising
from headstart.core.train import init_loop_state
from headstart.core.types import Learner, Method, Params, PyTree
from headstart.lab.checkpoint.files import delete_temporary
from headstart.lab.checkpoint.files import read as read_bytes
from headstart.lab.checkpoint.policy import Policy
from headstart.lab.checkpoint.records import CHECKSUM, read_record, write_record
from headstart.lab.study import source_training, study_folder
from headstart.lab.study.study import Study
from headstart.lab.watch import clips
from headstart.methods import Entry
from headstart.protocol import transfer

FORMAT = "headstart clip 2"


def read(study: Study) -> dict[str, Any]:
    """Returns the entry `clips` of study.json, if there are any: [row][stage], with return and steps, or the error."""
    clips_data: dict[str, dict[str, Any]] = {}
    for entry, method in sorted(study.rows, key=lambda row: row[0].name):
        cell = _cell(study, entry, method)
        for stage in clips.STAGES:
            record = _read_clip(clips.clip_folder(study.out, entry.name) / stage)
            if record is not None and cell is not None and record["cell"] == cell[CHECKSUM]:
                shown = {name: x for name, x in record.items() if name not in ("row", "stage", "cell", CHECKSUM)}
                clips_data.setdefault(entry.name, {})[stage] = shown
    return {"clips": clips_data} if clips_data else {}


def run(study: Study) -> None:
    """Records the missing clips, of the first seed of each row."""
    for entry, method, stage in missing(study):
        path = clips.clip_folder(study.out, entry.name) / stage
        cell, file = _cell(study, entry, method), path.with_suffix(".webp")
        record: dict[str, Any]
        try:
            record = _record_clip(study, entry, method, stage, file)
            record |= {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        except Exception as error:  # renderers raise all kinds of errors
            record = {"failed": str(error) if isinstance(error, InputError) else study_folder.failure_reason(error)}
        delete_temporary(path.parent)
        record |= {"row": entry.name, "stage": stage, "cell": None if cell is None else cell[CHECKSUM]}
        write_record(path.with_suffix(".json"), FORMAT, record)  # last: a clip with a record is complete


def missing(study: Study) -> list[tuple[Entry, Method, str]]:
    """Returns the clips that are missing or failed. Another machine may be able to draw failed ones."""
    rows = [row for row in study.rows if row[0].role not in ("random", "oracle")]  # not the references
    each = [
        (entry, method, stage)
        for entry, method in rows
        for stage in (clips.STAGES if entry.adapts else clips.STAGES[:1])
    ]
    return [clip for clip in each if not _is_done(study, *clip)]


def _is_done(study: Study, entry: Entry, method: Method, stage: str) -> bool:
    path = clips.clip_folder(study.out, entry.name) / stage
    record, cell, file = _read_clip(path), _cell(study, entry, method), path.with_suffix(".webp")
    if record is None or cell is None or record.get("failed") is not None or record["cell"] != cell[CHECKSUM]:
        return False
    return file.is_file() and hashlib.sha256(read_bytes(file)).hexdigest() == record["sha256"]


def _read_clip(path: pathlib.Path) -> dict[str, Any] | None:
    """Returns the record of a clip, or None. Raises InputError if it is damaged."""
    file = path.with_suffix(".json")
    remedy = f"move {file.parent} away, and the same command with --video records its clips again"
    record = read_record(file, FORMAT, remedy) if file.exists() else None
    if record is not None and (record["row"], record["stage"]) != (path.parent.name, path.name):
        raise InputError(f"{file} is another clip's; {remedy}.")
    return record


def _cell(study: Study, entry: Entry, method: Method) -> dict[str, Any] | None:
    """Returns the cell that a row's clips show."""
    return study.cell_store(entry, method).record(study.config.seeds[0])


@reraising()
def _record_clip(study: Study, entry: Entry, method: Method, stage: str, file: pathlib.Path) -> dict[str, Any]:
    """Records a clip. Returns its record."""
    keys = transfer.keys(study.config.seeds)
    *_, (_, learner_spec, in_target) = study.stages(entry, method)
    learner = method.learner(learner_spec, in_target)
    if stage == "before":
        params = _params_before(study, entry, method, learner, keys)
    else:
        params = _params_after(study, entry, method)
    target = jax.tree.map(lambda x: x[0], study.study_tasks.target_tasks)
    policy = Policy(learner, params, learner_spec, target.context, key=keys.evaluation[0])
    clip = clips.record_episode(policy, target, keys.evaluation[0])
    clips.save([clip], file)
    seed = study.config.seeds[0]
    return {
        "seed": seed,
        "return": clip.episode_return,
        "steps": clip.steps,
        "steps_shown": clip.steps_shown,
        "failed": None,
    }


def _params_before(study: Study, entry: Entry, method: Method, learner: Learner, keys: transfer.Keys) -> Params:
    """Returns the parameters of the first seed at point 0 of its curve, initialized again from the source training."""
    prior, source_tasks = None, study.source_tasks(entry)
    if source_tasks is not None:
        source = source_training.load_source(study.out, method, source_tasks, study.config.seeds)
        if source is None or source.state is None or study.config.seeds[0] in source.failed_seeds:
            raise InputError("The source training of its first seed is missing or failed.")
        prior = source.state
    return _first(init_loop_state(learner, keys.target, prior).state.params)


def _params_after(study: Study, entry: Entry, method: Method) -> Params:
    """Returns the parameters of the first seed at the end."""
    store, seed = study.cell_store(entry, method), study.config.seeds[0]
    cell = store.record(seed)
    if cell is None or cell["failed"]:
        raise InputError(f"Its first seed failed: {cell and cell['failed']}.")
    return _first(store.load(seed).state.params)


def _first(params: PyTree) -> Any:
    return jax.tree.map(lambda x: x[0], params)
