"""MuJoCo's Python bindings. They carry no type stubs, so a type checker is told here to let them be."""

from typing import Any

import mujoco as _mujoco

mujoco: Any = _mujoco
Model = Any  # an MjModel
Data = Any  # an MjData
