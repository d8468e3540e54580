"""Freeway-MinAtar: a chicken crosses eight lanes of cars, again and again."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from headstart.core.types import EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.minatar.game import LAST, SIDE, Board, Channel, MinAtar, Played, block, board, disc, rounded

LANES = np.arange(1, LAST)  # the cars' rows, one in each
COLUMN = 4  # the chicken's
RESTS = np.arange(1, 6)  # steps that a car may rest between two moves; each has a channel


class Game(Record):
    """Positions, and the steps until the next moves."""

    row: Int[Array, ""]  # the chicken's
    tired: Int[Array, ""]  # steps until the chicken can move again
    column: Int[Array, " 8"]  # the cars'
    way: Int[Array, " 8"]  # 1: to the right; -1: to the left
    rest: Int[Array, " 8"]  # steps between two moves
    rests: Int[Array, " 8"]  # steps until the next move


class Freeway(MinAtar):
    """1 each time the chicken reaches the top; then it returns to the bottom, and all cars change.

    Touching a car takes it back to the bottom too. Cars that leave the board return on its other side. Only truncation
    ends an episode, where MinAtar terminates.
    """

    @property
    def name(self) -> str:
        return "Freeway-MinAtar"

    @property
    def horizon(self) -> int:
        return 2500

    @property
    def channels(self) -> tuple[Channel, ...]:
        trails = (Channel(f"trail_{rest}", disc("ground", 0.34 - 0.05 * rest)) for rest in RESTS.tolist())
        return (Channel("chicken", block("body")), Channel("car", block("limb")), *trails)

    @property
    def moves(self) -> tuple[str, ...]:
        return ("stay", "up", "down")

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return (
            Parameter("least_rest", 1.0, 1.0, 5.0, "steps", "least steps that a car rests between two moves, rounded"),
            Parameter("most_rest", 5.0, 1.0, 5.0, "steps", "most steps that it does, rounded, if that is more"),
            Parameter("player_rest", 3.0, 1.0, 20.0, "steps", "steps from a move of the chicken to the next, rounded"),
            Parameter("player_speed", 1.0, -3.0, 3.0, "cells", "cells a move goes, rounded; below 0, the other way"),
        )

    def start(self, params: EnvParams, key: Key) -> Game:
        rest, way = _cars(params, key)
        return Game(jnp.int32(LAST), rounded(params["player_rest"]), jnp.zeros_like(rest), way, rest, rest)

    def play(self, params: EnvParams, game: Game, action: Int[Array, ""], key: Key) -> Played:
        moves = (game.tired == 0) & (action != 0)
        step = jnp.where(moves, jnp.asarray([0, -1, 1])[action] * rounded(params["player_speed"]), 0)
        row = jnp.clip(game.row + step, 0, LAST)
        tired = jnp.where(moves, rounded(params["player_rest"]), game.tired)
        across = row == 0
        fresh_rest, fresh_way = _cars(params, key)
        rest, way = jnp.where(across, fresh_rest, game.rest), jnp.where(across, fresh_way, game.way)
        rests = jnp.where(across, fresh_rest, game.rests)
        row = jnp.where(across, LAST, row)
        drives = rests == 0
        column = jnp.where(drives, (game.column + way) % SIDE, game.column)
        hit = ((jnp.asarray(LANES) == row) & ((game.column == COLUMN) | (column == COLUMN))).any()
        game = Game(
            row=jnp.where(hit, LAST, row),
            tired=jnp.maximum(tired - 1, 0),
            column=column,
            way=way,
            rest=rest,
            rests=jnp.where(drives, rest, rests - 1),
        )
        return Played(game, across, jnp.array(False))

    def show(self, params: EnvParams, game: Game) -> tuple[Board, ...]:
        lanes, behind = jnp.asarray(LANES), (game.column - game.way) % SIDE
        trails = (board(lanes, behind, game.rest == rest) for rest in RESTS.tolist())
        return board(game.row, jnp.int32(COLUMN)), board(lanes, game.column), *trails


def _cars(params: EnvParams, key: Key) -> tuple[Int[Array, " 8"], Int[Array, " 8"]]:
    """Returns how long each car rests between two moves, and its direction."""
    k_rest, k_way = jax.random.split(key)
    least = rounded(params["least_rest"])
    most = jnp.maximum(rounded(params["most_rest"]), least)
    rest = jax.random.randint(k_rest, LANES.shape, least, most + 1)
    return rest, jnp.where(jax.random.bernoulli(k_way, shape=LANES.shape), 1, -1).astype(jnp.int32)
