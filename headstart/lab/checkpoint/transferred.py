"""What comes of a transfer."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from headstart.core import space_matching
from headstart.core.types import Method, Task, spec
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.checkpoint.transfer_summary import Moved, woken
from headstart.protocol import transfer as protocol
from headstart.protocol.prior import entered
from headstart.tasks.registry import interval
from headstart.tasks.strings import describe


class Transferred(NamedTuple):
    """What came of a transfer: the curve on the target, the returns at each number of shots, and the policy."""

    steps: Float[np.ndarray, " point"]  # target steps spent
    episodes: Float[np.ndarray, " point"]
    returns: Float[np.ndarray, " point"]  # of the deterministic policy on the nominal target
    shots: dict[int, float]  # number of target episodes -> return
    trained: Trained
    moved: Moved  # what of the knowledge came along


def transferred(
    trained: Trained,
    how: Method,
    task: Task,
    tasks: Task,
    judgements: list[protocol.Evaluation],
    plan: space_matching.Plan,
    allowed: dict[str, Any],
) -> Transferred:
    """-> what came of it."""
    curve, last, text = protocol.curve(judgements), judgements[-1], describe(task)
    after = dataclasses.replace(
        trained,
        method=how,
        spec=spec(tasks),
        state=last.state,
        trained_on=f"{trained.trained_on}, then {text}",
        steps=trained.steps + int(last.steps[0]),
        gradient_steps=trained.gradient_steps + int(last.gradient_steps[0]),
        dt=interval(task),
        budgets=(*trained.budgets, {"task": text, **allowed}),
        before=entered(trained.stages, plan, spec(tasks)),
        adapted=True,
    )
    came = space_matching.count_transferred(plan, trained.state.params, judgements[0].state.params)
    kept, known = how.learner(spec(tasks), target=True).keep_optimizer, trained.state.params
    moved = Moved(plan, came, kept, woken(plan, known, last.state.params))
    at = {n: float(values[0]) for n, values in curve.shots.items()}
    return Transferred(curve.steps[0], curve.episodes[0], curve.returns[0], at, after, moved)
