"""Encoders: what is seen, turned into what policy and value are told. They are `Knowledge.features`.

Of a vector: its running normaliser, or nothing at all. Of an image: a small convolutional network, which learns by
whatever loss is told its features. Those of 10 x 10 cells or so get MinAtar's (Young and Tian 2019, arXiv:1903.03176),
large ones DQN's (Mnih et al. 2015), and those between them two layers of our own, since MinAtar's dense layer grows
with their area. Each layer is rectified.
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
Shape = tuple[int, int, int]  # of a layer's patches: their side, the step from one to the next, and filters

Layers = tuple[tuple[Shape, ...], int]  # convolutions, and the dense layer's width

MINATAR: Layers = ((3, 1, 16),), 128
BETWEEN: Layers = ((6, 4, 16), (3, 2, 32)), 128
ATARI: Layers = ((8, 4, 32), (4, 2, 64), (3, 1, 64)), 512
SIDES = ((36, ATARI), (16, BETWEEN), (0, MINATAR))  # pixels, from which on; ATARI leaves nothing of less than 36


class Convolutions(Record):
    """Convolutions without padding, then a dense layer.

    A convolution is a fully connected layer of every patch: for many seeds at once XLA makes a product of matrices of
    that on a CPU, and of its own convolution with weights for each seed something much slower.
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
    """Returns every square of that side, flattened (by rows, columns, channels); so many pixels from one to the next.

    Columns first, then rows of these: 2 · side slices to compile, and as many to go back through, where side² will do.
    """
    up, along = (n - side + 1 for n in x.shape[:2])
    x = jnp.concatenate([x[:, j : j + along : step] for j in range(side)], -1)
    return jnp.concatenate([x[i : i + up : step] for i in range(side)], -1)


def convolutions(image: Image, key: Key) -> Convolutions:
    """Returns fresh convolutions for images of that shape. Raises InputError where they are too small for any."""
    rows, columns, channels = image.shape
    layers, width = next(layers for least, layers in SIDES if min(rows, columns) >= least)
    *keys, k_dense = jax.random.split(key, len(layers) + 1)
    filters = []
    for (side, step, count), k in zip(layers, keys, strict=True):
        if min(rows, columns) < side:
            raise InputError(
                f"An image of {rows} x {columns} is too small to be encoded; it is {side} x {side} at least."
            )
        filters.append(orthogonal(side * side * channels, count, 2.0**0.5, k))
        rows, columns, channels = (rows - side) // step + 1, (columns - side) // step + 1, count
    dense = orthogonal(rows * columns * channels, width, 2.0**0.5, k_dense)
    return Convolutions(tuple(filters), dense, layers, image.max_value)


Encoder = RunningMeanStd | Convolutions | None


def encoder(sight: ObservationSpace, key: Key, normalise: bool) -> Encoder:
    """Returns what images need; for vectors a normaliser, or nothing. Only images take something of the key."""
    if isinstance(sight, Image):
        return convolutions(sight, jax.random.fold_in(key, ord("x")))
    return running_mean_std(sight.size) if normalise else None


def feature_dim(features: Encoder, sight: ObservationSpace) -> int:
    """Returns how many numbers an encoder makes of what is seen."""
    return features.dense.weight.shape[-1] if isinstance(features, Convolutions) else sight.size


def encode(k: Knowledge, obs: Array, context: Float[Array, " context"]) -> Float[Array, " features"]:
    """Returns what policy and value are told."""
    features: Encoder = k.features
    if isinstance(features, Convolutions):
        obs = features(obs)
    if isinstance(features, RunningMeanStd):
        obs = features.normalize(obs)
    return jnp.concatenate([obs, context])


def update_statistics(features: Encoder, obs: Array, weight: Float[Array, "..."]) -> Encoder:
    """Returns the encoder, its statistics (if it has any) those of what was seen so far and of the rows that have weight."""
    if not isinstance(features, RunningMeanStd):
        return features
    return features.update(obs.reshape(weight.size, -1), weight.reshape(-1))


def reset_statistics(features: Encoder, fresh: Encoder) -> Encoder:
    """Returns the encoder with fresh statistics; what it learned by gradients stays."""
    return fresh if isinstance(features, RunningMeanStd) else features
