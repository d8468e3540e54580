"""The result of a transfer (`Transferred`)."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from headstart.core import space_matching
from headstart.core.types import Method, Task, spec
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.checkpoint.transfer_summary import TransferSummary, changed_constants
from headstart.protocol import transfer as protocol
from headstart.protocol.prior import stages_in_spaces
from headstart.tasks.registry import interval
from headstart.tasks.strings import describe


class Transferred(NamedTuple):
    """The result of a transfer: the target curve, the return at each number of shots, and the adapted policy."""

    steps: Float[np.ndarray, " point"]  # target steps spent
    episodes: Float[np.ndarray, " point"]
    returns: Float[np.ndarray, " point"]  # of the deterministic policy on the nominal target
    shots: dict[int, float]  # return by number of target episodes
    trained: Trained
    summary: TransferSummary  # what was copied from the source


def make_transferred(
    trained: Trained,
    method: Method,
    task: Task,
    tasks: Task,
    evaluations: list[protocol.Evaluation],
    plan: space_matching.Plan,
    budget: dict[str, Any],
) -> Transferred:
    """Returns the result of a transfer from its evaluations."""
    curve, last, text = protocol.to_curve(evaluations), evaluations[-1], describe(task)
    adapted = dataclasses.replace(
        trained,
        method=method,
        spec=spec(tasks),
        state=last.state,
        trained_on=f"{trained.trained_on}, then {text}",
        steps=trained.steps + int(last.steps[0]),
        gradient_steps=trained.gradient_steps + int(last.gradient_steps[0]),
        dt=interval(task),
        budgets=(*trained.budgets, {"task": text, **budget}),
        history=stages_in_spaces(trained.stages, plan, spec(tasks)),
        adapted=True,
    )
    counts = space_matching.count_transferred(plan, trained.state.params, evaluations[0].state.params)
    optimizer_kept, source_params = method.learner(spec(tasks), target=True).keep_optimizer, trained.state.params
    summary = TransferSummary(plan, counts, optimizer_kept, changed_constants(plan, source_params, last.state.params))
    shots = {n: float(values[0]) for n, values in curve.shots.items()}
    return Transferred(curve.steps[0], curve.episodes[0], curve.returns[0], shots, adapted, summary)
