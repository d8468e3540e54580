"""The study in words a person would say: the answer first, then a sentence or three for each method."""

import math

import numpy as np

from headstart.lab import advice, numbers
from headstart.lab.report_data import Row, Study, interval, table
from headstart.protocol.statistics import Interval

DOING = {  # methods by the name of their entry; any other speaks for itself
    "finetune": "Finetuning from {source}",
    "randomize": "Training on random draws of {ensemble}",
    "epopt": "Training on the worst draws of {ensemble} (EPOpt)",
}
LABELS = {"positive": "helped", "negative": "hurt", "none": "no clear difference"}


def answer(study: Study) -> list[str]:
    """-> what gets the target in the fewest episodes, what transfer did, and whether there was anything to gain."""
    return [said for said in (_fastest(study), _rivals(study), _overall(study), _headroom(study)) if said]


def sentence(row: Row, study: Study) -> str:
    """-> what a method did, beside learning from scratch."""
    failures = _failures(row, study)
    if row.curve is None:
        return failures or "It has no result yet."
    who = DOING.get(row.name.split(" ")[0], "{name}").format(
        source=study.source, ensemble=study.ensemble or "the ensemble", name=row.name
    )
    scratch = study.row("scratch")
    ours, base = row.metrics.get("total"), scratch.metrics.get("total") if scratch else None
    if ours is None or base is None:
        return f"{who} cannot be compared: there is no run from scratch beside it. {failures}".strip()
    if row.name == "naive":
        return f"{_as_it_is(ours, base, row, study)} {failures}".strip()
    spent = f"the same {numbers.count(study.budget)} steps of the target" if study.budget else "the same steps"
    opening = {
        "positive": f"{who} helped: over {spent} it averaged {_value(ours)} against {_value(base)} from scratch.",
        "negative": f"{who} hurt: over {spent} it averaged only {_value(ours)} against {_value(base)} from scratch.",
    }.get(row.verdict or "none") or _undecided(who, row, study, ours, base)
    parts = [opening, _early(row, scratch, study), _arrival(row, scratch, study), failures]
    return " ".join(part for part in parts if part)


def label(row: Row) -> str:
    """-> the verdict in a word or three."""
    kind = row.verdict if row.verdict in LABELS else "none"
    if row.name == "naive" and kind != "none":
        return "above scratch" if kind == "positive" else "below scratch"
    return LABELS[kind]


def difference(study: Study) -> str | None:
    """-> whether the target is another task at all, and in what."""
    changes = {name: table(told) for name, told in table(study.shift, "parameters").items()}
    if study.shift.get("differs") is False:
        if study.shift.get("same", not changes):
            return "Source and target are the same task, and nothing here is about transfer."
        values = {name: (str(told.get("source")), str(told.get("target"))) for name, told in changes.items()}
        return advice.unseen(values, bool(study.shift.get("along_policy")))
    what = {
        "initial": "where episodes begin",
        "next_state": "what an action leads to",
        "reward": "what it is paid",
        "termination": "when episodes end",
    }
    sizes = {key: abs(x.iqm) for key in what if (x := interval(study.shift.get(key))) is not None}
    changed = [f"{what[key]} ({effect(size)})" for key, size in sizes.items() if effect(size) != "none"]
    parts = [f"Source and target differ in {advice.and_list(changed)}." if changed else None]
    parts.append(advice.constant(list(study.shift.get("constant") or ())))
    return " ".join(part for part in parts if part) or None


def effect(size: float | None) -> str:
    """-> an effect size in a word, after Cohen's rule of thumb."""
    if size is None:
        return "unknown"
    words = ((1e-6, "none"), (0.2, "slight"), (0.5, "small"), (0.8, "medium"))
    return next((word for bound, word in words if abs(size) < bound), "large")


def reach(row: Row, threshold: float | None) -> float | None:
    """-> the target episodes after which the method's curve (the IQM of its seeds) first reaches the threshold."""
    if row.curve is None or threshold is None:
        return None
    over = np.flatnonzero(row.curve.iqm >= threshold)
    if not over.size:
        return None
    i = int(over[0])
    if i == 0:
        return 0.0
    (before, after), (low, high) = row.curve.episodes[i - 1 : i + 1], row.curve.iqm[i - 1 : i + 1]
    at = float(before + (threshold - low) / (high - low) * (after - before))
    return at if math.isfinite(at) else None


def _fastest(study: Study) -> str | None:
    arrived = _arrivals(study)
    if not arrived:
        return _furthest(study)
    name = next(iter(arrived))
    goal = f"a return of {numbers.number(study.threshold)}{_of_oracle(study)}"
    if name == "naive":
        return f"No episode of the target is needed: the source's policy, run as it is, already reaches {goal}."
    first = f"{name} gets the target in the fewest episodes: it reaches {goal} after {_episodes(arrived[name])}"
    if arrived[name] < 0.5:
        first = f"{name} needs no episode of the target: it starts out at {goal}"
    if name == "scratch":
        return f"{first}, sooner than anything that transfers."
    if "scratch" in arrived:
        return f"{first}, where learning from scratch takes {_episodes(arrived['scratch'])}."
    return (
        f"{first}; learning from scratch does not get there within the budget." if study.row("scratch") else f"{first}."
    )


def _arrivals(study: Study) -> dict[str, float]:
    """-> the target episodes until the threshold of each method that gets there, the fewest first."""
    found = {row.name: at for row in study.contenders if (at := reach(row, study.threshold)) is not None}
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0] != "naive")))


