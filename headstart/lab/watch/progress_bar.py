"""Shows the progress of a study: bars in a terminal, lines of text elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from headstart.lab.watch.progress_event import ProgressEvent

PLAIN_EVERY = 5.0  # seconds between two plain lines of one stage


class ProgressBar:
    """A callback that shows the progress of the whole study, and the steps, speed and latest returns of each row."""

    def __init__(self, plan: dict[tuple[str, str], float], console: Console):
        self.plan, self.console = plan, console
        self.order = list(plan)
        self.total = max(sum(plan.values()), 1.0)
        self.start_time = time.monotonic()
        self.steps_by_stage: dict[tuple[str, str], float] = {}  # steps of each stage that ran in this process
        self.earlier_steps = 0.0  # steps that an earlier process took
        self.stage: tuple[str, str] | None = None
        self.stage_start_time, self.stage_start_steps, self.last_print = self.start_time, 0.0, 0.0
        self.live = console.is_terminal
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self.live,
        )
        self.study_bar = self.bars.add_task("the study", total=self.total)
        self.stage_bar = self.bars.add_task("", total=1.0, visible=False)

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self.bars.stop()

    def __call__(self, event: ProgressEvent) -> None:
        now, stage, steps = time.monotonic(), (event.row, event.stage), float(np.mean(event.steps))
        if stage != self.stage:
            self.stage, self.stage_start_time, self.stage_start_steps, self.last_print = stage, now, steps, 0.0
        speed = (steps - self.stage_start_steps) * len(event.steps) / max(now - self.stage_start_time, 1e-9)
        total = short_number(event.total_steps)
        description = f"{event.row:<10} {event.stage:<6} {short_number(steps):>9} of {total} steps"
        description += f" · {short_number(speed)} steps/s" if speed > 1 else ""
        description += " · return " + " ".join(map(short_number, event.returns))
        self.steps_by_stage[stage] = min(steps, self.plan[stage])
        done = self.steps_completed(stage)
        self.bars.update(self.study_bar, completed=done)
        self.bars.update(
            self.stage_bar, description=description, completed=steps, total=max(event.total_steps, 1.0), visible=True
        )
        if not self.live and (now - self.last_print > PLAIN_EVERY or steps >= event.total_steps):
            self.last_print = now
            self.console.print(
                f"{100 * done / self.total:3.0f} %  {self.time_left(done, now)}  {description}", highlight=False
            )

    def steps_completed(self, stage: tuple[str, str]) -> float:
        """Returns the planned steps up to now: those of this stage so far, and those of all stages before it.

        Stages that did not have to run count as completed.
        """
        return sum(self.plan[earlier] for earlier in self.order[: self.order.index(stage)]) + self.steps_by_stage[stage]

    def time_left(self, done: float, now: float) -> str:
        """Returns the estimated time left as m:ss."""
        steps_here = sum(self.steps_by_stage.values()) - self.earlier_steps
        if steps_here <= 0:
            return " -:--     "
        seconds = (now - self.start_time) * (self.total - done) / steps_here
        return f"{int(seconds // 60):2d}:{int(seconds % 60):02d} left"


def short_number(x: float | np.number) -> str:
    """Returns a number as short text, with thousands separated; – if it is not finite."""
    if not np.isfinite(x):
        return "–"
    return f"{x:,.0f}".replace(",", " ") if abs(x) >= 100 or x == int(x) else f"{x:.3g}"


def console() -> Console:
    """Returns the console for progress. It writes to standard error, so that tables and JSON can be piped."""
    return plain_console(file=sys.stderr, soft_wrap=True)


def plain_console(**options: Any) -> Console:
    """Returns a console that prints text unchanged: names may look like markup or emoji of rich."""
    return Console(**options, markup=False, emoji=False, highlight=False)
