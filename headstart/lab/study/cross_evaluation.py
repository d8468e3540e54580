"""The cross-evaluation matrix of a study with several sources: policies trained on each source, run on each task.

It is saved in `matrix.json` when it is complete.
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
from headstart.lab.study.cell_store import normalized
from headstart.lab.study.jobs import LockedError
from headstart.lab.study.study_tasks import StudyTasks
from headstart.lab.watch.progress_event import CallbackError, ProgressCallback
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

FORMAT, MATRIX_FILE = "headstart matrix 2", "matrix.json"
SEPARATE_ROW = "each alone"  # name in progress events of a training that only the matrix needs
Rows = Sequence[tuple[Entry, Method]]


def read(out: pathlib.Path, config: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns the entry `matrix` of study.json if it is done: the matrix, or why it was left out.

    With `config`, only a matrix of that configuration is returned. Raises InputError if it is damaged.
    """
    record = _read_matrix(out)
    if record is None or (config is not None and normalized(config) != record["config"]):
        return {}
    if "left_out" in record:
        return {"matrix": {"left_out": record["left_out"]}}
    returns, untrained = (np.array(record[name], float) for name in ("returns", "untrained"))  # null becomes NaN
    matrix = claims.assemble_matrix(record["rows"], record["columns"], record["learned_on"], returns, untrained)
    return {"matrix": {**matrix, "failed": record["failed"]}}


def _read_matrix(out: pathlib.Path) -> dict[str, Any] | None:
    """Returns the record of the matrix, or None."""
    path = out / MATRIX_FILE
    remedy = "move it away, and the same command computes it again"
    return read_record(path, FORMAT, remedy) if path.exists() else None


def matrix_config(config: StudyConfig, study_tasks: StudyTasks, rows: Rows) -> dict[str, Any]:
    """Returns the configuration that the matrix depends on."""
    trained = trainings(rows, spec(study_tasks.source_tasks)) if study_tasks.source_names else {}
    same = ("source", "target", "physics", "source_steps", "eval_episodes", "learner", "seeds")
    trainings_data = [[describe_method(method), names] for method, names in trained.items()]
    return {**{name: getattr(config, name) for name in same}, "learned": trainings_data}


def is_done(out: pathlib.Path, config: StudyConfig, study_tasks: StudyTasks, rows: Rows, since: float = 0.0) -> bool:
    """Returns whether the matrix is complete. One with failures from before the time `since` is computed again."""
    record = _read_matrix(out) if study_tasks.source_names else None
    if record is None or record["config"] != normalized(matrix_config(config, study_tasks, rows)):
        return not study_tasks.source_names
    has_failures = bool(record.get("failed")) or bool(np.isnan(np.array(record.get("returns", []), float)).any())
    return not has_failures or (out / MATRIX_FILE).stat().st_mtime >= since


def needs_extra_training(rows: Rows) -> bool:
    """Returns whether the matrix needs a source training that no row has."""
    return not any(isinstance(method, Separate) for _, method in rows)


def run(
    out: pathlib.Path,
    config: StudyConfig,
    study_tasks: StudyTasks,
    rows: Rows,
    watch: ProgressCallback,
    since: float = 0.0,
) -> None:
    """Computes the matrix; does nothing for a single source, and if the matrix is complete.

    The policies of each source alone come from the study's `separate` rows, or else from `Separate` with the learner of
    scratch. If that is impossible, the matrix is left out with the reason. Raises LockedError if another process trains
    what it needs.
    """
    if is_done(out, config, study_tasks, rows, since):
        return
    wanted_config = matrix_config(config, study_tasks, rows)
    target_spec, source_spec = spec(study_tasks.target_tasks), spec(study_tasks.source_tasks)
    scratch = next(method for entry, method in config.rows() if entry.name == SCRATCH)
    trained = trainings(rows, source_spec)
    separate = {method: names for method, names in trained.items() if isinstance(method, Separate)}
    separate = separate or {Separate(scratch): [SEPARATE_ROW]}
    try:
        dry_run(scratch, target_spec, None)
        for method in separate:
            dry_run(method, target_spec, source_spec)
    except InputError as error:
        write_record(out / MATRIX_FILE, FORMAT, {"config": wanted_config, "left_out": str(error)})
        return
    matrix = _evaluate_matrix(_Evaluator(out, config, study_tasks, watch, since), scratch, {**separate, **trained})
    write_record(out / MATRIX_FILE, FORMAT, {"config": wanted_config, **matrix})


