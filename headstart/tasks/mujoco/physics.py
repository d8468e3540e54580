"""C MuJoCo under a compiled loop: whole batches of rows, stepped by threads in C (`rows`), in float64.

JAX hands over every row's simulator state as opaque bits, steps it here, and gets bits back; beside them, in float32,
what the robot observes, its rewards and whether it fell. Velocities by difference and falls are computed here, in
float64, as Gymnasium does, so that trajectories are the same to the last digits. The bits hold all that MuJoCo needs to
go on from (time, positions, velocities, the solver's warm start), and the place from which the robot's speed is
measured next; nothing that matters stays behind in this process.
"""

import functools
import os
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from headstart.core.errors import InputError
from headstart.tasks.mujoco.bindings import Data, Model, mujoco
from headstart.tasks.mujoco.models import Floats, Models, Names, Workspace, in_silence, one_at_a_time, unpainted
from headstart.tasks.mujoco.parameters import table
from headstart.tasks.mujoco.robot import Reading, Robot, outcome
from headstart.tasks.mujoco.robots import ROBOTS
from headstart.tasks.mujoco.rows import MOST_THREADS, Rows

CARRIED = int(mujoco.mjtState.mjSTATE_FULLPHYSICS | mujoco.mjtState.mjSTATE_WARMSTART)
ASSETS = os.path.join(os.path.dirname(gymnasium.__file__), "envs", "mujoco", "assets")  # Gymnasium's own XML
BLOCK = 4096  # rows stepped at once: no more models than this are ever held


class Stepped(NamedTuple):
    """What a batch of rows has become."""

    state: Floats  # [row carried+1] float64; its last entry is the place
    observation: Floats  # [row observation] float64
    rewards: Floats  # [row reward] float64
    terminal: Floats  # [row] bool


