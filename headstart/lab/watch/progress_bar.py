"""What a person sees while a study runs: live bars on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from headstart.lab.watch.progress_event import News

PLAIN_EVERY = 5.0  # seconds between two plain lines of one stage


class Board:
    """Watches a study: how far it is as a whole, and each row's steps, speed and last returns."""

    def __init__(self, plan: dict[tuple[str, str], float], console: Console):
        self.plan, self.console = plan, console
        self.order = list(plan)
        self.total = max(sum(plan.values()), 1.0)
        self.began = time.monotonic()
        self.seen: dict[tuple[str, str], float] = {}  # steps of the stages that ran: what is measured of its speed
        self.before = 0.0  # those of them that were taken before, in a process that was stopped
        self.stage: tuple[str, str] | None = None
        self.stage_began, self.stage_from, self.printed = self.began, 0.0, 0.0
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
        self.whole = self.bars.add_task("the study", total=self.total)
        self.line = self.bars.add_task("", total=1.0, visible=False)

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self.bars.stop()

    def __call__(self, news: News) -> None:
        now, stage, steps = time.monotonic(), (news.row, news.stage), float(np.mean(news.steps))
        if stage != self.stage:
            self.stage, self.stage_began, self.stage_from, self.printed = stage, now, steps, 0.0
        speed = (steps - self.stage_from) * len(news.steps) / max(now - self.stage_began, 1e-9)
        words = f"{news.row:<10} {news.stage:<6} {thin(steps):>9} of {thin(news.of)} steps"
        words += f" · {thin(speed)} steps/s" if speed > 1 else ""
        words += " · return " + " ".join(map(thin, news.returns))
        self.seen[stage] = min(steps, self.plan[stage])
        done = self.done(stage)
        self.bars.update(self.whole, completed=done)
        self.bars.update(self.line, description=words, completed=steps, total=max(news.of, 1.0), visible=True)
        if not self.live and (now - self.printed > PLAIN_EVERY or steps >= news.of):
            self.printed = now
            self.console.print(f"{100 * done / self.total:3.0f} %  {self.left(done, now)}  {words}", highlight=False)

    def done(self, stage: tuple[str, str]) -> float:
        """-> the planned steps that lie behind: this stage's so far, and those of all stages before.

        Some of those never ran: their cells were there already, or they share another's training.
        """
        return sum(self.plan[before] for before in self.order[: self.order.index(stage)]) + self.seen[stage]

    def left(self, done: float, now: float) -> str:
        """-> the time left, as m:ss."""
        here = sum(self.seen.values()) - self.before
        if here <= 0:
            return " -:--     "
        seconds = (now - self.began) * (self.total - done) / here
        return f"{int(seconds // 60):2d}:{int(seconds % 60):02d} left"


def thin(x: float | np.number) -> str:
    """-> a number as people read it: thousands apart, no more digits than it deserves; – where it is none."""
    if not np.isfinite(x):
        return "–"
    return f"{x:,.0f}".replace(",", " ") if abs(x) >= 100 or x == int(x) else f"{x:.3g}"


def console() -> Console:
    """-> where progress goes: standard error, so that tables and JSON stay clean."""
    return plain_console(file=sys.stderr, soft_wrap=True)


def plain_console(**how: Any) -> Console:
    """Returns a console that prints text as it is: names may hold what rich would take for markup or an emoji."""
    return Console(**how, markup=False, emoji=False, highlight=False)
