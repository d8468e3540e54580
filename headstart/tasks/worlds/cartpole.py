"""CartPole-v1: push a cart left or right so that the pole on it stays up.

Barto, Sutton and Anderson's cart (1983) without friction, with Florian's corrected equations (2007), as in
`gymnasium/envs/classic_control/cartpole.py`: explicit Euler, thresholds and start included.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Drawing, Line, rectangle
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter, components

MAX_POSITION = 2.4  # m, maximum distance of the cart from the middle
MAX_ANGLE = 12 * 2 * math.pi / 360  # rad, maximum angle of the pole from upright
COMPONENTS = components("cart_position m", "cart_velocity m/s", "pole_angle rad", "pole_angular_velocity rad/s")
START_RANGE = 0.05  # each of the four numbers starts within ± this

Cart = Float[Array, " 4"]  # position (m), its speed (m/s), angle from upright (rad), its speed (rad/s)


class CartPole(Env):
    """Gymnasium's CartPole-v1 with its constants as parameters. 1 per step until cart or pole is too far."""

    @property
    def name(self) -> str:
        return "CartPole-v1"

    @property
    def horizon(self) -> int:
        return 500

    @property
    def observation_space(self) -> Box:
        high = (2 * MAX_POSITION, math.inf, 2 * MAX_ANGLE, math.inf)
        return Box(tuple(-x for x in high), high, components=COMPONENTS)

    @property
    def action_space(self) -> Discrete:
        return Discrete(2, components("left", "right"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter("gravity", 9.8, 0.0, 100.0, "m/s²", "pull downwards"),
            Parameter("cart_mass", 1.0, 1e-2, 1e3, "kg", "mass of the cart"),
            Parameter("pole_mass", 0.1, 1e-3, 1e3, "kg", "mass of the pole"),
            Parameter("length", 0.5, 1e-2, 1e2, "m", "half the length of the pole: from its hinge to its centre"),
            Parameter("force", 10.0, -1e3, 1e3, "N", "how hard either action pushes the cart; below 0, the other way"),
            Parameter("dt", 0.02, 1e-3, 0.1, "s", "time between two steps"),
        )

    def initial(self, params: EnvParams, key: Key) -> Cart:
        return jax.random.uniform(key, (4,), minval=-START_RANGE, maxval=START_RANGE)

    def observe(self, params: EnvParams, state: Cart) -> Float[Array, " 4"]:
        return state

    def transition(self, params: EnvParams, state: Cart, action: Int[Array, ""], key: Key) -> Cart:
        _, speed, angle, spin = state
        force = jnp.where(action == 1, params["force"], -params["force"])
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        pole, length = params["pole_mass"], params["length"]
        total = params["cart_mass"] + pole
        push = (force + pole * length * spin**2 * sin) / total
        spin_up = (params["gravity"] * sin - cos * push) / (length * (4.0 / 3.0 - pole * cos**2 / total))
        speed_up = push - pole * length * spin_up * cos / total
        return state + params["dt"] * jnp.stack([speed, speed_up, spin, spin_up])

    def cumulants(self, params: EnvParams, state: Cart, action: Int[Array, ""], next_state: Cart) -> Float[Array, " 1"]:
        return jnp.ones(1)

    def terminal(self, params: EnvParams, state: Cart) -> Bool[Array, ""]:
        place, _, angle, _ = state
        return (jnp.abs(place) > MAX_POSITION) | (jnp.abs(angle) > MAX_ANGLE)

    def draw(self, params: EnvParams, state: Cart) -> Drawing:
        place, _, angle, _ = map(float, state)
        length = 2 * float(params["length"])
        tip = place + length * math.sin(angle), 0.15 + length * math.cos(angle)
        shapes = (
            Line(((-MAX_POSITION, 0.0), (MAX_POSITION, 0.0)), 0.03, "ground"),
            rectangle((place - 0.25, 0.0), (place + 0.25, 0.15), "body"),
            Line(((place, 0.15), tip), 0.06, "limb"),
        )
        return Drawing((-MAX_POSITION, -0.3), (MAX_POSITION, max(1.5, length + 0.3)), shapes)
