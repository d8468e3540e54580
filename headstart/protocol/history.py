"""What trainings leave, told from how they followed one another: shapes by replay, without computing anything.

No method has to say what it looks like after adaptation: each learner's `init` is asked, by `eval_shape`, what it makes
of what the training before it left.
"""

import functools

import jax

from headstart.core.errors import InputError
from headstart.core.stages import base_method, pretrained
from headstart.core.train import init_loop_state
from headstart.core.types import Key, Method, Params, Spec, TrainState
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
    before: Training | None, stage: Training, keys: Key, prior: TrainState | tuple[Params, ...] | None
) -> TrainState:
    """Returns what a training starts with: from what the one before it left, or from its pretraining stages."""
    if isinstance(prior, tuple):
        prior = pretrained(prior, 1)
    if before is not None and prior is not None:
        prior = fitted(before, prior, stage.method, stage.spec)
    return init_loop_state(stage.method.learner(stage.spec, stage.target), keys, prior).state


def _parts(training: Training) -> tuple[Params, ...] | None:
    """Returns the shapes of the params that a method's pretraining stages leave in the source, if it has any."""
    method, of, target = training
    params = []
    for stage in () if target else base_method(method, of).pretraining(of):
        some = of if stage.tasks is None else of._replace(num_tasks=len(stage.tasks))
        params.append(params_after((Training(stage.method, some, False),)).params)
    return tuple(params) or None
