"""What a task looks like to people: its env's drawing, what somebody else's env renders, or the image that it shows."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Picture

from headstart.core.errors import InputError
from headstart.core.spaces import Image
from headstart.core.types import Env, EnvParams, PyTree, Task
from headstart.tasks.disturbances import Disturbed
from headstart.tasks.host.env import RENDERED, HostEnv, rendering
from headstart.tasks.host.maker import told
from headstart.tasks.raster import raster

RGB = UInt8[np.ndarray, "_ _ 3"]  # height, width


def visible(task: Task) -> Task:
    """-> the same task, of an env that can be looked at while it is played.

    Raises InputError where there is nothing to look at.
    """
    inner = task.env.env if isinstance(task.env, Disturbed) else task.env
    shown = rendering(inner) if isinstance(inner, HostEnv) else None
    if shown is not None:
        return task.replace(env=dataclasses.replace(task.env, env=shown) if isinstance(task.env, Disturbed) else shown)
    if type(inner).draw is Env.draw and not isinstance(task.env.observation_space, Image):
        raise InputError(
            f"{task.env.name} cannot be looked at: it has no drawing, renders no rgb_array, and shows no image; "
            "give its env a `draw`."
        )
    return task


def picture(env: Env, params: EnvParams, state: PyTree, size: int) -> RGB:
    """-> what a state of a visible task's env looks like; its longer side has `size` pixels, or somewhat more.

    Raises InputError where somebody else's env fails to render itself.
    """
    if (drawing := env.draw(params, state)) is not None:
        return raster(drawing, size)
    inner, own = (env.env, state.inner) if isinstance(env, Disturbed) else (env, state)
    if isinstance(inner, HostEnv) and (image := _rendered(inner, int(own.lease), size)) is not None:
        return image
    return _fitted(_shades(np.asarray(env.observe(params, state)), env.observation_space.max_value), size)  # pyright: ignore[reportAttributeAccessIssue]


def _rendered(env: HostEnv, lease: int, size: int) -> RGB | None:
    """-> what somebody else's env looks like; None where it has no way to show itself."""
    live = env.pool.env(lease)
    if env.pool.catalogue.of_mujoco:
        from headstart.tasks.mujoco.drawing import overview  # and with it all of MuJoCo's robots

        inner: Any = live.unwrapped
        return raster(overview(inner.model, inner.data), size)
    if dict(env.maker.keywords).get("render_mode") != RENDERED:
        return None
    try:
        return _fitted(np.array(Picture.fromarray(np.asarray(live.render())).convert("RGB")), size)
    except Exception as error:  # a display or a library that is not there
        raise InputError(f"{env.name} cannot render itself here: {told(error)}.") from None


def _shades(image: np.ndarray, brightest: int) -> RGB:
    """-> colours as they are; of other channels the last in grey where they are shades, else each in a grey of its own.

    Of stacked frames, the last is the newest.
    """
    channels = image.shape[-1]
    if brightest > 1 and channels == 3:
        return image
    grey = image[..., -1] if brightest > 1 else (image * np.linspace(255, 90, channels)).max(-1)
    return np.repeat(grey[..., None], 3, -1).astype(np.uint8)


def _fitted(image: RGB, size: int) -> RGB:
    """-> the image about that large: pixels of a small one stay squares, those of a large one are blended."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest < size:
        return np.kron(image, np.ones((-(-size // longest), -(-size // longest), 1), np.uint8))
    smaller = max(round(width * size / longest), 1), max(round(height * size / longest), 1)
    return np.asarray(Picture.fromarray(image).resize(smaller, Picture.Resampling.BOX))
