"""C MuJoCo under a compiled loop: batches of rows, stepped by threads in C (`rows`), in float64.

JAX passes every row's simulator state as opaque bits and gets bits back, from which it computes observations, rewards
and terminations (`callback`). The bits hold all that MuJoCo needs to continue (time, positions, velocities, the
solver's warm start), and the place from which the robot's speed is measured next. The process itself keeps no state
between steps.
"""

import functools
import os
from typing import Any

import gymnasium
import numpy as np

from headstart.core.errors import InputError
from headstart.tasks.mujoco.bindings import Data, Model, mujoco
from headstart.tasks.mujoco.models import Floats, Models, Names, Workspace, load_model, simulator_lock, without_warnings
from headstart.tasks.mujoco.parameters import table
from headstart.tasks.mujoco.robot import Reading, Robot
from headstart.tasks.mujoco.robots import ROBOTS
from headstart.tasks.mujoco.rows import MAX_THREADS, Rows

CARRIED = int(mujoco.mjtState.mjSTATE_FULLPHYSICS | mujoco.mjtState.mjSTATE_WARMSTART)
ASSETS = os.path.join(os.path.dirname(gymnasium.__file__), "envs", "mujoco", "assets")  # Gymnasium's own XML
BLOCK = 4096  # maximum of rows stepped at once, and so of models


class Physics:
    """One robot's simulator, for any number of rows."""

    def __init__(self, robot: Robot):
        self.robot = robot
        self.model = load_model(os.path.join(ASSETS, robot.xml))
        self.table = table(self.model)
        self.dt = self.model.opt.timestep * robot.frame_skip  # s
        self.carried = mujoco.mj_stateSize(self.model, CARRIED)
        self.rest = self._rest()
        self.sizes = tuple(value.size for value in self.rest.derived.values())  # numbers in each quantity that is read
        self._stepping = Models(self.model, self.table, derive=True)
        self._starting = Models(self.model, self.table, derive=False)
        self._rows = Rows(self.model, CARRIED, robot.frame_skip, robot.reads)
        self._start = Workspace(self.model, robot.reads)

    def _rest(self) -> Reading:
        """Returns what the robot reads in the XML's initial pose."""
        data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, data)
        derived = {name: getattr(self._source(self.model, data, name), name).copy() for name in self.robot.reads}
        return Reading(data.qpos.copy(), data.qvel.copy(), derived)

    @staticmethod
    def _source(model: Model, data: Data, name: str) -> Any:
        return model if name == "body_mass" else data

    # -------------------------------------------------------------------------------------------- a step

    def step(
        self,
        state: Floats,
        action: Floats,
        names: Names,
        values: Floats,
        next_state: Floats,
        bad: np.ndarray,
        read: list[Floats],
    ) -> None:
        """Takes one environment step of every row.

        state: [row carried+1] float64; action: [row nu] float32; values: [row name] float32. The results are
        `next_state`, like `state` except for the last entry; `bad` [row], true if a row is unstable or its input was
        not finite, in which case its other results are invalid; and `read` [row size], what the robot `reads`: first
        all of it before the step (only for rows at the start of an episode), then all of it after.
        """
        with simulator_lock:
            for low in range(0, max(len(state), 1), BLOCK):
                rows = slice(low, low + BLOCK)
                models, addresses = self._stepping.rows(names, values[rows])
                read_before, read_after = (
                    [x[rows] for x in half] for half in (read[: len(self.sizes)], read[len(self.sizes) :])
                )
                self._rows.step(
                    addresses,
                    state[rows],
                    action[rows],
                    next_state[rows],
                    bad[rows],
                    read_before,
                    read_after,
                    threads(),
                )
                if "body_mass" in self.robot.reads:
                    i = self.robot.reads.index("body_mass")
                    read_before[i][:] = read_after[i][:] = [(model or self.model).body_mass for model in models]

    def _buffers(self, rows: int) -> dict[str, Floats]:
        return {name: np.zeros((rows, *self.rest.derived[name].shape)) for name in self.robot.reads}

    def _read(self, buffers: dict[str, Floats], i: int, model: Model, workspace: Workspace) -> None:
        for name, view in workspace.reads:
            buffers[name][i] = view
        if "body_mass" in buffers:
            buffers["body_mass"][i] = model.body_mass

    # -------------------------------------------------------------------------------------------- a start

    def start(self, qpos: Floats, qvel: Floats, names: Names, values: Floats) -> Floats:
        """Returns the first observations [row observation], float64, at these positions and velocities.

        It is for robots whose first observation needs the simulator (Humanoid's inertias and velocities of bodies).
        """
        with simulator_lock, without_warnings(), np.errstate(all="ignore"):
            workspace, derived = self._start, self._buffers(len(qpos))
            for low in range(0, len(qpos), BLOCK):
                models, _ = self._starting.rows(names, values[low : low + BLOCK])
                for i, model in enumerate(models, low):
                    workspace.data.qpos[:], workspace.data.qvel[:] = qpos[i], qvel[i]
                    mujoco.mj_kinematics(model, workspace.data)
                    mujoco.mj_comPos(model, workspace.data)
                    mujoco.mj_comVel(model, workspace.data)
                    self._read(derived, i, model, workspace)
            return self.robot.observe(np, Reading(qpos, qvel, derived))


_threads = min(os.cpu_count() or 1, MAX_THREADS)


def threads() -> int:
    """Returns how many threads step C MuJoCo."""
    return _threads


def use_threads(n: int) -> None:
    """Sets the number of threads that step C MuJoCo from now on (by default: the number of cores).

    Raises InputError if n is below 1 or above 256.
    """
    global _threads
    if not 1 <= n <= MAX_THREADS:
        raise InputError(f"MuJoCo cannot be stepped by {n} threads: give 1 to {MAX_THREADS}.")
    _threads = n


@functools.cache
def physics(name: str) -> Physics:
    """Returns the simulator of the robot of this name, built at its first use."""
    return Physics(ROBOTS[name])
