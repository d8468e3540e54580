"""RenderedReach: move a disc to a square, observed as an image: flat as in a simulator, or realistic as from a camera.

It is for methods that adapt to other observations. A style changes the images and nothing else, so that the loss of a
policy is due to its observations alone. Where the goals are can be changed without changing their images.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from headstart.core.drawing import Disc, Drawing, rectangle
from headstart.core.types import Discrete, Env, EnvParams, Image, Key, Parameter, Record, components

PIXELS = 32
RADIUS, HALF = 0.09, 0.08  # radius of the disc, and half a side of the square; the image's side is 1
LOW, HIGH = 0.1, 0.9  # the range of both middles
MOVES = np.array([(0, 0), (-1, 0), (1, 0), (0, 1), (0, -1)], np.float32)  # stay, left, right, up, down

GROUND = np.array((0.2, 0.2, 0.2), np.float32)
DISC, SQUARE = np.array((0.9, 0.25, 0.2), np.float32), np.array((0.2, 0.8, 0.3), np.float32)
CLUTTER = np.array(((0.25, 0.4, 0.95), (0.95, 0.85, 0.25)), np.float32)
WAVES = 3  # of a texture
STYLES = ("texture", "tint", "light", "clutter", "noise")
LUCK = (3, 6 * WAVES, 3 * len(CLUTTER), 3, 1)  # random numbers for the ground, waves, clutter, tint and light

MIDDLES = (np.arange(PIXELS, dtype=np.float32) + 0.5) / PIXELS
X, Y = np.meshgrid(MIDDLES, MIDDLES[::-1])  # of the pixels, rows from the top

Place = Float[Array, " 2"]
Picture = Float[Array, "32 32 3"]
Mask = Float[Array, "32 32"]


class Scene(Record):
    """Positions of disc and goal, and the seeds of the episode's and the step's random numbers."""

    place: Place
    goal: Place
    seed: UInt32[Array, ""]
    time: Int[Array, ""]


class RenderedReach(Env):
    """Each step pays the distance gained (`reward_nearer`); arriving pays 1 and ends the episode.

    `style` is the share of everything that makes an image realistic; each effect has a parameter of its own, which
    multiplies it. Texture, tint, light and clutter are drawn for each episode, noise for each image.
    """

    @property
    def name(self) -> str:
        return "RenderedReach"

    @property
    def horizon(self) -> int:
        return 30

    @property
    def observation_space(self) -> Image:
        return Image((PIXELS, PIXELS, 3), "uint8")

    @property
    def action_space(self) -> Discrete:
        return Discrete(len(MOVES), components("stay", "left", "right", "up", "down"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        times = lambda name, about: Parameter(name, 1.0, 0.0, 2.0, "times", f"{about}, as style=1 has it")
        return (
            Parameter("speed", 0.08, 0.0, 0.5, "side", "how far a move goes, in sides of the picture"),
            Parameter("reach", 0.1, 0.01, 0.5, "side", "how near the middles have to be for the disc to be there"),
            Parameter(
                "goal_side", 0.0, -1.0, 1.0, "share", "where goals are: 1 all on the right half, -1 all on the left"
            ),
            Parameter("style", 0.0, 0.0, 1.0, "share", "of what makes it look real: 0 is flat as in a simulator"),
            times("texture", "the ground's colour and waves"),
            times("tint", "how much all colours are off, by the same for the whole picture"),
            times("light", "how much brighter one side is than the other"),
            times("clutter", "how opaque two other discs or squares are"),
            times("noise", "the pixels' noise"),
        )

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_nearer", "reward_there")

    def initial(self, params: EnvParams, key: Key) -> Scene:
        k_places, k_side, k_seed = jax.random.split(key, 3)
        place, goal = jax.random.uniform(k_places, (2, 2))
        right = jax.random.bernoulli(k_side, 0.5 * (1.0 + params["goal_side"]))
        goal = goal.at[0].set(0.5 * (goal[0] + right))
        inside = lambda x: LOW + (HIGH - LOW) * x
        return Scene(inside(place), inside(goal), jax.random.bits(k_seed, (), jnp.uint32), jnp.int32(0))

    def observe(self, params: EnvParams, state: Scene) -> UInt8[Array, "32 32 3"]:
        much = {name: params["style"] * params[name] for name in STYLES}
        ground, waves, things, tint, way = jnp.split(chance(state.seed, sum(LUCK)), np.cumsum(LUCK)[:-1])
        picture = jnp.broadcast_to(GROUND[None, None], (PIXELS, PIXELS, 3))
        picture = picture + much["texture"] * (0.1 + 0.25 * ground[None, None] + 0.1 * _waves(waves))
        for (*at, kind), colour in zip(things.reshape(len(CLUTTER), 3), CLUTTER, strict=True):
            mask = jnp.where(kind > 0.5, disc(jnp.stack(at), RADIUS), square(jnp.stack(at), HALF))
            picture = paint(picture, jnp.minimum(much["clutter"], 1.0) * mask, colour)
        picture = paint(picture, square(state.goal, HALF), SQUARE)
        picture = paint(picture, disc(state.place, RADIUS), DISC)
        picture = picture * (1.0 + much["tint"] * 0.25 * (2.0 * tint - 1.0))[None, None]
        angle = 2.0 * math.pi * way[0]
        slope = jnp.cos(angle) * (X - 0.5) + jnp.sin(angle) * (Y - 0.5)
        picture = picture * (1.0 + much["light"] * 0.5 * slope)[..., None]
        noise = chance(state.seed ^ (state.time + 1).astype(jnp.uint32) * STEP, picture.size).reshape(picture.shape)
        picture = picture + much["noise"] * 0.1 * (noise - 0.5)
        return jnp.round(255.0 * jnp.clip(picture, 0.0, 1.0)).astype(jnp.uint8)

    def transition(self, params: EnvParams, state: Scene, action: Int[Array, ""], key: Key) -> Scene:
        place = jnp.clip(state.place + params["speed"] * jnp.asarray(MOVES)[action], LOW, HIGH)
        return state.replace(place=place, time=state.time + 1)

    def cumulants(
        self, params: EnvParams, state: Scene, action: Int[Array, ""], next_state: Scene
    ) -> Float[Array, " reward"]:
        reached = self.terminal(params, next_state).astype(jnp.float32)
        return jnp.stack([_apart(state) - _apart(next_state), reached])

    def terminal(self, params: EnvParams, state: Scene) -> Bool[Array, ""]:
        return _apart(state) <= params["reach"]

    def draw(self, params: EnvParams, state: Scene) -> Drawing:
        (x, y), (goal_x, goal_y) = state.place.tolist(), state.goal.tolist()
        shapes = (
            rectangle((0.0, 0.0), (1.0, 1.0), "ground"),
            rectangle((goal_x - HALF, goal_y - HALF), (goal_x + HALF, goal_y + HALF), "goal"),
            Disc((x, y), RADIUS, "body"),
        )
        return Drawing((0.0, 0.0), (1.0, 1.0), shapes)


def _apart(state: Scene) -> Float[Array, ""]:
    return jnp.hypot(*(state.place - state.goal))


# ---------------------------------------------------------------------------------------------------- pictures

STRIDE, STEP = np.uint32(0x9E3779B9), np.uint32(0x27D4EB2F)  # odd, and far from simple multiples of each other


def chance(seed: UInt32[Array, ""], n: int) -> Float[Array, " {n}"]:
    """Returns pseudo-random numbers in [0, 1), the same for the same seed.

    `observe` has no key and may be called repeatedly. This is MurmurHash3's finaliser over a count, without branches;
    JAX's generators would cost more than the rest of an image.
    """
    x = jnp.arange(n, dtype=jnp.uint32) * STRIDE + seed
    for shift, factor in ((16, np.uint32(0x85EBCA6B)), (13, np.uint32(0xC2B2AE35))):
        x = (x ^ (x >> shift)) * factor
    return ((x ^ (x >> 16)) >> 8).astype(jnp.float32) * 2.0**-24


def _waves(randoms: Float[Array, " number"]) -> Picture:
    """Returns waves over the image, of two to six periods, each in a colour of its own: about -1 to 1.

    It uses sin(x + y) = sin x cos y + cos x sin y: a matrix product of sines of rows and columns, not a sine per pixel.
    """
    angle, periods, phase, *colour = randoms.reshape(6, WAVES)
    turns = 2.0 * math.pi * (2.0 + 4.0 * periods)
    along = (turns * jnp.cos(2.0 * math.pi * angle))[:, None] * X[:1] + 2.0 * math.pi * phase[:, None]
    down = (turns * jnp.sin(2.0 * math.pi * angle))[:, None] * Y[:, :1].T
    both = jnp.concatenate([jnp.sin(along), jnp.cos(along)])[..., None]
    coloured = both * jnp.tile(2.0 * jnp.stack(colour, 1) - 1.0, (2, 1))[:, None]
    rows = jnp.concatenate([jnp.cos(down), jnp.sin(down)])
    return (rows.T @ coloured.reshape(2 * WAVES, -1)).reshape(PIXELS, PIXELS, 3)


def disc(at: Place, radius: float) -> Mask:
    """Returns how much of each pixel the shape covers, with a soft edge one pixel wide."""
    return _covered(radius - jnp.sqrt(jnp.square(X - at[0]) + jnp.square(Y - at[1])))


def square(at: Place, half: float) -> Mask:
    """Returns how much of each pixel an upright square covers."""
    return _covered(half - jnp.maximum(jnp.abs(X - at[0]), jnp.abs(Y - at[1])))


def _covered(inside: Mask) -> Mask:
    return jnp.clip(0.5 + PIXELS * inside, 0.0, 1.0)


def paint(picture: Picture, mask: Mask, colour: Float[np.ndarray, " 3"]) -> Picture:
    """Returns the picture painted in this colour where the mask is 1."""
    return picture + mask[..., None] * (colour[None, None] - picture)
