"""Breakout-MinAtar: keep a ball in play with a paddle, and break bricks with it; seen as an image of 10 x 10 cells.

The rules are those of MinAtar's Breakout (Young and Tian 2019, arXiv:1903.03176; in doubt, what `kenjyoung/MinAtar`
does). Here an episode is truncated, and only actions that do something are offered.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from headstart.core.drawing import Disc, Drawing, Line, Shape, rectangle
from headstart.core.types import Discrete, Env, Image, Key, Parameter, Params, Record

SIDE = 10  # cells
BOTTOM = SIDE - 1  # the row of the paddle; rows are counted from the top
SERVED_FROM = 3  # row
PADDLE, BALL, TRAIL, BRICK = range(4)  # channels
TURNED = np.array([-1, 1])  # by which a way is multiplied where it meets something above or below


class Game(Record):
    """Where everything is."""

    paddle: Int[Array, ""]  # column of its middle
    ball: Int[Array, " 2"]  # row, column
    trail: Int[Array, " 2"]  # where the ball was
    way: Int[Array, " 2"]  # rows and columns to where it goes, each 1 or -1
    bricks: Bool[Array, "10 10"]
    struck: Bool[Array, ""]  # whether the ball met a brick just now: it breaks no two in a row, but flies through
    lost: Bool[Array, ""]
    pressed: Int[Array, ""]  # the action that acted last


class Breakout(Env):
    """Three choices: stay, left, right. 1 for each brick; all rows come back once none is left. A lost ball is the end.

    The ball flies along diagonals. From the paddle it goes on to the side it came for, or back if only the cell that it
    flies into is the paddle's. Seen are paddle, ball, the ball's last cell and bricks.
    """

    @property
    def name(self) -> str:
        return "Breakout-MinAtar"

    @property
    def horizon(self) -> int:
        return 1000

    @property
    def observation(self) -> Image:
        return Image((SIDE, SIDE, 4))

    @property
    def action(self) -> Discrete:
        return Discrete(3)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                "sticky", 0.1, 0.0, 1.0, "chance", "chance that the last action acts again instead of the new one"
            ),
            Parameter(
                "brick_rows", 3.0, 1.0, 7.0, "rows", "rows of bricks, rounded, from the second row of cells down"
            ),
            Parameter(
                "paddle_reach", 0.0, 0.0, 4.0, "cells", "cells of the paddle on either side of its middle, rounded"
            ),
            Parameter(
                "paddle_speed", 1.0, -3.0, 3.0, "cells", "cells it moves in a step, rounded; below 0, the other way"
            ),
            Parameter("rest", 0.0, 0.0, 0.9, "chance", "chance that the ball rests for a step: it is slower then"),
        )

    def initial(self, params: Params, key: Key) -> Game:
        right = jax.random.bernoulli(key).astype(jnp.int32)  # which edge it is served from
        ball = jnp.stack([jnp.int32(SERVED_FROM), BOTTOM * right])
        way = jnp.stack([jnp.int32(1), 1 - 2 * right])
        nothing, no = jnp.int32(0), jnp.array(False)
        return Game(jnp.int32(4), ball, ball, way, _wall(params), no, no, nothing)

    def observe(self, params: Params, state: Game) -> Bool[Array, "10 10 4"]:
        at = lambda cell: jnp.zeros((SIDE, SIDE), bool).at[cell[0], cell[1]].set(True)
        bottom = (jnp.arange(SIDE) == BOTTOM)[:, None]
        paddle = bottom & _covered(params, state.paddle, jnp.arange(SIDE))[None, :]
        return jnp.stack([paddle, at(state.ball), at(state.trail), state.bricks], -1)

    def transition(self, params: Params, state: Game, action: Int[Array, ""], key: Key) -> Game:
        k_stick, k_rest = jax.random.split(key)
        pressed = jnp.where(jax.random.bernoulli(k_stick, params["sticky"]), state.pressed, action)
        move = jnp.asarray([0, -1, 1])[pressed] * jnp.round(params["paddle_speed"]).astype(jnp.int32)
        state = state.replace(paddle=jnp.clip(state.paddle + move, 0, BOTTOM), pressed=pressed.astype(jnp.int32))
        rests = jax.random.bernoulli(k_rest, params["rest"])
        return jax.tree.map(lambda still, flown: jnp.where(rests, still, flown), state, _fly(params, state))

    def cumulants(self, params: Params, state: Game, action: Int[Array, ""], next_state: Game) -> Array:
        return (next_state.struck & ~state.struck).astype(jnp.float32)[None]

    def terminal(self, params: Params, state: Game) -> Bool[Array, ""]:
        return state.lost

    def draw(self, params: Params, state: Game) -> Drawing:
        rows, columns = np.nonzero(np.asarray(state.bricks))
        bricks = [_block(int(row), int(column), "limb") for row, column in zip(rows, columns, strict=True)]
        under = np.flatnonzero(_covered(params, state.paddle, jnp.arange(SIDE)))
        paddle = [_block(BOTTOM, int(column), "body") for column in under]
        trail, ball = (_middle(cell) for cell in (state.trail, state.ball))
        flight = (Line((trail, ball), 0.12, "ground"), Disc(trail, 0.16, "ground"), Disc(ball, 0.32, "mark"))
        edge = [((0.0, 0.0), (0.0, 10.0)), ((0.0, 10.0), (10.0, 10.0)), ((10.0, 10.0), (10.0, 0.0))]
        walls = [Line(ends, 0.12, "wall") for ends in edge]
        return Drawing((-0.1, -0.1), (10.1, 10.1), (*bricks, *paddle, *flight, *walls))


def _wall(params: Params) -> Bool[Array, "10 10"]:
    """-> fresh bricks."""
    row = jnp.arange(SIDE)[:, None]
    return jnp.broadcast_to((row >= 1) & (row <= jnp.round(params["brick_rows"])), (SIDE, SIDE))


def _covered(params: Params, paddle: Int[Array, ""], column: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """-> whether the paddle is in a column."""
    return jnp.abs(column - paddle) <= jnp.round(params["paddle_reach"])


def _fly(params: Params, state: Game) -> Game:
    """-> the game once the ball has flown one cell, and what that hit is settled: sides, then top, brick or paddle."""
    ahead = state.ball + state.way
    sideways = (ahead[1] < 0) | (ahead[1] > BOTTOM)
    way = jnp.where(sideways, state.way * jnp.asarray([1, -1]), state.way)
    row, column = jnp.clip(ahead, 0, BOTTOM)
    top = ahead[0] < 0
    brick = ~top & state.bricks[row, column]
    breaks = brick & ~state.struck
    low = ~top & ~brick & (row == BOTTOM)
    above = low & _covered(params, state.paddle, state.ball[1])  # the paddle is under the ball
    beside = low & ~above & _covered(params, state.paddle, column)  # it is where the ball would be
    back = breaks | above | beside  # to the row it came from
    bounced = jnp.where(top | breaks | above, way * jnp.asarray(TURNED), jnp.where(beside, -way, way))
    bricks = state.bricks.at[row, column].set(state.bricks[row, column] & ~breaks)
    return state.replace(
        ball=jnp.stack([jnp.where(back, state.ball[0], row), column]),
        trail=state.ball,
        way=bounced,
        bricks=jnp.where(low & ~bricks.any(), _wall(params), bricks),
        struck=brick,
        lost=low & ~above & ~beside,
    )


def _middle(cell: Int[Array, " 2"]) -> tuple[float, float]:
    row, column = map(int, cell)
    return column + 0.5, BOTTOM - row + 0.5


def _block(row: int, column: int, role) -> Shape:
    left, bottom = float(column), float(BOTTOM - row)
    return rectangle((left + 0.06, bottom + 0.1), (left + 0.94, bottom + 0.9), role)
