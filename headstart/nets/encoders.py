"""Encoders: from observations to the features that policies and values are given.

Vectors have a running normalizer, or nothing. Images have a small convolutional network, which every loss on its
features trains: MinAtar's for images of about 10 x 10 (Young and Tian 2019, arXiv:1903.03176), DQN's for large ones
(Mnih et al. 2015), and two layers of our own between them, since MinAtar's dense layer grows with the image's area. A
ReLU follows each layer.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from headstart.core.errors import InputError
from headstart.core.types import Image, Key, Params, Record, Spec
from headstart.nets.mlp import Linear, orthogonal
from headstart.nets.running_statistics import running_mean_std

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


def init_encoder(spec: Spec, key: Key, normalize: bool) -> tuple[Params, int]:
    """Returns the parts that process observations, and the size of what policies and values are given.

    Images have a part `encoder`. Vectors have a part `normalizer`, if they are to be normalized, and else none. Only
    images use the key.
    """
    space = spec.observation_space
    if isinstance(space, Image):
        net = convolutions(space, jax.random.fold_in(key, ord("x")))
        return {"encoder": net}, net.dense.weight.shape[-1] + spec.context_dim
    parts: Params = {"normalizer": running_mean_std(space.size)} if normalize else {}
    return parts, space.size + spec.context_dim


def feature_dim(params: Params, spec: Spec) -> int:
    """Returns how many features `encode_obs` gives."""
    return params["encoder"].dense.weight.shape[-1] if "encoder" in params else spec.observation_space.size


def trained_parts(spec: Spec) -> tuple[str, ...]:
    """Returns the names of the parts that process observations and are trained."""
    return ("encoder",) if isinstance(spec.observation_space, Image) else ()


def encode_obs(params: Params, obs: Array) -> Float[Array, " features"]:
    """Returns the features of an observation."""
    if "normalizer" in params:
        obs = params["normalizer"].normalize(obs)
    return params["encoder"](obs) if "encoder" in params else obs


def encode(params: Params, obs: Array, context: Float[Array, " context"]) -> Float[Array, " features"]:
    """Returns what policies and values are given: the features of an observation, and the context."""
    return jnp.concatenate([encode_obs(params, obs), context])


def update_normalizer(params: Params, obs: Array, weight: Float[Array, "..."]) -> Params:
    """Returns params whose normalizer, if there is one, has seen the observations that have weight."""
    if "normalizer" not in params:
        return params
    normalizer = params["normalizer"].update(obs.reshape(weight.size, -1), weight.reshape(-1))
    return {**params, "normalizer": normalizer}
