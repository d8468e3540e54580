"""Any Gymnasium env inside the compiled loop, by its id or by a function that makes it.

Such an env cannot be a pure function of its state: its states are numbers that stand for live envs in a `pool`, and all
rows of a batch are stepped in one call (`calls`). `spaces` makes rows of numbers of what it shows and its actions of
ours; `parameters` and `models` find what can be changed about it; `maker` makes it.
"""

from headstart.tasks.host.env import HostEnv, State, failures, host
from headstart.tasks.host.maker import ids, registered

__all__ = ["HostEnv", "State", "failures", "host", "ids", "registered"]
