"""Breakout-MinAtar: keep a ball in play with a paddle, and break bricks with it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from headstart.core.types import EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.minatar.game import LAST, SIDE, Board, Channel, MinAtar, Played, block, board, disc, rounded

SERVED_FROM = 3  # row
TURNED = np.array([-1, 1])  # factor of a direction when the ball meets something above or below


class Game(Record):
    """Positions and directions. The paddle is in the last row."""

    paddle: Int[Array, ""]  # column of its middle
    ball: Int[Array, " 2"]  # row, column
    trail: Int[Array, " 2"]  # the previous position of the ball
    way: Int[Array, " 2"]  # the ball's direction in rows and columns, each 1 or -1
    bricks: Board
    struck: Bool[Array, ""]  # whether the ball just met a brick: then it passes the next one without breaking it


class Breakout(MinAtar):
    """1 for each brick; all bricks return once none is left. Losing the ball ends the episode.

    The ball moves along diagonals. The paddle reflects it upwards; it also reverses the ball's column direction if only
    the cell that the ball moves into is the paddle's.
    """

    @property
    def name(self) -> str:
        return "Breakout-MinAtar"

    @property
    def channels(self) -> tuple[Channel, ...]:
        return (
            Channel("paddle", block("body")),
            Channel("ball", disc("mark", 0.32)),
            Channel("trail", disc("ground", 0.16)),
            Channel("brick", block("limb")),
        )

    @property
    def moves(self) -> tuple[str, ...]:
        return ("stay", "left", "right")

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return (
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

    def start(self, params: EnvParams, key: Key) -> Game:
        right = jax.random.bernoulli(key).astype(jnp.int32)  # the edge where it is served
        ball = jnp.stack([jnp.int32(SERVED_FROM), LAST * right])
        way = jnp.stack([jnp.int32(1), 1 - 2 * right])
        return Game(jnp.int32(4), ball, ball, way, _wall(params), jnp.array(False))

    def play(self, params: EnvParams, game: Game, action: Int[Array, ""], key: Key) -> Played:
        move = jnp.asarray([0, -1, 1])[action] * rounded(params["paddle_speed"])
        game = game.replace(paddle=jnp.clip(game.paddle + move, 0, LAST))
        rests = jax.random.bernoulli(key, params["rest"])
        return jax.tree.map(
            lambda still, moved_game: jnp.where(rests, still, moved_game),
            Played(game, jnp.array(False), jnp.array(False)),
            _move_ball(params, game),
        )

    def show(self, params: EnvParams, game: Game) -> tuple[Board, ...]:
        last = (jnp.arange(SIDE) == LAST)[:, None]
        paddle = last & _is_covered(params, game.paddle, jnp.arange(SIDE))[None, :]
        return paddle, board(*game.ball), board(*game.trail), game.bricks


def _wall(params: EnvParams) -> Board:
    """Returns all bricks."""
    row = jnp.arange(SIDE)[:, None]
    return jnp.broadcast_to((row >= 1) & (row <= jnp.round(params["brick_rows"])), (SIDE, SIDE))


def _is_covered(params: EnvParams, paddle: Int[Array, ""], column: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """Returns whether the paddle covers a column."""
    return jnp.abs(column - paddle) <= jnp.round(params["paddle_reach"])


def _move_ball(params: EnvParams, game: Game) -> Played:
    """Returns the game after the ball has moved by one cell and hit sides, top, bricks or the paddle."""
    next_cell = game.ball + game.way
    sideways = (next_cell[1] < 0) | (next_cell[1] > LAST)
    way = jnp.where(sideways, game.way * jnp.asarray([1, -1]), game.way)
    row, column = jnp.clip(next_cell, 0, LAST)
    top = next_cell[0] < 0
    brick = ~top & game.bricks[row, column]
    breaks = brick & ~game.struck
    at_bottom = ~top & ~brick & (row == LAST)
    above = at_bottom & _is_covered(params, game.paddle, game.ball[1])  # the paddle is under the ball
    beside = at_bottom & ~above & _is_covered(params, game.paddle, column)  # the paddle is where the ball would be
    returns = breaks | above | beside  # back to the row it came from
    bounced = jnp.where(top | breaks | above, way * jnp.asarray(TURNED), jnp.where(beside, -way, way))
    bricks = game.bricks.at[row, column].set(game.bricks[row, column] & ~breaks)
    moved_game = game.replace(
        ball=jnp.stack([jnp.where(returns, game.ball[0], row), column]),
        trail=game.ball,
        way=bounced,
        bricks=jnp.where(at_bottom & ~bricks.any(), _wall(params), bricks),
        struck=brick,
    )
    return Played(moved_game, breaks, at_bottom & ~above & ~beside)
