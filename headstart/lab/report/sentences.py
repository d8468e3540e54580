"""Says in a sentence or three what each method did, and in what source and target differ."""

import math

import numpy as np

from headstart.lab import formats
from headstart.lab.report import advice
from headstart.lab.report.study_data import Row, StudyData, get_table, to_interval
from headstart.protocol.statistics import Interval

METHOD_PHRASES = {  # methods by the name of their entry; any other speaks for itself
    "finetune": "Finetuning from {source}",
    "randomize": "Training on random draws of {ensemble}",
    "epopt": "Training on the worst draws of {ensemble} (EPOpt)",
}
NO_VERDICT = "no verdict"
LABELS = {"positive": "helped", "negative": "hurt", "none": "no clear difference"}


def row_sentence(row: Row, study: StudyData) -> str:
    """Returns what a method did, beside its control."""
    failures = _failures(row, study)
    if row.curve is None:
        return failures or "It has no result yet."
    who = METHOD_PHRASES.get(row.name.split(" ")[0], "{name}").format(
        source=study.source, ensemble=study.ensemble or "the ensemble", name=row.name
    )
    control = study.row(row.control or "scratch")
    ours, base = row.metrics.get("total"), control.metrics.get("total") if control else None
    if control is None or ours is None or base is None:
        return f"{who} cannot be compared: there is no run {_by(row.control, study)} beside it. {failures}".strip()
    if row.role == "naive":
        return " ".join(part for part in (_as_it_is(ours, base, row, study), *row.caveats, failures) if part)
    spent = f"the same {formats.count(study.budget)} steps of the target" if study.budget else "the same steps"
    against = f"{value(base)} {_by(row.control, study)}"
    opening = {
        "positive": f"{who} helped: over {spent} it averaged {value(ours)} against {against}.",
        "negative": f"{who} hurt: over {spent} it averaged only {value(ours)} against {against}.",
    }.get(row.verdict or "none") or _undecided(who, row, study, ours, base)
    parts = [opening, _early(row, control, study), _arrival(row, control, study), *row.caveats, failures]
    return " ".join(part for part in parts if part)


def verdict_label(row: Row, study: StudyData) -> str:
    """Returns the verdict in a word or three."""
    if row.verdict not in LABELS:
        return NO_VERDICT
    if row.verdict != "none" and (row.role == "naive" or not study.is_scratch(row.control or "scratch")):
        return f"{'above' if row.verdict == 'positive' else 'below'} {row.control or 'scratch'}"
    return LABELS[row.verdict]


def shift_sentence(study: StudyData) -> str | None:
    """Returns whether the target is another task at all, and in what."""
    changes = {name: get_table(told) for name, told in get_table(study.shift, "parameters").items()}
    if study.shift.get("broken"):
        return advice.broken_env_sentence(study.shift["broken"])
    if study.shift.get("differs") is False:
        if study.shift.get("same", not changes):
            return "Source and target are the same task, and nothing here is about transfer."
        values = {name: (str(told.get("source")), str(told.get("target"))) for name, told in changes.items()}
        return advice.no_difference_sentence(values, bool(study.shift.get("along_policy")))
    what = {
        "initial": "where episodes begin",
        "next_state": "what an action leads to",
        "reward": "what it is paid",
        "termination": "when episodes end",
    }
    sizes = {key: abs(x.iqm) for key in what if (x := to_interval(study.shift.get(key))) is not None}
    changed = [f"{what[key]} ({effect_word(size)})" for key, size in sizes.items() if effect_word(size) != "none"]
    parts = [f"Source and target differ in {advice.and_list(changed)}." if changed else None]
    parts.append(advice.constant_sentence(list(study.shift.get("constant") or ())))
    return " ".join(part for part in parts if part) or None


def effect_word(size: float | None) -> str:
    """Returns an effect size in a word, after Cohen's rule of thumb."""
    if size is None:
        return "unknown"
    words = ((1e-6, "none"), (0.2, "slight"), (0.5, "small"), (0.8, "medium"))
    return next((word for bound, word in words if abs(size) < bound), "large")


def episodes_to_threshold(row: Row, threshold: float | None) -> float | None:
    """Returns the target episodes after which the method's curve (the IQM of its seeds) first reaches the threshold."""
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


