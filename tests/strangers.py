"""Gymnasium envs as other people write them: small, impure, and some of them broken."""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

SEEN = spaces.Box(-np.inf, np.inf, (3,), np.float32)


class Clock(gymnasium.Env):
    """Shows the step, the level and the gravity; pays the step; ends at `ends`, breaks off after `breaks`."""

    observation_space: gymnasium.Space = SEEN
    action_space: gymnasium.Space = spaces.Discrete(2)

    def __init__(self, gravity: float = 10.0, ends: int = 100, name: str = "clock"):
        self.level = 2.0
        self.lives = 3
        self.breaks = 100
        self.time = 0
        self._gravity, self._ends = gravity, ends
        self._power = 1.0

    def get_power(self) -> float:
        return self._power

    def set_power(self, power: float) -> None:
        self._power = power

    def seen(self) -> Any:
        return np.array([self.time, self.level * self._power, self._gravity], np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.time += 1
        return self.seen(), float(self.time), self.time >= self._ends, self.time >= self.breaks, {}


class Noted(gymnasium.Wrapper):
    """Writes down whatever is asked of it, and what it answers."""

    notes: ClassVar[list["Noted"]] = []

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.note: list[tuple[Any, ...]] = []
        self.notes.append(self)

    def reset(self, **how: Any) -> Any:
        answer = super().reset(**how)
        self.note.append(("reset", how["seed"], answer[0]))
        return answer

    def step(self, action: Any) -> Any:
        answer = super().step(action)
        self.note.append(("step", action, *answer[:4]))
        return answer


def broken(at: int, how: Callable[[Clock], Any]) -> Callable[[], gymnasium.Env]:
    """Returns a factory; the `at`-th env that it makes does `how` at its third steps. The 0th is only looked at."""
    made = []

    class Broken(Clock):
        def step(self, action: Any) -> Any:
            answer = super().step(action)
            return (how(self) or answer) if self.time == 3 and made[at : at + 1] == [self] else answer

    def factory() -> gymnasium.Env:
        made.append(Broken())
        return made[-1]

    return factory


def raises(env: Clock) -> Any:
    raise RuntimeError("the gripper fell off\nand rolled away")


def shows_nan(env: Clock) -> Any:
    return np.full(3, np.nan, np.float32), 0.0, False, False, {}


def shows_less(env: Clock) -> Any:
    return np.zeros(2, np.float32), 0.0, False, False, {}


def pays_nan(env: Clock) -> Any:
    return np.zeros(3, np.float32), float("nan"), False, False, {}


def pays_twice(env: Clock) -> Any:
    return np.zeros(3, np.float32), np.ones(2), False, False, {}


class Odd(gymnasium.Env):
    """An env of whatever spaces."""

    def __init__(self, seen: gymnasium.Space, done: gymnasium.Space):
        self.observation_space, self.action_space = seen, done
        self.given: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.given.append(action)
        return self.observation_space.sample(), 0.0, False, False, {}
