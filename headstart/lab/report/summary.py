"""Summarizes a study in a few sentences: the top of its report."""

from collections.abc import Mapping
from typing import Any

from headstart.lab import formats
from headstart.lab.report import advice
from headstart.lab.report.sentences import LABELS, control_phrase, episode_count, episodes_to_threshold
from headstart.lab.report.study_data import StudyData, get_dict
from headstart.protocol.headroom import NOTHING_LEARNED


def summary_sentences(study: StudyData) -> list[str]:
    """Returns which row needs the fewest target episodes, the effect of transfer, the best row, and the headroom."""
    if failed := all_failed_sentence(study.raw):
        return [failed]
    sentences = (
        _fastest_row(study),
        _certainty(study),
        _effects(study),
        best_row_sentence(study.raw.get("pairs")),
        _headroom(study),
    )
    return [sentence for sentence in sentences if sentence]


def nothing_learned(data: Mapping[str, Any]) -> bool:
    """Returns whether a study has no threshold because no row learned the target."""
    return data.get("no_threshold") == NOTHING_LEARNED


def all_failed_sentence(data: Mapping[str, Any]) -> str | None:
    """Returns the sentence for a study in which every row failed; None if a row has a result."""
    methods = {name: get_dict(row) for name, row in get_dict(data, "methods").items()}
    failed = {name: row["failed"] for name, row in methods.items() if row.get("failed")}
    if not failed or any(row.get("curve") for row in methods.values()):
        return None
    name, reasons = next(iter(failed.items()))
    reason = next(iter(reasons.values()))
    return f"Every row failed. The first error, of {name}: {reason}. The same command runs them again."


def best_row_sentence(pairs: Mapping[str, Any] | None) -> str | None:
    """Returns which row is best according to the comparison of all pairs of rows; None without such a comparison."""
    pairs = get_dict({"pairs": pairs}, "pairs")
    leader = pairs["leader"] if isinstance(pairs.get("leader"), str) else None
    beaten, undecided = ([str(x) for x in pairs.get(key) or [] if x is not None] for key in ("beaten", "open"))
    if not pairs.get("rows"):
        return None
    cells = [cell for line in pairs.get("difference") or [] for cell in line or [] if cell]
    if all(cell.get("p") is None for cell in cells):
        return "It is undecided which row is best: a test needs five common seeds, and no two rows have them."
    if not leader:
        return "It is undecided which row is best: every row has a failed seed."
    if not undecided:
        return f"{leader} is the best row: it is significantly above every other row."
    if equal := [name for name in _equal_to(leader, pairs) if name in undecided]:
        below = f"; {leader} is significantly above {advice.join_names(beaten)}" if beaten else ""
        others = [name for name in undecided if name not in equal]
        as_good = f" {advice.join_names(others)} may be as good." if others else ""
        return f"{advice.join_names([leader, *equal])} share the highest average return{below}.{as_good}"
    above = f"significantly above {advice.join_names(beaten)}, but" if beaten else "not significantly above any other:"
    return f"{leader} has the highest average return; it is {above} {advice.join_names(undecided)} may be as good."


def _equal_to(leader: str, pairs: Mapping[str, Any]) -> list[str]:
    """Returns the rows whose average return equals the leader's."""
    lines = dict(zip(pairs["rows"], pairs.get("difference") or [], strict=False))
    differences = zip(pairs["rows"], lines.get(leader) or [], strict=False)
    return [name for name, cell in differences if cell and cell.get("mean") == 0.0 and name != leader]


def _fastest_row(study: StudyData) -> str | None:
    """Returns which row reaches the threshold first, beside its control."""
    times = _episodes_of_rows(study)
    if not times:
        return _highest_row(study)
    name = next(iter(times))
    row = study.row(name)
    assert row is not None
    goal = f"a return of {formats.number(study.threshold)}{_share_of_oracle(study)}"
    if row.role == "naive":
        return f"No target episodes are needed: the source policy reaches {goal} without training on the target."
    first = f"{name} needs the fewest target episodes: it reaches {goal} after {episode_count(times[name])}"
    if times[name] < 0.5:
        first = f"{name} needs no target episodes: it starts at {goal}"
    if row.role == "scratch":
        return f"{first}, sooner than every row that transfers."
    control = row.control if row.control and study.is_scratch(row.control) else "scratch"
    if control in times:
        return f"{first}; {control_phrase(control, study)} needs {episode_count(times[control])}."
    if study.row(control):
        return f"{first}; {control_phrase(control, study)} does not reach it within the budget."
    return f"{first}."


