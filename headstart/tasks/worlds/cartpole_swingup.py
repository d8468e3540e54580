"""CartPoleSwingUp: a cart swings up the pole that hangs from it, and keeps it up.

The equations are Lagrange's. With x the cart's position, a the pole's angle from upright, M the total mass, J the
pole's moment of inertia about its hinge, and (S, R) the first moment of its mass along it and to its side:

    Q = S sin a + R cos a,  P = dQ/da = S cos a - R sin a
    T = M x'²/2 + P x' a' + J a'²/2,  V = g P

and with cart friction c, joint friction d and the force F on the cart

    M x'' + P a'' = F + Q a'² - c x'
    P x'' + J a'' = g Q - d a'

The pole is a uniform rod with a point mass at its tip. The task is after experiment D of Yu et al., "Preparing for the
Unknown: Learning a Universal Policy with Online System Identification" (arXiv:1702.02453).
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Disc, Drawing, Line, rectangle
from headstart.core.env import RewardFunction
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, components

START_RANGE = 0.05  # each of the four numbers starts within ± this of hanging at rest in the middle
SUBSTEPS = 2  # of each step, because a short pole turns fast

Cart = Float[Array, " 4"]  # position (m), its speed (m/s), angle from upright (rad, within ±π), its speed (rad/s)
Motion = Float[Array, " 4"]  # the same numbers, both positions before both speeds


class CartPoleSwingUp(Env):
    """A cart on a rail, pushed by up to 40 N either way, and a pole that hangs from it. Leaving the rail ends an
    episode.

    The reward is UP-OSI's for the next state: 10 - (angle² + log(angle² + 0.1)) - 0.2 |position|. The angle is taken
    within ±π, so that rewards on the rail lie between -2.2 - 0.2 rail and 12.3. Hanging costs 2.2 per step, so that
    leaving the rail early can pay; with `w={"reward_alive": 1.3}` no step costs anything.
    """

    @property
    def name(self) -> str:
        return "CartPoleSwingUp"

    @property
    def horizon(self) -> int:
        return 500

    @property
    def observation_space(self) -> Box:
        high = (math.inf, math.inf, 1.0, 1.0, math.inf)
        names = ("cart_position m", "cart_velocity m/s", "pole_cos", "pole_sin", "pole_angular_velocity rad/s")
        return Box(tuple(-x for x in high), high, components=components(*names))

    @property
    def action_space(self) -> Box:
        return Box((-1.0,), (1.0,), components=components("force"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        # The bounds are what two substeps can integrate: a light cart under a heavy pole oscillates fast.
        return (
            Parameter("gravity", 9.81, 0.0, 30.0, "m/s²", "pull downwards"),
            Parameter("cart_mass", 1.0, 0.2, 10.0, "kg", "mass of the cart"),
            Parameter("pole_mass", 0.1, 1e-2, 5.0, "kg", "mass of the pole, a uniform rod"),
            Parameter("tip_mass", 0.5, 0.0, 5.0, "kg", "mass of the point at the pole's tip"),
            Parameter("length", 0.5, 0.1, 5.0, "m", "length of the pole, from its hinge to its tip"),
            Parameter("offset", 0.0, -0.5, 0.5, "m", "how far the tip's mass sits to the side of the pole"),
            Parameter("force", 40.0, -200.0, 200.0, "N", "the push of an action of 1; below 0, the other way"),
            Parameter("cart_friction", 0.0, 0.0, 100.0, "N·s/m", "force against the cart's speed"),
            Parameter("joint_friction", 0.0, 0.0, 10.0, "N·m·s/rad", "torque against the pole's speed"),
            Parameter("rail", 3.0, 0.5, 100.0, "m", "how far from the middle the cart can go"),
            Parameter("dt", 0.02, 1e-3, 0.04, "s", "time between two steps"),
        )

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_alive", "reward_upright", "reward_centre")

    def initial(self, params: EnvParams, key: Key) -> Cart:
        place, speed, angle, spin = jax.random.uniform(key, (4,), minval=-START_RANGE, maxval=START_RANGE)
        return jnp.stack([place, speed, _wrap_angle(math.pi + angle), spin])

    def observe(self, params: EnvParams, state: Cart) -> Float[Array, " 5"]:
        place, speed, angle, spin = state
        return jnp.stack([place, speed, jnp.cos(angle), jnp.sin(angle), spin])

    def transition(self, params: EnvParams, state: Cart, action: Float[Array, " 1"], key: Key) -> Cart:
        """Fourth-order Runge-Kutta without friction, then implicit friction, which is stable at any strength."""
        dt, push, torque = params["dt"] / SUBSTEPS, params["force"] * action[0], jnp.zeros(())
        derivative = lambda motion: jnp.concatenate([motion[2:], accelerations(params, motion, push, torque)])
        place, speed, angle, spin = state
        motion = jnp.stack([place, angle, speed, spin])
        for _ in range(SUBSTEPS):
            k1 = derivative(motion)
            k2 = derivative(motion + dt / 2 * k1)
            k3 = derivative(motion + dt / 2 * k2)
            k4 = derivative(motion + dt * k3)
            motion = _apply_friction(params, motion + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), dt)
        place, angle, speed, spin = motion
        return jnp.stack([place, speed, _wrap_angle(angle), spin])

    def cumulants(
        self, params: EnvParams, state: Cart, action: Float[Array, " 1"], next_state: Cart
    ) -> Float[Array, " 3"]:
        return _rewards(next_state[0], next_state[2])

    @property
    def reward_of(self) -> RewardFunction:
        return lambda obs, action, next_obs: _rewards(next_obs[0], jnp.arctan2(next_obs[3], next_obs[2]))

    def terminal(self, params: EnvParams, state: Cart) -> Bool[Array, ""]:
        return jnp.abs(state[0]) > params["rail"]

    def draw(self, params: EnvParams, state: Cart) -> Drawing:
        place, _, angle, _ = map(float, state)
        rail, length, offset = (float(params[name]) for name in ("rail", "length", "offset"))
        along, aside = (math.sin(angle), math.cos(angle)), (math.cos(angle), -math.sin(angle))
        tip = place + length * along[0], length * along[1]
        weight = tip[0] + offset * aside[0], tip[1] + offset * aside[1]
        reach = 1.2 * math.hypot(length, offset) + 0.1
        shapes = (
            Line(((-rail, 0.0), (rail, 0.0)), 0.04, "ground"),
            rectangle((place - 0.2, -0.08), (place + 0.2, 0.08), "body"),
            Line(((place, 0.0), tip), 0.05, "limb"),
            Line((tip, weight), 0.03, "limb"),
            Disc(weight, 0.04 + 0.05 * min(float(params["tip_mass"]), 1.0), "mark"),
        )
        return Drawing((-rail - reach, -reach), (rail + reach, reach), shapes)


def _rewards(place: Float[Array, ""], angle: Float[Array, ""]) -> Float[Array, " 3"]:
    return jnp.stack([10.0 * jnp.ones(()), -(angle**2) - jnp.log(angle**2 + 0.1), -0.2 * jnp.abs(place)])


def moments(params: EnvParams, angle: Float[Array, ""]) -> tuple[Float[Array, ""], ...]:
    """Returns M, J, P and Q of the equations above."""
    pole, tip, length, offset = (params[name] for name in ("pole_mass", "tip_mass", "length", "offset"))
    along, aside = (pole / 2 + tip) * length, tip * offset
    p = along * jnp.cos(angle) - aside * jnp.sin(angle)
    q = along * jnp.sin(angle) + aside * jnp.cos(angle)
    return params["cart_mass"] + pole + tip, (pole / 3 + tip) * length**2 + tip * offset**2, p, q


def accelerations(
    params: EnvParams, state: Motion, push: Float[Array, ""], torque: Float[Array, ""]
) -> Float[Array, " 2"]:
    """Returns the accelerations of the cart (m/s²) and the pole (rad/s²) under a force and a torque."""
    _, angle, _, spin = state
    total, inertia, p, q = moments(params, angle)
    push, torque = push + q * spin**2, torque + params["gravity"] * q
    return jnp.stack([inertia * push - p * torque, total * torque - p * push]) / (total * inertia - p**2)


def _apply_friction(params: EnvParams, state: Motion, dt: Float[Array, ""]) -> Motion:
    """Returns the motion after `dt` of friction alone, integrated implicitly."""
    place, angle, speed, spin = state
    total, inertia, p, _ = moments(params, angle)
    cart, joint = params["cart_friction"], params["joint_friction"]
    total, inertia = total + dt * cart, inertia + dt * joint
    factor = dt / (total * inertia - p**2)
    new_speed = speed - factor * (inertia * cart * speed - p * joint * spin)
    new_spin = spin - factor * (total * joint * spin - p * cart * speed)
    return jnp.stack([place, angle, new_speed, new_spin])


def _wrap_angle(angle: Float[Array, ""]) -> Float[Array, ""]:
    return (angle + math.pi) % (2 * math.pi) - math.pi
