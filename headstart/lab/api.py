"""What `import headstart` offers: train, evaluate, transfer, compare.

Tasks and methods are given as such, or as the strings of the command line; what was trained also by its folder. Each
takes `step_timeout`: an environment of somebody else's that takes more seconds for a call has failed.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.rollout import evaluate as judge
from headstart.core.run import Progress
from headstart.core.stages import learn_source
from headstart.core.types import Env, Method, Params, Task, spec, stack
from headstart.lab.call_guard import playing
from headstart.lab.checkpoint.files import Path, as_path
from headstart.lab.checkpoint.resume import FileCheckpointer
from headstart.lab.checkpoint.trained import Trained, check_context, check_fit
from headstart.lab.checkpoint.transferred import Transferred, transferred
from headstart.lab.inputs import (
    as_method,
    as_tasks,
    as_text,
    as_trained,
    check_renamed,
    check_watch,
)
from headstart.lab.study import runner
from headstart.lab.watch import clips
from headstart.lab.watch.clips import Take
from headstart.lab.watch.progress_event import Watch, silent
from headstart.methods import describe as describe_method
from headstart.protocol import transfer as protocol
from headstart.protocol.checks import AT_ONCE, check_budget, check_env, check_shots
from headstart.protocol.history import dry_run
from headstart.protocol.prior import moved
from headstart.protocol.study_config import study_config
from headstart.tasks.registry import interval
from headstart.tasks.sampling import nominal
from headstart.tasks.strings import as_task, describe
from headstart.tasks.task_ids import TASK_SEPARATOR, stack_tasks, with_task_id


@playing
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
    names = tuple(describe(one) for one in each)
    if len(set(names)) < len(each):
        raise InputError(f"{list(names)} are the tasks to learn; give one or several, each of them once.")
    tasks, point, key = stack_tasks(each), None, protocol.keys([seed]).source
    # a method that could not adapt later fails here, before it trains
    dry_run(method, spec(tasks)._replace(num_tasks=1), spec(tasks))
    tasks.env.pop_failures()
    keeper = keep if isinstance(keep, FileCheckpointer | None) else FileCheckpointer(as_path("keep", keep), every)
    question = {"method": describe_method(method), "tasks": names, "steps": int(steps), "seed": seed}
    with contextlib.nullcontext() if keeper is None else keeper.open(question):
        for point in learn_source(method, tasks, int(steps), key, checkpointer=keeper):
            if (keeper is None or keeper.is_news(point)) and watch is not None:
                watch(point)
    assert point is not None
    told_on = TASK_SEPARATOR.join(names)
    _check_outcome(tasks.env, point.params, told_on, keeper)
    taken, updates, sources = int(point.steps[0]), int(point.gradient_steps[0]), names if len(names) > 1 else ()
    who = (told_on, taken, seed, updates, sources, interval(tasks), ({"task": told_on, "steps": int(steps)},))
    return Trained(method, spec(tasks), point.state, *who)


@playing
def evaluate(
    trained: Trained | Path,
    task: Task | str,
    episodes: int = 10,
    seed: int = 0,
    step_timeout: float | None = None,
) -> Float[np.ndarray, " episode"]:
    """-> undiscounted returns of the deterministic policy, one for each episode.

    What was trained on several tasks is told which of them this is, or that it is none of them. Raises InputError where
    the task's spaces are not those that the policy knows, where `episodes` is no number of them, or the env breaks.
    """
    check_budget("episodes", episodes, most=AT_ONCE)
    trained, episodes = as_trained(trained), int(episodes)
    tasks = stack([with_task_id(as_task(task), trained.sources)])
    check_fit(trained, tasks)
    learner = trained.method.learner(spec(tasks), target=True)
    tasks.env.pop_failures()
    returns = np.asarray(judge(learner, trained.state.params, tasks, episodes, protocol.keys([seed]).evaluation))[0, 0]
    check_env(tasks.env)
    return returns


@playing
def play(
    trained: Trained | Path,
    task: Task | str,
    path: Path,
    episodes: int = 1,
    seed: int = 0,
    step_timeout: float | None = None,
) -> list[Take]:
    """Writes a clip of the deterministic policy in so many episodes -> those episodes, with their returns (`score`).

    The clip is an animation (.webp, .gif), or a strip of stills (.png). Raises InputError where the task's spaces are
    not those that the policy knows, where there is nothing to look at, and for a file of another kind.
    """
    check_budget("episodes", episodes, most=AT_ONCE)
    trained, path, episodes = as_trained(trained), as_path("path", path), int(episodes)
    clips.check_kind(path)
    one = with_task_id(as_task(task), trained.sources)
    policy = trained.policy(one, seed)
    each = jax.random.split(protocol.keys([seed]).evaluation[0], episodes)
    takes = [clips.film(policy, one, key, *clips.LARGE) for key in each]
    clips.save(takes, path)
    return takes


@playing
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
    """Spends `shots` episodes, and then the rest of `steps`, in the target, starting from what was trained.

    `method` says how; None is the method it was trained with. Where the target shows or takes other things, what has
    the same name in both comes along; `renamed` gives components of the source their names in the target. Raises
    InputError for spaces that have nothing to do with one another, for a method that cannot begin from what was
    learned, for budgets that are none, and where learning went wrong (its numbers are no longer finite) or the env did.
    """
    check_budget("steps", steps)
    for name, value in (("num_evals", num_evals), ("eval_episodes", eval_episodes)):
        check_budget(name, value, most=AT_ONCE)
    check_shots("shots", shots)
    check_watch(watch)
    check_renamed(renamed)
    trained = as_trained(trained)
    task = as_task(target, target=True)
    tasks = stack([with_task_id(nominal(task), trained.sources)])
    check_context(trained, tasks)
    how = trained.method if method is None else as_method(method, after=trained.method)
    keys, judgements = protocol.keys([trained.seed]), []
    plan = space_matching.plan(trained.method, trained.spec, spec(tasks), renamed)
    prior = moved(trained.stages[-1], trained.state, plan, how, spec(tasks), keys.target)
    task.env.pop_failures()
    for judgement in protocol.adapt(how, prior, tasks, int(steps), shots, keys, num_evals, eval_episodes):
        judgements.append(judgement)
        if watch is not None:
            watch(judgement)
    _check_outcome(task.env, judgements[-1].state.params, describe(task))
    return transferred(trained, how, task, tasks, judgements, plan, {"steps": int(steps), "shots": list(shots)})


@playing
def compare(
    methods: Method | str | Sequence[Method | str],
    source: Task | str | Sequence[Task | str],
    target: Task | str,
    out: Path,
    ensemble: Task | str | None = None,
    allow_no_shift: bool = False,
    watch: Watch | None = None,
    video: bool = False,
    step_timeout: float | None = None,
    **budgets: Any,
) -> dict[str, Any]:
    """Runs a whole study -> `study.json` as plain data.

    `budgets` are the other fields of a `headstart.protocol.study_config.Question`. Raises InputError as
    `headstart.lab.study.runner.compare` does.
    """
    several = isinstance(source, list | tuple)
    sources = TASK_SEPARATOR.join(map(as_text, source if several else [source]))
    random = None if ensemble is None else as_text(ensemble)
    check_watch(watch)
    folder = as_path("out", out)
    question = study_config(sources, as_text(target), methods, random, budgets)
    fields = {**vars(question), "out": str(out), "allow_no_shift": allow_no_shift}
    fields |= {"video": True} if video else {}
    command = f"headstart.compare({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
    return runner.compare(question, folder, allow_no_shift, command, watch or silent, video)


def _check_outcome(env: Env, params: Params, task: str, keeper: FileCheckpointer | None = None) -> None:
    """Raises InputError where the env broke, or learning went wrong."""
    check_env(env)
    if not protocol.finite(params).all():
        if keeper is not None:
            keeper.clear()  # from what it kept, it would go wrong again
        raise InputError(f"Learning {task} went wrong: its numbers are no longer finite. Lower learning_rate.")
