"""Pictures of a task, for people: its env's drawing, what its env renders, or the image that it observes."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Picture

from headstart.core.errors import InputError
from headstart.core.types import Env, EnvParams, PyTree, Task
from headstart.tasks.raster import raster

RGB = UInt8[np.ndarray, "_ _ 3"]  # height, width


def visible(task: Task) -> Task:
    """Returns the same task with its env set up so that `picture` can show its states.

    Raises InputError if there is no way to show them.
    """
    env = task.env.rendered()
    if env is None:
        raise InputError(
            f"{task.env.name} cannot be shown: it has no drawing, renders no rgb_array, and observes no image; "
            "give its env a `draw`."
        )
    return task.replace(env=env)


def picture(env: Env, params: EnvParams, state: PyTree, size: int) -> RGB:
    """Returns a picture of a state of a visible task's env. Its longer side has about `size` pixels.

    Raises InputError if a third-party env fails to render itself.
    """
    if (drawing := env.draw(params, state)) is not None:
        return raster(drawing, size)
    if (image := env.render(state)) is not None:
        return _resize(image, size)
    return _resize(_to_rgb(np.asarray(env.observe(params, state)), env.observation_space.max_value), size)  # pyright: ignore[reportAttributeAccessIssue]


def _to_rgb(image: np.ndarray, max_value: int) -> RGB:
    """Returns an observed image as RGB. Three channels of bytes are colours already.

    Other bytes are stacked frames, of which the last is the newest: it is shown in grey. Bits are shown with a grey of
    its own for each channel.
    """
    channels = image.shape[-1]
    if max_value > 1 and channels == 3:
        return image
    grey = image[..., -1] if max_value > 1 else (image * np.linspace(255, 90, channels)).max(-1)
    return np.repeat(grey[..., None], 3, -1).astype(np.uint8)


def _resize(image: RGB, size: int) -> RGB:
    """Returns the image at about that size. Enlarged pixels stay squares, and reduced ones are averaged."""
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest < size:
        return np.kron(image, np.ones((-(-size // longest), -(-size // longest), 1), np.uint8))
    new_size = max(round(width * size / longest), 1), max(round(height * size / longest), 1)
    return np.asarray(Picture.fromarray(image).resize(new_size, Picture.Resampling.BOX))
