"""Live scalars for TensorBoard: what is learned while it is learned, in a folder for each method and seed.

Their names are STAGE/NAME, such as `source/return` or `target/policy_loss`, by environment steps of that stage;
docs/watching.md lists them.
"""

import contextlib
import os
import pathlib
from types import TracebackType
from typing import Any, Self

import numpy as np

from headstart.core.errors import InputError
from headstart.lab.watch.progress_event import News, Watch, silent
from headstart.protocol.study_config import row_name

PLAYED = "played_return"  # as what the target's curves have the return of the episodes that were learned from
FLUSH = 5  # seconds after which what was told can be seen, at the latest


def scalars(folder: pathlib.Path | None, seeds: tuple[int, ...]) -> contextlib.AbstractContextManager[Watch]:
    """-> a watcher that writes there; one that says nothing where no folder is named."""
    return contextlib.nullcontext(silent) if folder is None else Scalars(folder, seeds)


class Scalars:
    """A watcher that writes event files under `folder`. Raises InputError where the extra `tensorboard` is missing."""

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
            raise InputError(f"{folder} can be no folder ({error.strerror}); choose another --tensorboard.") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder} cannot be written to; choose another --tensorboard.")
        self.folder, self.seeds, self.new = folder, seeds, SummaryWriter
        self.writers: dict[tuple[str, int], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for writer in self.writers.values():
            writer.close()

    def __call__(self, news: News) -> None:
        told = {name if news.stage == "source" or name != "return" else PLAYED: x for name, x in news.metrics.items()}
        for i, seed in enumerate(news.seeds or self.seeds):
            writer = self._writer(news.row, seed)
            for name, values in {**told, "return": news.returns}.items():
                value = np.asarray(values)[i]
                if np.isfinite(value):  # no episode may have ended
                    writer.add_scalar(f"{news.stage}/{name}", float(value), int(news.steps[i]))

    def _writer(self, row: str, seed: int) -> Any:
        if (row, seed) not in self.writers:
            self.writers[row, seed] = self.new(str(self.folder / row_name(row) / f"seed-{seed}"), flush_secs=FLUSH)
        return self.writers[row, seed]
