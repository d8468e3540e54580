"""The smallest training there is: two seeds, one turn on a corridor. Tests that share it compile it once."""

import functools

import probes

from headstart.core.train import train
from headstart.core.types import TrainState, spec
from headstart.learners.ppo import PPO
from headstart.protocol.transfer import keys

METHOD = PPO(num_steps=8, num_envs=2, num_epochs=1, batch_size=8, hidden=(4,))
TASK = probes.task(probes.Corridor(), target=True)
SEEDS = (3, 8)


@functools.cache
def learned() -> TrainState:
    """Returns what both seeds know after 16 steps: all has moved, Adam's moments and the normaliser too."""
    *_, last = train(METHOD.learner(spec(TASK)), TASK, 16, keys(SEEDS).source)
    return last.state
