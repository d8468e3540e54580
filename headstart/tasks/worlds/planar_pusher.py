"""PlanarPusher: a hand pushes a puck of unknown properties over a table to a goal.

After the task of Peng et al., "Sim-to-Real Transfer of Robotic Control with Dynamics Randomization" (arXiv:1710.06537),
with a disc for the arm. Both discs are smooth, and collisions are inelastic.

A step has a few substeps. In each, drag and friction are solved exactly for each disc alone; the time of contact is
that of straight paths; and the impact is solved together with the friction under the puck. So a puck that is pushed by
less than its friction stays where it is, and no speed lets the discs pass through each other.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from headstart.core.drawing import Disc, Drawing, rectangle
from headstart.core.types import Box, Env, EnvParams, Key, Parameter, Record, components

GRAVITY = 9.81  # m/s²
SUBSTEPS = 4
ROUNDS = 3  # iterations that find the direction of friction in an impact
COMPONENTS = tuple(
    f"{what}_{axis} {unit}"
    for what, unit in (
        ("hand", "m"),
        ("hand_velocity", "m/s"),
        ("puck", "m"),
        ("puck_velocity", "m/s"),
        ("goal", "m"),
        ("puck_from_hand", "m"),
        ("goal_from_puck", "m"),
    )
    for axis in "xy"
)
HAND_STARTS = -0.35, 0.0  # m

Pair = Float[Array, " 2"]
Number = Float[Array, ""]


class Table(Record):
    """Positions relative to the table's middle, and velocities."""

    hand: Pair  # m
    hand_velocity: Pair  # m/s
    puck: Pair  # m
    puck_velocity: Pair  # m/s
    goal: Pair  # m


