"""Writes scalars for TensorBoard during training, in one folder for each method and seed.

The tags are STAGE/NAME, such as `source/return` or `target/policy_loss`, by environment steps of that stage;
docs/watching.md lists them.
"""

import contextlib
import os
import pathlib
from types import TracebackType
from typing import Any, Self

import numpy as np

from headstart.core.errors import InputError
from headstart.lab.watch.progress_event import ProgressCallback, ProgressEvent, ignore
from headstart.protocol.study_config import row_name

TRAINING_RETURN = (
    "training_return"  # tag of the training return in the target, where `return` is that of the evaluations
)
FLUSH_SECONDS = 5  # after which scalars are on disk


def tensorboard_writer(
    folder: pathlib.Path | None, seeds: tuple[int, ...]
) -> contextlib.AbstractContextManager[ProgressCallback]:
    """Returns a callback that writes event files to `folder`; without a folder, one that does nothing."""
    return contextlib.nullcontext(ignore) if folder is None else TensorBoardWriter(folder, seeds)


class TensorBoardWriter:
    """A callback that writes event files. Raises InputError if the extra `tensorboard` is missing."""

    def __init__(self, folder: pathlib.Path, seeds: tuple[int, ...]):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise InputError(
                '--tensorboard needs tensorboardX, which is not installed: `pip install "headstart[tensorboard]"`.'
            ) from None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be created ({error.strerror}); choose another --tensorboard.") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder} cannot be written to; choose another --tensorboard.")
        self.folder, self.seeds, self.make_writer = folder, seeds, SummaryWriter
        self.writers: dict[tuple[str, int], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for writer in self.writers.values():
            writer.close()

    def __call__(self, event: ProgressEvent) -> None:
        metrics = {
            name if event.stage == "source" or name != "return" else TRAINING_RETURN: x
            for name, x in event.metrics.items()
        }
        for i, seed in enumerate(event.seeds or self.seeds):
            writer = self._writer(event.row, seed)
            for name, values in {**metrics, "return": event.returns}.items():
                value = np.asarray(values)[i]
                if np.isfinite(value):  # NaN if no episode has ended
                    writer.add_scalar(f"{event.stage}/{name}", float(value), int(event.steps[i]))

    def _writer(self, row: str, seed: int) -> Any:
        if (row, seed) not in self.writers:
            self.writers[row, seed] = self.make_writer(
                str(self.folder / row_name(row) / f"seed-{seed}"), flush_secs=FLUSH_SECONDS
            )
        return self.writers[row, seed]
