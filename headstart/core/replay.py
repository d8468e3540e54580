"""How experience is gathered and used again, in numbers."""

from fractions import Fraction
from typing import NamedTuple, Self

from headstart.core.errors import InputError

FINEST = 10**6  # the largest denominator of a rate of gradient steps
RATES = (1 / FINEST, 1e4)  # the rates that there can be


class Replay(NamedTuple):
    """How experience is gathered and used again. On-policy is a replay that holds just the newest rollout."""

    num_steps: int  # steps per copy between updates
    num_envs: int  # parallel worlds per task
    batch_size: int  # transitions per task in one gradient step
    num_epochs: int = 1  # on-policy: passes over the rollout
    buffer_size: int = 0  # off-policy: transitions kept per task; 0 is on-policy
    update_to_data: float = 0.0  # off-policy: gradient steps for each transition that a task gathers, within RATES
    learning_starts: int = 1  # off-policy: transitions before the first gradient step
    sequence_length: int = 1  # steps in a row that are seen together; above 1, what a loss sees is [task, batch, time]
    n_step: int = 1  # steps from what a row shows to its next observation, once observed; at most `length`
    source_steps_per_target_step: int = (
        1  # where a target is learned beside sources: it plays just every so many-th step
    )

    @property
    def update_rate(self) -> Fraction:
        """Returns `updates` as a fraction: exact for up to six decimal places, the nearest one for others."""
        return Fraction(self.update_to_data).limit_denominator(FINEST)

    def check_next(self, owner: str) -> None:
        """Raises InputError where rows do not hold what followed each step, and `owner` needs to see that."""
        if self.n_step > 1:
            raise InputError(
                f"{owner} looks at what follows each step, and its base learner keeps what follows {self.n_step} steps "
                "later; use n=1."
            )

    def with_source_steps_per_target_step(self, spare: int) -> Self:
        """The same, where the target waits so; it plays in every rollout at least once."""
        return self._replace(num_steps=max(self.num_steps, spare), source_steps_per_target_step=spare)
