"""One live env: making it, setting its parameters, and checking that it keeps them.

The parameters are read back after each `reset`, because an env may set its constants or make its model there; lost ones
are set again. If an env does not keep a value even then, it is no parameter; `dry_run` detects that before training.
"""

import contextlib
import dataclasses
from typing import Any

import gymnasium

from headstart.core.errors import InputError
from headstart.tasks.host.maker import Maker, describe_error
from headstart.tasks.host.parameters import Catalogue

STEPS = 2  # of a dry run


class NotKeptError(InputError):
    """A parameter that the env does not keep."""


@dataclasses.dataclass
class EnvKind:
    """What all live envs of one maker share."""

    maker: Maker
    catalogue: Catalogue
    spaces: tuple[gymnasium.Space, gymnasium.Space]
    max_steps: int  # steps of the longest episode so far


@dataclasses.dataclass
class LiveEnv:
    """One env, in use or free."""

    env: gymnasium.Env | None = None  # None before the first episode
    keywords: dict[str, Any] = dataclasses.field(default_factory=dict)  # that it was made with
    values: dict[str, Any] = dataclasses.field(default_factory=dict)  # parameters that are not keywords
    calls: int = 0
    seed: int = 0  # of the training, counted from 0, to which its failures belong
    broken: bool = False
    thread: int = 0  # that allocated it; if JAX runs on the CPU, the program's thread

    def configure(self, kind: EnvKind, values: dict[str, Any]) -> gymnasium.Env:
        """Returns the env with these parameters; a new one if its constructor needs others."""
        keywords = kind.catalogue.of_way(values, "keyword")
        if self.env is None or self.keywords != keywords:
            close(self.env)
            self.env, self.keywords, self.values = kind.maker.make(**keywords), keywords, {}
            new_spaces = self.env.observation_space, self.env.action_space
            for what, new, old in zip(("observation", "action"), new_spaces, kind.spaces, strict=True):
                if new.shape != old.shape or type(new) is not type(old):
                    raise ValueError(f"its {what} space became {new}, and was {old}")
        values_to_set = {name: value for name, value in values.items() if name not in keywords}
        if values_to_set or self.values:
            kind.catalogue.set_values(self.env, values_to_set, self.values)
            self.values = values_to_set
        return self.env

    def reset(self, kind: EnvKind, seed: int) -> Any:
        """Resets the env and returns its observation. Raises NotKeptError if it then lacks its parameters."""
        assert self.env is not None
        observation, _ = self.env.reset(seed=seed)
        expected = {**self.keywords, **self.values}
        if expected and kind.catalogue.not_kept(self.env, expected):
            kind.catalogue.set_values(self.env, self.values, {})
            kind.catalogue.refresh(self.env)
            self._check(kind, "reset")
        if expected and (steps := kind.maker.horizon(self.env)) > kind.max_steps:
            raise NotKeptError(
                f"an episode of it becomes {steps} steps, and at most {kind.max_steps} are used; give horizon={steps}"
            )
        return observation

    def _check(self, kind: EnvKind, operation: str) -> None:
        assert self.env is not None
        expected = {**self.keywords, **self.values}
        for name, actual in kind.catalogue.not_kept(self.env, expected).items():
            raise NotKeptError(
                f"{name}={expected[name]:g} is not kept: it is {actual:g} after {operation}, so it cannot be set"
            )

    def dry_run(self, kind: EnvKind, values: dict[str, Any]) -> int:
        """Takes the first steps with these parameters and returns the steps of an episode with them.

        Raises InputError if the env does not accept or keep them. Other errors are reported when the env is used.
        """
        name = kind.maker.name
        try:
            env = self.configure(kind, values)
            steps = kind.maker.horizon(env)
            kind.max_steps = max(kind.max_steps, steps)
        except Exception as error:
            text = ", ".join(f"{key}={value:g}" for key, value in values.items())
            raise InputError(f"{name} does not take {text}: {describe_error(error)}.") from None
        try:
            env.action_space.seed(0)
            self.reset(kind, 0)
            for _ in range(STEPS):
                _, _, *end_flags, _ = env.step(env.action_space.sample())
                self._check(kind, "a step")
                if any(end_flags):
                    break
        except NotKeptError as error:
            self.broken = True
            raise InputError(f"{name}: {error}.") from None
        except Exception:
            self.broken = True
        return steps


def close(env: gymnasium.Env | None) -> None:
    """Closes an env and ignores its errors."""
    with contextlib.suppress(Exception):
        if env is not None:
            env.close()
