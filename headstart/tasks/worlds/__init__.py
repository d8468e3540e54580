"""Worlds in pure JAX: small, fast, compiled whole, on any device; each equal to Gymnasium's step by step.

Their physics is a page one can read, and every constant on it is a parameter. What they are not is rich: a method that
works here has shown that it is right, not that it is good.
"""

from collections.abc import Callable

from headstart.core.types import Env
from headstart.tasks.worlds.cartpole import CartPole
from headstart.tasks.worlds.pendulum import Pendulum

WORLDS: dict[str, Callable[[], Env]] = {"CartPole-v1": CartPole, "Pendulum-v1": Pendulum}

__all__ = ["WORLDS", "CartPole", "Pendulum"]
