"""How experience is gathered and reused, in numbers."""

from fractions import Fraction
from typing import NamedTuple, Self

from headstart.core.errors import InputError

MAX_DENOMINATOR = 10**6  # the largest denominator of `update_rate`
RATES = (1 / MAX_DENOMINATOR, 1e4)  # the range of `update_to_data`


class Replay(NamedTuple):
    """How experience is gathered and reused. On-policy, the replay holds only the newest rollout."""

    num_steps: int  # steps per env copy between updates
    num_envs: int  # parallel env copies per task
    batch_size: int  # transitions per task in one gradient step
    num_epochs: int = 1  # on-policy: passes over the rollout
    buffer_size: int = 0  # off-policy: transitions stored per task; 0 is on-policy
    update_to_data: float = 0.0  # off-policy: gradient steps per transition that a task gathers, within RATES
    learning_starts: int = 1  # off-policy: transitions before the first gradient step
    sequence_length: int = 1  # consecutive steps per sample; above 1, the loss gets [task, batch, time]
    n_step: int = 1  # steps from a row's observation to the next observation of the batch that the losses are given
    source_steps_per_target_step: int = 1  # steps of source tasks per step of a target task learned beside them

    @property
    def update_rate(self) -> Fraction:
        """Returns `update_to_data` as a fraction: exact for up to six decimal places, the nearest one for others."""
        return Fraction(self.update_to_data).limit_denominator(MAX_DENOMINATOR)

    def check_next(self, owner: str) -> None:
        """Raises InputError if batches do not hold the next step, and `owner` needs it."""
        if self.n_step > 1:
            raise InputError(
                f"{owner} needs each step's next observation, and its base learner's losses are given that "
                f"{self.n_step} steps later; use n_step=1."
            )

    def check_single_transitions(self, owner: str, base: object) -> None:
        """Raises InputError if `owner` replays single transitions with their next step, and its base does not."""
        self.check_next(owner)
        if not self.buffer_size or self.sequence_length > 1:
            raise InputError(
                f"{owner} needs a learner that replays single transitions, and its base is {base!r}; use SAC or DQN."
            )

    def with_source_steps_per_target_step(self, steps: int) -> Self:
        """Returns the replay with this setting, and a rollout long enough for the target to take a step in each."""
        return self._replace(num_steps=max(self.num_steps, steps), source_steps_per_target_step=steps)
