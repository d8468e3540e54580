"""Sentences on the result of each row, and on the shift between source and target."""

import math

import numpy as np

from headstart.lab import formats
from headstart.lab.formats import statistic
from headstart.lab.report import advice
from headstart.lab.report.study_data import Row, StudyData, get_dict, to_interval
from headstart.protocol.statistics import Interval

METHOD_PHRASES = {  # by the method's name; all other methods appear under their name
    "finetune": "Finetuning from {source}",
    "randomize": "Training on random draws of {ensemble}",
    "epopt": "Training on the worst draws of {ensemble} (EPOpt)",
}
NO_VERDICT = "no verdict"
LABELS = {"positive": "helped", "negative": "hurt", "none": "no significant difference"}
DIFFERENCES = {
    "initial": "initial states",
    "next_state": "transitions",
    "reward": "rewards",
    "termination": "termination",
}
EFFECT_BOUNDS = ((1e-6, "none"), (0.2, "slight"), (0.5, "small"), (0.8, "medium"))  # effect size < bound
FAIR_SHARE = 0.05  # of the range of returns: smaller differences after few shots are not mentioned
FEWER_STEPS = 1.2  # smallest ratio of times to the threshold that is mentioned


def row_sentence(row: Row, study: StudyData) -> str:
    """Returns what a row achieved, compared with its control."""
    failures = _failures(row, study)
    if row.curve is None:
        return failures or "It has no result yet."
    subject = METHOD_PHRASES.get(row.name.split(" ")[0], "{name}").format(
        source=study.source, ensemble=study.ensemble or "the ensemble", name=row.name
    )
    control = study.row(row.control or "scratch")
    total, control_total = row.metrics.get("total"), control.metrics.get("total") if control else None
    if control is None or total is None or control_total is None:
        return f"{subject} has no comparison, because there is no run {_by(row.control, study)}. {failures}".strip()
    if row.role == "naive":
        naive = _naive(total, control_total, row, study)
        return " ".join(part for part in (naive, *row.caveats, failures) if part)
    steps = f"the same {formats.count(study.budget)} steps of the target" if study.budget else "the same steps"
    against = f"{statistic(control_total)} {_by(row.control, study)}"
    opening = {
        "positive": f"{subject} helped: over {steps} it averaged {statistic(total)} against {against}.",
        "negative": f"{subject} hurt: over {steps} it averaged only {statistic(total)} against {against}.",
    }.get(row.verdict or "none") or _not_significant(subject, row, study, total, control_total)
    parts = [opening, _few_shots(row, control, study), _threshold(row, control, study), *row.caveats, failures]
    return " ".join(part for part in parts if part)


def verdict_label(row: Row, study: StudyData) -> str:
    """Returns the verdict in at most three words."""
    if row.verdict not in LABELS:
        return NO_VERDICT
    if row.verdict != "none" and (row.role == "naive" or not study.is_scratch(row.control or "scratch")):
        return f"{'above' if row.verdict == 'positive' else 'below'} {row.control or 'scratch'}"
    return LABELS[row.verdict]


def shift_sentence(study: StudyData) -> str | None:
    """Returns whether and in what source and target differ; None without a measured shift."""
    changes = {name: get_dict(values) for name, values in get_dict(study.shift, "parameters").items()}
    if study.shift.get("broken"):
        return advice.broken_env_sentence(study.shift["broken"])
    if study.shift.get("differs") is False:
        if study.shift.get("same", not changes):
            return "Source and target are the same task, so this study does not measure transfer."
        values = {name: (str(both.get("source")), str(both.get("target"))) for name, both in changes.items()}
        return advice.no_difference_sentence(values, bool(study.shift.get("along_policy")))
    sizes = {key: abs(x.iqm) for key in DIFFERENCES if (x := to_interval(study.shift.get(key))) is not None}
    differences = [
        f"{DIFFERENCES[key]} ({effect_word(size)})" for key, size in sizes.items() if effect_word(size) != "none"
    ]
    parts = [f"Source and target differ in {advice.join_names(differences)}." if differences else None]
    parts.append(advice.constant_sentence(list(study.shift.get("constant") or ())))
    return " ".join(part for part in parts if part) or None


def effect_word(size: float | None) -> str:
    """Returns an effect size in a word, after Cohen's rule of thumb."""
    if size is None:
        return "unknown"
    return next((word for bound, word in EFFECT_BOUNDS if abs(size) < bound), "large")


