"""Asterix-MinAtar: move around, collect the treasures that cross the board, and avoid the enemies."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from headstart.core.types import EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.minatar.game import LAST, Board, Channel, MinAtar, Played, block, board, disc, rounded

LANES = np.arange(1, LAST)  # the rows that treasures and enemies cross, one in each
MOVES = np.array([(0, 0), (0, -1), (-1, 0), (0, 1), (1, 0)])  # rows and columns


class Game(Record):
    """Positions, and counters of what happens next."""

    player: Int[Array, " 2"]  # row, column
    there: Bool[Array, " 8"]  # whether something is in the lane
    column: Int[Array, " 8"]
    way: Int[Array, " 8"]  # 1: to the right; -1: to the left
    gold: Bool[Array, " 8"]  # a treasure; else an enemy
    spawns_in: Int[Array, ""]  # steps
    moves_in: Int[Array, ""]
    harder_in: Int[Array, ""]
    spawns_every: Int[Array, ""]
    moves_every: Int[Array, ""]
    level: Int[Array, ""]


class Asterix(MinAtar):
    """1 for each treasure. Touching an enemy ends the episode.

    Every few steps something new enters a free lane at an edge, and everything moves on by a cell; both happen more
    often as time goes by.
    """

    @property
    def name(self) -> str:
        return "Asterix-MinAtar"

    @property
    def channels(self) -> tuple[Channel, ...]:
        return (
            Channel("player", block("body")),
            Channel("enemy", disc("limb", 0.36)),
            Channel("trail", disc("ground", 0.16)),
            Channel("gold", disc("goal", 0.36)),
        )

    @property
    def moves(self) -> tuple[str, ...]:
        return ("stay", "left", "up", "right", "down")

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return (
            Parameter("gold_chance", 1 / 3, 0.0, 1.0, "chance", "chance that what comes in is a treasure"),
            Parameter("spawn_interval", 10.0, 1.0, 100.0, "steps", "steps from one to the next that comes in, rounded"),
            Parameter("move_interval", 5.0, 1.0, 50.0, "steps", "steps from one of their moves to the next, rounded"),
            Parameter("ramp_interval", 100.0, 1.0, 1e4, "steps", "steps until it gets harder once more, rounded"),
            Parameter("player_speed", 1.0, -3.0, 3.0, "cells", "cells a move goes, rounded; below 0, the other way"),
        )

    def start(self, params: EnvParams, key: Key) -> Game:
        no, zero = jnp.zeros(len(LANES), bool), jnp.zeros(len(LANES), jnp.int32)
        spawns, moves, ramp = (rounded(params[f"{name}_interval"]) for name in ("spawn", "move", "ramp"))
        middle = jnp.full(2, 5, jnp.int32)
        return Game(middle, no, zero, zero + 1, no, spawns, moves, ramp, spawns, moves, jnp.int32(0))

    def play(self, params: EnvParams, game: Game, action: Int[Array, ""], key: Key) -> Played:
        game = jax.tree.map(lambda new, old: jnp.where(game.spawns_in == 0, new, old), _spawn(params, game, key), game)
        step = jnp.asarray(MOVES)[action] * rounded(params["player_speed"])
        game = game.replace(player=jnp.clip(game.player + step, jnp.asarray([1, 0]), jnp.asarray([LAST - 1, LAST])))
        touched = game.there & _with_player(game)
        collected = touched & game.gold
        moves = game.moves_in == 0
        game = game.replace(there=game.there & ~collected, column=game.column + jnp.where(moves, game.way, 0))
        game = game.replace(there=game.there & (game.column >= 0) & (game.column <= LAST))
        touched_after_move = moves & game.there & _with_player(game)
        collected_after_move = touched_after_move & game.gold
        game = game.replace(
            there=game.there & ~collected_after_move,
            spawns_in=jnp.where(game.spawns_in == 0, game.spawns_every, game.spawns_in) - 1,
            moves_in=jnp.where(moves, game.moves_every, game.moves_in) - 1,
        )
        enemy = ((touched | touched_after_move) & ~game.gold).any()
        return Played(_increase_difficulty(params, game), collected.sum() + collected_after_move.sum(), enemy)

    def show(self, params: EnvParams, game: Game) -> tuple[Board, ...]:
        lanes_board = lambda column, there: board(jnp.asarray(LANES), column, there)
        enemy, gold = (lanes_board(game.column, game.there & kind) for kind in (~game.gold, game.gold))
        return board(*game.player), enemy, lanes_board(game.column - game.way, game.there), gold


def _with_player(game: Game) -> Bool[Array, " 8"]:
    """Returns whether the player is in the lane, at the thing's column or the given one."""
    return (jnp.asarray(LANES) == game.player[0]) & (game.column == game.player[1])


def _spawn(params: EnvParams, game: Game, key: Key) -> Game:
    """Returns the game with something new in a free lane, if there is one."""
    k_way, k_gold, k_lane = jax.random.split(key, 3)
    right = jax.random.bernoulli(k_way)
    lane = jax.random.categorical(k_lane, jnp.where(game.there, -jnp.inf, 0.0))
    new = (jnp.arange(len(LANES)) == lane) & ~game.there
    return game.replace(
        there=game.there | new,
        column=jnp.where(new, jnp.where(right, 0, LAST), game.column),
        way=jnp.where(new, jnp.where(right, 1, -1), game.way),
        gold=jnp.where(new, jax.random.bernoulli(k_gold, params["gold_chance"]), game.gold),
    )


def _increase_difficulty(params: EnvParams, game: Game) -> Game:
    """Returns the game made harder if it is time: more and, every second time, faster things."""
    can_get_harder = (game.spawns_every > 1) | (game.moves_every > 1)
    is_due = can_get_harder & (game.harder_in < 0)
    faster = is_due & (game.moves_every > 1) & (game.level % 2 == 1)
    return game.replace(
        moves_every=game.moves_every - faster,
        spawns_every=game.spawns_every - (is_due & (game.spawns_every > 1)),
        level=game.level + is_due,
        harder_in=jnp.where(is_due, rounded(params["ramp_interval"]), game.harder_in - can_get_harder),
    )
