"""Records episodes of a policy as short animations."""

import io
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8
from PIL import Image

from headstart.core import spaces
from headstart.core.episode import Episode, episode_parameters, observe, params_of, reset, step_once
from headstart.core.errors import InputError
from headstart.core.spaces import Observation
from headstart.core.types import Key, Task, Transition
from headstart.lab.checkpoint.files import write
from headstart.lab.checkpoint.policy import Policy
from headstart.tasks.pictures import picture, visible

IMAGE_SIZE = 180  # pixels, height of a frame
MAX_FRAMES = 80  # of one episode
LARGE_CLIP = (240, 400)  # frame size and frames of a clip that a user asks for
MAX_FRAME_SKIP = 3  # steps; with more, legs seem to jump. 1 for image observations
FRAME_MS = 50  # of one frame; more if a clip has few frames
MIN_CLIP_MS = 2000  # of a whole clip, unless frames would be too slow
LAST_FRAME_MS = 1000  # of the last frame of an episode
STRIP_FRAMES = 8  # frames of a .png strip
SUFFIXES = (".webp", ".gif", ".png")
STAGES = ("before", "after")  # of a study's clips: before the first target episode, and at the end of the budget

Frame = UInt8[np.ndarray, "_ _ 3"]  # height, width


class Clip(NamedTuple):
    """A recorded episode."""

    frames: list[Frame]
    frame_skip: int  # steps between two frames
    steps_shown: int  # steps that the clip shows
    steps: int  # of the whole episode
    episode_return: float  # undiscounted


def clip_folder(out: pathlib.Path, row: str) -> pathlib.Path:
    """Returns the folder of a row's clips in a study's folder: `before.webp` and `after.webp`, each with a record."""
    return out / "clips" / row


def record_episode(policy: Policy, task: Task, key: Key, size: int = IMAGE_SIZE, max_frames: int = MAX_FRAMES) -> Clip:
    """Records one episode of the policy in one task.

    If the episode is longer than `max_frames` frames, the clip shows its beginning. Raises InputError if the env has no
    drawing, and if it fails.
    """
    task = visible(task)
    env, max_skip = task.env, 1 if isinstance(task.env.observation_space, spaces.Image) else MAX_FRAME_SKIP
    frame_skip = min(math.ceil(env.horizon / max_frames), max_skip)
    key, k_reset = jax.random.split(key)
    episode, obs, numbers = _start_episode(task, k_reset)
    policy.reset(numbers)
    draw_frame = lambda: picture(env, params_of(task, episode), episode.state, size)
    frames, episode_return, steps, steps_shown, ended = [], 0.0, 0, 0, False
    try:
        frames.append(draw_frame())
        while not ended:
            action = jnp.asarray(policy.act(obs))
            episode, transition = _step_episode(task, episode, action, jax.random.fold_in(key, steps))
            steps, ended, obs = steps + 1, bool(transition.last), transition.next_obs
            episode_return = float(transition.episode_return)
            if len(frames) < max_frames and (ended or steps % frame_skip == 0):
                frames.append(draw_frame())
                steps_shown = steps
    finally:
        if env.stateful:
            _close(task, episode)
    for message in env.pop_failures().values():
        raise InputError(f"{message}.")
    return Clip(frames, frame_skip, steps_shown, steps, episode_return)


@jax.jit
def _start_episode(task: Task, key: Key) -> tuple[Episode, Observation, Array]:
    """Returns a new episode, its first observation and its task parameters."""
    episode = reset(task, key)
    return episode, observe(task, episode), episode_parameters(task, episode)


@jax.jit
def _step_episode(task: Task, episode: Episode, action: Array, key: Key) -> tuple[Episode, Transition]:
    return step_once(task, episode, action, key, action)


@jax.jit
def _close(task: Task, episode: Episode) -> None:
    task.env.close(episode.state)


def check_suffix(path: pathlib.Path) -> None:
    """Raises InputError if the suffix of a clip's file is not supported."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path} is not a file for a clip; use a name that ends in .webp, .gif, or .png (a strip of frames)."
        )


def save(clips: list[Clip], path: pathlib.Path) -> None:
    """Writes episodes one after the other, in the format of the file's suffix: an animation or a strip of frames."""
    check_suffix(path)
    write(path, encode(clips, path.suffix.lower()))


def encode(clips: list[Clip], kind: str) -> bytes:
    """Returns the episodes as an animation (.webp, .gif), or as a strip of frames (.png)."""
    frames, out = [frame for clip in clips for frame in clip.frames], io.BytesIO()
    if kind == ".png":
        chosen = np.unique(np.linspace(0, len(frames) - 1, STRIP_FRAMES).round().astype(int))
        Image.fromarray(np.concatenate([frames[i] for i in chosen], 1)).save(out, "PNG", optimize=True)
        return out.getvalue()
    first, *rest = map(Image.fromarray, frames)
    # WebP: each frame is stored lossy or lossless, whichever is smaller
    smaller = {"quality": 70, "allow_mixed": True, "minimize_size": True} if kind == ".webp" else {"optimize": True}
    options: dict[str, Any] = {**smaller, "duration": _durations(clips), "loop": 0}  # 0: forever
    first.save(out, kind[1:].upper(), save_all=True, append_images=rest, **options)
    return out.getvalue()


def first_frame(clip: bytes) -> bytes:
    """Returns the first frame of an animation as WebP."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(clip)) as image:
        image.save(out, "WEBP", lossless=True)
    return out.getvalue()


def _durations(clips: list[Clip]) -> list[int]:
    """Returns the milliseconds of each frame: longer in clips of few frames, and longest for the last frame."""
    total = sum(len(clip.frames) for clip in clips)
    frame_ms = int(min(max(FRAME_MS, MIN_CLIP_MS / total), 5 * FRAME_MS))
    return [ms for clip in clips for ms in [frame_ms] * (len(clip.frames) - 1) + [LAST_FRAME_MS]]