def _rivals(study: Study) -> str | None:
    """-> how sure it is which was the first, by the intervals of the times to the threshold."""
    first, *others = [*_arrivals(study)] or [""]
    if len(study.seeds) == 1 and any(row.curve for row in study.contenders):
        return "All of this is of one seed: another may tell it otherwise."
    times = {row.name: told for row in study.contenders if (told := row.metrics.get("time_to_threshold")) is not None}
    near = [name for name in others if first in times and name in times and times[name].low <= times[first].high]
    return f"{advice.and_list(near)} may be as fast: the intervals of their times overlap." if near else None


def _furthest(study: Study) -> str | None:
    ends = {row.name: told for row in study.contenders if (told := row.metrics.get("asymptote")) is not None}
    if not ends:
        return None
    best = max(ends, key=lambda name: ends[name].iqm)
    if study.threshold is None:
        return f"{best} ends highest on the target, at {_value(ends[best])}."
    goal = f"a return of {numbers.number(study.threshold)}{_of_oracle(study)}"
    return f"Nothing reaches {goal} within the budget; {best} comes closest, with {_value(ends[best])} at the end."


def _overall(study: Study) -> str | None:
    rows = [row for row in study.challengers if row.name != "naive"]
    said = {kind: [row.name for row in rows if row.verdict == kind] for kind in LABELS}
    parts = [
        f"{advice.and_list(said['positive'])} helped" if said["positive"] else "",
        f"{advice.and_list(said['negative'])} hurt" if said["negative"] else "",
        f"{advice.and_list(said['none'])} made no clear difference" if said["none"] else "",
    ]
    told = [part for part in parts if part]
    return f"Over the whole budget, {'; '.join(told)}." if told else None


def _headroom(study: Study) -> str | None:
    told = table(study.shift, "headroom")
    ours, best, name = told.get("source_policy"), told.get("best"), str(told.get("best_name") or "best")
    if ours is None or best is None:
        return None
    rival = "the oracle reaches" if name == "oracle" else f"{name} reaches"
    return advice.gain(ours, best, told.get("random") or 0.0, told.get("learned", True), rival)


def _as_it_is(ours: Interval, base: Interval, row: Row, study: Study) -> str:
    """-> what the source's policy is worth without learning: it spends nothing, so its average is its return."""
    beside = {"positive": "less: only ", "negative": "more: ", "none": "not clearly more or less: "}.get(
        row.verdict or "", ""
    )
    return (
        f"Just running the policy of {study.source}, without learning, scores {_value(ours)}; "
        f"learning from scratch averages {beside}{_value(base)} over the budget."
    )


def _undecided(who: str, row: Row, study: Study, ours: Interval, base: Interval) -> str:
    beside = f"it averaged {_value(ours)}, and learning from scratch {_value(base)}"
    if len(study.seeds) == 1:
        return f"{who} cannot be judged by one seed: {beside}."
    if row.difference is None:
        return f"{who} made no clear difference: {beside}."
    return (
        f"{who} made no clear difference: {beside}; "
        f"the difference may be anything from {_bound(row.difference, 1)} to {_bound(row.difference, 2)}."
    )


def _early(row: Row, scratch: Row | None, study: Study) -> str | None:
    """The few-shot result worth telling: the fewest episodes at which the intervals are apart, and by a fair bit."""
    if scratch is None or len(study.seeds) == 1:
        return None
    levels = [value.iqm for value in study.references.values()] + [value.iqm for value in scratch.shots.values()]
    fair = 0.05 * (max(levels) - min(levels)) if levels else 0.0
    for shot, told in row.shots.items():
        base = scratch.shots.get(shot)
        if base is None or abs(told.iqm - base.iqm) < fair:
            continue
        if told.low <= base.high and told.high >= base.low:
            continue
        when = "Before the first episode" if shot == 0 else f"After {_episodes(shot)}"
        early = "already " if told.iqm > base.iqm else "only "
        return f"{when} it {early}scores {_value(told)}, where scratch has {_value(base)}."
    return None


def _arrival(row: Row, scratch: Row | None, study: Study) -> str | None:
    ours, base = row.metrics.get("time_to_threshold"), scratch.metrics.get("time_to_threshold") if scratch else None
    if ours is None or base is None or study.threshold is None or row.verdict != "positive":
        return None
    times = base.iqm / ours.iqm if ours.iqm > 0.0 else math.inf
    if times < 1.2:
        return None
    return f"It reaches {numbers.number(study.threshold)} after {_value(ours)} steps" + (
        f", {numbers.number(times, 2)} times sooner." if math.isfinite(times) else ": from the start."
    )


def _failures(row: Row, study: Study) -> str:
    if not row.failed:
        return ""
    reason = next(iter(row.failed.values()))
    if row.curve is None:
        return f"It failed in every seed: {reason}."
    return f"{len(row.failed)} of its {max(len(study.seeds), len(row.failed))} seeds failed and are left out."


def _of_oracle(study: Study) -> str:
    oracle = study.references.get("oracle")
    if oracle is None or not study.threshold or oracle.iqm <= 0.0:
        return ""
    return f" ({round(100 * study.threshold / oracle.iqm)}{numbers.THIN}% of the oracle's)"


def _episodes(n: float) -> str:
    whole = max(1, round(n))
    return f"{numbers.count(whole) if whole < 1000 else numbers.number(whole, 2)} episode{'s' if whole > 1 else ''}"


def _value(interval: Interval) -> str:
    return numbers.middle(interval)


def _bound(interval: Interval, end: int) -> str:
    return numbers.rounded(interval[end], numbers.grain(interval))
