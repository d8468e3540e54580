"""The Python API: train, evaluate, play, transfer, compare.

Tasks and methods are objects or strings of the command line; a trained policy may be its checkpoint folder. All
functions take `step_timeout`: a call of a host environment that takes more seconds counts as failed.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.rollout import evaluate as evaluate_params
from headstart.core.run import Progress
from headstart.core.stages import learn_source
from headstart.core.types import Env, Method, Params, Task, spec, stack
from headstart.lab.call_guard import public_call
from headstart.lab.checkpoint.files import Path, as_path
from headstart.lab.checkpoint.resume import FileCheckpointer
from headstart.lab.checkpoint.trained import Trained, check_context, check_fit
from headstart.lab.checkpoint.transferred import Transferred, make_transferred
from headstart.lab.inputs import (
    as_method,
    as_task_string,
    as_tasks,
    as_trained,
    check_renamed,
    check_watch,
)
from headstart.lab.study import runner
from headstart.lab.watch import clips
from headstart.lab.watch.clips import Clip
from headstart.lab.watch.progress_event import ProgressCallback, ignore
from headstart.methods import describe as describe_method
from headstart.protocol import transfer as protocol
from headstart.protocol.checks import MAX_AT_ONCE, check_budget, check_env, check_shots
from headstart.protocol.history import dry_run
from headstart.protocol.prior import move_to_spaces
from headstart.protocol.study_config import study_config
from headstart.tasks.registry import interval
from headstart.tasks.sampling import nominal
from headstart.tasks.strings import as_task, describe
from headstart.tasks.task_ids import TASK_SEPARATOR, stack_tasks, with_task_id


@public_call
def train(
    method: Method | str,
    task: Task | str | Sequence[Task | str],
    steps: int,
    seed: int = 0,
    watch: Callable[[Progress], None] | None = None,
    keep: Path | FileCheckpointer | None = None,
    every: float = 10.0,
    step_timeout: float | None = None,
) -> Trained:
    """Trains on one task, or on several together, for at least `steps` environment steps in total.

    The context of each task says which of several it is. `watch` is called with a `Progress` about twenty times. `keep`
    is a folder in which the training is saved `every` so many minutes: the same call resumes from it. Raises InputError
    if an argument is invalid, if the tasks cannot be learned together, if the method could not adapt to a target, if
    `keep` holds something else, if parameters are no longer finite, and if the env fails.
    """
    check_budget("steps", steps)
    check_watch(watch)
    method, each = as_method(method), as_tasks(task)
    names = tuple(describe(one_task) for one_task in each)
    if len(set(names)) < len(each):
        raise InputError(f"{list(names)} are the tasks to train on; give one or several, each only once.")
    tasks, point, key = stack_tasks(each), None, protocol.keys([seed]).source
    # a method that could not adapt later fails here, before it trains
    dry_run(method, spec(tasks)._replace(num_tasks=1), spec(tasks))
    tasks.env.pop_failures()
    checkpointer = keep if isinstance(keep, FileCheckpointer | None) else FileCheckpointer(as_path("keep", keep), every)
    config = {"method": describe_method(method), "tasks": names, "steps": int(steps), "seed": seed}
    with contextlib.nullcontext() if checkpointer is None else checkpointer.open(config):
        for point in learn_source(method, tasks, int(steps), key, checkpointer=checkpointer):
            if (checkpointer is None or checkpointer.is_new(point)) and watch is not None:
                watch(point)
    assert point is not None
    trained_on = TASK_SEPARATOR.join(names)
    _check_outcome(tasks.env, point.params, trained_on, checkpointer)
    sources, budget = names if len(names) > 1 else (), {"task": trained_on, "steps": int(steps)}
    counts = int(point.steps[0]), seed, int(point.gradient_steps[0])
    return Trained(method, spec(tasks), point.state, trained_on, *counts, sources, interval(tasks), (budget,))


@public_call
def evaluate(
    trained: Trained | Path,
    task: Task | str,
    episodes: int = 10,
    seed: int = 0,
    step_timeout: float | None = None,
) -> Float[np.ndarray, " episode"]:
    """Returns the undiscounted returns of the deterministic policy, one for each episode.

    The context of a policy trained on several tasks says which of them this is, if any. Raises InputError if the spaces
    of the task and the policy differ, if `episodes` is invalid, and if the env fails.
    """
    check_budget("episodes", episodes, most=MAX_AT_ONCE)
    trained, episodes = as_trained(trained), int(episodes)
    tasks = stack([with_task_id(as_task(task), trained.sources)])
    check_fit(trained, tasks)
    learner = trained.method.learner(spec(tasks), target=True)
    tasks.env.pop_failures()
    key = protocol.keys([seed]).evaluation
    returns = np.asarray(evaluate_params(learner, trained.state.params, tasks, episodes, key))[0, 0]
    check_env(tasks.env)
    return returns


@public_call
def play(
    trained: Trained | Path,
    task: Task | str,
    path: Path,
    episodes: int = 1,
    seed: int = 0,
    step_timeout: float | None = None,
) -> list[Clip]:
    """Records a video of the deterministic policy and returns its episodes, with their returns.

    The video is a .webp or .gif animation or a .png strip of frames. Raises InputError if the spaces of the task and
    the policy differ, if the env has no drawing, and for other file suffixes.
    """
    check_budget("episodes", episodes, most=MAX_AT_ONCE)
    trained, path, episodes = as_trained(trained), as_path("path", path), int(episodes)
    clips.check_suffix(path)
    nominal_task = with_task_id(as_task(task), trained.sources)
    policy = trained.policy(nominal_task, seed)
    each = jax.random.split(protocol.keys([seed]).evaluation[0], episodes)
    recorded = [clips.record_episode(policy, nominal_task, key, *clips.LARGE_CLIP) for key in each]
    clips.save(recorded, path)
    return recorded


@public_call
def transfer(
    trained: Trained | Path,
    target: Task | str,
    steps: int,
    shots: Sequence[int] = (0, 1, 10),
    method: Method | str | None = None,
    num_evals: int = 12,
    eval_episodes: int = 10,
    renamed: Mapping[str, str] | None = None,
    watch: Callable[[protocol.Evaluation], None] | None = None,
    step_timeout: float | None = None,
) -> Transferred:
    """Adapts a trained policy to the target: spends `shots` episodes and then the rest of `steps`.

    `method` is the method in the target; None is the method of the training. If the target has other observations or
    actions, components with equal names are copied; `renamed` maps names of the source to names of the target. Raises
    InputError if the spaces have nothing in common, if the method cannot start from these parameters, if an argument is
    invalid, if parameters are no longer finite, and if the env fails.
    """
    check_budget("steps", steps)
    check_budget("num_evals", num_evals, most=MAX_AT_ONCE)
    check_budget("eval_episodes", eval_episodes, most=MAX_AT_ONCE)
    check_shots("shots", shots)
    check_watch(watch)
    check_renamed(renamed)
    trained = as_trained(trained)
    task = as_task(target, target=True)
    tasks, keys, evaluations = stack([with_task_id(nominal(task), trained.sources)]), protocol.keys([trained.seed]), []
    check_context(trained, tasks)
    target_method = trained.method if method is None else as_method(method, after=trained.method)
    plan = space_matching.plan(trained.method, trained.spec, spec(tasks), renamed)
    prior = move_to_spaces(trained.stages[-1], trained.state, plan, target_method, spec(tasks), keys.target)
    task.env.pop_failures()
    for evaluation in protocol.adapt(target_method, prior, tasks, int(steps), shots, keys, num_evals, eval_episodes):
        evaluations.append(evaluation)
        if watch is not None:
            watch(evaluation)
    _check_outcome(task.env, evaluations[-1].state.params, describe(task))
    budget = {"steps": int(steps), "shots": list(shots)}
    return make_transferred(trained, target_method, task, tasks, evaluations, plan, budget)


@public_call
def compare(
    methods: Method | str | Sequence[Method | str],
    source: Task | str | Sequence[Task | str],
    target: Task | str,
    out: Path,
    ensemble: Task | str | None = None,
    allow_no_shift: bool = False,
    watch: ProgressCallback | None = None,
    video: bool = False,
    step_timeout: float | None = None,
    **budgets: Any,
) -> dict[str, Any]:
    """Runs a study in the folder `out` and returns the data of `study.json`.

    `budgets` are the other fields of `headstart.protocol.study_config.StudyConfig`. Raises InputError as
    `headstart.lab.study.runner.compare` does.
    """
    is_list = isinstance(source, list | tuple)
    sources = TASK_SEPARATOR.join(map(as_task_string, source if is_list else [source]))
    ensemble_string = None if ensemble is None else as_task_string(ensemble)
    check_watch(watch)
    folder = as_path("out", out)
    config = study_config(sources, as_task_string(target), methods, ensemble_string, budgets)
    fields = {**vars(config), "out": str(out), "allow_no_shift": allow_no_shift}
    fields |= {"video": True} if video else {}
    command = f"headstart.compare({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
    return runner.compare(config, folder, allow_no_shift, command, watch or ignore, video)


def _check_outcome(env: Env, params: Params, task: str, checkpointer: FileCheckpointer | None = None) -> None:
    """Raises InputError if the env failed or parameters are not finite."""
    check_env(env)
    if not protocol.finite(params).all():
        if checkpointer is not None:
            checkpointer.delete()  # a resumed training would diverge again
        raise InputError(f"The training on {task} diverged: its parameters are no longer finite. Lower learning_rate.")
