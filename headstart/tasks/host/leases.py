"""Who has which live env. A lease is a number, by which a program names the env that it was lent."""

import contextlib
import threading
from collections.abc import Iterable, Iterator

import gymnasium
import numpy as np

from headstart.core import interrupts
from headstart.tasks.host.live import Live, close
from headstart.tasks.host.outcome import Outcome


class Leases:
    """The live envs of one kind, lent or free."""

    def __init__(self) -> None:
        self._lent: dict[int, Live] = {}
        self._free: list[Live] = []
        self._leases = 0
        self._lock = threading.Lock()

    @property
    def alive(self) -> int:
        """Returns how many envs there are, lent or not."""
        return len(self._lent) + len(self._free)

    @property
    def lent(self) -> int:
        """Returns how many envs some program has."""
        return len(self._lent)

    def close(self) -> None:
        """Close all envs; none is to be called any more."""
        for live in [*self._lent.values(), *self._free]:
            close(live.env)

    def _spare(self) -> Live:
        """Returns an env that nobody has."""
        return self._free.pop() if self._free else Live()

    def _lend(self, seed: int) -> tuple[int, Live]:
        """Returns a new lease and its env, lent for a seed of the training."""
        self._leases += 1
        live = self._lent[self._leases] = self._spare()
        live.calls, live.seed, live.broken, live.thread = 0, seed, False, threading.get_ident()
        return self._leases, live

    def _called(self, lease: np.ndarray, calls: np.ndarray, out: Outcome, i: int) -> Live | None:
        """Returns the env of a row, one call further on; None where there is none to be called."""
        number, count = int(lease[i]), int(calls[i])
        out.lease[i], out.calls[i] = number, count
        live = self._lent.get(number)
        if live is None or live.calls != count:
            return None
        live.calls = count + 1
        out.calls[i] = live.calls
        return None if live.broken else live

    def leave(self, each: int, lease: np.ndarray) -> tuple[np.ndarray]:
        """Take back the envs of these rows, however far their programs came."""
        with self._lock:
            for number in lease.tolist():
                live = self._lent.pop(number, None)
                if live is not None and not live.broken:
                    self._free.append(live)
            return (lease,)

    @contextlib.contextmanager
    def giving_back(self) -> Iterator[None]:
        """Closes what is lent in this thread meanwhile and still out, where the program is ended by an error."""
        before = self._leases
        try:
            yield
        except BaseException:
            mine = threading.get_ident()
            with self._lock:
                self._drop([n for n, live in self._lent.items() if n > before and live.thread == mine])
            raise

    def env(self, lease: int) -> gymnasium.Env:
        """Returns a lent env, to be looked at between two steps."""
        env = self._lent[lease].env
        assert env is not None
        return env

    @contextlib.contextmanager
    def _rows(self, leases: Iterable[int]) -> Iterator[None]:
        """One program's call of these rows, one at a time. Closes their envs where an interrupt ends the program."""
        with self._lock:
            try:
                interrupts.check()
                yield
            except BaseException:
                self._drop(leases)
                raise

    def _drop(self, leases: Iterable[int]) -> None:
        """Close the envs of these leases: who knows in what they were interrupted."""
        lives = [self._lent.pop(number, None) for number in leases]  # all of them before one is closed
        for live in lives:
            if live is not None and not live.broken:
                close(live.env)
