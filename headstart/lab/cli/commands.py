"""Runs the commands of the command line and prints their results."""

import dataclasses
import json
import pathlib
import sys
from typing import Any

from headstart.core.errors import InputError
from headstart.core.types import Task
from headstart.lab import api
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import jsonable
from headstart.lab.cli import arguments
from headstart.lab.cli.doctor import doctor as doctor
from headstart.lab.cli.listing import methods as methods
from headstart.lab.cli.listing import parameters as parameters
from headstart.lab.cli.listing import tasks as tasks
from headstart.lab.cli.train_transfer import train as train
from headstart.lab.cli.train_transfer import transfer as transfer
from headstart.lab.report import export
from headstart.lab.report.summary import all_failed_sentence
from headstart.lab.report.terminal_tables import print_tables, study_tables
from headstart.lab.study import cross_evaluation, runner, study_folder
from headstart.lab.watch.progress_bar import ProgressBar, console, short_number
from headstart.lab.watch.progress_event import call_both
from headstart.lab.watch.tensorboard import tensorboard_writer
from headstart.protocol.checks import check_budget, check_seeds
from headstart.protocol.study_config import StudyConfig
from headstart.tasks.strings import parse, parse_untrusted
from headstart.tasks.task_ids import TASK_SEPARATOR


def compare(args: arguments.Compare, command_line: str) -> None:
    """Runs a study with a progress bar and prints its tables."""
    fields = {field.name for field in dataclasses.fields(StudyConfig)}
    arguments_given = {**vars(args), "source": TASK_SEPARATOR.join(args.source)}
    config = StudyConfig(**{name: value for name, value in arguments_given.items() if name in fields})
    with tensorboard_writer(args.tensorboard, config.seeds) as writer, ProgressBar(plan(config), console()) as progress:
        data = jsonable(
            runner.compare(config, args.out, args.allow_no_shift, command_line, call_both(progress, writer), args.video)
        )
    _show_study(data, args.out, args.json)
    if failed := all_failed_sentence(data):
        print(f"headstart: {failed}", file=sys.stderr)
        sys.exit(1)


def plan(config: StudyConfig) -> dict[tuple[str, str], float]:
    """Returns the planned steps of each stage of each row, in the order in which they run."""
    plan: dict[tuple[str, str], float] = {}
    for entry, _ in config.rows():
        if entry.learns_on in ("source", "ensemble"):
            plan[entry.name, "source"] = config.source_steps
        extra = config.source_steps if entry.role == "oracle" else 0
        plan[entry.name, "target"] = config.target_steps + extra if entry.adapts else 0
    if TASK_SEPARATOR in config.source and cross_evaluation.needs_extra_training(config.rows()):
        plan[cross_evaluation.SEPARATE_ROW, "source"] = config.source_steps
    return plan


def report(args: arguments.Report, command_line: str) -> None:
    """Writes the report of a study again from its study.json and prints its tables."""
    data = study_folder.write_report_files(args.study)
    _show_study(data, args.study, args.json)


def export_table(args: arguments.ExportTable, command_line: str) -> None:
    """Prints the results of a study as CSV or LaTeX, or writes its curves as PDF."""
    if [args.csv, args.latex, args.pdf].count(True) != 1:
        raise InputError("Write one of --csv, --latex and --pdf.")
    data = study_folder.read_study(args.study)
    if args.pdf:
        export.to_pdf(data, args.study / "curves.pdf")
        print(f"curves: {args.study / 'curves.pdf'}")
        return
    print(export.to_csv(data) if args.csv else export.to_latex(data), end="")


def _show_study(data: dict[str, Any], out: pathlib.Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(data, indent=1))
        return
    print_tables(*study_tables(data))
    print(f"report: {out / 'report.html'}")


def play(args: arguments.Play, command_line: str) -> None:
    """Records a video of a checkpoint's policy and prints its returns."""
    trained = save_load.load(args.checkpoint)
    text = args.target or trained.trained_on.split(", then ")[-1].split(TASK_SEPARATOR)[-1]
    if text == "nothing":
        raise InputError(f"{args.checkpoint} was trained on no task; name one with --target.")
    task = parse(text, args.physics, target=True) if args.target else _from_file(text, args)
    out = args.out or args.checkpoint / "clip.webp"
    check_budget("--episodes", args.episodes)
    check_seeds("--seed", [args.seed])
    clips = api.play(trained, task, out, args.episodes, args.seed)
    for clip in clips:
        part = f", of which the video shows {clip.steps_shown}" if clip.steps_shown < clip.steps else ""
        print(f"{text}: return {short_number(clip.episode_return)} in {short_number(clip.steps)} steps{part}")
    print(f"video: {out}")


def _from_file(text: str, args: arguments.Play) -> Task:
    """Returns the task that a checkpoint names. Raises InputError if creating it could run code."""
    try:
        return parse_untrusted(text, args.physics, target=True)
    except InputError as error:
        raise InputError(f"{args.checkpoint / 'recipe.json'}: {error}") from None
