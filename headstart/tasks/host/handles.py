"""Handles of live envs. A handle is a number by which a program refers to an env."""

import contextlib
import threading
from collections.abc import Iterable, Iterator

import gymnasium
import numpy as np

from headstart.core import interrupts
from headstart.tasks.host.live import LiveEnv, close
from headstart.tasks.host.outcome import Outcome


class EnvHandles:
    """The live envs of one kind, in use or free."""

    def __init__(self) -> None:
        self._in_use: dict[int, LiveEnv] = {}
        self._free: list[LiveEnv] = []
        self._last_handle = 0
        self._lock = threading.Lock()

    @property
    def num_envs(self) -> int:
        """The number of envs, in use or free."""
        return len(self._in_use) + len(self._free)

    @property
    def num_in_use(self) -> int:
        """The number of envs that a program uses."""
        return len(self._in_use)

    def close(self) -> None:
        """Closes all envs. They cannot be used afterwards."""
        for env in [*self._in_use.values(), *self._free]:
            close(env.env)

    def _spare(self) -> LiveEnv:
        """Returns a free env, or a new one."""
        return self._free.pop() if self._free else LiveEnv()

    def _allocate(self, seed: int) -> tuple[int, LiveEnv]:
        """Returns a new handle and its env, for a seed of the training."""
        self._last_handle += 1
        env = self._in_use[self._last_handle] = self._spare()
        env.calls, env.seed, env.broken, env.thread = 0, seed, False, threading.get_ident()
        return self._last_handle, env

    def _called(self, handle: np.ndarray, calls: np.ndarray, out: Outcome, i: int) -> LiveEnv | None:
        """Returns the env of a row and counts the call; None if the row has no env to call."""
        number, count = int(handle[i]), int(calls[i])
        out.handle[i], out.calls[i] = number, count
        env = self._in_use.get(number)
        if env is None or env.calls != count:
            return None
        env.calls = count + 1
        out.calls[i] = env.calls
        return None if env.broken else env

    def release(self, each: int, handle: np.ndarray) -> tuple[np.ndarray]:
        """Frees the envs of these rows."""
        with self._lock:
            for number in handle.tolist():
                env = self._in_use.pop(number, None)
                if env is not None and not env.broken:
                    self._free.append(env)
            return (handle,)

    @contextlib.contextmanager
    def closing_on_error(self) -> Iterator[None]:
        """Closes the envs that this thread allocates in the context and does not free, if an error ends the program."""
        before = self._last_handle
        try:
            yield
        except BaseException:
            thread = threading.get_ident()
            with self._lock:
                self._close_rows([n for n, env in self._in_use.items() if n > before and env.thread == thread])
            raise

    def env(self, handle: int) -> gymnasium.Env:
        """Returns the env of a handle, to read it between two steps."""
        env = self._in_use[handle].env
        assert env is not None
        return env

    @contextlib.contextmanager
    def _rows(self, handles: Iterable[int]) -> Iterator[None]:
        """Holds the lock for one program's call of these rows. Closes their envs if an interrupt ends the program."""
        with self._lock:
            try:
                interrupts.check()
                yield
            except BaseException:
                self._close_rows(handles)
                raise

    def _close_rows(self, handles: Iterable[int]) -> None:
        """Closes the envs of these handles; after an interrupt their state is unknown."""
        envs = [self._in_use.pop(number, None) for number in handles]  # remove all before closing any
        for env in envs:
            if env is not None and not env.broken:
                close(env.env)
