"""The train x deploy matrix of a study of several sources: what was learned on each of them, run on each task.

It is kept in `matrix.json`, beside the cells, as soon as it is whole.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from headstart.core.errors import InputError
from headstart.core.interrupts import reraising
from headstart.core.train import init_loop_state
from headstart.core.types import Method, Spec, Task, TrainState, spec, stack
from headstart.lab.checkpoint.records import read_record, write_record
from headstart.lab.study import source_training, study_folder
from headstart.lab.study.cell_store import normal
from headstart.lab.study.jobs import HeldError
from headstart.lab.study.study_tasks import Domains
from headstart.lab.watch.progress_event import Watch, WatcherError
from headstart.methods import Entry
from headstart.methods import describe as describe_method
from headstart.methods.multitask.separate import Separate
from headstart.protocol import transfer
from headstart.protocol import transfer_matrix as claims
from headstart.protocol.baselines import SCRATCH
from headstart.protocol.history import dry_run
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.sampling import nominal
from headstart.tasks.strings import describe

FORMAT, FILE = "headstart matrix 1", "matrix.json"
ALONE = "each alone"  # as what progress tells the training that the matrix needs and no row of the study has
Rows = Sequence[tuple[Entry, Method]]


def read(out: pathlib.Path, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns the study's entry `matrix`, where it is done: what was found, or why it was left out.

    With `asked`, what a matrix depends on, only one that answers it counts. Raises InputError where it is damaged.
    """
    held = _held(out)
    if held is None or (asked is not None and normal(asked) != held["question"]):
        return {}
    if "left_out" in held:
        return {"matrix": {"left_out": held["left_out"]}}
    returns, untrained = (np.array(held[name], float) for name in ("returns", "untrained"))  # null becomes NaN
    found = claims.matrix(held["rows"], held["columns"], held["learned_on"], returns, untrained)
    return {"matrix": {**found, "failed": held["failed"]}}


def _held(out: pathlib.Path) -> dict[str, Any] | None:
    """Returns what is kept, None where there is nothing."""
    place = out / FILE
    mend = "move it away, and the same command fills it in again"
    return read_record(place, FORMAT, mend) if place.exists() else None


def question_of(question: StudyConfig, domains: Domains, rows: Rows) -> dict[str, Any]:
    """Returns what the matrix depends on."""
    learned = trainings(rows, spec(domains.source_tasks)) if domains.names else {}
    same = ("source", "target", "physics", "source_steps", "eval_episodes", "learner", "seeds")
    told = [[describe_method(method), names] for method, names in learned.items()]
    return {**{name: getattr(question, name) for name in same}, "learned": told}


def is_done(out: pathlib.Path, question: StudyConfig, domains: Domains, rows: Rows, since: float = 0.0) -> bool:
    """Returns whether there is nothing to fill in. What failed, at least in part, before `since` is done again."""
    held = _held(out) if domains.names else None
    if held is None or held["question"] != normal(question_of(question, domains, rows)):
        return not domains.names
    lost = bool(held.get("failed")) or bool(np.isnan(np.array(held.get("returns", []), float)).any())
    return not lost or (out / FILE).stat().st_mtime >= since


def trains_more(rows: Rows) -> bool:
    """-> whether the matrix needs a training in the sources that no row has."""
    return not any(isinstance(method, Separate) for _, method in rows)


def run(
    out: pathlib.Path, question: StudyConfig, domains: Domains, rows: Rows, watch: Watch, since: float = 0.0
) -> None:
    """Fills the matrix in; does nothing where there is one source, and where it is done.

    Each source alone is learned by the study's `separate` rows, else by `Separate` over what scratch learns by; where
    that cannot be, the matrix is left out, and says why. Raises HeldError where another process learns what it needs.
    """
    if is_done(out, question, domains, rows, since):
        return
    asked = question_of(question, domains, rows)
    of, before = spec(domains.target_tasks), spec(domains.source_tasks)
    scratch = next(method for entry, method in question.rows() if entry.name == SCRATCH)
    learned = trainings(rows, before)
    alone = {method: names for method, names in learned.items() if isinstance(method, Separate)}
    alone = alone or {Separate(scratch): [ALONE]}
    try:
        dry_run(scratch, of, None)
        for method in alone:
            dry_run(method, of, before)
    except InputError as error:
        write_record(out / FILE, FORMAT, {"question": asked, "left_out": str(error)})
        return
    filled = _filled(_Judge(out, question, domains, watch, since), scratch, {**alone, **learned})
    write_record(out / FILE, FORMAT, {"question": asked, **filled})


