"""What a shift and its head-room mean for who asks: the same sentences for the doctor and for a study's report."""

from collections.abc import Mapping, Sequence

from headstart.lab import formats
from headstart.protocol.shift import Shift

LITTLE_LEFT = 0.9  # of what can be had: more than this leaves little to adapt


def and_list(names: Sequence[str]) -> str:
    """Returns the names in a sentence: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def no_difference_sentence(values: Mapping[str, tuple[str, str]], along_policy: bool) -> str:
    """Returns the sentence for tasks whose parameters differ, where no step showed a difference."""
    changes = [f"{name} ({formats.value_text(a)} → {formats.value_text(b)})" for name, (a, b) in values.items()]
    what = f"{and_list(changes)} {'differs' if len(changes) == 1 else 'differ'}" if changes else "the reward differs"
    who = "random actions and the source's policy do" if along_policy else "random actions do"
    return f"No difference was found, though {what}: {who} not come to where it matters, or it does not matter."


def broken_env_sentence(why: object) -> str:
    """Returns the sentence for tasks of which an environment broke while they were compared."""
    return f"Whether source and target differ cannot be told, since the environment broke: {why}"


def constant_sentence(names: Sequence[str]) -> str | None:
    """Returns the sentence for components that never vary in the source; None where there are none."""
    if not names:
        return None
    varies, differs = ("varies", "is different") if len(names) == 1 else ("vary", "are different")
    return (
        f"{and_list(names)} never {varies} in the source, and {differs} in the target: a policy of the source has "
        "not learned what to do about it. Let it vary in the source too."
    )


def headroom_sentence(ours: float, best: float, floor: float, learned: bool, rival: str) -> str:
    """Returns whether there is something to adapt. `rival` is who has the best return, in words, with a verb."""
    if not learned:
        return (
            f"Nothing was learned on the target: {rival} {formats.number(best)}, and acting at random scores "
            f"{formats.number(floor)}. Whether there is anything to adapt cannot be told; more steps may tell."
        )
    if ours >= best:
        alone = f"no row came further than the source's policy, which scores {formats.number(ours)} as it is"
        return f"There is little to adapt: {alone}."
    shown = f"the source's policy, run as it is, scores {formats.number(ours)} of the {formats.number(best)} that"
    little = ours - floor >= LITTLE_LEFT * (best - floor)
    return f"There is {'little' if little else 'something'} to adapt: {shown} {rival}."


def doctor_advice(found: Shift, words: str | None) -> str:
    """Returns what the doctor advises. `words` say what there is to gain; None where nothing was trained."""
    if found.same:
        return "Source and target are the same task, so that there is nothing to transfer. Change the target."
    if not found.differs:
        mend = "Look again along a policy that has learned more, by more --steps or by --checkpoint."
        return f"{no_difference_sentence(found.values, found.along_policy)} {mend}"
    sizes = {name: effect.size for name, effect in found.parameters.items()}
    most = max(sizes, key=lambda name: sizes[name], default="")
    lead = f"The target is another task, by {most} most of all." if len(sizes) > 1 else "The target is another task."
    rest = words or "Whether it leaves anything to gain, two short trainings tell: --steps 100000."
    return " ".join(part for part in (lead, rest, constant_sentence(found.constant)) if part)
