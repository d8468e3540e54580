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


def dry_run(method: Method, spec: Spec, source: Spec | None) -> None:
    """Initializes a method without computing anything. Raises InputError if it needs parameters that it would not have.

    `spec` is the Spec of the target, and `source` that of the source, if the method trains there first.
    """
    params_after((*([] if source is None else [Training(method, source, False)]), Training(method, spec, True)))


@functools.cache
def params_after(stages: tuple[Training, ...]) -> TrainState:
    """Returns the shapes of the state after these trainings, with a seed axis of length 1.

    Raises InputError if one of them cannot follow the one before it.
    """
    *earlier, stage = stages
    if earlier and not stage.target:
        raise InputError("A training in a source follows another training, but only trainings in a target can do that.")
    prior = params_after(tuple(earlier)) if earlier else _pretraining_params(stage)
    previous = earlier[-1] if earlier else None
    return jax.eval_shape(functools.partial(_state, previous, stage), jax.random.key(0)[None], prior)


def _state(
    previous: Training | None, stage: Training, keys: Key, prior: TrainState | tuple[Params, ...] | None
) -> TrainState:
    """Returns what a training starts with: from what the one before it left, or from its pretraining stages."""
    if isinstance(prior, tuple):
        prior = pretrained(prior, 1)
    if previous is not None and prior is not None:
        prior = fit_to_method(previous, prior, stage.method, stage.spec)
    return init_loop_state(stage.method.learner(stage.spec, stage.target), keys, prior).state


def _pretraining_params(training: Training) -> tuple[Params, ...] | None:
    """Returns the shapes of the params that a method's pretraining stages leave in the source, if it has any."""
    method, spec, target = training
    params = []
    for stage in () if target else base_method(method, spec).pretraining(spec):
        stage_spec = spec if stage.tasks is None else spec._replace(num_tasks=len(stage.tasks))
        params.append(params_after((Training(stage.method, stage_spec, False),)).params)
    return tuple(params) or None
