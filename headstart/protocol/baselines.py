"""Like with like: a row is compared with a scratch that learns as the row does, and that scratch has its oracle.

DARC learns by SAC. Compared with a PPO from scratch, SAC's advantage would pass for DARC's. So a study in which a row's
base learner is of another kind than scratch's has one more scratch, by that base learner, and one more oracle.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from headstart.core.types import Method
from headstart.methods import Entry

SCRATCH, ORACLE = "scratch", "oracle"
Rows = Sequence[tuple[Entry, Method]]


def is_scratch(name: str) -> bool:
    """Returns whether a row of that name learns the target from nothing, by whichever learner."""
    return name == SCRATCH or name.startswith(f"{SCRATCH} (")


def is_oracle(name: str) -> bool:
    """Returns whether a row of that name learns the target with the steps of both domains, by whichever learner."""
    return name == ORACLE or name.startswith(f"{ORACLE} (")


def is_added(name: str) -> bool:
    """Returns whether a row of that name is one of `more_references`."""
    return (is_scratch(name) or is_oracle(name)) and name not in (SCRATCH, ORACLE)


def scratch_of(rows: Rows) -> dict[str, str]:
    """Returns the name of the scratch that learns as a row does, for each row that is not a reference itself."""
    found, plain = {}, next(method for entry, method in rows if entry.name == SCRATCH)
    for entry, method in rows:
        if not (entry.name == "random" or is_scratch(entry.name) or is_oracle(entry.name)):
            base = method.base_learner()
            found[entry.name] = SCRATCH if type(base) is type(plain) else f"{SCRATCH} ({learner_name(base)})"
    return found


def more_references(rows: Rows, scratch: Entry, oracle: Entry | None) -> list[tuple[Entry, Method]]:
    """Returns the scratches and the oracles that rows need besides the study's own.

    `scratch` and `oracle` are the study's entries for them; without an oracle, no row gets one.
    """
    names, learners = scratch_of(rows), {}
    for entry, method in rows:
        if names.get(entry.name, SCRATCH) != SCRATCH:
            learners[names[entry.name]] = method.base_learner()
    more = []
    for name, learner in learners.items():
        for kind in (scratch, oracle):
            if kind is not None:
                about = f"{kind.about}, by {learner_name(learner)}"
                title = name.replace(SCRATCH, kind.name, 1)
                more.append((dataclasses.replace(kind, name=title, about=about), learner))
    return more


def needed(rows: Rows, names: Mapping[str, str]) -> set[str]:
    """Returns the rows that are left once those of `more_references` that no row needs are taken away."""
    scratches = {SCRATCH, *(names[entry.name] for entry, _ in rows if entry.name in names)}
    references = scratches | {name.replace(SCRATCH, ORACLE, 1) for name in scratches}
    kept = (entry.name for entry, _ in rows)
    return {name for name in kept if name in references or not (is_scratch(name) or is_oracle(name))}


def learner_name(learner: Method) -> str:
    """Returns a base learner's name, and the settings in which it is not as by default: `SAC batch-64`."""
    shown = lambda value: "+".join(map(str, value)) if isinstance(value, tuple) else value
    settings = [f"{name}-{shown(value)}" for name, value in _settings(learner, type(learner)()).items()]
    return " ".join([type(learner).__name__, *settings])


def caveats(entry: Entry, method: Method, control: str | None, rows: Rows, shots: Sequence[int]) -> list[str]:
    """Returns what is unlike between a row and its control, beside the transfer: learners and schedules."""
    other = next(((entry, method) for entry, method in rows if entry.name == control), None)
    if other is None:
        return []
    said, mine, theirs = [], method.base_learner(), other[1].base_learner()
    if type(mine) is not type(theirs):
        said.append(f"It learns by {learner_name(mine)}, and {control} by {learner_name(theirs)}.")
    elif settings := _settings(mine, theirs):
        told = ", ".join(f"{name}={value}" for name, value in settings.items())
        said.append(f"Its {type(mine).__name__} has other settings than that of {control}: {told}.")
    if max(shots, default=0) > 0 and len({one.learns_on == "both" for one in (entry, other[0])}) > 1:
        takes, does = ("takes no shots", "begins with its shots")
        if entry.learns_on != "both":
            takes, does = does, takes
        said.append(f"It {takes}, where {control} {does}: their schedules in the target differ.")
    return said


def _settings(learner: Method, other: Method) -> dict[str, object]:
    """Returns the fields in which a learner differs from another of its kind."""
    fields = (field.name for field in dataclasses.fields(learner))  # pyright: ignore[reportArgumentType]
    return {name: mine for name in fields if (mine := getattr(learner, name)) != getattr(other, name)}