def episodes_to_threshold(row: Row, threshold: float | None) -> float | None:
    """Returns the target episodes until the row's curve (the IQM over seeds) first reaches the threshold.

    Returns None if it does not. Between two points of the curve the return is interpolated.
    """
    if row.curve is None or threshold is None:
        return None
    reached = np.flatnonzero(row.curve.iqm >= threshold)
    if not reached.size:
        return None
    i = int(reached[0])
    if i == 0:
        return 0.0
    (before, after), (low, high) = row.curve.episodes[i - 1 : i + 1], row.curve.iqm[i - 1 : i + 1]
    episodes = float(before + (threshold - low) / (high - low) * (after - before))
    return episodes if math.isfinite(episodes) else None


def control_phrase(control: str | None, study: StudyData) -> str:
    """Returns the control as the subject of a sentence: `learning from scratch`, or its name."""
    name = control or "scratch"
    return f"learning from {_scratch_phrase(name)}" if study.is_scratch(name) else name


def episode_count(n: float) -> str:
    """Returns a number of episodes with its unit, at least one episode."""
    whole = max(1, round(n))
    return f"{formats.count(whole) if whole < 1000 else formats.number(whole, 2)} episode{'s' if whole > 1 else ''}"


def _naive(total: Interval, control_total: Interval, row: Row, study: StudyData) -> str:
    """Returns the result of `naive`. It takes no steps, so its average return is its return."""
    comparison = {
        "positive": "less: only ",
        "negative": "more: ",
        "none": "neither significantly more nor less: ",
    }.get(row.verdict or "", "")
    return (
        f"Without training on the target, the policy of {study.source} scores {statistic(total)}; "
        f"{control_phrase(row.control, study)} averages {comparison}{statistic(control_total)} over the budget."
    )


def _by(control: str | None, study: StudyData) -> str:
    """Returns how a control was trained: `from scratch`, `from scratch by SAC`, or `by finetune`."""
    name = control or "scratch"
    return f"from {_scratch_phrase(name)}" if study.is_scratch(name) else f"by {name}"


def _scratch_phrase(name: str) -> str:
    """Returns the name of a scratch row as a phrase: `scratch (SAC)` becomes `scratch by SAC`."""
    return name.replace(" (", " by ").removesuffix(")")


def _not_significant(subject: str, row: Row, study: StudyData, total: Interval, control_total: Interval) -> str:
    returns = f"it averaged {statistic(total)}, and {control_phrase(row.control, study)} {statistic(control_total)}"
    if len(study.seeds) == 1:
        return f"{subject} gets no verdict from one seed: {returns}."
    if row.verdict is None and row.no_verdict:
        return f"{subject} gets no verdict: {returns}. {row.no_verdict}"
    if row.difference is None:
        return f"{subject} made no significant difference: {returns}."
    return (
        f"{subject} made no significant difference: {returns}; "
        f"the interval of the difference is {formats.bounds(row.difference)}."
    )


def _few_shots(row: Row, control: Row, study: StudyData) -> str | None:
    """Returns the result at the fewest episodes where the two intervals do not overlap; None without such a result."""
    if len(study.seeds) == 1:
        return None
    levels = [value.iqm for value in study.references.values()] + [value.iqm for value in control.shots.values()]
    fair = FAIR_SHARE * (max(levels) - min(levels)) if levels else 0.0
    for shot, value in row.shots.items():
        base = control.shots.get(shot)
        if base is None or abs(value.iqm - base.iqm) < fair:
            continue
        if value.low <= base.high and value.high >= base.low:
            continue
        when = "Before the first episode" if shot == 0 else f"After {episode_count(shot)}"
        adverb = "already " if value.iqm > base.iqm else "only "
        return f"{when} it {adverb}scores {statistic(value)}; {control.name} scores {statistic(base)}."
    return None


def _threshold(row: Row, control: Row, study: StudyData) -> str | None:
    """Returns how much sooner than its control the row reaches the threshold; None if it is not much."""
    time, control_time = row.metrics.get("time_to_threshold"), control.metrics.get("time_to_threshold")
    if time is None or control_time is None or study.threshold is None or row.verdict != "positive":
        return None
    goal = f"a return of {formats.number(study.threshold)}"
    if time.iqm <= 0.0:
        return f"It reaches {goal} from the start."
    ratio = control_time.iqm / time.iqm
    if ratio < FEWER_STEPS:
        return None
    times = formats.number(ratio, 2)
    return f"It reaches {goal} after {statistic(time)} steps; {control.name} needs {times} times as many."


def _failures(row: Row, study: StudyData) -> str:
    if not row.failed:
        return ""
    reason = next(iter(row.failed.values()))
    if row.curve is None:
        return f"It failed in every seed: {reason}."
    seeds = max(len(study.seeds), len(row.failed))
    return f"{len(row.failed)} of its {seeds} seeds failed, so it cannot get a positive verdict."
