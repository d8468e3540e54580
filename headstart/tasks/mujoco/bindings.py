"""MuJoCo's Python bindings. They have no type stubs, so that their type is Any here."""

from typing import Any

import mujoco as _mujoco

mujoco: Any = _mujoco
Model = Any  # an MjModel
Data = Any  # an MjData
