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


def stages_in_spaces(stages: tuple[Training, ...], plan: space_matching.Plan, wanted: Spec) -> tuple[Training, ...]:
    """Returns the trainings that determine the shapes of a prior in the spaces `wanted`.

    A prior that moves to other spaces has the shapes of a new training there.
    """
    method, known, _ = stages[-1]
    return stages if plan.same else (Training(method, space_matching.with_spaces_of(known, wanted), False),)


def move_to_spaces(
    before: Training, prior: TrainState, plan: space_matching.Plan, how: Method, wanted: Spec, key: Key
) -> TrainState:
    """Returns the state after the training `before` [seed] as a prior of method `how` in the spaces `wanted`.

    Raises InputError if parameters are missing or have other shapes, or if the optimizer state would have to move to
    other spaces.
    """
    (now,) = stages_in_spaces((before,), plan, wanted)
    if not plan.same:
        if how.learner(wanted, target=True).keep_optimizer:
            raise InputError("The optimizer state cannot move to other spaces; use optimizer=fresh.")
        keys = jax.vmap(lambda k: jax.random.fold_in(k, ord("m")))(key)
        fresh = space_matching.init_params(now.method, now.spec, keys)
        prior = TrainState(space_matching.move_params(plan, prior.params, fresh), (), prior.updates)
    return fit_to_method(now, prior, how, wanted)


def fit_to_method(before: Training, prior: TrainState, how: Method, of: Spec) -> TrainState:
    """Returns what the training `before` left [seed], without the parts that `how` does not use; of shapes, the shapes.

    A part that `how` adds to its base learner may be missing: it is newly initialized. Raises InputError where another
    part is missing, or a part has another form than `how` needs.
    """
    method, known, target = before
    if how.learner(known, target) is method.learner(known, target):  # it would have trained in exactly the same way
        return prior
    learner = how.learner(of, target=True)
    fresh = jax.eval_shape(functools.partial(init_loop_state, learner), jax.random.key(0)[None]).state
    required = jax.eval_shape(how.base_learner().learner(of, target=True).init, jax.random.key(0), None).keys()
    shared_first = sorted(fresh.params.items(), key=lambda part: part[0] not in prior.params)
    for name, mine in shared_first:
        left = prior.params.get(name)
        if (left is None and name in required) or (left is not None and _form(left) != _form(mine)):
            raise _unfit(how, method, _difference(name, left, mine))
    if learner.keep_optimizer and _form(prior.optimizers) != _form(fresh.optimizers):
        raise _unfit(how, method, _difference("optimizers", prior.optimizers, fresh.optimizers))
    return prior.replace(params={name: x for name, x in prior.params.items() if name in fresh.params})


def _unfit(how: Method, method: Method, difference: str) -> InputError:
    return InputError(
        f"{type(how).__name__} cannot start from what {type(method).__name__} learned: {difference}. Continue with the "
        "method that learned it, or with one over the same base and of the same sizes."
    )


def _form(tree: PyTree) -> PyTree:
    """Returns the structure of a tree [seed], and the shapes of its arrays."""
    return jax.tree.structure(tree), [x.shape[1:] for x in jax.tree.leaves(tree)]


def _difference(name: str, left: PyTree, mine: PyTree) -> str:
    """Returns where two trees [seed] differ first, in words."""
    old, new = ({name: x.shape[1:] for name, x in named({name: tree}).items()} for tree in (left, mine))
    for array in [*new, *old]:
        if old.get(array) != new.get(array):
            there, here = (f"of shape {x[array]}" if array in x else "missing" for x in (old, new))
            return f"{array} is {there} there, and {here} here"
    return f"the arrays of its {name} have the same shapes, but another use (such as another activation)"
