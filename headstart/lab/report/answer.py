"""Answers a study's question in a few sentences: the top of its report."""

from collections.abc import Mapping
from typing import Any

from headstart.lab import formats
from headstart.lab.report import advice
from headstart.lab.report.sentences import LABELS, control_phrase, episode_count, episodes_to_threshold, value
from headstart.lab.report.study_data import StudyData, get_table
from headstart.protocol.headroom import NOTHING_LEARNED


def summary_sentences(study: StudyData) -> list[str]:
    """Returns which row needs the fewest target episodes, what transfer did, and whether there was anything to gain."""
    if failed := all_failed(study.raw):
        return [failed]
    return [
        said
        for said in (
            _fastest(study),
            _rivals(study),
            _overall(study),
            best_row_sentence(study.raw.get("pairs")),
            _headroom(study),
        )
        if said
    ]


def nothing_learned(data: Mapping[str, Any]) -> bool:
    """Returns whether a study has no threshold because no row left the random policy behind."""
    return data.get("no_threshold") == NOTHING_LEARNED


def all_failed(data: Mapping[str, Any]) -> str | None:
    """Returns the sentence for a study of which nothing is left; None where a row has a result."""
    methods = {name: get_table(row) for name, row in get_table(data, "methods").items()}
    failed = {name: row["failed"] for name, row in methods.items() if row.get("failed")}
    if not failed or any(row.get("curve") for row in methods.values()):
        return None
    name, reasons = next(iter(failed.items()))
    return f"Every row failed, such as {name}: {next(iter(reasons.values()))}. The same command runs them again."


def best_row_sentence(pairs: Mapping[str, Any] | None) -> str | None:
    """Returns which row is best by the comparison of all rows with each other; None where there is none."""
    told = get_table({"pairs": pairs}, "pairs")
    leader = told["leader"] if isinstance(told.get("leader"), str) else None
    beaten, others = ([str(x) for x in told.get(key) or [] if x is not None] for key in ("beaten", "open"))
    if not told.get("rows"):
        return None
    cells = [cell for line in told.get("difference") or [] for cell in line or [] if cell]
    if all(cell.get("p") is None for cell in cells):
        return "Which row is best is open: no two rows have the five seeds in common that a verdict takes."
    if not leader:
        return "Which row is best is open: every row lost a seed."
    if not others:
        return f"{leader} is the best row: it is clearly above every other."
    if level := [name for name in _level_with(told, leader) if name in others]:
        below = f"; {leader} is clearly above {advice.and_list(beaten)}" if beaten else ""
        rest = [name for name in others if name not in level]
        open_ = f" {advice.and_list(rest)} may be as good." if rest else ""
        return f"{advice.and_list([leader, *level])} share the highest average of all rows{below}.{open_}"
    above = f"it is clearly above {advice.and_list(beaten)}, but" if beaten else "it is clearly above no other:"
    return f"{leader} has the highest average of all rows; {above} {advice.and_list(others)} may be as good."


def _level_with(pairs: Mapping[str, Any], leader: str) -> list[str]:
    """Returns the rows whose average equals the leader's."""
    lines = dict(zip(pairs["rows"], pairs.get("difference") or [], strict=False))
    line = zip(pairs["rows"], lines.get(leader) or [], strict=False)
    return [name for name, cell in line if cell and cell.get("mean") == 0.0 and name != leader]


def _fastest(study: StudyData) -> str | None:
    arrived = _arrivals(study)
    if not arrived:
        return _furthest(study)
    name = next(iter(arrived))
    row = study.row(name)
    assert row is not None
    goal = f"a return of {formats.number(study.threshold)}{_of_oracle(study)}"
    if row.role == "naive":
        return f"No episode of the target is needed: the source's policy, run as it is, already reaches {goal}."
    first = f"{name} gets the target in the fewest episodes: it reaches {goal} after {episode_count(arrived[name])}"
    if arrived[name] < 0.5:
        first = f"{name} needs no episode of the target: it starts out at {goal}"
    if row.role == "scratch":
        return f"{first}, sooner than anything that transfers."
    control = row.control if row.control and study.is_scratch(row.control) else "scratch"
    if control in arrived:
        return f"{first}, where {control_phrase(control, study)} takes {episode_count(arrived[control])}."
    return (
        f"{first}; {control_phrase(control, study)} does not get there within the budget."
        if study.row(control or "")
        else f"{first}."
    )