def trainings(rows: Rows, source_spec: Spec) -> dict[Method, list[str]]:
    """Returns the methods that train on the sources, and the rows that share each training."""
    rows_by_method: dict[Method, list[str]] = {}
    for entry, method in rows:
        if entry.learns_on == "source":
            rows_by_method.setdefault(source_training.base_method(method, source_spec), []).append(entry.name)
    return rows_by_method


def columns(study_tasks: StudyTasks) -> list[Task]:
    """Returns the tasks of the columns, sources and target, each as a stack of one with nominal parameters."""
    contexts = jnp.eye(len(study_tasks.sources))
    sources = zip(study_tasks.sources, contexts, strict=True)
    return [*(stack([nominal(task).replace(context=context)]) for task, context in sources), study_tasks.target_tasks]


def _evaluate_matrix(evaluator: "_Evaluator", scratch: Method, trained: dict[Method, list[str]]) -> dict[str, Any]:
    """Trains and evaluates all policies. Returns the matrix without statistics, as it is saved."""
    names, tasks = evaluator.study_tasks.source_names, columns(evaluator.study_tasks)
    rows, learned_on, returns, failed = [], [], [], {}
    several = sum(isinstance(method, Separate) for method in trained) > 1
    for method, row_names in trained.items():
        title = ", ".join(row_names)
        state, failed_seeds, error = evaluator.train(row_names[0], method)
        if error:
            failed[title] = error
        if isinstance(method, Separate):  # its context selects the policy, in any task
            suffix = f" by {title}" if several else ""
            for name, context in zip(names, jnp.eye(len(names)), strict=True):
                rows.append(f"learned on {name}{suffix}")
                learned_on.append([name])
                tasks_in_context = [task.replace(context=context[None]) for task in tasks]
                returns.append(evaluator.returns(method, state, failed_seeds, tasks_in_context))
        else:
            rows.append(title)
            learned_on.append(list(names))
            returns.append(evaluator.returns(method, state, failed_seeds, tasks))
    untrained = init_loop_state(scratch.learner(spec(tasks[0]), target=True), evaluator.keys.target).state
    return {
        "rows": rows,
        "columns": [*names, describe(evaluator.study_tasks.target)],
        "learned_on": learned_on,
        "returns": returns,
        "untrained": evaluator.returns(scratch, untrained, [], tasks),
        "failed": failed,
    }


class _Evaluator(NamedTuple):
    """Trains the policies of the matrix and evaluates them."""

    out: pathlib.Path
    config: StudyConfig
    study_tasks: StudyTasks
    watch: ProgressCallback
    since: float

    @property
    def keys(self) -> transfer.Keys:
        return transfer.keys(self.config.seeds)

    def train(self, row: str, method: Method) -> tuple[TrainState | None, list[int], str | None]:
        """Returns the state of all seeds, the indices of failed seeds, and the error, if there was one."""
        domain, seeds = source_training.source_tasks(self.study_tasks, self.config), self.config.seeds
        try:
            source = source_training.train_source(self.out, row, method, domain, seeds, self.watch, self.since)
        except (InputError, OSError, CallbackError, LockedError):  # not the fault of the method
            raise
        except Exception as error:  # an error must not stop the other rows
            return None, [], study_folder.failure_reason(error)
        return source.state, [seeds.index(seed) for seed in source.failed_seeds], None

    @reraising()
    def returns(
        self, method: Method, state: TrainState | None, failed_seeds: list[int], tasks: Sequence[Task]
    ) -> Float[np.ndarray, "task seed"]:
        """Returns the returns of the deterministic policy in the evaluation episodes of the study.

        NaN for failed seeds, and if the env failed.
        """
        all_returns = np.full((len(tasks), len(self.config.seeds)), np.nan)
        if state is None:
            return all_returns
        learner = method.learner(spec(tasks[0]), target=True)
        for returns, task in zip(all_returns, tasks, strict=True):
            task.env.pop_failures()
            returns[:] = transfer.evaluate_state(
                learner, state, task, self.config.eval_episodes, self.keys.evaluation
            ).mean(1)
            returns[[*failed_seeds, *task.env.pop_failures()]] = np.nan
        return all_returns
