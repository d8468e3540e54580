"""What every command of the command line is asked, and what those are that play."""

import dataclasses
import re

from headstart.lab.arguments import Physics, StepTimeout


class Asked:
    """What a command is asked."""

    def run(self, words: str) -> None:
        """Does it. `words` is the whole command line."""
        from headstart.lab import commands, compiled  # and with them JAX
        from headstart.tasks.host.patience import patience

        compiled.keep()
        with patience(getattr(self, "step_timeout", None)):
            getattr(commands, "_".join(re.findall("[A-Z][a-z]*", type(self).__name__)).lower())(self, words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Playing(Asked):
    """What a command is asked that plays."""

    physics: Physics = "auto"
    step_timeout: StepTimeout = None