def _episodes_of_rows(study: StudyData) -> dict[str, float]:
    """Returns the target episodes until the threshold, sorted, of the rows that reach it."""
    times = [
        (episodes, row)
        for row in study.compared_rows
        if (episodes := episodes_to_threshold(row, study.threshold)) is not None
    ]
    return {row.name: episodes for episodes, row in sorted(times, key=lambda item: (item[0], item[1].role != "naive"))}


def _certainty(study: StudyData) -> str | None:
    """Returns which rows may be as fast as the fastest, by the intervals of their times to the threshold."""
    first, *others = [*_episodes_of_rows(study)] or [""]
    if len(study.seeds) == 1 and any(row.curve for row in study.compared_rows):
        return "All results are from one seed; another seed may give other results."
    times = {
        row.name: interval
        for row in study.compared_rows
        if (interval := row.metrics.get("time_to_threshold")) is not None
    }
    close = [name for name in others if first in times and name in times and times[name].low <= times[first].high]
    return f"{advice.join_names(close)} may be as fast: the intervals of the times overlap." if close else None


def _highest_row(study: StudyData) -> str | None:
    """Returns which row has the highest final return, for a study in which no row reaches the threshold."""
    returns = {row.name: value for row in study.compared_rows if (value := row.metrics.get("asymptote")) is not None}
    if not returns:
        return None
    best = max(returns, key=lambda name: returns[name].iqm)
    highest = formats.statistic(returns[best])
    if nothing_learned(study.raw):
        return (
            f"Nothing was learned on the target: {best} has the highest final return, {highest}, and random actions "
            f"score {formats.statistic(study.references.get('random'))}. So there is no threshold and no headroom; "
            "more steps may help."
        )
    if study.threshold is None:
        return f"{best} has the highest final return on the target, {highest}."
    goal = f"a return of {formats.number(study.threshold)}{_share_of_oracle(study)}"
    return f"No row reaches {goal} within the budget; {best} comes closest with a final return of {highest}."


def _effects(study: StudyData) -> str | None:
    """Returns which rows helped, which hurt, and which made no significant difference."""
    rows = [row for row in study.rows_with_control if row.role != "naive"]
    names = {verdict: [row.name for row in rows if row.verdict == verdict] for verdict in LABELS}
    without_verdict = [row.name for row in rows if row.verdict is None and row.no_verdict]
    clauses = [
        f"{advice.join_names(names['positive'])} helped" if names["positive"] else "",
        f"{advice.join_names(names['negative'])} hurt" if names["negative"] else "",
        f"{advice.join_names(names['none'])} made no significant difference" if names["none"] else "",
        f"{advice.join_names(without_verdict)} got no verdict" if without_verdict and len(study.seeds) != 1 else "",
    ]
    clauses = [clause for clause in clauses if clause]
    return f"Over the whole budget, {'; '.join(clauses)}." if clauses else None


def _headroom(study: StudyData) -> str | None:
    headroom = get_dict(study.shift, "headroom")
    source, best = headroom.get("source_policy"), headroom.get("best")
    name = str(headroom.get("best_name") or "best")
    if source is None or best is None or nothing_learned(study.raw):
        return None
    best_phrase = "the oracle reaches" if name == "oracle" else f"{name} reaches"
    random = headroom.get("random") or 0.0
    return advice.headroom_sentence(source, best, random, headroom.get("learned", True), best_phrase)


def _share_of_oracle(study: StudyData) -> str:
    oracle = study.references.get("oracle")
    if oracle is None or not study.threshold or oracle.iqm <= 0.0:
        return ""
    return f" ({round(100 * study.threshold / oracle.iqm)}{formats.THIN}% of the oracle's)"
