"""Compiler options for the loop on a CPU: how many cores one matrix product uses."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from headstart.core.run import LoopState
from headstart.core.types import Learner, Tasks, groups

LARGE_PRODUCT = (
    2**23
)  # multiplications in one product; below, starting the other cores takes longer than one core needs

# By default XLA hands products to YNNPACK, which uses one core for each and is slow for small ones. Without it, XLA
# spreads every product over all cores, unless multi-threading is off too. These options change from version to
# version, so they are set only for the versions that they were tried with.
TRIED = jax.__version_info__[:2] == (0, 10)
EVERY_CORE: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""} if TRIED else {}
ONE_CORE: dict[str, str | bool] = {**EVERY_CORE, "xla_cpu_multi_thread_eigen": False} if TRIED else {}


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compiles a function of (learner, tasks, run, …) with the options for the size of the learner's products."""
    small, large = (
        jax.jit(function, static_argnames="learner", compiler_options=chosen, **options)
        for chosen in (ONE_CORE, EVERY_CORE)
    )

    @functools.wraps(function)
    def call(learner: Learner, tasks: Tasks, run: LoopState, *args: Any, **named: Any) -> Any:
        return (large if is_large(learner, tasks, run) else small)(learner, tasks, run, *args, **named)

    return call


def is_large(learner: Learner, tasks: Tasks, run: LoopState) -> bool:
    """Returns whether a gradient step's largest product is worth more than one core."""
    matrices = [math.prod(x.shape[-2:]) for x in jax.tree.leaves(run.state.params) if x.ndim > 2]  # [seed, …]
    most = max(group.w.shape[0] for group in groups(tasks))
    return learner.replay.batch_size * most * max(matrices, default=0) >= LARGE_PRODUCT
