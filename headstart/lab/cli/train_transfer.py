"""The commands `train` (in the source domain) and `transfer` (to the target)."""

import json
from typing import Any

import numpy as np
from rich.table import Table

from headstart.core.errors import InputError
from headstart.core.types import Method, Task
from headstart.lab import api
from headstart.lab.checkpoint import result_folder, resume, save_load
from headstart.lab.checkpoint.files import jsonable
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.cli import arguments
from headstart.lab.report.terminal_tables import print_tables
from headstart.lab.watch.progress_bar import ProgressBar, console, short_number
from headstart.lab.watch.progress_event import ProgressEvent, call_both
from headstart.lab.watch.tensorboard import tensorboard_writer
from headstart.methods import describe
from headstart.methods.strings import find_any
from headstart.protocol.checks import check_budget, check_seeds, check_shots
from headstart.tasks.strings import describe as describe_task
from headstart.tasks.strings import parse


def train(args: arguments.Train, command_line: str) -> None:
    """Trains in the source domain and writes a checkpoint; resumes a training of the same command."""
    method = find_any(args.method)
    tasks = [parse(source, args.physics) for source in args.source]
    check_budget("--steps", args.steps)
    check_seeds("--seed", [args.seed])
    checkpointer = resume.FileCheckpointer(args.out / "run", args.save_every)
    config = {"method": describe(method), "tasks": [describe_task(task) for task in tasks], "physics": args.physics}
    config |= {"steps": args.steps, "seed": args.seed}
    with result_folder.claim_folder(args.out, config, checkpointer.folder.name) as result:
        if result is not None:
            checkpointer.delete()  # files that a killed process left
            print(f"this command has already finished\ncheckpoint: {args.out}")
            return
        trained = _train(args, method, tasks, checkpointer)
        result_folder.write(args.out, config, {"source": checkpointer.history}, trained)
        checkpointer.delete()
    for source, task in zip(args.source, tasks, strict=True):
        returns = api.evaluate(trained, task)
        print(f"{args.method} on {source}: return {short_number(float(returns.mean()))} over {returns.size} episodes")
    print(f"checkpoint: {args.out}")


def _train(args: arguments.Train, method: Method, tasks: list[Task], checkpointer: resume.FileCheckpointer) -> Trained:
    """Trains with a progress bar."""
    progress = ProgressBar({(args.method, "source"): args.steps}, console())
    with tensorboard_writer(args.tensorboard, (args.seed,)) as writer, progress:
        callback = call_both(progress, writer)

        def watch(point: Any) -> None:
            if not progress.steps_by_stage and len(checkpointer.history) > 1:
                progress.earlier_steps = checkpointer.history[-2]["steps"]
            returns = np.asarray(point.metrics["return"])
            callback(ProgressEvent(args.method, "source", np.asarray(point.steps), args.steps, returns, point.metrics))

        return api.train(method, tasks, args.steps, args.seed, watch, checkpointer)


def transfer(args: arguments.Transfer, command_line: str) -> None:
    """Adapts a checkpoint to the target; writes the curve and the adapted checkpoint."""
    trained = save_load.load(args.checkpoint)
    method = None if args.method is None else find_any(args.method, after=trained.method)
    task = parse(args.target, args.physics, target=True)
    check_budget("--steps", args.steps)
    check_shots("--shots", args.shots)
    config = {"checkpoint": save_load.identity(args.checkpoint), "method": describe(method or trained.method)}
    config |= {"target": describe_task(task), "physics": args.physics, "rename": _renames(args.rename)}
    config |= {"steps": args.steps, "shots": sorted(set(args.shots))}
    with result_folder.claim_folder(args.out, config) as curve:
        lines: list[str | Table] = ["this command has already finished"]
        if curve is None:
            result = _transfer(args, trained, method, task)
            curve = {
                "steps": result.steps,
                "episodes": result.episodes,
                "returns": result.returns,
                "shots": result.shots,
            }
            curve = jsonable({**curve, "transferred": result.summary.data})
            result_folder.write(args.out, config, curve, result.trained)
            lines = [*result.summary.lines(), *([table] if (table := result.summary.table()).row_count else [])]
    _show_transfer(args, trained, curve, lines)


def _transfer(args: arguments.Transfer, trained: Trained, method: Method | None, task: Task) -> api.Transferred:
    """Adapts with a progress bar."""
    name = _name(args, trained)
    progress = ProgressBar({(name, "target"): args.steps}, console())
    with tensorboard_writer(args.tensorboard, (trained.seed,)) as writer, progress:
        callback = call_both(progress, writer)

        def watch(evaluation: Any) -> None:
            callback(
                ProgressEvent(
                    name, "target", evaluation.steps, args.steps, evaluation.returns.mean(1), evaluation.metrics
                )
            )

        return api.transfer(trained, task, args.steps, args.shots, method, renamed=_renames(args.rename), watch=watch)


def _name(args: arguments.Transfer, trained: Trained) -> str:
    return args.method or type(trained.method).__name__.lower()


def _show_transfer(args: arguments.Transfer, trained: Trained, curve: dict[str, Any], lines: list[str | Table]) -> None:
    """Prints `lines` and the curve of a transfer."""
    if args.json:
        names = ("steps", "episodes", "returns", "shots", "transferred")
        print(json.dumps({name: curve[name] for name in names}, indent=1))
        return
    for line in lines:
        print_tables(line) if isinstance(line, Table) else print(line)
    table = Table("shots", "return", title=f"{_name(args, trained)} from {args.checkpoint} on {args.target}")
    for shots, value in curve["shots"].items():
        table.add_row(shots, short_number(value))
    table.add_row(f"{short_number(curve['steps'][-1])} steps", short_number(curve["returns"][-1]))
    print_tables(table)
    print(f"checkpoint: {args.out}")


def _renames(rename: tuple[str, ...]) -> dict[str, str]:
    """Returns the new name of each old name. Raises InputError if a pair is invalid."""
    pairs = [text.partition("=") for text in rename]
    if invalid := [old for old, _, new in pairs if not (old and new)]:
        raise InputError(f"--rename {invalid[0]!r} gives no new name; write OLD=NEW, several with commas between them.")
    return {old: new for old, _, new in pairs}