class Physics:
    """One robot's simulator, for any number of rows."""

    def __init__(self, robot: Robot):
        self.robot = robot
        self.model = unpainted(os.path.join(ASSETS, robot.xml))
        self.table = table(self.model)
        self.dt = self.model.opt.timestep * robot.frame_skip  # s
        self.carried = mujoco.mj_stateSize(self.model, CARRIED)
        self.rest = self._rest()
        self._stepping = Models(self.model, self.table, derive=True)
        self._starting = Models(self.model, self.table, derive=False)
        self._rows = Rows(self.model, CARRIED, robot.frame_skip, robot.reads)
        self._start = Workspace(self.model, robot.reads)

    def _rest(self) -> Reading:
        """What it shows where the XML puts it."""
        data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, data)
        derived = {name: getattr(self._source(self.model, data, name), name).copy() for name in self.robot.reads}
        return Reading(data.qpos.copy(), data.qvel.copy(), derived)

    @staticmethod
    def _source(model: Model, data: Data, name: str) -> Any:
        return model if name == "body_mass" else data

    # -------------------------------------------------------------------------------------------- a step

    def step(self, state: Floats, action: Floats, names: Names, values: Floats, after: Floats | None = None) -> Stepped:
        """One environment step of every row.

        state: [row carried+1] float64; action: [row nu] float32; values: [row name] float32. A row that is unstable, or
        that was handed anything but numbers, comes back as NaN and terminal; the others do not feel it. `after`: the
        memory for the state that comes back.
        """
        after = np.empty_like(state) if after is None else after
        with one_at_a_time, np.errstate(all="ignore"):
            blocks = [slice(i, i + BLOCK) for i in range(0, max(len(state), 1), BLOCK)]
            parts = [self._block(state[i], action[i], names, values[i], after[i]) for i in blocks]
        if len(parts) == 1:
            return parts[0]
        return Stepped(after, *map(np.concatenate, list(zip(*parts, strict=True))[1:]))

    def _block(self, state: Floats, action: Floats, names: Names, values: Floats, after: Floats) -> Stepped:
        rows = len(state)
        models, where = self._stepping.rows(names, values)
        reads_before, reads_after = self._buffers(rows), self._buffers(rows)
        fresh, shares = state[:, 0] == 0.0, min(threads(), max(rows, 1))
        first, then = ([each[name] for name in self._rows.reads] for each in (reads_before, reads_after))
        bad = self._rows.step(where, state, action, fresh, first, then, after, shares)
        if "body_mass" in reads_after:
            masses = [(model or self.model).body_mass for model in models]
            reads_before["body_mass"][:] = reads_after["body_mass"][:] = masses
        after[:, -1] = 0.0
        return self._judge(_Work(state, action.astype(float), after, reads_before, reads_after, fresh, bad != 0))

    def _buffers(self, rows: int) -> dict[str, Floats]:
        return {name: np.zeros((rows, *self.rest.derived[name].shape)) for name in self.robot.reads}

    def _read(self, into: dict[str, Floats], i: int, model: Model, space: Workspace) -> None:
        for name, view in space.reads:
            into[name][i] = view
        if "body_mass" in into:
            into["body_mass"][i] = model.body_mass

    def _reading(self, state: Floats, derived: dict[str, Floats]) -> Reading:
        nq, nv = self.model.nq, self.model.nv
        return Reading(state[:, 1 : 1 + nq], state[:, 1 + nq : 1 + nq + nv], derived)

    def _judge(self, work: "_Work") -> Stepped:
        """What all rows observe, earn and suffer, at once."""
        robot, was = self.robot, work.state[:, -1]
        work.bad[~np.isfinite(work.after).all(1)] = True
        if robot.place and work.fresh.any():
            was = np.where(work.fresh, robot.place(np, self._reading(work.state, work.before_reads)), was)
        now = self._reading(work.after, work.after_reads)
        after = outcome(np, robot, now, was, work.action, self.dt)
        work.after[:, -1] = after.place
        if work.bad.any():
            for array in (work.after, after.observation, after.rewards):
                array[work.bad] = np.nan
        return Stepped(work.after, after.observation, after.rewards, ~after.healthy | work.bad)

    # -------------------------------------------------------------------------------------------- a start

    def start(self, qpos: Floats, qvel: Floats, names: Names, values: Floats) -> Floats:
        """-> [row observation] float64: what is seen first at these positions and velocities.

        Only for robots whose first observation takes the simulator (Humanoid's inertias and velocities of bodies).
        """
        with one_at_a_time, in_silence(), np.errstate(all="ignore"):
            space, derived = self._start, self._buffers(len(qpos))
            for low in range(0, len(qpos), BLOCK):
                models, _ = self._starting.rows(names, values[low : low + BLOCK])
                for i, model in enumerate(models, low):
                    space.data.qpos[:], space.data.qvel[:] = qpos[i], qvel[i]
                    mujoco.mj_kinematics(model, space.data)
                    mujoco.mj_comPos(model, space.data)
                    mujoco.mj_comVel(model, space.data)
                    self._read(derived, i, model, space)
            return self.robot.observe(np, Reading(qpos, qvel, derived))


class _Work(NamedTuple):
    """One batch that the simulator has stepped."""

    state: Floats
    action: Floats
    after: Floats
    before_reads: dict[str, Floats]
    after_reads: dict[str, Floats]
    fresh: Floats
    bad: Floats


_threads = min(os.cpu_count() or 1, MOST_THREADS)


def threads() -> int:
    """How many threads step C MuJoCo."""
    return _threads


def use_threads(n: int) -> None:
    """Step C MuJoCo with `n` threads from here on (by default: as many as there are cores).

    Raises InputError where n is below 1 or above 256.
    """
    global _threads
    if not 1 <= n <= MOST_THREADS:
        raise InputError(f"MuJoCo cannot be stepped by {n} threads: give 1 to {MOST_THREADS}.")
    _threads = n


@functools.cache
def physics(name: str) -> Physics:
    """-> the simulator of the robot of this name, built when it is first asked for."""
    return Physics(ROBOTS[name])
