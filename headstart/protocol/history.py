"""What trainings leave, told from how they followed one another: shapes by replay, without computing anything.

No method has to say what it looks like after adaptation: each learner's `init` is asked, by `eval_shape`, what it makes
of what the training before it left.
"""

import functools

import jax
import jax.numpy as jnp

from headstart.core.errors import InputError
from headstart.core.stages import base_method
from headstart.core.train import init_loop_state
from headstart.core.types import Key, Knowledge, Method, Spec, TrainState
from headstart.protocol.prior import Training, fitted


def dry_run(method: Method, of: Spec, source: Spec | None) -> None:
    """Begins without computing anything. Raises InputError where a method asks for what its knowledge lacks.

    `of` is the target; `source` is where the method learns before, if it starts in the target from that.
    """
    params_after((*([] if source is None else [Training(method, source, False)]), Training(method, of, True)))


@functools.cache
def params_after(stages: tuple[Training, ...]) -> TrainState:
    """Returns the shapes of what these trainings leave, one after another, with a seed axis of length 1.

    Raises InputError where one of them cannot follow the one before it.
    """
    *earlier, stage = stages
    if earlier and not stage.target:
        raise InputError("A training in a source follows another one; only those in a target can.")
    prior = params_after(tuple(earlier)) if earlier else _parts(stage)
    before = earlier[-1] if earlier else None
    return jax.eval_shape(functools.partial(_state, before, stage), jax.random.key(0)[None], prior)


def _state(
    before: Training | None, stage: Training, keys: Key, prior: TrainState | tuple[Knowledge, ...] | None
) -> TrainState:
    """Returns what a training begins with: from what the one before it left, or from what its parts know."""
    if isinstance(prior, tuple):
        prior = TrainState(Knowledge(extra=prior), None, None, jnp.zeros(1, jnp.int32))
    if before is not None and prior is not None:
        prior = fitted(before, prior, stage.method, stage.spec)
    return init_loop_state(stage.method.learner(stage.spec, stage.target), keys, prior).state


def _parts(stage: Training) -> tuple[Knowledge, ...] | None:
    """Returns the shapes of what a method finds of the trainings that come before its own in the source, if any do."""
    method, of, target = stage
    known = []
    for part in () if target else base_method(method, of).pretraining(of):
        some = of if part.tasks is None else of._replace(num_tasks=len(part.tasks))
        known.append(params_after((Training(part.method, some, False),)).knowledge)
    return tuple(known) or None
