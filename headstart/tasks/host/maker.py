"""How an env of someone else's is made: by Gymnasium from its id, or by a function."""

import dataclasses
import importlib
import inspect
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from headstart.core.errors import InputError

Factory = Callable[..., gymnasium.Env]


@dataclasses.dataclass(frozen=True)
class Maker:
    """What makes one env. Equal makers share their live envs, and one compile."""

    source: str | Factory
    steps: int | None = None  # of an episode; None: what the env was registered with
    keywords: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """-> what the user calls it. No id where there are keywords: a task string could not say them."""
        name = self.source if isinstance(self.source, str) else getattr(self.source, "__name__", repr(self.source))
        said = ", ".join(f"{key}={value!r}" for key, value in self.keywords)
        return f"{name}({said})" if said else name

    def make(self, **changed: Any) -> gymnasium.Env:
        """-> a new env. Raises InputError where it cannot be made."""
        keywords: dict[str, Any] = {**dict(self.keywords), **changed}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there is a newer version, and the like
                if isinstance(self.source, str):
                    limit = {} if self.steps is None else {"max_episode_steps": self.steps}
                    env = gymnasium.make(self.source, disable_env_checker=True, **limit, **keywords)
                else:
                    env = self.source(**keywords)
        except Exception as error:
            raise InputError(f"{self.name} cannot be made: {told(error)}.") from None
        if not isinstance(env, gymnasium.Env):
            raise InputError(f"{self.name} makes a {type(env).__name__}; let it make a gymnasium.Env.")
        return env

    def options(self) -> dict[str, int | float]:
        """-> the keywords of its constructor that are numbers, with what they are where nobody says."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known = gymnasium.spec(self.source.rpartition(":")[2]) if isinstance(self.source, str) else None
                entry = self.source if known is None else known.entry_point
                creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
                taken = inspect.signature(creator).parameters.values()
        except (TypeError, ValueError, ImportError, AttributeError, gymnasium.error.Error):
            return {}
        said = {**({} if known is None else known.kwargs), **dict(self.keywords)}
        found = {p.name: said.get(p.name, p.default) for p in taken}
        return {name: x for name, x in found.items() if isinstance(x, numbers.Real) and not name.startswith("_")}  # pyright: ignore[reportReturnType]

    def horizon(self, env: gymnasium.Env) -> int:
        """-> the steps of an episode. Raises InputError where nobody says how many."""
        steps = self.steps
        if steps is None and env.spec is not None:
            steps = env.spec.max_episode_steps
        if steps is None:
            raise InputError(
                f"{self.name} says nowhere how long an episode is; write headstart.host({self._spelt}, horizon=1000)."
            )
        if not isinstance(steps, int) or steps < 1:
            raise InputError(f"{self.name} has horizon={steps!r}; give a whole number of steps, 1 or more.")
        return steps

    @property
    def _spelt(self) -> str:
        return repr(self.source) if isinstance(self.source, str) else self.name


def ids() -> list[str]:
    """-> what Gymnasium has been told of so far."""
    return list(gymnasium.registry)


def registered(env_id: str) -> bool:
    """-> whether Gymnasium knows the id. Raises InputError where its module (`module:Env-v0`) cannot be imported."""
    module, _, name = env_id.rpartition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if module:
                importlib.import_module(module)  # which registers it
            gymnasium.spec(name)
    except gymnasium.error.Error:
        return False
    except Exception as error:
        raise InputError(f"The task {env_id!r} cannot be looked up: {told(error)}.") from None
    return True


def told(error: BaseException) -> str:
    """-> the error in a line, without a full stop."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
