"""Derives the shapes of a trained state from its sequence of trainings, by `eval_shape`, without computing anything.

No method has to describe its parameters after adaptation: the `init` of each learner is evaluated on the shapes that
the training before it leaves.
"""

import functools

import jax

from headstart.core.errors import InputError
from headstart.core.stages import base_method, pretrained
from headstart.core.train import init_loop_state
from headstart.core.types import Key, Method, Params, Spec, TrainState
from headstart.protocol.prior import Training, fit_to_method


def dry_run(method: Method, of: Spec, source: Spec | None) -> None:
    """Initializes a method without computing anything. Raises InputError if it needs parameters that it would not have.

    `of` is the Spec of the target, and `source` that of the source, if the method trains there first.
    """
    params_after((*([] if source is None else [Training(method, source, False)]), Training(method, of, True)))


@functools.cache
def params_after(stages: tuple[Training, ...]) -> TrainState:
    """Returns the shapes of the state after these trainings, with a seed axis of length 1.

    Raises InputError if one of them cannot follow the one before it.
    """
    *earlier, stage = stages
    if earlier and not stage.target:
        raise InputError("A training in a source follows another training, but only trainings in a target can do that.")
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
        prior = fit_to_method(before, prior, stage.method, stage.spec)
    return init_loop_state(stage.method.learner(stage.spec, stage.target), keys, prior).state


def _parts(training: Training) -> tuple[Params, ...] | None:
    """Returns the shapes of the params that a method's pretraining stages leave in the source, if it has any."""
    method, of, target = training
    params = []
    for stage in () if target else base_method(method, of).pretraining(of):
        some = of if stage.tasks is None else of._replace(num_tasks=len(stage.tasks))
        params.append(params_after((Training(stage.method, some, False),)).params)
    return tuple(params) or None
