"""The summary of a transfer, and components that are constant in the source."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from headstart.core.space_matching import ArrayTransfer, Plan, match
from headstart.core.spaces import Box, Component
from headstart.core.types import Params
from headstart.lab.checkpoint.transfer_summary import TransferSummary, changed_constants
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std

NAMES = ("x", "goal", "mass", "wind", "speed")


def box(*names: str) -> Box:
    return Box((-1.0,) * len(names), (1.0,) * len(names), (), tuple(map(Component, names)))


def plan(old: Box, new: Box) -> Plan:
    return Plan(match("observation", old, new, {}), match("action", box("a"), box("a"), {}), {})


def params_with_statistics(rows: np.ndarray) -> Params:
    """Returns params [seed] with a normalizer of these rows."""
    update = jax.jit(lambda x: running_mean_std(x.shape[1]).update(x, jnp.ones(len(x))))
    return {"normalizer": jax.tree.map(lambda x: x[None], update(jnp.asarray(rows, jnp.float32)))}


def rows(**columns: Any) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*columns.values()), 1)


VARIES = np.array([0.0, 1.0, 2.0])
SOURCE = rows(x=VARIES, goal=0.5, mass=2.0, wind=0.0, speed=1.0)
TARGET = rows(x=5.0, goal=0.501, mass=2.0, wind=np.array([-1.0, 1.0, 0.0]), speed=1.0 + 1e-8)


def test_constants_that_differ_or_vary_in_the_target_are_named():
    same = plan(box(*NAMES), box(*NAMES))
    changed = changed_constants(same, params_with_statistics(SOURCE), params_with_statistics(TARGET))
    assert [constant.name for constant in changed] == ["goal", "wind"]
    line = TransferSummary(same, {"normalizer.mean": ArrayTransfer(5, 0, 0)}, False, changed).lines()[-1]
    assert line == (
        "constant in the source but not in the target: goal (0.5 there, 0.501 here), wind (0 there, 0 ± 0.816 here)"
    )
    data = TransferSummary(same, {}, False, changed).data["constant_in_source"]
    assert [sorted(constant) for constant in data] == [["name", "source", "spread", "target"]] * 2


def test_components_are_matched_by_name():
    target = params_with_statistics(TARGET[:, [3, 1]])
    assert [
        constant.name
        for constant in changed_constants(
            plan(box(*NAMES), box("wind", "goal")), params_with_statistics(SOURCE), target
        )
    ] == [
        "goal",
        "wind",
    ]


def test_long_lists_are_shortened_and_unnormalized_observations_have_none():
    names = tuple(map(str, range(11)))
    same = plan(box(*names), box(*names))
    changed = changed_constants(
        same, params_with_statistics(np.zeros((3, 11))), params_with_statistics(np.ones((3, 11)))
    )
    assert (
        TransferSummary(same, {"normalizer.mean": ArrayTransfer(1, 0, 0)}, False, changed)
        .lines()[-1]
        .endswith(", and 3 more")
    )
    assert changed_constants(same, {}, {}) == ()


def test_frozen_statistics_have_no_changed_constants():
    frozen = params_with_statistics(SOURCE)
    assert isinstance(frozen["normalizer"], RunningMeanStd)
    assert changed_constants(plan(box(*NAMES), box(*NAMES)), frozen, frozen) == ()
