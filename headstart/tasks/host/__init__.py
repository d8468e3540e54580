"""Any Gymnasium env inside the compiled loop, by its id or by a function that makes it.

Such an env cannot be a pure function of its state: its states are numbers that stand for live envs in a `pool`, and all
rows of a batch are stepped in one call (`calls`). `spaces` makes rows of numbers of what it shows and its actions of
ours; `parameters` and `models` find what can be changed about it; `maker` makes it, and `extras` knows whose ids are
whose, with `atari` and `sawyer` for two that are made in a way of our own.
"""

from headstart.tasks.host.env import HostEnv, State
from headstart.tasks.host.maker import env_options, ids, is_registered
from headstart.tasks.host.registry import host, named

__all__ = ["HostEnv", "State", "env_options", "host", "ids", "is_registered", "named"]