def _as_it_is(ours: Interval, base: Interval, row: Row, study: StudyData) -> str:
    """Returns what the source's policy is worth without learning: it spends nothing, so its average is its return."""
    beside = {"positive": "less: only ", "negative": "more: ", "none": "not clearly more or less: "}.get(
        row.verdict or "", ""
    )
    return (
        f"Just running the policy of {study.source}, without learning, scores {value(ours)}; "
        f"{control_phrase(row.control, study)} averages {beside}{value(base)} over the budget."
    )


def _by(control: str | None, study: StudyData) -> str:
    """Returns how a control learned: `from scratch`, `from scratch by SAC`, or `by finetune`."""
    name = control or "scratch"
    return f"from {_of(name)}" if study.is_scratch(name) else f"by {name}"


def control_phrase(control: str | None, study: StudyData) -> str:
    """Returns what a control did: `learning from scratch`, or its name."""
    name = control or "scratch"
    return f"learning from {_of(name)}" if study.is_scratch(name) else name


def _of(scratch: str) -> str:
    """Returns a scratch's name in a sentence: `scratch (SAC)` is `scratch by SAC`."""
    return scratch.replace(" (", " by ").removesuffix(")")


def _undecided(who: str, row: Row, study: StudyData, ours: Interval, base: Interval) -> str:
    beside = f"it averaged {value(ours)}, and {control_phrase(row.control, study)} {value(base)}"
    if len(study.seeds) == 1:
        return f"{who} cannot be judged by one seed: {beside}."
    if row.verdict is None and row.no_verdict:
        return f"{who} gets no verdict: {beside}. {row.no_verdict}"
    if row.difference is None:
        return f"{who} made no clear difference: {beside}."
    return (
        f"{who} made no clear difference: {beside}; "
        f"the difference may be anything from {_bound(row.difference, 1)} to {_bound(row.difference, 2)}."
    )


def _early(row: Row, control: Row, study: StudyData) -> str | None:
    """The few-shot result worth telling: the fewest episodes at which the intervals are apart, and by a fair bit."""
    if len(study.seeds) == 1:
        return None
    levels = [value.iqm for value in study.references.values()] + [value.iqm for value in control.shots.values()]
    fair = 0.05 * (max(levels) - min(levels)) if levels else 0.0
    for shot, told in row.shots.items():
        base = control.shots.get(shot)
        if base is None or abs(told.iqm - base.iqm) < fair:
            continue
        if told.low <= base.high and told.high >= base.low:
            continue
        when = "Before the first episode" if shot == 0 else f"After {episode_count(shot)}"
        early = "already " if told.iqm > base.iqm else "only "
        return f"{when} it {early}scores {value(told)}, where {control.name} has {value(base)}."
    return None


def _arrival(row: Row, control: Row, study: StudyData) -> str | None:
    ours, base = row.metrics.get("time_to_threshold"), control.metrics.get("time_to_threshold")
    if ours is None or base is None or study.threshold is None or row.verdict != "positive":
        return None
    times = base.iqm / ours.iqm if ours.iqm > 0.0 else math.inf
    if times < 1.2:
        return None
    return f"It reaches {formats.number(study.threshold)} after {value(ours)} steps" + (
        f", {formats.number(times, 2)} times sooner." if math.isfinite(times) else ": from the start."
    )


def _failures(row: Row, study: StudyData) -> str:
    if not row.failed:
        return ""
    reason = next(iter(row.failed.values()))
    if row.curve is None:
        return f"It failed in every seed: {reason}."
    seeds = max(len(study.seeds), len(row.failed))
    return f"{len(row.failed)} of its {seeds} seeds failed, which forbids a verdict in its favour."


def episode_count(n: float) -> str:
    """Returns a number of episodes, at least one."""
    whole = max(1, round(n))
    return f"{formats.count(whole) if whole < 1000 else formats.number(whole, 2)} episode{'s' if whole > 1 else ''}"


def value(interval: Interval) -> str:
    """Returns the interval's statistic, rounded."""
    return formats.statistic(interval)


def _bound(interval: Interval, end: int) -> str:
    return formats.rounded(interval[end], formats.interval_step(interval))
