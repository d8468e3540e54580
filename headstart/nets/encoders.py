"""Encoders: from observations to the features that policy and value get. They are `Knowledge.features`.

Vectors are normalized by running statistics, or used as they are. Images go through a small convolutional network,
trained by any loss that uses its features: MinAtar's for images of about 10 x 10 cells (Young and Tian 2019,
arXiv:1903.03176), DQN's for large ones (Mnih et al. 2015), and two layers of our own in between, where MinAtar's dense
layer would be large. Each layer is followed by a ReLU.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from headstart.core.errors import InputError
from headstart.core.types import Image, Key, Knowledge, ObservationSpace, Record
from headstart.nets.mlp import Linear, orthogonal
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std

Picture = Bool[Array, "row column channel"] | UInt8[Array, "row column channel"]
Shape = tuple[int, int, int]  # of a layer's patches: side, stride, and number of filters

Layers = tuple[tuple[Shape, ...], int]  # convolutions, and the dense layer's width

MINATAR: Layers = ((3, 1, 16),), 128
MEDIUM: Layers = ((6, 4, 16), (3, 2, 32)), 128
ATARI: Layers = ((8, 4, 32), (4, 2, 64), (3, 1, 64)), 512
LAYERS_BY_SIDE = ((36, ATARI), (16, MEDIUM), (0, MINATAR))  # smallest side in pixels; ATARI needs 36


class Convolutions(Record):
    """Convolutions without padding, then a dense layer.

    A convolution is a dense layer applied to every patch. For many seeds at once, XLA on a CPU turns that into a
    product of matrices; its own convolution with different weights per seed is much slower.
    """

    filters: tuple[Linear, ...]
    dense: Linear
    patches: tuple[Shape, ...] = eqx.field(static=True)
    max_value: int = eqx.field(static=True)

    def __call__(self, picture: Picture) -> Float[Array, " features"]:
        x = picture.astype(jnp.float32) / self.max_value
        for layer, (side, step, _) in zip(self.filters, self.patches, strict=True):
            each = jax.vmap(jax.vmap(layer))
            x = jax.nn.relu(each(patches(x, side, step)))
        return jax.nn.relu(self.dense(x.reshape(-1)))


def patches(x: Float[Array, "row column channel"], side: int, step: int) -> Float[Array, "up along pixel"]:
    """Returns every square of this side, flattened by rows, columns and channels; `step` pixels lie between two.

    Columns are sliced first, then rows of these: that makes 2 · side slices to compile and to differentiate, not side².
    """
    up, along = (n - side + 1 for n in x.shape[:2])
    x = jnp.concatenate([x[:, j : j + along : step] for j in range(side)], -1)
    return jnp.concatenate([x[i : i + up : step] for i in range(side)], -1)


def convolutions(image: Image, key: Key) -> Convolutions:
    """Returns new convolutions for images of this shape. Raises InputError if the images are too small."""
    rows, columns, channels = image.shape
    layers, width = next(layers for smallest, layers in LAYERS_BY_SIDE if min(rows, columns) >= smallest)
    *keys, k_dense = jax.random.split(key, len(layers) + 1)
    filters = []
    for (side, step, count), k in zip(layers, keys, strict=True):
        if min(rows, columns) < side:
            raise InputError(
                f"An image of {rows} x {columns} is too small to be encoded; it needs at least {side} x {side}."
            )
        filters.append(orthogonal(side * side * channels, count, 2.0**0.5, k))
        rows, columns, channels = (rows - side) // step + 1, (columns - side) // step + 1, count
    dense = orthogonal(rows * columns * channels, width, 2.0**0.5, k_dense)
    return Convolutions(tuple(filters), dense, layers, image.max_value)


Encoder = RunningMeanStd | Convolutions | None


def encoder(space: ObservationSpace, key: Key, normalise: bool) -> Encoder:
    """Returns an encoder for a space: convolutions for images; for vectors running statistics, or None."""
    if isinstance(space, Image):
        return convolutions(space, jax.random.fold_in(key, ord("x")))
    return running_mean_std(space.size) if normalise else None


def feature_dim(features: Encoder, space: ObservationSpace) -> int:
    """Returns how many features an encoder makes of an observation."""
    return features.dense.weight.shape[-1] if isinstance(features, Convolutions) else space.size


def encode(k: Knowledge, obs: Array, context: Float[Array, " context"]) -> Float[Array, " features"]:
    """Returns the features of an observation, followed by the context."""
    features: Encoder = k.features
    if isinstance(features, Convolutions):
        obs = features(obs)
    if isinstance(features, RunningMeanStd):
        obs = features.normalize(obs)
    return jnp.concatenate([obs, context])


def update_statistics(features: Encoder, obs: Array, weight: Float[Array, "..."]) -> Encoder:
    """Returns the encoder with the rows of `obs` merged into its running statistics, if it has any, by their weight."""
    if not isinstance(features, RunningMeanStd):
        return features
    return features.update(obs.reshape(weight.size, -1), weight.reshape(-1))


def reset_statistics(features: Encoder, fresh: Encoder) -> Encoder:
    """Returns the encoder with fresh running statistics; weights that gradients have trained stay."""
    return fresh if isinstance(features, RunningMeanStd) else features
