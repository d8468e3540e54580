"""The live envs behind a compiled program. A state is a handle of an env, and how many calls it has had.

A call with an older count comes from an episode that is over (of a seed that has finished while others continue), and
is ignored. An error of an env, or a result that is not a row of numbers, ends that env alone: its rows are NaN from
then on, and the message is stored. An interrupt (Ctrl-C, SystemExit) is no failure of an env: it ends the program, and
the envs of its rows are closed, since nothing else would free them.
"""

import atexit
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.core.errors import InputError
from headstart.tasks.host.actions import actions
from headstart.tasks.host.handles import EnvHandles
from headstart.tasks.host.live import EnvKind, LiveEnv, close
from headstart.tasks.host.maker import Maker, describe_error
from headstart.tasks.host.outcome import Outcome, as_reward, empty_outcome
from headstart.tasks.host.parameters import Catalogue
from headstart.tasks.host.spaces import ObservationReader, SpaceError
from headstart.tasks.host.timeouts import Caller, HungError

Names = tuple[str, ...]

NO_CALLS = -1  # a count that no env has: calls with it are ignored


class Pool(EnvHandles):
    """All envs of one maker. Raises InputError if it cannot make one, or if their spaces are not supported."""

    def __init__(self, maker: Maker):
        super().__init__()
        self.maker, self._caller = maker, Caller()
        probe = self._call_maker(maker.make)
        self.spaces = probe.observation_space, probe.action_space
        try:
            self.observations = ObservationReader(self.spaces[0])
            self.action, self._give, assumed = actions(self.spaces[1])
        except SpaceError as error:
            raise InputError(f"{maker.name} {error}.") from None
        self.assumptions = (*self.observations.assumptions, *assumed)
        self.horizon = maker.horizon(probe)
        self.catalogue = self._call_maker(Catalogue, probe, maker.number_options(), maker.integer_options())
        self.kind = EnvKind(maker, self.catalogue, self.spaces, self.horizon)
        self._call_maker(close, probe)
        self.failures: dict[int, str] = {}  # the first of each seed
        self._dry_runs: dict[tuple[Names, bytes], int] = {}

    def _call_maker(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return self._caller.call(function, *args)
        except HungError as error:
            raise InputError(f"{self.maker.name} hangs before its first episode: {error}.") from None

    def dry_run(self, names: Names, values: np.ndarray) -> int:
        """Take the first steps with these parameters ([name], float32) and return the steps of an episode with them.

        Raises InputError if one of them is not kept.
        """
        key = names, values.tobytes()
        with self._lock:
            if key not in self._dry_runs:
                env = self._spare()
                typed_values = self.catalogue.convert(names, values)
                self._dry_runs[key] = self._call_maker(env.dry_run, self.kind, typed_values)
                if env.broken:
                    close(env.env)
                else:
                    self._free.append(env)
            return self._dry_runs[key]

    # ------------------------------------------------------------------------------------ what programs call

    def start(
        self, names: Names, rows_per_seed: int, seeds: np.ndarray, values: np.ndarray, wanted: np.ndarray | None = None
    ) -> Outcome:
        """Allocates an env for every row that is wanted and starts an episode in it. The other rows are zeros.

        `rows_per_seed` is the number of rows per seed of the training.
        """
        with self._rows(range(self._last_handle + 1, self._last_handle + 1 + len(seeds))):
            out = empty_outcome(self.observations.space.size, len(seeds))
            for i, seed in enumerate(seeds.tolist()):
                if wanted is not None and not wanted[i]:
                    out.obs[i], out.reward[i] = 0.0, 0.0
                    continue
                out.handle[i], env = self._allocate(i // rows_per_seed)
                self._reset(env, names, values[i], seed, out, i)
            return out

    def reset_next(
        self,
        names: Names,
        rows_per_seed: int,
        handle: np.ndarray,
        calls: np.ndarray,
        ended: np.ndarray,
        seeds: np.ndarray,
        values: np.ndarray,
    ) -> Outcome:
        """Starts another episode in the rows that have ended; the other rows are empty."""
        with self._rows(handle.tolist()):
            out = empty_outcome(self.observations.space.size, len(handle))
            for i in np.flatnonzero(ended).tolist():
                if env := self._called(handle, calls, out, i):
                    self._reset(env, names, values[i], int(seeds[i]), out, i)
            return out

    def step(self, rows_per_seed: int, handle: np.ndarray, calls: np.ndarray, actions: np.ndarray) -> Outcome:
        """Step every row. A row whose action is not finite is left as it is, since that is not the env's fault."""
        with self._rows(handle.tolist()), np.errstate(over="ignore", invalid="ignore"):
            out = empty_outcome(self.observations.space.size, len(handle))
            fit = np.asarray(np.isfinite(actions).reshape(len(handle), -1).all(1))
            stepped = np.zeros(len(handle), bool)
            given = self._give(np.where(fit.reshape(-1, *[1] * (actions.ndim - 1)), actions, 0))
            called = {i: self._called(handle, calls, out, i) for i in range(len(handle))}
            played = {i: (env, env.env) for i, env in called.items() if env and env.env and fit[i]}
            for i, (_, env) in played.items():
                if (start_step := getattr(env, "start_step", None)) is not None:
                    start_step(given[i])  # all start before any is waited for
            for i, (live_env, env) in played.items():
                try:
                    observation, reward, terminated, truncated, _ = self._call(live_env, env.step, given[i])
                    out.obs[i] = self.observations.row(observation)
                    out.reward[i] = as_reward(reward)
                    out.terminated[i], out.truncated[i] = terminated, truncated
                except Exception as error:
                    self._fail(live_env, "step", error, out, i)
                else:
                    stepped[i] = True
            for i in np.flatnonzero(stepped & ~np.isfinite(out.obs).all(1)).tolist():
                try:
                    self.observations.check(out.obs[i])
                except ValueError as error:
                    self._fail(self._in_use[int(handle[i])], "step", error, out, i)
            return out

    # ------------------------------------------------------------------------------------ one env

    def _call(self, env: LiveEnv, function: Callable[..., Any], *args: Any) -> Any:
        """Calls an env. If it hangs, it is broken, and not closed, because the call is still running."""
        try:
            return self._caller.call(function, *args)
        except BaseException:
            env.broken = self._caller.hung
            raise

    def _reset(self, env: LiveEnv, names: Names, row: np.ndarray, seed: int, out: Outcome, i: int) -> None:
        operation = "reset"
        try:
            operation = "setting its parameters"
            self._call(env, env.configure, self.kind, self.catalogue.convert(names, row))
            operation = "reset"
            row = self.observations.row(self._call(env, env.reset, self.kind, seed))
            self.observations.check(row)
            out.obs[i], out.reward[i] = row, 0.0
        except Exception as error:
            self._fail(env, operation, error, out, i)

    def _fail(self, env: LiveEnv, operation: str, error: Exception, out: Outcome, i: int) -> None:
        self.failures.setdefault(env.seed, f"{self.maker.name} failed in {operation}: {describe_error(error)}")
        out.obs[i], out.reward[i], out.terminated[i], out.truncated[i] = np.nan, np.nan, False, False
        if not env.broken:
            env.broken = True
            close(env.env)


@functools.cache
def pool(maker: Maker) -> Pool:
    """Returns the envs of this maker, closed at the end of the process: envs in C++ may complain otherwise."""
    new_pool = Pool(maker)
    atexit.register(new_pool.close)
    return new_pool
