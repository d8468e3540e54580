"""Saves a training while it runs, and resumes it: bit-exactly on a CPU."""

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
from headstart.lab.checkpoint.files import jsonable
from headstart.lab.checkpoint.recipe import versions
from headstart.lab.checkpoint.records import read_record
from headstart.lab.checkpoint.training_files import (
    TrainingPart,
    delete_files,
    foreign_files,
    read_part,
    to_arrays,
    write_part,
)
from headstart.lab.compilation_cache import processor
from headstart.protocol.checks import check_number
from headstart.protocol.transfer import finite

FORMAT = "headstart run 5"
CHUNK_SECONDS = 1.0  # about how many seconds pass before signals are handled
STOP_SIGNALS = ("SIGINT", "SIGTERM")  # signals that save and stop; SAVE_SIGNALS only save
SAVE_SIGNALS = ("SIGUSR1",)


class FileCheckpointer(Checkpointer):
    """Saves a training in a folder: every `every` minutes (0: only on signals), on signals, and at its end."""

    def __init__(self, folder: pathlib.Path, every: float = 10.0, log: Callable[[str], None] | None = None):
        check_number("Minutes between two saves", every)
        if not every >= 0:
            raise InputError(
                f"Minutes between two saves is {every}, but must be 0 or more; write 0 to save only on signals."
            )
        self.folder, self.every, self.log = folder, every, log or (lambda line: print(line, file=sys.stderr))
        self.history: list[dict[str, float]] = []  # metrics of each point since the beginning
        self._config: dict[str, Any] = {}
        self._parts: list[TrainingPart] = []  # saved trainings: all but the last are finished
        self._index = 0  # index of the current training
        self._repeated = 0  # finished trainings whose last point is repeated on resume
        self._lock = filelock.FileLock(folder / ".lock")
        self._save_requested = self._stop_requested = False
        self._last_chunk, self._chunk_start, self._last_save = 0, time.monotonic(), time.monotonic()

    # ------------------------------------------------------------------------------------ for the caller

    @contextmanager
    def open(self, config: dict[str, Any]) -> Iterator[None]:
        """Reads and locks the folder, and handles signals until the context ends.

        Raises InputError if the folder holds another training, is damaged, or is in use.
        """
        self._config = json.loads(json.dumps(jsonable(config)))
        try:
            if self.folder.exists():
                if not self.folder.is_dir() or foreign_files(self.folder):
                    raise InputError(f"{self.folder} holds something other than a training; choose another folder.")
                self._acquire_lock()
                self._read()
            with _signal_handlers(self._on_signal):
                yield
        finally:
            self._lock.release()

    def is_new(self, point: Progress) -> bool:
        """Returns whether a point is new, not a repetition after a resume, and adds it to the history."""
        if self._repeated:
            self._repeated -= 1
            return False
        metrics = {**point.metrics, "steps": point.steps}
        self.history.append({name: float(x[0]) for name, x in metrics.items()})
        return True

    def delete(self) -> None:
        """Deletes the saved training."""
        if self.folder.exists():
            delete_files(self.folder)
            with suppress(OSError):  # the folder may hold other files
                self.folder.rmdir()

    # ------------------------------------------------------------------------------------ for the loop

    def restore(self, like: Snapshot, of: int) -> Snapshot | None:
        self._last_chunk, self._chunk_start = 0, time.monotonic()
        if self._index >= len(self._parts):
            return None
        part = self._parts[self._index]
        done = part.iterations >= part.num_iterations
        if part.num_iterations != of or part.iterations > of:
            raise InputError(
                f"{self.folder} holds {part.num_iterations} iterations, and this training has {of}; "
                "delete it to start again."
            )
        shapes = jax.eval_shape(LoopState.done, like.state) if done else like.state
        state, sums = read_part(self.folder / part.file, part, (shapes, like.sums))
        self._index += done
        if not done:
            restart = "; its live environments restart with new episodes" if state.env_states is None else ""
            self.log(f"resuming from {self.folder}, {part.iterations} of {of} iterations{restart}")
        return Snapshot(state, sums, part.iterations)

    def chunk_size(self, ahead: int) -> int:
        """Returns how many iterations take about CHUNK_SECONDS. The first chunk is one iteration."""
        seconds = max(time.monotonic() - self._chunk_start, 1e-6)
        iterations = max(int(self._last_chunk * CHUNK_SECONDS / seconds), 1)
        self._last_chunk, self._chunk_start = min(iterations, ahead), time.monotonic()
        return self._last_chunk

    def after_chunk(self, snapshot: Snapshot, of: int) -> None:
        """Saves if it is time, on a signal, and at the end of each training."""
        jax.block_until_ready(snapshot.state.key)
        now, done = time.monotonic(), snapshot.iterations >= of
        due = 0 < self.every * 60 <= now - self._last_save
        if due or done or self._save_requested or self._stop_requested:
            saved = self._save(snapshot, of, done)
            self._last_save, requested, self._save_requested = time.monotonic(), self._save_requested, False
            self._index += done
            if self._stop_requested:
                message = f"The training is saved in {self.folder}; the same command resumes it."
                raise KeyboardInterrupt(message if saved else "")
            if requested and saved:
                self.log(f"saved in {self.folder}, {snapshot.iterations} of {of} iterations")
        self._chunk_start += time.monotonic() - now  # do not count the time of saving

    # ------------------------------------------------------------------------------------ on disk

    def _save(self, snapshot: Snapshot, of: int, done: bool) -> bool:
        """Saves the training. Returns whether that worked; if not, prints why, and the previous save stays."""
        state = snapshot.state.done() if done else snapshot.state
        if not finite((state.state.params, state.memory)).all():
            self.log("not saved: its numbers are no longer finite")
            return False
        previous, file = self._parts[: self._index], f"{self._index}-{snapshot.iterations}.safetensors"
        if sum(part.iterations >= part.num_iterations for part in previous) < self._index:
            return False  # an earlier training could not be saved, which was printed
        record = {"format": FORMAT, "config": self._config, "machine": _machine(), "history": self.history}
        try:
            self._acquire_lock()
            self._parts = write_part(
                self.folder, file, to_arrays((state, snapshot.sums)), previous, (snapshot.iterations, of), record
            )
        except (OSError, SafetensorError) as error:  # a full disk must not end the training
            self.log(f"could not be saved in {self.folder} ({error}); the training continues")
            return False
        return True

    def _acquire_lock(self) -> None:
        if self._lock.is_locked:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(f"{self.folder} is in use by another process; wait for it, or choose another.") from None

    def _read(self) -> None:
        """Reads `run.json`. Raises InputError if the training in the folder cannot be resumed."""
        file = self.folder / "run.json"
        if not file.exists():
            return
        remedy = f"finish it with the version of headstart that started it, or delete {self.folder} to start again"
        data = read_record(file, FORMAT, remedy)
        try:
            saved_config = dict(data["config"])
            kinds = TrainingPart.__annotations__.items()
            self._parts = [TrainingPart(**{name: kind(part[name]) for name, kind in kinds}) for part in data["parts"]]
            self.history = [{name: _number(x) for name, x in row.items()} for row in data["history"]]
            saved_machine = dict(data["machine"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{file} is damaged ({type(error).__name__}: {error}); delete {self.folder} to start again."
            ) from None
        config = self._config
        if other := [name for name in {**config, **saved_config} if config.get(name) != saved_config.get(name)]:
            raise InputError(
                f"{self.folder} holds another training (its {', '.join(other)} differ); choose another folder, "
                "or delete it."
            )
        versions = [(name, saved_machine.get(name), now) for name, now in _machine().items()]
        if changed := [f"{name} {saved}, now {now}" for name, saved, now in versions if saved != now]:
            self.log(f"{self.folder} was written with {'; '.join(changed)}: the result may differ in the last bits")
        self._repeated = sum(part.iterations >= part.num_iterations for part in self._parts)

    def _on_signal(self, name: str) -> None:
        if name in SAVE_SIGNALS:
            self._save_requested = True
            return
        if self._stop_requested:
            raise KeyboardInterrupt
        self._stop_requested = True
        self.log("saving and then stopping; press Ctrl-C again to stop now, with the previous save")


def _machine() -> dict[str, str]:
    """Returns the versions and devices that a bit-exact result depends on."""
    return {**versions(), "device": jax.devices()[0].device_kind, "processor": processor()}


def _number(x: Any) -> float:
    return float("nan") if x is None else float(x)


@contextmanager
def _signal_handlers(callback: Callable[[str], None]) -> Iterator[None]:
    """Calls `callback` with the name of each signal until the context ends. Does nothing outside of the main thread."""
    names = [name for name in (*STOP_SIGNALS, *SAVE_SIGNALS) if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []
    numbers = {getattr(signal, name): name for name in names}
    previous = {number: signal.signal(number, lambda n, _: callback(numbers[n])) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
