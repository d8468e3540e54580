"""Atari games with the usual preprocessing (Mnih et al. 2015; Machado et al. 2018, arXiv:1709.06009).

84 x 84 grey pixels, the maximum of the last two of 4 frames, 4 such images stacked; up to 30 no-op frames, and FIRE if
a game needs it, at the start of an episode; sticky actions. The reward is the game's score, not its sign.

Each env is a vector env of ale-py with one game. A vector env of many games has one value per keyword, steps all games
or none, and restarts finished ones by itself, while each row here has parameters, an end and a start of its own. The
games still run in parallel: all of them start their step before any is waited for, and each has its own thread.
"""

import functools
from typing import Any

import gymnasium
import numpy as np
from ale_py import Action, ALEInterface, AtariVectorEnv, LoggerMode, roms
from jaxtyping import Float, UInt8

from headstart.core.errors import InputError

SIDE = 84
STACKED = 4


class Game(gymnasium.Env):
    """One game. `start_step` starts a step for which `step` then waits."""

    def __init__(
        self,
        game: str,
        mode: int = 0,
        difficulty: int = 0,
        repeat_action_probability: float = 0.25,
        full_action_space: bool = False,
        frameskip: int = 4,
        max_num_frames_per_episode: int = 108_000,
        noop_max: int = 30,
        use_fire_reset: bool = True,
        episodic_life: bool = False,
        reward_clipping: bool = False,
    ):
        rules: dict[str, Any] = {
            "repeat_action_probability": repeat_action_probability,
            "full_action_space": full_action_space,
            "frameskip": frameskip,
            "max_num_frames_per_episode": max_num_frames_per_episode,
            "noop_max": noop_max,
            "use_fire_reset": use_fire_reset,
            "episodic_life": episodic_life,
            "reward_clipping": reward_clipping,
        }
        if (mode, difficulty) == default_switches(game):
            self._console = AtariVectorEnv(game, num_envs=1, num_threads=1, **rules)
            actions = int(self._console.single_action_space.n)
        else:
            self._console = Console(game, mode, difficulty, **rules)
            actions = len(self._console.actions)
        self.observation_space = gymnasium.spaces.Box(0, 255, (STACKED, SIDE, SIDE), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(actions)
        self._most = max_num_frames_per_episode // frameskip
        self._begun = False

    @property
    def max_steps(self) -> int:
        """The maximum length of an episode."""
        return self._most

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        images, _ = self._console.reset(seed=np.array([-1 if seed is None else seed]))
        return images[0], {}

    def start_step(self, action: int) -> None:
        """Starts a step and returns at once."""
        self._console.send(np.array([action]))
        self._begun = True

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self._begun:
            self.start_step(action)
        self._begun = False
        images, reward, terminated, truncated, _ = self._console.recv()
        return images[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}

    def close(self) -> None:
        del self._console


class Console:
    """A game in another mode or difficulty, which the vector env does not support. Images and methods are the same."""

    def __init__(self, game: str, mode: int, difficulty: int, full_action_space: bool, **rules: Any):
        self._ale, self._switches, self._rules = _quiet_ale(), (mode, difficulty), rules
        self._rom: Any = roms.get_rom_path(game)
        self._ale.setFloat("repeat_action_probability", rules["repeat_action_probability"])
        self._ale.setInt("max_num_frames_per_episode", rules["max_num_frames_per_episode"])
        self._load()
        self.actions = self._ale.getLegalActionSet() if full_action_space else self._ale.getMinimalActionSet()
        self._frames: list[np.ndarray] = []
        self._chosen = 0

    def _load(self) -> None:
        self._ale.loadROM(self._rom)
        self._ale.setMode(self._switches[0])
        self._ale.setDifficulty(self._switches[1])

    def reset(self, seed: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        if seed[0] >= 0:
            self._ale.setInt("random_seed", int(seed[0]))
        self._load()
        self._ale.reset_game()
        rng = np.random.default_rng(seed[0] if seed[0] >= 0 else None)
        for _ in range(rng.integers(self._rules["noop_max"])):
            self._ale.act(Action.NOOP)
        if self._rules["use_fire_reset"] and Action.FIRE in self.actions:
            self._ale.act(Action.FIRE)
        image = _resize(self._ale.getScreenGrayscale())
        self._frames = [np.zeros_like(image)] * (STACKED - 1) + [image]
        return np.stack(self._frames)[None], {}

    def send(self, actions: np.ndarray) -> None:
        self._chosen = int(actions[0])

    def recv(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        lives, reward, is_over, screens = self._ale.lives(), 0, False, []
        for remaining in reversed(range(self._rules["frameskip"])):
            reward += self._ale.act(self.actions[self._chosen])
            lost_life = self._rules["episodic_life"] and self._ale.lives() < lives
            is_over = lost_life or self._ale.game_over(with_truncation=False)
            if remaining < 2 or is_over:
                screens.append(self._ale.getScreenGrayscale())
            if is_over:
                break
        self._frames = [*self._frames[1:], _resize(np.max(screens, 0))]
        reward_sum = np.sign(reward) if self._rules["reward_clipping"] else reward
        end_flags = np.array([is_over]), np.array([self._ale.game_truncated()])
        return np.stack(self._frames)[None], np.array([reward_sum]), *end_flags, {}


@functools.cache
def default_switches(game: str) -> tuple[int, int]:
    """Returns a game's default mode and difficulty."""
    ale, rom = _quiet_ale(), roms.get_rom_path(game)
    if rom is None:
        raise InputError(f"Atari has no game {game!r}; write its name as in space_invaders.")
    ale.loadROM(rom)
    state = ale.cloneState()
    return state.getCurrentMode(), state.getDifficulty()


def _quiet_ale() -> ALEInterface:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    return ALEInterface()


def _resize(screen: UInt8[np.ndarray, "row column"]) -> UInt8[np.ndarray, "side side"]:
    """Returns the screen as a square; each pixel is the mean of the area that it covers."""
    row_weights, column_weights = (_area_weights(n) for n in screen.shape)
    return np.rint(row_weights @ screen.astype(np.float32) @ column_weights.T).astype(np.uint8)


@functools.cache
def _area_weights(pixels: int) -> Float[np.ndarray, "side pixel"]:
    """Returns the share of each screen pixel in each of our pixels, along one axis."""
    edges = np.arange(SIDE + 1) * pixels / SIDE
    pixel = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], pixel + 1.0) - np.maximum(edges[:-1, None], pixel)
    return (np.maximum(overlap, 0.0) * SIDE / pixels).astype(np.float32)
