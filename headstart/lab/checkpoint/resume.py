"""A training is kept while it is under way, and goes on from there after whatever ended it: to the bit, on a CPU."""

import json
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import filelock
import jax
from safetensors import SafetensorError

from headstart.core.errors import InputError
from headstart.core.run import Checkpointer, LoopState, Progress, Snapshot
from headstart.lab.checkpoint.files import plain
from headstart.lab.checkpoint.recipe import versions
from headstart.lab.checkpoint.records import read_record
from headstart.lab.checkpoint.training_files import Part, raw, read, strange, sweep, write
from headstart.lab.compilation_cache import processor
from headstart.protocol.checks import check_number
from headstart.protocol.transfer import finite

FORMAT = "headstart run 4"
STRETCH = 1.0  # s: how often is looked at what was asked for in between
ENDS = ("SIGINT", "SIGTERM")  # signals that ask for an end, and SAVES for no more than a save
SAVES = ("SIGUSR1",)


class FileCheckpointer(Checkpointer):
    """Keeps a training in a folder: every so many minutes (0: never by itself), and whenever it is asked to."""

    def __init__(self, folder: pathlib.Path, every: float = 10.0, say: Callable[[str], None] | None = None):
        check_number("Minutes between two saves", every)
        if not every >= 0:
            raise InputError(
                f"Saving every {every} minutes cannot be; write a number, or 0: only when it is asked for."
            )
        self.folder, self.every, self.say = folder, every, say or (lambda line: print(line, file=sys.stderr))
        self.history: list[dict[str, float]] = []  # what was told at each point, since the beginning
        self._question: dict[str, Any] = {}
        self._parts: list[Part] = []  # of what is kept: all but the last are finished
        self._at = 0  # which training is under way
        self._again = 0  # points that are yet to be told a second time
        self._lock = filelock.FileLock(folder / ".lock")
        self._asked = self._ending = False
        self._taken, self._began, self._saved = 0, time.monotonic(), time.monotonic()

    # ------------------------------------------------------------------------------------ from the outside

    @contextmanager
    def open(self, question: dict[str, Any]) -> Iterator[None]:
        """Meanwhile the folder is this training's alone, and signals are heard.

        Raises InputError where it holds another's, is damaged, or is in use.
        """
        self._question = json.loads(json.dumps(plain(question)))
        try:
            if self.folder.exists():
                if not self.folder.is_dir() or strange(self.folder):
                    raise InputError(f"{self.folder} holds something else than a training; choose another folder.")
                self._own()
                self._read()
            with _hearing(self._hear):
                yield
        finally:
            self._lock.release()

    def is_news(self, point: Progress) -> bool:
        """-> whether nobody was told of the point before; if so, it is written down, and kept with the rest."""
        if self._again:
            self._again -= 1
            return False
        told = {**point.metrics, "steps": point.steps}
        self.history.append({name: float(x[0]) for name, x in told.items()})
        return True

    def clear(self) -> None:
        """Deletes what was kept."""
        if self.folder.exists():
            sweep(self.folder)
            with suppress(OSError):  # where there is something else in it, it stays
                self.folder.rmdir()

    # ------------------------------------------------------------------------------------ what the loop asks

    def restore(self, like: Snapshot, of: int) -> Snapshot | None:
        self._taken, self._began = 0, time.monotonic()
        if self._at >= len(self._parts):
            return None
        part = self._parts[self._at]
        done = part.turns >= part.of
        if part.of != of or part.turns > of:
            raise InputError(f"{self.folder} holds {part.of} turns where there are {of}; delete it to begin anew.")
        shapes = jax.eval_shape(LoopState.done, like.state) if done else like.state
        run, tally = read(self.folder / part.file, part, (shapes, like.sums))
        self._at += done
        if not done:
            anew = "; its worlds live outside of the program, and begin anew at an episode's start"
            self.say(f"going on from {self.folder}, {part.turns} of {of} turns{anew if run.env_states is None else ''}")
        return Snapshot(run, tally, part.turns)

    def chunk_size(self, ahead: int) -> int:
        """-> as many turns as took about `STRETCH` seconds; the first alone tells how long one takes."""
        seconds = max(time.monotonic() - self._began, 1e-6)
        turns = max(int(self._taken * STRETCH / seconds), 1)
        self._taken, self._began = min(turns, ahead), time.monotonic()
        return self._taken

    def after_chunk(self, left: Snapshot, of: int) -> None:
        """Keeps it where the time has come, where it is asked for, and at the end of each training."""
        jax.block_until_ready(left.state.key)
        now, done = time.monotonic(), left.iterations >= of
        due = 0 < self.every * 60 <= now - self._saved
        if due or done or self._asked or self._ending:
            kept = self._keep(left, of, done)
            self._saved, asked, self._asked = time.monotonic(), self._asked, False
            self._at += done
            if self._ending:
                words = f"What it learned is kept in {self.folder}; the same command goes on from there."
                raise KeyboardInterrupt(words if kept else "")
            if asked and kept:
                self.say(f"kept in {self.folder}, {left.iterations} of {of} turns")
        self._began += time.monotonic() - now  # saving is no part of what a turn takes

    # ------------------------------------------------------------------------------------ on disk

    def _keep(self, left: Snapshot, of: int, done: bool) -> bool:
        """-> whether it was kept; if not, says why, and what was kept before stays."""
        run = left.state.done() if done else left.state
        if not finite((run.state.params, run.memory)).all():
            self.say("not kept: its numbers are no longer finite")
            return False
        before, file = self._parts[: self._at], f"{self._at}-{left.iterations}.safetensors"
        if sum(part.turns >= part.of for part in before) < self._at:
            return False  # what came before could not be kept, and has been told
        record = {"format": FORMAT, "question": self._question, "machine": _machine(), "history": self.history}
        try:
            self._own()
            self._parts = write(self.folder, file, raw((run, left.sums)), before, (left.iterations, of), record)
        except (OSError, SafetensorError) as error:  # what is learned must not be lost for want of room on the disk
            self.say(f"could not be kept in {self.folder} ({error}); it goes on learning")
            return False
        return True

    def _own(self) -> None:
        if self._lock.is_locked:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(f"{self.folder} is in use by another process; wait for it, or choose another.") from None

    def _read(self) -> None:
        """Raises InputError where the folder holds what cannot be gone on from."""
        file = self.folder / "run.json"
        if not file.exists():
            return
        mend = f"finish it with the version of headstart that began it, or delete {self.folder} to begin anew"
        data = read_record(file, FORMAT, mend)
        try:
            held = dict(data["question"])
            kinds = Part.__annotations__.items()
            self._parts = [Part(**{name: kind(part[name]) for name, kind in kinds}) for part in data["parts"]]
            self.history = [{name: _number(x) for name, x in row.items()} for row in data["history"]]
            then = dict(data["machine"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{file} is damaged ({type(error).__name__}: {error}); delete {self.folder} to begin anew."
            ) from None
        asked = self._question
        if other := [name for name in {**asked, **held} if asked.get(name) != held.get(name)]:
            raise InputError(
                f"{self.folder} holds another training (its {', '.join(other)} differ); choose another, or delete it."
            )
        if changed := [f"{name} {then.get(name)}, now {x}" for name, x in _machine().items() if then.get(name) != x]:
            self.say(f"{self.folder} was written by {'; '.join(changed)}: not to the bit what it would have been")
        self._again = sum(part.turns >= part.of for part in self._parts)

    def _hear(self, name: str) -> None:
        if name in SAVES:
            self._asked = True
            return
        if self._ending:
            raise KeyboardInterrupt
        self._ending = True
        self.say("keeping it after these turns, then stopping; once more: at once, with what was kept last")


def _machine() -> dict[str, str]:
    """-> what a result depends on to the last bit, as far as names can tell."""
    return {**versions(), "device": jax.devices()[0].device_kind, "processor": processor()}


def _number(x: Any) -> float:
    return float("nan") if x is None else float(x)


@contextmanager
def _hearing(hear: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile signals are heard; only the main thread may."""
    names = [name for name in (*ENDS, *SAVES) if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []
    numbers = {getattr(signal, name): name for name in names}
    before = {number: signal.signal(number, lambda n, _: hear(numbers[n])) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
