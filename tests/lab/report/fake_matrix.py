"""The transfer matrix of a study of two sources, with invented returns."""

from typing import Any

import numpy as np

from headstart.lab.checkpoint.files import jsonable
from headstart.protocol.transfer_matrix import assemble_matrix

A, B, TARGET = "Arm@goal=-1,side=left", "Arm@goal=1", "Arm@goal=0"
NOISE = np.array([-1.0, 0.5, 0.0, -0.5, 1.0])  # of five seeds


def matrix() -> dict[str, Any]:
    """Returns a matrix with negative transfer from A to B and interference of joint training on A."""
    returns = np.array(
        [[90 + NOISE, -30 + NOISE, 5 * NOISE], [NOISE * np.nan, 90 + NOISE, 20 + NOISE], [70 + NOISE] * 3]
    )
    rows = [f"learned on {A}", f"learned on {B}", "joint"]
    found = assemble_matrix(rows, [A, B, TARGET], [[A], [B], [A, B]], returns, 0.1 * np.array([NOISE] * 3))
    return jsonable({**found, "failed": {"joint": "ZeroDivisionError: the arm fell off"}})
