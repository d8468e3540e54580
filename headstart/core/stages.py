"""All that a method learns in the source: what it wants learned before it, and then what it does itself."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from headstart.core.run import Checkpointer, select
from headstart.core.train import Progress, train
from headstart.core.types import Key, Knowledge, Method, Spec, Stage, Task, TrainState, spec


def base_method(method: Method, of: Spec) -> Method:
    """-> the innermost method that learns in the source just as this one does: they share what it learns."""
    base = getattr(method, "base", None)
    return base_method(base, of) if isinstance(base, Method) and base.learner(of) is method.learner(of) else method


Learned = dict[tuple[int, Stage, int], Progress]  # a part's place among those before a method, the part, and its steps


def learn_source(
    method: Method,
    tasks: Task,
    steps: int,
    keys: Key,
    num_points: int = 20,
    learned: Learned | None = None,
    checkpointer: Checkpointer | None = None,
) -> Iterator[Progress]:
    """Yields about `points` Points on the way, steps counted from the beginning; the last one is of the method itself.

    `steps`, `tasks` and `keys` are `train`'s. Each part takes its share of the steps, and keys of its own. Parts found
    in `learned` are not learned anew, and those that are learned are put there: for methods that share them, and are
    given the same tasks and keys. Nor are those that the `journal` holds: each yields its last point, and what was left
    in the middle goes on.
    """
    learned = {} if learned is None else learned
    method = base_method(method, spec(tasks))
    known, left, spent = [], 1.0, None
    for i, part in enumerate(method.pretraining(spec(tasks))):
        some = tasks if part.tasks is None else select(tasks, list(part.tasks))
        own = jax.vmap(lambda key, i=i: jax.random.fold_in(key, i + 1))(keys)
        name, begun, few = (i, part, round(part.fraction * steps)), spent, max(round(part.fraction * num_points), 1)
        point, had = None, learned.get(name)
        for point in [had] if had else learn_source(part.method, some, name[2], own, few, None, checkpointer):
            yield _since(begun, point)
        assert point is not None
        learned[name] = point
        known.append(point.knowledge)
        left, spent = left - part.fraction, _since(begun, point)
    prior = TrainState(Knowledge(extra=tuple(known)), None, None, jnp.zeros(len(keys), jnp.int32)) if known else None
    learner = method.learner(spec(tasks))
    for point in train(
        learner, tasks, round(left * steps), keys, prior, max(round(left * num_points), 1), checkpointer
    ):
        yield _since(spent, point)


def _since(begun: Progress | None, point: Progress) -> Progress:
    """-> the point, with what was spent before it."""
    if begun is None:
        return point
    return point._replace(
        steps=begun.steps + point.steps,
        episodes=begun.episodes + point.episodes,
        gradient_steps=begun.gradient_steps + point.gradient_steps,
    )
