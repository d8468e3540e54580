"""Gymnasium's ten MuJoCo robots inside the compiled loop, with every mass, friction and gear a parameter.

A robot is a small record of pure functions (`robots`, `resets`). C MuJoCo steps it in float64 from within JAX
(`physics`, `callback`), with a model for each row, so that trajectories equal Gymnasium's and tasks may differ from row
to row. MJX steps the same robot on an accelerator (`mjx`). `parameters` has what can be changed.
"""

from headstart.tasks.mujoco.env import NAMES, MujocoEnv, State, make, physics_state
from headstart.tasks.mujoco.physics import use_threads

__all__ = ["NAMES", "MujocoEnv", "State", "make", "physics_state", "use_threads"]
