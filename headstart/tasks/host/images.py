"""What of Gymnasium's arrays is an image, and where its channels are: their spaces do not say."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from gymnasium import Space, spaces
from jaxtyping import Array, Float

from headstart.core.spaces import Image

SMALLEST = 3  # pixels on a side that a convolution takes
COLOURS = (1, 3, 4)  # channels: grey, RGB, RGB and opacity or four grey frames


class ImageLayout(NamedTuple):
    """An image as it is seen, and how it is made of their array."""

    image: Image
    shape: tuple[int, ...]  # of their array
    axes: tuple[int, ...]  # of their array: rows, columns, then all that become channels
    assumption: str

    def to_image(self, row: Float[Array, " n"]) -> Array:
        """Returns the image that was flattened into a row of float32."""
        return row.reshape(self.shape).transpose(self.axes).reshape(self.image.shape).astype(jnp.uint8)


def is_bytes(space: Space) -> bool:
    """Returns whether these are bytes of brightness: uint8 from 0 to 255 in two to four dimensions."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3, 4):
        return False
    return bool((space.low == 0).all() and (space.high == 255).all())


def image_layout(space: Space) -> ImageLayout | None:
    """Returns the image that a space is; None where it is none, or too small for a convolution."""
    if not (isinstance(space, spaces.Box) and is_bytes(space)):
        return None
    shape, frames = tuple(map(int, space.shape)), int(len(space.shape) == 4)  # axes of frames before those of an image
    channel = None if len(shape) == 2 else frames + channel_axis(shape[frames:])
    sides = [axis for axis in range(frames, len(shape)) if axis != channel]
    rest = [axis for axis in range(len(shape)) if axis not in sides]
    rows, columns, channels = shape[sides[0]], shape[sides[1]], int(np.prod([shape[axis] for axis in rest]))
    if min(rows, columns) < SMALLEST:
        return None
    where = f"axis {channel} of its {shape} array" if channel is not None else f"its {shape} array has one"
    where += ", for each frame of axis 0" if frames else ""
    assumed = (
        f"Its observation is an image of {rows} rows and {columns} columns, with {channels} channels "
        f"({where}), which networks see divided by 255."
    )
    return ImageLayout(Image((rows, columns, channels), "uint8"), shape, (*sides, *rest), assumed)


def channel_axis(shape: tuple[int, ...]) -> int:
    """Returns which axis of a three-dimensional image is its channels: 2 by custom, or 0 where the sizes say so.

    Rows and columns are most often as many as each other; if not, 1, 3 or 4 are most often channels; and channels are
    far fewer than rows and columns of what is not known by that.
    """
    first, middle, last = shape
    if (first == middle) != (middle == last):
        return 2 if first == middle else 0
    if (first in COLOURS) != (last in COLOURS):
        return 0 if first in COLOURS else 2
    return 0 if 4 * first <= min(middle, last) else 2
