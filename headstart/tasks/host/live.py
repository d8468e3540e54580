"""One live env: made, given its parameters, and looked at whether it has them.

What an env was given is read back after its `reset`: an env may set its constants there, or make its model there. What
is lost by then is set again. What an env does not keep even so is no parameter of it; `rehearse` finds that out before
anything is played.
"""

import contextlib
import dataclasses
from typing import Any

import gymnasium

from headstart.core.errors import InputError
from headstart.tasks.host.maker import Maker, describe_error
from headstart.tasks.host.parameters import Catalogue

STEPS = 2  # of a rehearsal


class NotKeptError(InputError):
    """A parameter that does not arrive."""


@dataclasses.dataclass
class EnvKind:
    """What all live envs of one maker share."""

    maker: Maker
    catalogue: Catalogue
    spaces: tuple[gymnasium.Space, gymnasium.Space]
    max_steps: int  # steps of the longest episode that anybody was told of


@dataclasses.dataclass
class LiveEnv:
    """One env, while it is lent or waits to be."""

    env: gymnasium.Env | None = None  # None before the first episode
    keywords: dict[str, Any] = dataclasses.field(default_factory=dict)  # that it was made with
    values: dict[str, Any] = dataclasses.field(default_factory=dict)  # parameters that it was given otherwise
    calls: int = 0
    seed: int = 0  # of the training, counted from 0: whose failure its failure is
    broken: bool = False
    thread: int = 0  # that it was lent in: where JAX runs on the CPU, that which runs the program

    def configure(self, kind: EnvKind, values: dict[str, Any]) -> gymnasium.Env:
        """Returns the env with these parameters, made anew where its constructor wants other ones."""
        keywords = kind.catalogue.of_way(values, "keyword")
        if self.env is None or self.keywords != keywords:
            close(self.env)
            self.env, self.keywords, self.values = kind.maker.make(**keywords), keywords, {}
            made = self.env.observation_space, self.env.action_space
            for what, now, before in zip(("observation", "action"), made, kind.spaces, strict=True):
                if now.shape != before.shape or type(now) is not type(before):
                    raise ValueError(f"its {what} space became {now}, and was {before}")
        rest = {name: value for name, value in values.items() if name not in keywords}
        if rest or self.values:
            kind.catalogue.set_values(self.env, rest, self.values)
            self.values = rest
        return self.env

    def reset(self, kind: EnvKind, seed: int) -> Any:
        """Reset the env -> what it shows. Raises LostError where it does not have its parameters then."""
        assert self.env is not None
        seen, _ = self.env.reset(seed=seed)
        given = {**self.keywords, **self.values}
        if given and kind.catalogue.not_kept(self.env, given):
            kind.catalogue.set_values(self.env, self.values, {})
            kind.catalogue.refresh(self.env)
            self._check(kind, "reset")
        if given and (steps := kind.maker.horizon(self.env)) > kind.max_steps:
            raise NotKeptError(
                f"an episode of it becomes {steps} steps, and {kind.max_steps} are played; give horizon={steps} too"
            )
        return seen

    def _check(self, kind: EnvKind, doing: str) -> None:
        assert self.env is not None
        given = {**self.keywords, **self.values}
        for name, found in kind.catalogue.not_kept(self.env, given).items():
            raise NotKeptError(
                f"{name}={given[name]:g} does not stay: it is {found:g} after {doing}, so it cannot be set"
            )

    def dry_run(self, kind: EnvKind, values: dict[str, Any]) -> int:
        """Play the first steps with these parameters -> how many steps an episode has then.

        Raises InputError where the env does not take them, or does not keep them. What else goes wrong is told when the
        env is played.
        """
        name = kind.maker.name
        try:
            env = self.configure(kind, values)
            steps = kind.maker.horizon(env)
            kind.max_steps = max(kind.max_steps, steps)
        except Exception as error:
            said = ", ".join(f"{key}={value:g}" for key, value in values.items())
            raise InputError(f"{name} does not take {said}: {describe_error(error)}.") from None
        try:
            env.action_space.seed(0)
            self.reset(kind, 0)
            for _ in range(STEPS):
                _, _, *ends, _ = env.step(env.action_space.sample())
                self._check(kind, "a step")
                if any(ends):
                    break
        except NotKeptError as error:
            self.broken = True
            raise InputError(f"{name}: {error}.") from None
        except Exception:
            self.broken = True
        return steps


def close(env: gymnasium.Env | None) -> None:
    """Close an env, whatever it says to that."""
    with contextlib.suppress(Exception):
        if env is not None:
            env.close()
