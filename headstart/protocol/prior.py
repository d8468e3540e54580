"""What is begun with in the target: a source's knowledge, in the target's spaces and in the form of who goes on."""

import functools
from typing import NamedTuple

import jax

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.names import named
from headstart.core.train import init_loop_state
from headstart.core.types import Key, Method, PyTree, Spec, TrainState


class Training(NamedTuple):
    """One training: by which method, in tasks of which spec, and whether they were the target."""

    method: Method
    spec: Spec
    target: bool


def entered(stages: tuple[Training, ...], plan: space_matching.Plan, wanted: Spec) -> tuple[Training, ...]:
    """Returns the trainings that lead to what comes into the spaces `wanted`.

    What moves into other spaces takes the form of what its method begins with there.
    """
    method, known, _ = stages[-1]
    return stages if plan.same else (Training(method, space_matching.with_spaces_of(known, wanted), False),)


def moved(
    before: Training, prior: TrainState, plan: space_matching.Plan, how: Method, wanted: Spec, key: Key
) -> TrainState:
    """Returns what the training `before` left [seed], as `how` may begin from it in the spaces `wanted`.

    Raises InputError where it may not: what it wants is missing or has another form, or the optimizer's moments are to
    come into other spaces.
    """
    (now,) = entered((before,), plan, wanted)
    if not plan.same:
        if how.learner(wanted, target=True).keep_optimizer:
            raise InputError("The optimizer's moments cannot come into other spaces; use optimizer=fresh.")
        keys = jax.vmap(lambda k: jax.random.fold_in(k, ord("m")))(key)
        fresh = space_matching.init_knowledge(now.method, now.spec, keys)
        prior = TrainState(space_matching.move_params(plan, prior.knowledge, fresh), None, None, prior.gradient_steps)
    return fitted(now, prior, how, wanted)


def fitted(before: Training, prior: TrainState, how: Method, of: Spec) -> TrainState:
    """Returns what the training `before` left [seed], less what `how` has no use for; of shapes, the shapes.

    Raises InputError where `how` cannot begin so.
    """
    method, known, target = before
    if how.learner(known, target) is method.learner(known, target):  # it would have learned the very same
        return prior
    learner = how.learner(of, target=True)
    fresh = jax.eval_shape(functools.partial(init_loop_state, learner), jax.random.key(0)[None]).state
    left, wanted = ({**vars(state.knowledge), "optimizer": state.optimizer} for state in (prior, fresh))
    made = {"optimizer": not learner.keep_optimizer, "model": left["model"] is None}  # these it can make itself
    for place, mine in wanted.items():
        if mine is not None and not made.get(place) and _form(left[place]) != _form(mine):
            raise InputError(
                f"{type(how).__name__} cannot begin from what {type(method).__name__} learned: "
                f"{_difference(place, left[place], mine)}. Go on by the method that learned it, or by one "
                "over the same base and of the same sizes."
            )
    useless = {place: None for place, x in vars(fresh.knowledge).items() if x is None}
    return prior.replace(knowledge=prior.knowledge.replace(**useless))


def _form(tree: PyTree) -> PyTree:
    """-> what a tree [seed] is made of, and the shapes of its arrays."""
    return jax.tree.structure(tree), [x.shape[1:] for x in jax.tree.leaves(tree)]


def _difference(place: str, left: PyTree, mine: PyTree) -> str:
    """-> where two trees [seed] differ first, in words."""
    old, new = ({name: x.shape[1:] for name, x in named({place: tree}).items()} for tree in (left, mine))
    for name in [*new, *old]:
        if old.get(name) != new.get(name):
            there, here = (f"of shape {x[name]}" if name in x else "missing" for x in (old, new))
            return f"{name} is {there} there, and {here} here"
    return f"the arrays of its {place} are of the same shapes, but used otherwise (such as with another activation)"
