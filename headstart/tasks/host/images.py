"""Which arrays of Gymnasium are images, and where their channels are; a Gymnasium space does not say."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from gymnasium import Space, spaces
from jaxtyping import Array, Float

from headstart.core.spaces import Image

SMALLEST = 3  # pixels on a side; a convolution needs as many
COLOURS = (1, 3, 4)  # channels: grey, RGB, RGB with opacity or four grey frames


class ImageLayout(NamedTuple):
    """An image space of ours, and the layout of the array that it is made of."""

    image: Image
    shape: tuple[int, ...]  # of the array
    axes: tuple[int, ...]  # of the array: rows, columns, then all that become channels
    assumption: str

    def to_image(self, row: Float[Array, " n"]) -> Array:
        """Returns the image from a flat row of float32."""
        return row.reshape(self.shape).transpose(self.axes).reshape(self.image.shape).astype(jnp.uint8)


def is_bytes(space: Space) -> bool:
    """Returns whether a space holds brightness: uint8 from 0 to 255 in two to four dimensions."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3, 4):
        return False
    return bool((space.low == 0).all() and (space.high == 255).all())


def image_layout(space: Space) -> ImageLayout | None:
    """Returns the layout of an image space; None if it is no image, or too small for a convolution."""
    if not (isinstance(space, spaces.Box) and is_bytes(space)):
        return None
    shape, frames = tuple(map(int, space.shape)), int(len(space.shape) == 4)  # an axis of frames comes first
    channel = None if len(shape) == 2 else frames + channel_axis(shape[frames:])
    pixel_axes = [axis for axis in range(frames, len(shape)) if axis != channel]
    channel_axes = [axis for axis in range(len(shape)) if axis not in pixel_axes]
    rows, columns, channels = (
        shape[pixel_axes[0]],
        shape[pixel_axes[1]],
        int(np.prod([shape[axis] for axis in channel_axes])),
    )
    if min(rows, columns) < SMALLEST:
        return None
    location = f"axis {channel} of its {shape} array" if channel is not None else f"its {shape} array has one"
    location += ", for each frame of axis 0" if frames else ""
    assumption = (
        f"Its observation is an image of {rows} rows and {columns} columns, with {channels} channels "
        f"({location}), which networks see divided by 255."
    )
    return ImageLayout(Image((rows, columns, channels), "uint8"), shape, (*pixel_axes, *channel_axes), assumption)


def channel_axis(shape: tuple[int, ...]) -> int:
    """Returns which axis of a three-dimensional image holds the channels: 2 by convention, or 0 if the sizes say so.

    Usually there are as many rows as columns; if not, usually 1, 3 or 4 channels; and otherwise far fewer channels than
    rows or columns.
    """
    first, middle, last = shape
    if (first == middle) != (middle == last):
        return 2 if first == middle else 0
    if (first in COLOURS) != (last in COLOURS):
        return 0 if first in COLOURS else 2
    return 0 if 4 * first <= min(middle, last) else 2