class PlanarPusher(Env):
    """A hand, moved by forces, and a puck. Each step with the puck in the goal gives 1 (`reward_goal`).

    Each step costs the puck's distance from the goal (`reward_dist`), 0.3 × the hand's distance from the puck
    (`reward_near`) and 0.01 × the squared action (`reward_ctrl`). The observation is positions and velocities of hand
    and puck, the goal, the puck minus the hand, and the goal minus the puck. The table's edge stops the hand, not the
    puck. Only the horizon ends an episode; it is a success if its last step has the puck in the goal.
    """

    @property
    def name(self) -> str:
        return "PlanarPusher"

    @property
    def horizon(self) -> int:
        return 100

    @property
    def observation_space(self) -> Box:
        return Box((-math.inf,) * len(COMPONENTS), (math.inf,) * len(COMPONENTS), components=components(*COMPONENTS))

    @property
    def action_space(self) -> Box:
        return Box((-1.0, -1.0), (1.0, 1.0), components=components("x_force", "y_force"))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter("puck_mass", 0.2, 0.02, 2.0, "kg", "mass of the puck"),
            Parameter("puck_friction", 0.2, 0.0, 2.0, "coefficient", "of friction between puck and table"),
            Parameter("puck_damping", 0.1, 0.0, 5.0, "N·s/m", "drag of the puck"),
            Parameter("puck_radius", 0.05, 0.02, 0.1, "m", "radius of the puck"),
            Parameter("hand_force", 4.0, -20.0, 20.0, "N", "what an action of 1 does to the hand; below 0, opposite"),
            Parameter("hand_mass", 0.5, 0.1, 5.0, "kg", "mass of the hand"),
            Parameter("hand_damping", 4.0, 0.0, 50.0, "N·s/m", "drag of the hand"),
            Parameter("hand_radius", 0.05, 0.02, 0.1, "m", "radius of the hand"),
            Parameter("reach", 0.5, 0.1, 2.0, "m", "how far the hand can go from the table's middle, each way"),
            Parameter("puck_x", -0.15, -2.0, 2.0, "m", "where the puck starts, from left to right"),
            Parameter("puck_y", 0.0, -2.0, 2.0, "m", "where the puck starts, from bottom to top"),
            Parameter("start_spread", 0.05, 0.0, 0.5, "m", "hand and puck start uniformly within ± this of there"),
            Parameter("goal_x", 0.2, -2.0, 2.0, "m", "middle of the goals, from left to right"),
            Parameter("goal_y", 0.0, -2.0, 2.0, "m", "middle of the goals, from bottom to top"),
            Parameter("goal_spread", 0.2, 0.0, 2.0, "m", "goals are uniform within ± this of their middle"),
            Parameter("goal_radius", 0.07, 0.0, 1.0, "m", "how near to the goal the puck's middle counts as there"),
            Parameter("dt", 0.05, 1e-3, 0.1, "s", "time between two steps"),
        )

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_dist", "reward_near", "reward_goal", "reward_ctrl")

    def initial(self, params: EnvParams, key: Key) -> Table:
        middles = (jnp.array(HAND_STARTS), _place(params, "puck"), _place(params, "goal"))
        spreads = (params["start_spread"], params["start_spread"], params["goal_spread"])
        draws = jax.random.uniform(key, (3, 2), minval=-1.0)
        hand, puck, goal = (m + s * draw for m, s, draw in zip(middles, spreads, draws, strict=True))
        return Table(jnp.clip(hand, -params["reach"], params["reach"]), jnp.zeros(2), puck, jnp.zeros(2), goal)

    def observe(self, params: EnvParams, state: Table) -> Float[Array, " 14"]:
        moving = (state.hand, state.hand_velocity, state.puck, state.puck_velocity)
        return jnp.concatenate([*moving, state.goal, state.puck - state.hand, state.goal - state.puck])

    def transition(self, params: EnvParams, state: Table, action: Pair, key: Key) -> Table:
        force, h = params["hand_force"] * action, params["dt"] / SUBSTEPS
        return jax.lax.fori_loop(0, SUBSTEPS, lambda _, table: advance(params, table, force, h), state)

    def cumulants(self, params: EnvParams, state: Table, action: Pair, next_state: Table) -> Float[Array, " 4"]:
        far = _length(next_state.goal - next_state.puck)
        near = _length(next_state.puck - next_state.hand)
        reached = (far <= params["goal_radius"]).astype(jnp.float32)
        return jnp.stack([-far, -0.3 * near, reached, -0.01 * (action**2).sum()])

    def terminal(self, params: EnvParams, state: Table) -> Bool[Array, ""]:
        return jnp.zeros((), bool)

    def draw(self, params: EnvParams, state: Table) -> Drawing:
        names = ("reach", "hand_radius", "puck_radius", "goal_radius")
        reach, hand, puck, goal = (float(params[name]) for name in names)
        place = lambda pair: (float(pair[0]), float(pair[1]))
        edge = reach + hand
        side = max(edge, *(abs(x) for x in place(state.goal))) + 0.1
        shapes = (
            rectangle((-edge, -edge), (edge, edge), "ground"),
            Disc(place(state.goal), goal, "goal"),
            Disc(place(state.puck), puck, "body"),
            Disc(place(state.hand), hand, "limb"),
        )
        return Drawing((-side, -side), (side, side), shapes)


def advance(params: EnvParams, table: Table, force: Pair, h: Number) -> Table:
    """Returns the table after `h` seconds: the discs move freely until they meet, and then as after the impact."""
    mass, radius = params["hand_mass"], params["hand_radius"] + params["puck_radius"]
    decay, time = _drag(params["hand_damping"] / mass, h)
    hand_free = decay * table.hand_velocity + time * force / mass
    decay, time = _drag(params["puck_damping"] / params["puck_mass"], h)
    gliding, grip = decay * table.puck_velocity, GRAVITY * params["puck_friction"] * time
    # Before they meet: mean velocities make positions as exact as velocities.
    hand_before = (table.hand_velocity + hand_free) / 2
    puck_before = (table.puck_velocity + apply_friction(gliding, grip)) / 2
    in_contact, when = contact_time(table.puck - table.hand, puck_before - hand_before, radius, h)
    hand, puck = table.hand + when * hand_before, table.puck + when * puck_before
    hand_hit, puck_hit = impact(_direction(puck - hand), hand_free, gliding, params["puck_mass"] / mass, grip)
    hand_velocity = jnp.where(in_contact, hand_hit, hand_free)
    puck_velocity = jnp.where(in_contact, puck_hit, apply_friction(gliding, grip))
    hand, puck = hand + (h - when) * hand_velocity, puck + (h - when) * puck_velocity
    clipped_hand = jnp.clip(hand, -params["reach"], params["reach"])
    # Discs overlap only if the edge holds the hand against the puck, or if they start so.
    overlap = jnp.maximum(radius - _length(puck - clipped_hand), 0.0)
    return Table(
        clipped_hand,
        jnp.where(clipped_hand == hand, hand_velocity, 0.0),
        puck + overlap * _direction(puck - clipped_hand),
        puck_velocity,
        table.goal,
    )


