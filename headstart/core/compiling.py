"""What XLA is told of the loop when it compiles it for a CPU: how many cores a product is worth."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from headstart.core.run import LoopState
from headstart.core.types import Learner, Task

LARGE = 2**23  # multiplications in one product: with fewer, one core is done before the others are told of it

# XLA hands products to YNNPACK, which gives each of them one core and is slow with small ones. Told not to, it spreads
# them over all cores, small ones too, unless it is told that there is one. The options come and go: only for the
# versions that they were tried with.
TRIED = jax.__version_info__[:2] == (0, 10)
EVERY_CORE: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""} if TRIED else {}
ONE_CORE: dict[str, str | bool] = {**EVERY_CORE, "xla_cpu_multi_thread_eigen": False} if TRIED else {}


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Returns a function of (learner, tasks, run, …), compiled for products of the size that the learner's are of."""
    small, large = (
        jax.jit(function, static_argnames="learner", compiler_options=told, **options)
        for told in (ONE_CORE, EVERY_CORE)
    )

    @functools.wraps(function)
    def call(learner: Learner, tasks: Task, run: LoopState, *args: Any, **named: Any) -> Any:
        return (large if is_large(learner, tasks, run) else small)(learner, tasks, run, *args, **named)

    return call


def is_large(learner: Learner, tasks: Task, run: LoopState) -> bool:
    """Returns whether a gradient step's largest product is worth more than one core."""
    matrices = [math.prod(x.shape[-2:]) for x in jax.tree.leaves(run.state.knowledge) if x.ndim > 2]  # [seed, …]
    return learner.replay.batch_size * tasks.w.shape[0] * max(matrices, default=0) >= LARGE
