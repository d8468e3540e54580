"""A method's whole training in the source: its pretraining stages, and then its own."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from headstart.core.run import Checkpointer, select
from headstart.core.train import Progress, train
from headstart.core.types import Key, Method, Params, Spec, Stage, Task, TrainState, spec


def base_method(method: Method, of: Spec) -> Method:
    """Returns the innermost method that trains in the source exactly as this one does: they share the result."""
    base = getattr(method, "base", None)
    return base_method(base, of) if isinstance(base, Method) and base.learner(of) is method.learner(of) else method


Learned = dict[tuple[int, Stage, int], Progress]  # by a stage's index, the stage, and its steps


def learn_source(
    method: Method,
    tasks: Task,
    steps: int,
    keys: Key,
    num_points: int = 20,
    learned: Learned | None = None,
    checkpointer: Checkpointer | None = None,
) -> Iterator[Progress]:
    """Trains in the source, and yields about `num_points` times with steps counted from the first stage on.

    The last Progress is that of the method itself. `steps`, `tasks` and `keys` are as in `train`. Each stage takes its
    fraction of the steps and has keys of its own. Stages found in `learned` are not trained again, and those that are
    trained are added to it: methods that share them and have the same tasks and keys train them once. A stage that the
    checkpointer has finished yields its last Progress, and an unfinished one continues.
    """
    learned = {} if learned is None else learned
    method = base_method(method, spec(tasks))
    params, left, spent = [], 1.0, None
    for i, stage in enumerate(method.pretraining(spec(tasks))):
        some = tasks if stage.tasks is None else select(tasks, list(stage.tasks))
        own = jax.vmap(lambda key, i=i: jax.random.fold_in(key, i + 1))(keys)
        name, before, few = (i, stage, round(stage.fraction * steps)), spent, max(round(stage.fraction * num_points), 1)
        progress, had = None, learned.get(name)
        for progress in [had] if had else learn_source(stage.method, some, name[2], own, few, None, checkpointer):
            yield _since(before, progress)
        assert progress is not None
        learned[name] = progress
        params.append(progress.params)
        left, spent = left - stage.fraction, _since(before, progress)
    prior = pretrained(tuple(params), len(keys)) if params else None
    learner = method.learner(spec(tasks))
    points = max(round(left * num_points), 1)
    for progress in train(learner, tasks, round(left * steps), keys, prior, points, checkpointer):
        yield _since(spent, progress)


def pretrained(params: tuple[Params, ...], seeds: int) -> TrainState:
    """Returns the prior of a method with pretraining: the params of its stages [seed]."""
    return TrainState({"pretraining": params}, (), jnp.zeros(seeds, jnp.int32))


def _since(before: Progress | None, progress: Progress) -> Progress:
    """Returns the progress with what was spent before it."""
    if before is None:
        return progress
    return progress._replace(
        steps=before.steps + progress.steps,
        episodes=before.episodes + progress.episodes,
        gradient_steps=before.gradient_steps + progress.gradient_steps,
    )
