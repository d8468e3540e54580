"""Sentences about the shift and the headroom, shared by the doctor and the report of a study."""

from collections.abc import Mapping, Sequence

from headstart.lab import formats
from headstart.protocol.shift import Shift

LITTLE_HEADROOM = 0.9  # share of the headroom; a source policy above it leaves little to adapt


def join_names(names: Sequence[str]) -> str:
    """Returns the names as a list in a sentence: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def no_difference_sentence(values: Mapping[str, tuple[str, str]], along_policy: bool) -> str:
    """Returns the sentence for tasks with different parameters and no measured effect.

    `values` are the source and target values of each changed parameter. `along_policy` says whether the source policy
    was run, in addition to random actions.
    """
    changes = [f"{name} ({formats.value_text(a)} → {formats.value_text(b)})" for name, (a, b) in values.items()]
    subject = (
        f"{join_names(changes)} {'differs' if len(changes) == 1 else 'differ'}" if changes else "the reward differs"
    )
    policies = "random actions and the source policy" if along_policy else "random actions"
    return (
        f"No difference was measured, although {subject}. "
        f"Either {policies} do not reach the states where this matters, or it has no effect."
    )


def broken_env_sentence(reason: object) -> str:
    """Returns the sentence for tasks whose comparison ended because an environment failed."""
    return f"It is unknown whether source and target differ, because the environment failed: {reason}"


def constant_sentence(names: Sequence[str]) -> str | None:
    """Returns the sentence for observation components that are constant in the source; None without such components."""
    if not names:
        return None
    are, differ, them = ("is", "differs", "it") if len(names) == 1 else ("are", "differ", "them")
    return (
        f"{join_names(names)} {are} constant in the source and {differ} in the target, so a policy trained in the "
        f"source has not learned to react to {them}. Vary {them} in the source too."
    )


def headroom_sentence(
    source_return: float, best_return: float, random_return: float, learned: bool, best_phrase: str
) -> str:
    """Returns whether there is something to adapt.

    `learned` says whether any policy learned the target. `best_phrase` is the subject and verb of the best return, such
    as `the oracle reaches`.
    """
    if not learned:
        return (
            f"Nothing was learned on the target: {best_phrase} {formats.number(best_return)}, and random actions score "
            f"{formats.number(random_return)}. Whether there is anything to adapt is unknown; more steps may show it."
        )
    if source_return >= best_return:
        return (
            "There is little to adapt: no policy scores more than the source policy, which scores "
            f"{formats.number(source_return)} without training on the target."
        )
    little = source_return - random_return >= LITTLE_HEADROOM * (best_return - random_return)
    return (
        f"There is {'little' if little else 'something'} to adapt: without training on the target, the source policy "
        f"scores {formats.number(source_return)} of the {formats.number(best_return)} that {best_phrase}."
    )


def doctor_advice(shift: Shift, headroom: str | None) -> str:
    """Returns the doctor's advice. `headroom` is its sentence about the headroom; None without training."""
    if shift.same:
        return "Source and target are the same task, so there is nothing to transfer. Change the target."
    if not shift.differs:
        action = "Measure again with a better source policy: use more --steps, or --checkpoint."
        return f"{no_difference_sentence(shift.values, shift.along_policy)} {action}"
    sizes = {name: effect.size for name, effect in shift.parameters.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    difference = "The target is another task."
    if len(sizes) > 1:
        difference = f"The target is another task; {largest} has the largest effect."
    headroom = headroom or "To measure the headroom by two short trainings, add --steps 100000."
    return " ".join(part for part in (difference, headroom, constant_sentence(shift.constant)) if part)
