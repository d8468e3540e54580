"""The commands that learn: `train` in the source domain, and `transfer`, which goes on in the target."""

import json
from typing import Any

import numpy as np
from rich.table import Table

from headstart.core.errors import InputError
from headstart.core.types import Method, Task
from headstart.lab import api
from headstart.lab.checkpoint import result_folder, resume, save_load
from headstart.lab.checkpoint.files import plain
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.cli import arguments
from headstart.lab.report.terminal_tables import show
from headstart.lab.watch.progress_bar import Board, console, thin
from headstart.lab.watch.progress_event import News, both
from headstart.lab.watch.tensorboard import scalars
from headstart.methods import describe
from headstart.methods.strings import find_any
from headstart.protocol.checks import check_budget, check_seeds, check_shots
from headstart.tasks.strings import describe as describe_task
from headstart.tasks.strings import parse


def train(asked: arguments.Train, words: str) -> None:
    """Trains in the source domain and writes a checkpoint; goes on where the same command was stopped."""
    method = find_any(asked.method)
    tasks = [parse(source, asked.physics) for source in asked.source]
    check_budget("--steps", asked.steps)
    check_seeds("--seed", [asked.seed])
    keeper = resume.FileCheckpointer(asked.out / "run", asked.save_every)
    question = {"method": describe(method), "tasks": [describe_task(task) for task in tasks], "physics": asked.physics}
    question |= {"steps": asked.steps, "seed": asked.seed}
    with result_folder.claimed(asked.out, question, keeper.folder.name) as done:
        if done is not None:
            keeper.clear()  # what a kill has left of it
            print(f"done: this command has finished before\ncheckpoint: {asked.out}")
            return
        trained = _train(asked, method, tasks, keeper)
        result_folder.write(asked.out, question, {"source": keeper.history}, trained)
        keeper.clear()
    for source, task in zip(asked.source, tasks, strict=True):
        returns = api.evaluate(trained, task)
        print(f"{asked.method} on {source}: return {thin(float(returns.mean()))} over {returns.size} episodes")
    print(f"checkpoint: {asked.out}")


def _train(asked: arguments.Train, method: Method, tasks: list[Task], keeper: resume.FileCheckpointer) -> Trained:
    """Returns what is learned, under live progress."""
    board = Board({(asked.method, "source"): asked.steps}, console())
    with scalars(asked.tensorboard, (asked.seed,)) as told, board:
        tell = both(board, told)

        def watch(point: Any) -> None:
            if not board.seen and len(keeper.history) > 1:
                board.before = keeper.history[-2]["steps"]
            returns = np.asarray(point.metrics["return"])
            tell(News(asked.method, "source", np.asarray(point.steps), asked.steps, returns, point.metrics))

        return api.train(method, tasks, asked.steps, asked.seed, watch, keeper)


def transfer(asked: arguments.Transfer, words: str) -> None:
    """Goes on from a checkpoint in the target; writes the curve and the adapted checkpoint."""
    trained = save_load.load(asked.checkpoint)
    method = None if asked.method is None else find_any(asked.method, after=trained.method)
    task = parse(asked.target, asked.physics, target=True)
    check_budget("--steps", asked.steps)
    check_shots("--shots", asked.shots)
    question = {"checkpoint": save_load.identity(asked.checkpoint), "method": describe(method or trained.method)}
    question |= {"target": describe_task(task), "physics": asked.physics, "rename": _renames(asked.rename)}
    question |= {"steps": asked.steps, "shots": sorted(set(asked.shots))}
    with result_folder.claimed(asked.out, question) as curve:
        lines: list[str | Table] = ["done: this command has finished before"]
        if curve is None:
            done = _transfer(asked, trained, method, task)
            curve = {"steps": done.steps, "episodes": done.episodes, "returns": done.returns, "shots": done.shots}
            curve = plain({**curve, "moved": done.moved.data})
            result_folder.write(asked.out, question, curve, done.trained)
            lines = [*done.moved.lines(), *([what] if (what := done.moved.table()).row_count else [])]
    _show_transfer(asked, trained, curve, lines)


def _transfer(asked: arguments.Transfer, trained: Trained, method: Method | None, task: Task) -> api.Transferred:
    """Returns what comes of the transfer, under live progress."""
    name = _name(asked, trained)
    board = Board({(name, "target"): asked.steps}, console())
    with scalars(asked.tensorboard, (trained.seed,)) as told, board:
        tell = both(board, told)

        def watch(j: Any) -> None:
            tell(News(name, "target", j.steps, asked.steps, j.returns.mean(1), j.metrics))

        return api.transfer(
            trained, task, asked.steps, asked.shots, method, renamed=_renames(asked.rename), watch=watch
        )


def _name(asked: arguments.Transfer, trained: Trained) -> str:
    return asked.method or type(trained.method).__name__.lower()


def _show_transfer(
    asked: arguments.Transfer, trained: Trained, curve: dict[str, Any], lines: list[str | Table]
) -> None:
    """Prints the curve of a transfer, after what is to be said of it."""
    if asked.json:
        names = ("steps", "episodes", "returns", "shots", "moved")
        print(json.dumps({name: curve[name] for name in names}, indent=1))
        return
    for line in lines:
        show(line) if isinstance(line, Table) else print(line)
    table = Table("shots", "return", title=f"{_name(asked, trained)} from {asked.checkpoint} on {asked.target}")
    for shots, value in curve["shots"].items():
        table.add_row(shots, thin(value))
    table.add_row(f"{thin(curve['steps'][-1])} steps", thin(curve["returns"][-1]))
    show(table)
    print(f"checkpoint: {asked.out}")


def _renames(rename: tuple[str, ...]) -> dict[str, str]:
    """-> new names by the old ones. Raises InputError where what was written is none."""
    pairs = [text.partition("=") for text in rename]
    if bad := [old for old, _, new in pairs if not (old and new)]:
        raise InputError(f"--rename {bad[0]!r} gives no new name; write OLD=NEW, several with commas between them.")
    return {old: new for old, _, new in pairs}