def trainings(rows: Rows, before: Spec) -> dict[Method, list[str]]:
    """-> what is learned on the sources: each method at heart, and the rows that share its training."""
    found: dict[Method, list[str]] = {}
    for entry, method in rows:
        if entry.learns_on == "source":
            found.setdefault(source_training.base_method(method, before), []).append(entry.name)
    return found


def columns(domains: Domains) -> list[Task]:
    """-> the tasks to be run on, the sources and the target, each a stack of one, at its nominal values."""
    contexts = jnp.eye(len(domains.sources))
    each = zip(domains.sources, contexts, strict=True)
    return [*(stack([nominal(task).replace(context=context)]) for task, context in each), domains.target_tasks]


def _filled(judge: "_Judge", scratch: Method, learned: dict[Method, list[str]]) -> dict[str, Any]:
    """-> the matrix without its claims, as it is kept."""
    names, tasks = judge.domains.names, columns(judge.domains)
    rows, learned_on, returns, failed = [], [], [], {}
    several = sum(isinstance(method, Separate) for method in learned) > 1
    for method, sharing in learned.items():
        title = ", ".join(sharing)
        state, lost, broken = judge.learned(sharing[0], method)
        if broken:
            failed[title] = broken
        if isinstance(method, Separate):  # its context says whose knowledge is used, in whatever task
            by = f" by {title}" if several else ""
            for name, context in zip(names, jnp.eye(len(names)), strict=True):
                rows.append(f"learned on {name}{by}")
                learned_on.append([name])
                asked = [task.replace(context=context[None]) for task in tasks]
                returns.append(judge.returns(method, state, lost, asked))
        else:
            rows.append(title)
            learned_on.append(list(names))
            returns.append(judge.returns(method, state, lost, tasks))
    untrained = init_loop_state(scratch.learner(spec(tasks[0]), target=True), judge.keys.target).state
    return {
        "rows": rows,
        "columns": [*names, describe(judge.domains.target)],
        "learned_on": learned_on,
        "returns": returns,
        "untrained": judge.returns(scratch, untrained, [], tasks),
        "failed": failed,
    }


class _Judge(NamedTuple):
    """Where a study's knowledge of its sources is, and how it is judged."""

    out: pathlib.Path
    question: StudyConfig
    domains: Domains
    watch: Watch
    since: float

    @property
    def keys(self) -> transfer.Keys:
        return transfer.keys(self.question.seeds)

    def learned(self, row: str, method: Method) -> tuple[TrainState | None, list[int], str | None]:
        """-> what all seeds know of the sources, the places of those that were lost, and why it broke, if it did."""
        domain, seeds = source_training.domain(self.domains, self.question), self.question.seeds
        try:
            source = source_training.learn(self.out, row, method, domain, seeds, self.watch, self.since)
        except (InputError, OSError, WatcherError, HeldError):  # not the method's fault
            raise
        except Exception as error:  # one that breaks must not take the others with it
            return None, [], study_folder.reason(error)
        return source.state, [seeds.index(seed) for seed in source.lost], None

    @reraising()
    def returns(
        self, method: Method, state: TrainState | None, lost: list[int], tasks: Sequence[Task]
    ) -> Float[np.ndarray, "task seed"]:
        """-> returns of the deterministic policy in the episodes that the study's rows are judged in.

        NaN where a seed was lost, or the env broke.
        """
        found = np.full((len(tasks), len(self.question.seeds)), np.nan)
        if state is None:
            return found
        learner = method.learner(spec(tasks[0]), target=True)
        for returns, task in zip(found, tasks, strict=True):
            task.env.pop_failures()
            returns[:] = transfer.evaluate_state(
                learner, state, task, self.question.eval_episodes, self.keys.evaluation
            ).mean(1)
            returns[[*lost, *task.env.pop_failures()]] = np.nan
        return found
