"""Gives each row a reference that uses the same base learner.

DARC uses SAC. If it were compared with PPO from scratch, the advantage of SAC would count as DARC's. So if the base
learner of a row differs from that of scratch, the study has one more scratch row with that learner, and one more
oracle.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from headstart.core.types import Method
from headstart.methods import Entry

SCRATCH = "scratch"  # the name of the study's own scratch row
REFERENCES = ("scratch", "oracle", "random")  # roles of rows that are not compared with a scratch row
Rows = Sequence[tuple[Entry, Method]]


def matching_scratch(rows: Rows) -> dict[str, str]:
    """Returns the name of the scratch row with the same base learner, for each row that is not a reference."""
    scratch_learner = next(method for entry, method in rows if entry.name == SCRATCH)
    names = {}
    for entry, method in rows:
        if entry.role not in REFERENCES:
            base = method.base_learner()
            same = type(base) is type(scratch_learner)
            names[entry.name] = SCRATCH if same else _name(SCRATCH, learner_name(base))
    return names


def added_references(rows: Rows, scratch: Entry, oracle: Entry | None) -> list[tuple[Entry, Method]]:
    """Returns the scratch and oracle rows that the study needs in addition to its own.

    `scratch` and `oracle` are the study's own entries. Without an oracle, none is added.
    """
    scratches, learners = matching_scratch(rows), {}
    for entry, method in rows:
        if scratches.get(entry.name, SCRATCH) != SCRATCH:
            learners[learner_name(method.base_learner())] = method.base_learner()
    added = []
    for name, learner in learners.items():
        for entry in (scratch, oracle):
            if entry is not None:
                about = f"{entry.about}, by {name}"
                titled = dataclasses.replace(entry, name=_name(entry.name, name), about=about, added_for=name)
                added.append((titled, learner))
    return added


def needed_rows(rows: Rows, scratches: Mapping[str, str]) -> set[str]:
    """Returns the names of `rows` without the added references that no row is compared with.

    `scratches` names the scratch row of each row, as `matching_scratch` does.
    """
    used = {scratches[entry.name] for entry, _ in rows if entry.name in scratches}
    needed = lambda entry: entry.added_for is None or _name(SCRATCH, entry.added_for) in used
    return {entry.name for entry, _ in rows if needed(entry)}


def learner_name(learner: Method) -> str:
    """Returns a base learner's name, followed by the settings that differ from their defaults: `SAC batch_size-64`."""
    shown = lambda value: "+".join(map(str, value)) if isinstance(value, tuple) else value
    settings = [f"{name}-{shown(value)}" for name, value in _settings(learner, type(learner)()).items()]
    return " ".join([type(learner).__name__, *settings])


def caveats(entry: Entry, method: Method, control: str | None, rows: Rows, shots: Sequence[int]) -> list[str]:
    """Returns sentences on how a row differs from its control apart from the transfer: learners and schedules."""
    control_row = next(((entry, method) for entry, method in rows if entry.name == control), None)
    if control_row is None:
        return []
    sentences, ours, theirs = [], method.base_learner(), control_row[1].base_learner()
    if type(ours) is not type(theirs):
        sentences.append(f"It uses {learner_name(ours)}, and {control} uses {learner_name(theirs)}.")
    elif settings := _settings(ours, theirs):
        shown = ", ".join(f"{name}={value}" for name, value in settings.items())
        sentences.append(f"Its {type(ours).__name__} has other settings than that of {control}: {shown}.")
    if max(shots, default=0) > 0 and len({one.learns_on == "both" for one in (entry, control_row[0])}) > 1:
        this, that = ("takes no shots", "begins with its shots")
        if entry.learns_on != "both":
            this, that = that, this
        sentences.append(f"It {this}, but {control} {that}: their schedules in the target differ.")
    return sentences


def _name(reference: str, learner: str) -> str:
    """Returns the name of an added reference: `scratch (SAC)`."""
    return f"{reference} ({learner})"


def _settings(learner: Method, other: Method) -> dict[str, object]:
    """Returns the fields of a learner whose values differ from those of another learner of the same class."""
    fields = (field.name for field in dataclasses.fields(learner))  # pyright: ignore[reportArgumentType]
    return {name: value for name in fields if (value := getattr(learner, name)) != getattr(other, name)}
