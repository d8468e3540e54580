"""What each command of the command line does: run it, keep it, show it."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
from rich.table import Table

from headstart.core.errors import InputError
from headstart.lab import api, checkpoint, cli, matrix, resume, study
from headstart.lab.doctor import doctor as doctor
from headstart.lab.files import plain, write_json
from headstart.lab.listing import methods as methods
from headstart.lab.listing import parameters as parameters
from headstart.lab.listing import tasks as tasks
from headstart.lab.news import News, both
from headstart.lab.progress import Board, console, thin
from headstart.lab.scalars import scalars
from headstart.lab.tables import show, study_tables
from headstart.methods.strings import find_any
from headstart.protocol.checks import check_budget, check_seeds, check_shots
from headstart.protocol.study import Question
from headstart.tasks.several import SEVERAL
from headstart.tasks.strings import parse


def compare(asked: cli.Compare, words: str) -> None:
    """Runs a study under live progress, and shows its tables."""
    fields = {field.name for field in dataclasses.fields(Question)}
    said = {**vars(asked), "source": SEVERAL.join(asked.source)}
    question = Question(**{name: value for name, value in said.items() if name in fields})
    with scalars(asked.tensorboard, question.seeds) as told, Board(plan(question), console()) as board:
        data = plain(study.compare(question, asked.out, asked.allow_no_shift, words, both(board, told), asked.video))
    _show_study(data, asked.out, asked.json)


def plan(question: Question) -> dict[tuple[str, str], float]:
    """-> the steps of each stage of each row, in order."""
    plan: dict[tuple[str, str], float] = {}
    for entry, _ in question.rows():
        if entry.learns_on in ("source", "ensemble"):
            plan[entry.name, "source"] = question.source_steps
        extra = question.source_steps if entry.name == "oracle" else 0
        plan[entry.name, "target"] = question.target_steps + extra if entry.adapts else 0
    if SEVERAL in question.source and matrix.trains_more(question.rows()):
        plan[matrix.ALONE, "source"] = question.source_steps
    return plan


def report(asked: cli.Report, words: str) -> None:
    """Writes a study's report again from its study.json, and shows its tables."""
    data = study.show(asked.study)
    _show_study(data, asked.study, asked.json)


def _show_study(data: dict[str, Any], out: pathlib.Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(data, indent=1))
        return
    show(*study_tables(data))
    print(f"report: {out / 'report.html'}")


def train(asked: cli.Train, words: str) -> None:
    """Trains in the source domain and writes a checkpoint; goes on where the same command was stopped."""
    method = find_any(asked.method)
    tasks = [parse(source, asked.physics) for source in asked.source]
    check_budget("--steps", asked.steps)
    check_seeds("--seed", [asked.seed])
    keeper = resume.Keeper(asked.out / "run", asked.save_every)
    if not (keeper.folder / "run.json").exists():
        _check_free(asked.out, keeper.folder.name)
    board = Board({(asked.method, "source"): asked.steps}, console())
    with scalars(asked.tensorboard, (asked.seed,)) as told, board:
        tell = both(board, told)

        def watch(point: Any) -> None:
            if not board.seen and len(keeper.history) > 1:
                board.before = keeper.history[-2]["steps"]
            returns = np.asarray(point.metrics["return"])
            tell(News(asked.method, "source", np.asarray(point.steps), asked.steps, returns, point.metrics))

        trained = api.train(method, tasks, asked.steps, asked.seed, watch, keeper)
    checkpoint.save(trained, asked.out)
    write_json(asked.out / "curve.json", {"source": keeper.history})
    keeper.clear()
    for source, task in zip(asked.source, tasks, strict=True):
        returns = api.evaluate(trained, task)
        print(f"{asked.method} on {source}: return {thin(float(returns.mean()))} over {returns.size} episodes")
    print(f"checkpoint: {asked.out}")


def transfer(asked: cli.Transfer, words: str) -> None:
    """Goes on from a checkpoint in the target; writes the curve and the adapted checkpoint."""
    trained = checkpoint.load(asked.checkpoint)
    method = None if asked.method is None else find_any(asked.method, after=trained.method)
    task = parse(asked.target, asked.physics, target=True)
    check_budget("--steps", asked.steps)
    check_shots("--shots", asked.shots)
    _check_free(asked.out)
    name = asked.method or type(trained.method).__name__.lower()
    board = Board({(name, "target"): asked.steps}, console())
    with scalars(asked.tensorboard, (trained.seed,)) as told, board:
        tell = both(board, told)

        def watch(j: Any) -> None:
            tell(News(name, "target", j.steps, asked.steps, j.returns.mean(1), j.metrics))

        done = api.transfer(
            trained, task, asked.steps, asked.shots, method, renamed=_renames(asked.rename), watch=watch
        )
    checkpoint.save(done.trained, asked.out)
    curve = {"steps": done.steps, "episodes": done.episodes, "returns": done.returns, "shots": done.shots}
    curve = plain({**curve, "moved": done.moved.data})
    write_json(asked.out / "curve.json", curve)
    if asked.json:
        print(json.dumps(curve, indent=1))
        return
    for line in done.moved.lines():
        print(line)
    if (what := done.moved.table()).row_count:
        show(what)
    table = Table("shots", "return", title=f"{name} from {asked.checkpoint} on {asked.target}")
    for shots, value in done.shots.items():
        table.add_row(str(shots), thin(value))
    table.add_row(f"{thin(done.steps[-1])} steps", thin(done.returns[-1]))
    show(table)
    print(f"checkpoint: {asked.out}")


def _renames(rename: tuple[str, ...]) -> dict[str, str]:
    """-> new names by the old ones. Raises InputError where what was written is none."""
    pairs = [text.partition("=") for text in rename]
    if bad := [old for old, _, new in pairs if not (old and new)]:
        raise InputError(f"--rename {bad[0]!r} gives no new name; write OLD=NEW, several with commas between them.")
    return {old: new for old, _, new in pairs}


def play(asked: cli.Play, words: str) -> None:
    """Writes a clip of a checkpoint's policy, and prints its returns."""
    trained = checkpoint.load(asked.checkpoint)
    text = asked.target or trained.trained_on.split(", then ")[-1].split(SEVERAL)[-1]
    if text == "nothing":
        raise InputError(f"{asked.checkpoint} was trained on nothing; say by --target what it is to play.")
    out = asked.out or asked.checkpoint / "clip.webp"
    check_budget("--episodes", asked.episodes)
    check_seeds("--seed", [asked.seed])
    takes = api.play(trained, parse(text, asked.physics, target=True), out, asked.episodes, asked.seed)
    for take in takes:
        part = f", of which the clip shows {take.filmed}" if take.filmed < take.steps else ""
        print(f"{text}: return {thin(take.score)} in {thin(take.steps)} steps{part}")
    print(f"clip: {out}")


def _check_free(out: pathlib.Path, but: str | None = None) -> None:
    if out.exists() and (not out.is_dir() or any(path.name != but for path in out.iterdir())):
        raise InputError(f"{out} is not empty; choose another --out, or delete it.")
