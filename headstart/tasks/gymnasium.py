"""Any task as a Gymnasium env, for algorithms of other libraries and for stepping through an episode."""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from headstart.core.episode import Episode, observe, params_of, reset
from headstart.core.errors import InputError
from headstart.core.spaces import Observation
from headstart.core.types import Discrete, Env, Image, Key, Record, Task
from headstart.tasks import registry
from headstart.tasks.raster import raster

FRAMES = 30  # frames per second of videos


class Step(Record):
    """The result of a step."""

    obs: Observation
    cumulants: Float[Array, " cumulant"]
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]


class TaskEnv(gymnasium.Env[np.ndarray, Any]):
    """A task with Gymnasium's interface; `to_gymnasium` makes it."""

    def __init__(self, task: Task, render_mode: str | None = None):
        if task.domain.ndim:
            raise InputError("These are several tasks, stacked; make a Gymnasium env of one at a time.")
        modes = ["rgb_array"] if task.env.drawable else []
        if render_mode is not None and render_mode not in modes:
            hint = "it has rgb_array" if modes else "it has no drawing, so leave render_mode out"
            raise InputError(f"{task.env.name} has no render_mode={render_mode!r}; {hint}.")
        self.metadata = {"render_modes": modes, "render_fps": FRAMES}
        self.render_mode = render_mode
        self.task = task
        self._key: Key | None = None
        self._episode: Episode | None = None
        env = task.env
        self.observation_space = _observation_space(env)
        if isinstance(env.action_space, Discrete):
            self.action_space = gymnasium.spaces.Discrete(env.action_space.n)
        else:
            low, high = np.array(env.action_space.low, np.float32), np.array(env.action_space.high, np.float32)
            self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode with newly drawn parameters. Returns its first observation [observation] and info.

        `info["params"]` holds the episode's parameters, `info["rewards"]` the parts of the reward, all 0 here. Raises
        InputError, here and in `step`, if a third-party env fails.
        """
        super().reset(seed=seed)
        key = jax.random.key(int(self.np_random.integers(2**31)))
        self.close()
        self._key, self._episode, obs = _start(self.task, key)
        self._raise_failures()
        return np.array(obs), self._info(np.zeros(len(self.task.env.cumulant_names)))

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes an action in the env's units. Returns observation, reward, terminated, truncated and info.

        Raises InputError before the first `reset`, and if the action does not have the action space's shape.
        """
        if self._episode is None:
            raise InputError(f"{self.task.env.name} has no episode yet; call reset() before step().")
        self._key, episode, step = _step(self.task, self._episode, self._as_action(action), self._key)
        self._episode = episode
        self._raise_failures()
        truncated = bool(step.truncated) or int(episode.time) >= self.task.env.horizon
        reward, terminated = float(step.reward), bool(step.terminated)
        return np.array(step.obs), reward, terminated, truncated, self._info(np.asarray(step.cumulants))

    def close(self) -> None:
        """Ends the current episode."""
        if self._episode is not None and self.task.env.stateful:
            _close(self.task, self._episode)
        self._episode = None

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:
        """Returns a picture of the current state in RGB; None without a render mode.

        Raises InputError before the first `reset`.
        """
        if self.render_mode is None:
            return None
        if self._episode is None:
            raise InputError(f"{self.task.env.name} has no episode yet; call reset() before render().")
        drawing = self.task.env.draw(params_of(self.task, self._episode), self._episode.state)
        assert drawing is not None
        return raster(drawing)

    def physics_state(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns (qpos, qvel) of a MuJoCo robot, in float64, as Gymnasium's `set_state` takes them.

        Raises InputError for other tasks, and before the first `reset`.
        """
        from headstart.tasks.mujoco import MujocoEnv, physics_state

        if self._episode is None:
            raise InputError(f"{self.task.env.name} has no episode yet; call reset() before physics_state().")
        env, state = self.task.env.unwrapped, self.task.env.unwrapped_state(self._episode.state)
        if not isinstance(env, MujocoEnv):
            raise InputError(f"{env.name} is not stepped by MuJoCo and has no qpos and qvel; use its observations.")
        return physics_state(env, state)

    def _raise_failures(self) -> None:
        """Raises InputError with the message of a third-party env that failed."""
        for message in self.task.env.pop_failures().values():
            self.close()
            raise InputError(f"{message}.")

    def _as_action(self, action: Any) -> Array:
        space = self.action_space
        discrete = isinstance(space, gymnasium.spaces.Discrete)
        array = np.asarray(action)
        if array.shape != space.shape or (discrete and not space.contains(array)):
            raise InputError(f"{self.task.env.name} cannot do {action!r}; its actions are {space}.")
        return jnp.asarray(array, jnp.int32 if discrete else jnp.float32)

    def _info(self, cumulants: np.ndarray) -> dict[str, Any]:
        assert self._episode is not None
        values = {n: x for n, x in params_of(self.task, self._episode).items() if n not in self.task.env.data_names}
        return {
            "params": {name: float(value) for name, value in values.items()},
            "rewards": {name: float(c) for name, c in zip(self.task.env.cumulant_names, cumulants, strict=True)},
        }


def to_gymnasium(task: Task | Env | str, render_mode: str | None = None) -> TaskEnv:
    """Returns the task as a Gymnasium env: float32 (images as they are), actions in the env's units.

    Each `reset` draws the parameters that the task leaves random. All tasks of one env share one compiled step. Envs
    with a drawing have `render_mode="rgb_array"`. An env or a task string stands for its task. Raises InputError for
    anything else, for stacked tasks, and for a render mode that the env does not have.
    """
    return TaskEnv(task if isinstance(task, Task) else registry.task(task), render_mode)


def _observation_space(env: Env) -> gymnasium.spaces.Box:
    space = env.observation_space
    if isinstance(space, Image):
        return gymnasium.spaces.Box(0, space.max_value, space.shape, np.dtype(space.dtype).type)
    low, high = np.array(space.low, np.float32), np.array(space.high, np.float32)
    if not env.bounded_observations:
        low, high = np.full_like(low, -np.inf), np.full_like(high, np.inf)
    return gymnasium.spaces.Box(low, high, dtype=np.float32)


@jax.jit
def _start(task: Task, key: Key) -> tuple[Key, Episode, Array]:
    key, k_reset = jax.random.split(key)
    episode = reset(task, k_reset)
    return key, episode, observe(task, episode)


@jax.jit
def _step(task: Task, episode: Episode, action: Array, key: Key) -> tuple[Key, Episode, Step]:
    key, k_step = jax.random.split(key)
    env, params, state = task.env, params_of(task, episode), episode.state
    next_state = env.transition(params, state, action, k_step)
    cumulants = env.cumulants(params, state, action, next_state)
    reward = cumulants @ task.w
    next_episode = Episode(episode.sampled, next_state, episode.time + 1, episode.episode_return + reward)
    terminated, truncated = env.terminal(params, next_state), env.truncated(params, next_state)
    return key, next_episode, Step(env.observe(params, next_state), cumulants, reward, terminated, truncated)


@jax.jit
def _close(task: Task, episode: Episode) -> None:
    task.env.close(episode.state)
