"""How fast a learner of Stable-Baselines3 or SBX trains, once it has warmed up."""

import time

# The peers are not installed beside headstart, where types are checked.
from stable_baselines3.common.base_class import BaseAlgorithm  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.callbacks import BaseCallback  # pyright: ignore[reportMissingImports]


class Clock(BaseCallback):
    """Measures the steps after the first `warmup`, from the start of one rollout to the end of the training."""

    def __init__(self, warmup: int) -> None:
        super().__init__()
        self.warmup = warmup
        self.began: tuple[int, float] | None = None
        self.ended = (0, 0.0)

    def _on_rollout_start(self) -> None:
        if self.began is None and self.num_timesteps >= self.warmup:
            self.began = self.num_timesteps, time.perf_counter()

    def _on_training_end(self) -> None:
        self.ended = self.num_timesteps, time.perf_counter()

    def _on_step(self) -> bool:
        return True


def speed(learner: BaseAlgorithm, warmup: int, steps: int) -> dict:
    """Returns how many steps after the warm-up took how many seconds."""
    clock = Clock(warmup)
    learner.learn(warmup + steps, callback=clock)
    assert clock.began is not None
    return {
        "warmup": clock.began[0],
        "steps": clock.ended[0] - clock.began[0],
        "seconds": clock.ended[1] - clock.began[1],
    }
