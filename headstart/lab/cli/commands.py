"""What each command of the command line does: run it, keep it, show it."""

import dataclasses
import json
import pathlib
import sys
from typing import Any

from headstart.core.errors import InputError
from headstart.core.types import Task
from headstart.lab import api
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import plain
from headstart.lab.cli import arguments
from headstart.lab.cli.doctor import doctor as doctor
from headstart.lab.cli.listing import methods as methods
from headstart.lab.cli.listing import parameters as parameters
from headstart.lab.cli.listing import tasks as tasks
from headstart.lab.cli.train_transfer import train as train
from headstart.lab.cli.train_transfer import transfer as transfer
from headstart.lab.report import export
from headstart.lab.report.answer import all_failed
from headstart.lab.report.terminal_tables import show, study_tables
from headstart.lab.study import cross_evaluation, runner, study_folder
from headstart.lab.watch.progress_bar import Board, console, thin
from headstart.lab.watch.progress_event import both
from headstart.lab.watch.tensorboard import scalars
from headstart.protocol.checks import check_budget, check_seeds
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.strings import parse, parse_untrusted
from headstart.tasks.task_ids import TASK_SEPARATOR


def compare(asked: arguments.Compare, words: str) -> None:
    """Runs a study under live progress, and shows its tables."""
    fields = {field.name for field in dataclasses.fields(StudyConfig)}
    said = {**vars(asked), "source": TASK_SEPARATOR.join(asked.source)}
    question = StudyConfig(**{name: value for name, value in said.items() if name in fields})
    with scalars(asked.tensorboard, question.seeds) as told, Board(plan(question), console()) as board:
        data = plain(runner.compare(question, asked.out, asked.allow_no_shift, words, both(board, told), asked.video))
    _show_study(data, asked.out, asked.json)
    if failed := all_failed(data):
        print(f"headstart: {failed}", file=sys.stderr)
        sys.exit(1)


def plan(question: StudyConfig) -> dict[tuple[str, str], float]:
    """-> the steps of each stage of each row, in order."""
    plan: dict[tuple[str, str], float] = {}
    for entry, _ in question.rows():
        if entry.learns_on in ("source", "ensemble"):
            plan[entry.name, "source"] = question.source_steps
        extra = question.source_steps if entry.role == "oracle" else 0
        plan[entry.name, "target"] = question.target_steps + extra if entry.adapts else 0
    if TASK_SEPARATOR in question.source and cross_evaluation.trains_more(question.rows()):
        plan[cross_evaluation.ALONE, "source"] = question.source_steps
    return plan


def report(asked: arguments.Report, words: str) -> None:
    """Writes a study's report again from its study.json, and shows its tables."""
    data = study_folder.write_report_files(asked.study)
    _show_study(data, asked.study, asked.json)


def export_table(asked: arguments.ExportTable, words: str) -> None:
    """Prints a study's numbers, or writes its curves as PDF."""
    if [asked.csv, asked.latex, asked.pdf].count(True) != 1:
        raise InputError("Write one of --csv, --latex and --pdf.")
    data = study_folder.read_study(asked.study)
    if asked.pdf:
        export.to_pdf(data, asked.study / "curves.pdf")
        print(f"curves: {asked.study / 'curves.pdf'}")
        return
    print(export.to_csv(data) if asked.csv else export.to_latex(data), end="")


def _show_study(data: dict[str, Any], out: pathlib.Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(data, indent=1))
        return
    show(*study_tables(data))
    print(f"report: {out / 'report.html'}")


def play(asked: arguments.Play, words: str) -> None:
    """Writes a clip of a checkpoint's policy, and prints its returns."""
    trained = save_load.load(asked.checkpoint)
    text = asked.target or trained.trained_on.split(", then ")[-1].split(TASK_SEPARATOR)[-1]
    if text == "nothing":
        raise InputError(f"{asked.checkpoint} was trained on nothing; say by --target what it is to play.")
    task = parse(text, asked.physics, target=True) if asked.target else _from_file(text, asked)
    out = asked.out or asked.checkpoint / "clip.webp"
    check_budget("--episodes", asked.episodes)
    check_seeds("--seed", [asked.seed])
    takes = api.play(trained, task, out, asked.episodes, asked.seed)
    for take in takes:
        part = f", of which the clip shows {take.filmed}" if take.filmed < take.steps else ""
        print(f"{text}: return {thin(take.episode_return)} in {thin(take.steps)} steps{part}")
    print(f"clip: {out}")


def _from_file(text: str, asked: arguments.Play) -> Task:
    """Returns the task that a checkpoint names. Raises InputError where making it could run code."""
    try:
        return parse_untrusted(text, asked.physics, target=True)
    except InputError as error:
        raise InputError(f"{asked.checkpoint / 'recipe.json'}: {error}") from None
