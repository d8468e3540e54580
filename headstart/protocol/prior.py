"""Prepares a trained state as the prior of a training in the target: in its spaces and in its method's structure."""

import functools
from typing import NamedTuple

import jax

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.names import named
from headstart.core.train import init_loop_state
from headstart.core.types import Key, Method, PyTree, Spec, TrainState


class Training(NamedTuple):
    """One training: its method, the Spec of its tasks, and whether they were the target."""

    method: Method
    spec: Spec
    target: bool


def stages_in_spaces(
    stages: tuple[Training, ...], plan: space_matching.Plan, target_spec: Spec
) -> tuple[Training, ...]:
    """Returns the trainings that determine the shapes of a prior in the spaces of `target_spec`.

    A prior that moves to other spaces has the shapes of a new training there.
    """
    method, source_spec, _ = stages[-1]
    return stages if plan.same else (Training(method, space_matching.with_spaces_of(source_spec, target_spec), False),)


def move_to_spaces(
    previous: Training, prior: TrainState, plan: space_matching.Plan, method_after: Method, target_spec: Spec, key: Key
) -> TrainState:
    """Returns the state after the training `previous` [seed] as a prior of `method_after`, in the target's spaces.

    Raises InputError if parameters are missing or have other shapes, or if the optimizer state would have to move to
    other spaces.
    """
    (previous_there,) = stages_in_spaces((previous,), plan, target_spec)
    if not plan.same:
        if method_after.learner(target_spec, target=True).keep_optimizer:
            raise InputError("The optimizer state cannot move to other spaces; use optimizer=fresh.")
        keys = jax.vmap(lambda k: jax.random.fold_in(k, ord("m")))(key)
        fresh = space_matching.init_params(previous_there.method, previous_there.spec, keys)
        prior = TrainState(space_matching.move_params(plan, prior.params, fresh), (), prior.updates)
    return fit_to_method(previous_there, prior, method_after, target_spec)


def fit_to_method(previous: Training, prior: TrainState, method_after: Method, spec: Spec) -> TrainState:
    """Returns the state after the training `previous` [seed], without the parts that `method_after` does not use.

    Given shapes, it returns shapes. A part that `method_after` adds to its base learner may be missing: it is newly
    initialized. Raises InputError where another part is missing, or a part has another form than `method_after` needs.
    """
    method, source_spec, target = previous
    if method_after.learner(source_spec, target) is method.learner(source_spec, target):
        return prior  # `method_after` would have trained in exactly the same way
    learner = method_after.learner(spec, target=True)
    fresh = jax.eval_shape(functools.partial(init_loop_state, learner), jax.random.key(0)[None]).state
    required = jax.eval_shape(
        method_after.base_learner().learner(spec, target=True).init, jax.random.key(0), None
    ).keys()
    shared_first = sorted(fresh.params.items(), key=lambda part: part[0] not in prior.params)
    for name, needed in shared_first:
        available = prior.params.get(name)
        if (available is None and name in required) or (available is not None and _form(available) != _form(needed)):
            raise _unfit(method_after, method, _difference(name, available, needed))
    if learner.keep_optimizer and _form(prior.optimizers) != _form(fresh.optimizers):
        raise _unfit(method_after, method, _difference("optimizers", prior.optimizers, fresh.optimizers))
    return prior.replace(params={name: x for name, x in prior.params.items() if name in fresh.params})


def _unfit(method_after: Method, method: Method, difference: str) -> InputError:
    return InputError(
        f"{type(method_after).__name__} cannot start from what {type(method).__name__} learned: {difference}. Continue "
        "with the method that learned it, or with one over the same base and of the same sizes."
    )


def _form(tree: PyTree) -> PyTree:
    """Returns the structure of a tree [seed], and the shapes of its arrays."""
    return jax.tree.structure(tree), [x.shape[1:] for x in jax.tree.leaves(tree)]


def _difference(name: str, available: PyTree, needed: PyTree) -> str:
    """Returns where two trees [seed] differ first, in words."""
    old, new = ({name: x.shape[1:] for name, x in named({name: tree}).items()} for tree in (available, needed))
    for array in [*new, *old]:
        if old.get(array) != new.get(array):
            before_shape, needed_shape = (f"of shape {x[array]}" if array in x else "missing" for x in (old, new))
            return f"{array} is {before_shape} there, and {needed_shape} here"
    return f"the arrays of its {name} have the same shapes, but another use (such as another activation)"