def _arrivals(study: StudyData) -> dict[str, float]:
    """Returns the target episodes until the threshold of each method that gets there, the fewest first."""
    found = [
        (at, row) for row in study.compared_rows if (at := episodes_to_threshold(row, study.threshold)) is not None
    ]
    return {row.name: at for at, row in sorted(found, key=lambda item: (item[0], item[1].role != "naive"))}


def _rivals(study: StudyData) -> str | None:
    """Returns how sure it is which was the first, by the intervals of the times to the threshold."""
    first, *others = [*_arrivals(study)] or [""]
    if len(study.seeds) == 1 and any(row.curve for row in study.compared_rows):
        return "All of this is of one seed: another may tell it otherwise."
    times = {
        row.name: told for row in study.compared_rows if (told := row.metrics.get("time_to_threshold")) is not None
    }
    near = [name for name in others if first in times and name in times and times[name].low <= times[first].high]
    return f"{advice.and_list(near)} may be as fast: the intervals of their times overlap." if near else None


def _furthest(study: StudyData) -> str | None:
    ends = {row.name: told for row in study.compared_rows if (told := row.metrics.get("asymptote")) is not None}
    if not ends:
        return None
    best = max(ends, key=lambda name: ends[name].iqm)
    if nothing_learned(study.raw):
        floor = study.references.get("random")
        return (
            f"Nothing was learned on the target: {best} ends highest, at {value(ends[best])}, and acting at random "
            f"scores {formats.statistic(floor)}. So there is no threshold and no head-room; more steps may help."
        )
    if study.threshold is None:
        return f"{best} ends highest on the target, at {value(ends[best])}."
    goal = f"a return of {formats.number(study.threshold)}{_of_oracle(study)}"
    return f"Nothing reaches {goal} within the budget; {best} comes closest, with {value(ends[best])} at the end."


def _overall(study: StudyData) -> str | None:
    rows = [row for row in study.rows_with_control if row.role != "naive"]
    said = {kind: [row.name for row in rows if row.verdict == kind] for kind in LABELS}
    unjudged = [row.name for row in rows if row.verdict is None and row.no_verdict]
    parts = [
        f"{advice.and_list(said['positive'])} helped" if said["positive"] else "",
        f"{advice.and_list(said['negative'])} hurt" if said["negative"] else "",
        f"{advice.and_list(said['none'])} made no clear difference" if said["none"] else "",
        f"{advice.and_list(unjudged)} got no verdict" if unjudged and len(study.seeds) != 1 else "",
    ]
    told = [part for part in parts if part]
    return f"Over the whole budget, {'; '.join(told)}." if told else None


def _headroom(study: StudyData) -> str | None:
    told = get_table(study.shift, "headroom")
    ours, best, name = told.get("source_policy"), told.get("best"), str(told.get("best_name") or "best")
    if ours is None or best is None or nothing_learned(study.raw):
        return None
    rival = "the oracle reaches" if name == "oracle" else f"{name} reaches"
    return advice.headroom_sentence(ours, best, told.get("random") or 0.0, told.get("learned", True), rival)


def _of_oracle(study: StudyData) -> str:
    oracle = study.references.get("oracle")
    if oracle is None or not study.threshold or oracle.iqm <= 0.0:
        return ""
    return f" ({round(100 * study.threshold / oracle.iqm)}{formats.THIN}% of the oracle's)"
