"""What is told of numbers that never varied in the source."""

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


def seen(rows: np.ndarray) -> Params:
    """Returns params [seed] whose normalizer has seen these rows."""
    update = jax.jit(lambda x: running_mean_std(x.shape[1]).update(x, jnp.ones(len(x))))
    return {"normalizer": jax.tree.map(lambda x: x[None], update(jnp.asarray(rows, jnp.float32)))}


def rows(**columns: Any) -> np.ndarray:
    return np.stack(np.broadcast_arrays(*columns.values()), 1)


VARIES = np.array([0.0, 1.0, 2.0])
SOURCE = rows(x=VARIES, goal=0.5, mass=2.0, wind=0.0, speed=1.0)
TARGET = rows(x=5.0, goal=0.501, mass=2.0, wind=np.array([-1.0, 1.0, 0.0]), speed=1.0 + 1e-8)


def test_a_constant_that_is_another_one_or_varies_in_the_target_is_named():
    same = plan(box(*NAMES), box(*NAMES))
    found = changed_constants(same, seen(SOURCE), seen(TARGET))
    assert [one.name for one in found] == ["goal", "wind"]
    line = TransferSummary(same, {"normalizer.mean": ArrayTransfer(5, 0, 0)}, False, found).lines()[-1]
    assert line == (
        "constant in the source but not in the target: goal (0.5 there, 0.501 here), wind (0 there, 0 ± 0.816 here)"
    )
    told = TransferSummary(same, {}, False, found).data["constant_in_source"]
    assert [sorted(one) for one in told] == [["name", "source", "spread", "target"]] * 2


def test_components_are_followed_by_name_into_another_space():
    after = seen(TARGET[:, [3, 1]])
    assert [one.name for one in changed_constants(plan(box(*NAMES), box("wind", "goal")), seen(SOURCE), after)] == [
        "goal",
        "wind",
    ]


def test_many_are_counted_and_none_is_told_where_nothing_is_normalised():
    names = tuple(map(str, range(11)))
    same = plan(box(*names), box(*names))
    found = changed_constants(same, seen(np.zeros((3, 11))), seen(np.ones((3, 11))))
    assert (
        TransferSummary(same, {"normalizer.mean": ArrayTransfer(1, 0, 0)}, False, found)
        .lines()[-1]
        .endswith(", and 3 more")
    )
    assert changed_constants(same, {}, {}) == ()


def test_what_is_held_still_tells_nothing():
    held = seen(SOURCE)
    assert isinstance(held["normalizer"], RunningMeanStd)
    assert changed_constants(plan(box(*NAMES), box(*NAMES)), held, held) == ()
