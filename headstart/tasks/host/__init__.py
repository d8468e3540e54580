"""Any Gymnasium env inside the compiled loop, by its id or by a function that makes it.

Such an env is not a pure function of its state. Its states are handles of live envs in a `pool`, and all rows of a
batch are stepped in one call (`calls`). `spaces` converts observations to rows of numbers, and `actions` converts
actions; `parameters` and `models` find an env's parameters; `maker` makes envs; `extras` lists the packages that
provide them, two of which have env classes here: `atari` and `metaworld`.
"""

from headstart.tasks.host.env import HostEnv, State
from headstart.tasks.host.maker import env_options, ids, is_registered
from headstart.tasks.host.registry import host, named

__all__ = ["HostEnv", "State", "env_options", "host", "ids", "is_registered", "named"]