def apply_friction(velocity: Pair, grip: Number) -> Pair:
    """Returns a velocity after friction that can reduce the speed by `grip`: slower or 0, never reversed."""
    return velocity * jnp.maximum(1.0 - grip / jnp.maximum(_length(velocity), 1e-12), 0.0)


def contact_time(apart: Pair, velocity: Pair, radius: Number, h: Number) -> tuple[Bool[Array, ""], Number]:
    """Returns whether two discs meet within `h`, and when; `h` if they do not.

    `apart` and `velocity` are of one disc relative to the other, `radius` is the sum of both radii. Touching discs meet
    at once if they approach each other, and not if they separate.
    """
    closing, speed = -(apart @ velocity), velocity @ velocity
    outside = apart @ apart - radius**2
    root = closing**2 - speed * outside
    time = outside / jnp.maximum(closing + jnp.sqrt(jnp.maximum(root, 0.0)), 1e-12)
    in_contact = (closing > 0.0) & (root >= 0.0) & (time <= h)
    return in_contact, jnp.where(in_contact, jnp.maximum(time, 0.0), h)


def impact(normal: Pair, hand: Pair, puck: Pair, ratio: Number, grip: Number) -> tuple[Pair, Pair]:
    """Returns the velocities of hand and puck after an inelastic impact, with friction under the puck.

    Along the normal, the hand has the speed w before, and the puck a; across it, the puck has b. An impulse that gives
    the puck y in place of a leaves w - r (y - a) to the hand, with r the ratio of the puck's mass to the hand's.
    Friction then reduces |u| by g, where u = (y, b). They move on together if

        y (1 - g / |u|) = w - r (y - a),

    or the impulse stops the hand, and friction the puck, if it can: y = a + w / r, |u| <= g.
    """
    w, a = hand @ normal, puck @ normal
    b = _length(puck - a * normal)
    held = a + w / ratio
    y = held  # of the sign that is sought, so this is the most friction along the normal
    share = jnp.where(held > 0.0, 1.0, 0.0)
    for _ in range(ROUNDS):  # converges from above: the discs may separate a little, but never overlap
        y = (w + ratio * a + grip * share) / (1 + ratio)
        share = y / jnp.maximum(jnp.hypot(y, b), 1e-12)
    y = jnp.maximum(jnp.where(jnp.hypot(held, b) <= grip, held, y), a)  # a hand does not pull
    return hand - ratio * (y - a) * normal, apply_friction(puck + (y - a) * normal, grip)


def _drag(rate: Number, h: Number) -> tuple[Number, Number]:
    """Returns the share of a velocity that drag (1/s) leaves after `h`, and the effective time of a constant force."""
    x = rate * h
    return jnp.exp(-x), h * jnp.where(x > 1e-6, -jnp.expm1(-x) / jnp.maximum(x, 1e-6), 1.0)


def _place(params: EnvParams, what: str) -> Pair:
    return jnp.stack([params[f"{what}_x"], params[f"{what}_y"]])


def _length(pair: Pair) -> Number:
    return jnp.sqrt(pair @ pair)


def _direction(pair: Pair) -> Pair:
    """Returns the unit vector; (1, 0) for the zero vector."""
    length = _length(pair)
    return jnp.where(length > 0.0, pair / jnp.maximum(length, 1e-12), jnp.array([1.0, 0.0]))
