"""A policy to look at: episodes of it as short moving pictures."""

import io
import math
import pathlib
from typing import NamedTuple

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

SIZE = 180  # pixels
MOST = 80  # frames of one episode
LARGE = (240, 400)  # both, of a clip that is a file of its own
COARSEST = 3  # at most so many steps from a frame to the next: else legs seem to jump. Of games on a board: 1
SHOWN = 50  # milliseconds that a frame is seen; more where there are few
LONG_ENOUGH = 2000  # milliseconds that a clip lasts at least, unless its frames would stand still
LAST = 1000  # milliseconds that the last frame of an episode stays
STILLS = 8  # frames in a strip
KINDS = (".webp", ".gif", ".png")
STAGES = ("before", "after")  # of a study's clips: before the first target episode, and at the end of the budget

Frame = UInt8[np.ndarray, "_ _ 3"]  # height, width


class Take(NamedTuple):
    """One episode, filmed."""

    frames: list[Frame]
    every: int  # steps from a frame to the next; the last one is of where the filming ended
    filmed: int  # steps that are seen
    steps: int  # of the whole episode
    episode_return: float  # its undiscounted return


def clip_folder(out: pathlib.Path, row: str) -> pathlib.Path:
    """Returns the folder of a row's clips in a study's folder: `before.webp` and `after.webp`, each with a record."""
    return out / "clips" / row


def film(policy: Policy, task: Task, key: Key, size: int = SIZE, most: int = MOST) -> Take:
    """-> an episode of the policy in one task.

    An episode too long for `most` frames is filmed from its start, and played to its end. Raises InputError where there
    is nothing to look at, and where the env breaks.
    """
    task = visible(task)
    env, coarsest = task.env, 1 if isinstance(task.env.observation_space, spaces.Image) else COARSEST
    every = min(math.ceil(env.horizon / most), coarsest)
    key, k_reset = jax.random.split(key)
    episode, obs, numbers = _start(task, k_reset)
    policy.reset(numbers)
    look = lambda: picture(env, params_of(task, episode), episode.state, size)
    frames, score, steps, filmed, ended = [], 0.0, 0, 0, False
    try:
        frames.append(look())
        while not ended:
            episode, seen = _step(task, episode, jnp.asarray(policy.act(obs)), jax.random.fold_in(key, steps))
            steps, ended, score, obs = steps + 1, bool(seen.last), float(seen.episode_return), seen.next_obs
            if len(frames) < most and (ended or steps % every == 0):
                frames.append(look())
                filmed = steps
    finally:
        if env.stateful:
            _leave(task, episode)
    for message in env.pop_failures().values():
        raise InputError(f"{message}.")
    return Take(frames, every, filmed, steps, score)


@jax.jit
def _start(task: Task, key: Key) -> tuple[Episode, Observation, Array]:
    """Returns a new episode, what is seen first, and the episode's parameters."""
    episode = reset(task, key)
    return episode, observe(task, episode), episode_parameters(task, episode)


@jax.jit
def _step(task: Task, episode: Episode, command: Array, key: Key) -> tuple[Episode, Transition]:
    return step_once(task, episode, command, key, command)


@jax.jit
def _leave(task: Task, episode: Episode) -> None:
    task.env.close(episode.state)


def check_kind(path: pathlib.Path) -> None:
    """Raises InputError where a clip's file is of no kind that there is."""
    if path.suffix.lower() not in KINDS:
        raise InputError(
            f"{path} is no file for a clip; let its name end in .webp or .gif, or in .png for a strip of stills."
        )


def save(takes: list[Take], path: pathlib.Path) -> None:
    """Writes the episodes, one after the other, as what the file's name says: an animation, or a strip of stills."""
    check_kind(path)
    write(path, encode(takes, path.suffix.lower()))


def encode(takes: list[Take], kind: str) -> bytes:
    """-> the episodes as an animation (.webp, .gif), or as a strip of stills (.png)."""
    frames, out = [frame for take in takes for frame in take.frames], io.BytesIO()
    if kind == ".png":
        chosen = np.unique(np.linspace(0, len(frames) - 1, STILLS).round().astype(int))
        Image.fromarray(np.concatenate([frames[i] for i in chosen], 1)).save(out, "PNG", optimize=True)
        return out.getvalue()
    first, *rest = map(Image.fromarray, frames)
    # of WebP: each frame with loss or without, whichever is smaller
    how = {"quality": 70, "allow_mixed": True, "minimize_size": True} if kind == ".webp" else {"optimize": True}
    again = 0  # for ever
    first.save(out, kind[1:].upper(), save_all=True, append_images=rest, duration=_durations(takes), loop=again, **how)
    return out.getvalue()


def still(clip: bytes) -> bytes:
    """-> the first frame of an animation, as WebP."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(clip)) as image:
        image.save(out, "WEBP", lossless=True)
    return out.getvalue()


def _durations(takes: list[Take]) -> list[int]:
    """-> milliseconds for each frame: few frames are shown for longer, and an episode's last one for a while."""
    total = sum(len(take.frames) for take in takes)
    each = int(min(max(SHOWN, LONG_ENOUGH / total), 5 * SHOWN))
    return [ms for take in takes for ms in [each] * (len(take.frames) - 1) + [LAST]]
