"""The n-shot protocol: learn in the source, then spend a counted number of steps and episodes in the target.

A *shot* is one episode spent in the target domain. A curve is the return of the deterministic policy on the nominal
target, evaluated before the first shot, exactly at each requested number of shots, and then along the steps.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from headstart.core.counting import Count, count_of
from headstart.core.iterations import iterations_for
from headstart.core.rollout import evaluate, num_tasks
from headstart.core.run import LoopState, copy_arrays, with_memory
from headstart.core.train import enter_envs, init_loop_state, train_loop, train_on_shots
from headstart.core.types import Key, Learner, Method, Metrics, PyTree, Task, TrainState, spec
from headstart.protocol.checks import check_seeds

MAX_SHOT_ENVS = 10  # maximal number of parallel episodes of one policy
GENERATOR = "philox4x32"  # JAX's own default is a loop of small programs on a CPU; this is one (docs/architecture.md)


class Keys(NamedTuple):
    """The PRNG keys of seeds, each with a leading seed axis. They do not depend on the method."""

    source: Key
    target: Key
    evaluation: Key


def keys(seeds: Sequence[int]) -> Keys:
    """Returns the keys of seeds. Raises InputError if one is invalid."""
    check_seeds("seeds", seeds)
    each = jax.vmap(lambda seed: jax.random.key(seed, impl=GENERATOR))(jnp.asarray(seeds, jnp.uint32))
    return Keys(*(jax.vmap(lambda key, i=i: jax.random.fold_in(key, i))(each) for i in range(3)))


class Evaluation(NamedTuple):
    """One evaluation of a learning curve, for all seeds."""

    steps: Float[np.ndarray, " seed"]  # target steps so far
    episodes: Float[np.ndarray, " seed"]  # target episodes so far
    source_steps: Float[np.ndarray, " seed"]  # source steps of methods that train in both domains at once
    gradient_steps: Float[np.ndarray, " seed"]
    returns: Float[np.ndarray, "seed episode"]  # of the deterministic policy; NaN if parameters are not finite
    shots: int | None  # number of shots, if this point is one of the requested ones
    state: TrainState
    metrics: Metrics  # means since the last evaluation, each [seed]; empty at point 0


def finite(state: PyTree) -> Bool[np.ndarray, " seed"]:
    """Returns whether all arrays of a seed are finite."""
    leaves = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return np.all([np.isfinite(x).reshape(x.shape[0], -1).all(1) for x in map(np.asarray, leaves)], axis=0)


def evaluate_state(
    learner: Learner, state: TrainState, target: Task, episodes: int, key: Key
) -> Float[np.ndarray, "seed episode"]:
    """Returns undiscounted returns on the (first) target task; NaN if parameters are not finite."""
    returns = np.array(evaluate(learner, state.params, target, episodes, key))[:, 0]
    if jax.tree.leaves(state.params):
        returns[~finite(state.params)] = np.nan
    return returns


def shot_schedule(shots: Sequence[int], at_once: int) -> Iterator[tuple[int, int]]:
    """Yields (episodes to collect, total episodes after that), so that every number of shots is met exactly.

    One policy collects as many episodes as were collected before it: 1, 1, 2, 4, …, up to `at_once`.
    """
    num_shots = 0
    for shot in sorted(set(shots) - {0}):
        while num_shots < shot:
            more = min(shot - num_shots, max(1, num_shots), at_once)
            num_shots += more
            yield more, num_shots


def adapt(
    method: Method,
    prior: TrainState | None,
    target: Task,
    steps: int,
    shots: Sequence[int],
    key: Keys,
    num_evals: int = 12,
    eval_episodes: int = 10,
    source_tasks: Task | None = None,
) -> Iterator[Evaluation]:
    """Spends `shots` episodes and then the rest of `steps` in the target; yields evaluations, the first at step 0.

    `target` is a stacked task, and `prior` the state after the source (with a leading seed axis) or None to start from
    scratch. The shots are always spent, even if they take more than `steps`. `source_tasks` are the stacked source
    tasks of a method that trains in both domains at once; it takes no shots.
    """
    tasks = target if source_tasks is None else jax.tree.map(lambda *x: jnp.concatenate(x), source_tasks, target)
    learner = method.learner(spec(tasks), target=True)
    if source_tasks is not None:
        steps, shots = steps + steps * learner.replay.source_steps_per_target_step * num_tasks(source_tasks), ()
    budget = count_of(max(steps, 1))

    def evaluation(run: LoopState, shots: int | None, metrics: Metrics) -> Evaluation:
        state = copy_arrays(run.state)  # the next iteration donates the buffers of the run
        returns = evaluate_state(learner, state, target, eval_episodes, key.evaluation)
        counts = (run.steps, run.episodes) if source_tasks is None else (run.target_steps, run.target_episodes)
        steps, episodes, all_steps, updates = (x.numbers() for x in (*counts, run.steps, run.gradient_steps))
        return Evaluation(steps, episodes, all_steps - steps, updates, returns, shots, state, metrics)

    run = with_memory(learner, tasks, init_loop_state(learner, key.target, prior))
    yield evaluation(run, 0, {})
    for next_run, num_shots, metrics in _spend_episodes(learner, tasks, run, shots, budget):
        run = next_run
        yield evaluation(run, num_shots, metrics)
    for next_run, metrics in _spend_steps(learner, tasks, run, steps, num_evals, budget):
        yield evaluation(next_run, None, metrics)


def _spend_episodes(
    learner: Learner, target: Task, run: LoopState, shots: Sequence[int], budget: Count
) -> Iterator[tuple[LoopState, int, Metrics]]:
    """Yields the loop state at each requested number of shots, that number, and the metrics of the last shots."""
    requested, at_once = set(shots), min(MAX_SHOT_ENVS, max([*shots, 1]))
    horizon, segment = target.env.horizon, min(learner.replay.sequence_length, target.env.horizon)
    shot_learner = learner._replace(
        replay=learner.replay._replace(num_steps=horizon, num_envs=at_once, sequence_length=segment)
    )
    for episodes, num_shots in shot_schedule(shots, at_once):
        run, metrics = train_on_shots(shot_learner, target, run, jnp.int32(episodes), budget)
        if num_shots in requested:
            yield run, num_shots, metrics


def _spend_steps(
    learner: Learner, target: Task, run: LoopState, steps: int, points: int, budget: Count
) -> Iterator[tuple[LoopState, Metrics]]:
    """Yields the loop state and its metrics about `points` times until `steps`; nothing if they are already spent."""
    iterations = iterations_for(learner, target, steps - int(run.steps.numbers().min()))
    if iterations:
        entered = enter_envs(learner, target, run, budget)
        yield from train_loop(learner, target, entered, iterations, budget, points)


class Curve(NamedTuple):
    """A learning curve in the target, for all seeds."""

    steps: Float[np.ndarray, "seed point"]
    episodes: Float[np.ndarray, "seed point"]
    returns: Float[np.ndarray, "seed point"]  # mean over the episodes of an evaluation
    shot_points: dict[int, int]  # point of each number of shots

    @property
    def shots(self) -> dict[int, Float[np.ndarray, " seed"]]:
        """Returns the returns at each requested number of shots."""
        return {shot: self.returns[:, point] for shot, point in self.shot_points.items()}


def to_curve(evaluations: Sequence[Evaluation]) -> Curve:
    """Returns the learning curve of evaluations."""
    shot_points = {evaluation.shots: i for i, evaluation in enumerate(evaluations) if evaluation.shots is not None}
    columns = [(evaluation.steps, evaluation.episodes, evaluation.returns.mean(1)) for evaluation in evaluations]
    steps, episodes, returns = (np.stack(column, axis=1) for column in zip(*columns, strict=True))
    return Curve(steps, episodes, returns, shot_points)


def constant_curve(curve: Curve, shots: Sequence[int], steps: float) -> Curve:
    """Returns the curve of a policy that does not adapt: constant at its first return."""
    seeds = curve.returns.shape[0]
    end_steps = np.tile([0.0, steps], (seeds, 1))
    return Curve(end_steps, np.zeros((seeds, 2)), np.repeat(curve.returns[:, :1], 2, 1), dict.fromkeys(shots, 0))
