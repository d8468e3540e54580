"""SpaceInvaders-MinAtar: a cannon at the bottom shoots aliens that come down and drop bombs."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from headstart.core.types import EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.minatar.game import (
    LAST,
    SIDE,
    Board,
    Channel,
    MinAtar,
    Played,
    block,
    board,
    disc,
    rounded,
    shifted,
)

MIN_WAVE_INTERVAL = 6  # steps between two moves, the minimum for a wave
SHOOT = 3  # the action


class Game(Record):
    """Positions, and counters of what happens next. The cannon is in the last row."""

    cannon: Int[Array, ""]  # column
    shots: Board
    bombs: Board
    aliens: Board
    way: Int[Array, ""]  # the aliens' direction: 1 is to the right, -1 to the left
    loads: Int[Array, ""]  # steps until the cannon can shoot
    moves_in: Int[Array, ""]
    bombs_in: Int[Array, ""]
    moves_every: Int[Array, ""]  # steps between two moves, or the number of aliens if that is smaller


class SpaceInvaders(MinAtar):
    """1 for each alien. A bomb's or an alien's touch ends the episode, and so does an alien that leaves the last row.

    The aliens move sideways, and down by a row when one of them is at the edge. The fewer they are, the faster they
    move. The alien that is nearest to the cannon's column drops the bomb. Each wave is faster than the last.
    """

    @property
    def name(self) -> str:
        return "SpaceInvaders-MinAtar"

    @property
    def channels(self) -> tuple[Channel, ...]:
        return (
            Channel("cannon", block("body")),
            Channel("alien", block("limb")),
            Channel("alien_left", None),
            Channel("alien_right", None),
            Channel("shot", disc("mark", 0.2)),
            Channel("bomb", disc("wall", 0.2)),
        )

    @property
    def moves(self) -> tuple[str, ...]:
        return ("stay", "left", "right", "shoot")

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return (
            Parameter("alien_rows", 4.0, 1.0, 7.0, "rows", "rows of aliens in a wave, rounded"),
            Parameter("alien_interval", 12.0, 1.0, 100.0, "steps", "steps between two moves of a first wave, rounded"),
            Parameter("ramp", 1.0, 0.0, 6.0, "steps", "steps that the next wave has fewer there, rounded"),
            Parameter("bomb_interval", 10.0, 1.0, 100.0, "steps", "steps from one bomb to the next, rounded"),
            Parameter("reload", 5.0, 1.0, 100.0, "steps", "steps from one shot to the next, rounded"),
            Parameter(
                "cannon_speed", 1.0, -3.0, 3.0, "cells", "cells it moves in a step, rounded; below 0, the other way"
            ),
        )

    def start(self, params: EnvParams, key: Key) -> Game:
        every, nothing = rounded(params["alien_interval"]), jnp.zeros((SIDE, SIDE), bool)
        left, loaded = jnp.int32(-1), jnp.int32(0)
        bombs_in = rounded(params["bomb_interval"])
        return Game(jnp.int32(5), nothing, nothing, _wave(params), left, loaded, every, bombs_in, every)

    def play(self, params: EnvParams, game: Game, action: Int[Array, ""], key: Key) -> Played:
        shoots = (action == SHOOT) & (game.loads == 0)
        step = jnp.asarray([0, -1, 1, 0])[action] * rounded(params["cannon_speed"])
        cannon = jnp.clip(game.cannon + step, 0, LAST)
        here = board(jnp.int32(LAST), cannon)
        shots = shifted(game.shots | (here & shoots), -1, 0)
        bombs = shifted(game.bombs, 1, 0)
        marched, way, landed = _march(game)
        over = (here & (bombs | game.aliens | marched)).any() | landed
        bombs = bombs | (_bomber(marched, cannon) & (game.bombs_in == 0))
        hit = marched & shots
        left = marched & ~hit
        cleared = ~left.any()
        faster = jnp.maximum(game.moves_every - rounded(params["ramp"]), MIN_WAVE_INTERVAL)
        game = Game(
            cannon=cannon,
            shots=shots & ~hit,
            bombs=bombs,
            aliens=jnp.where(cleared, _wave(params), left),
            way=way,
            loads=jnp.maximum(jnp.where(shoots, rounded(params["reload"]), game.loads) - 1, 0),
            moves_in=jnp.where(game.moves_in == 0, jnp.minimum(marched.sum(), game.moves_every), game.moves_in) - 1,
            bombs_in=jnp.where(game.bombs_in == 0, rounded(params["bomb_interval"]), game.bombs_in) - 1,
            moves_every=jnp.where(cleared & (game.moves_every > MIN_WAVE_INTERVAL), faster, game.moves_every),
        )
        return Played(game, hit.sum(), over)

    def show(self, params: EnvParams, game: Game) -> tuple[Board, ...]:
        left, right = game.aliens & (game.way < 0), game.aliens & (game.way > 0)
        return board(jnp.int32(LAST), game.cannon), game.aliens, left, right, game.shots, game.bombs


def _wave(params: EnvParams) -> Board:
    """Returns a full wave of aliens, at the top."""
    row, column = jnp.arange(SIDE)[:, None], jnp.arange(SIDE)[None, :]
    return (row < rounded(params["alien_rows"])) & (column >= 2) & (column < SIDE - 2)


def _march(game: Game) -> tuple[Board, Int[Array, ""], Array]:
    """Returns the aliens, moved if it is time; their direction; and whether one of them left the last row."""
    time = game.moves_in == 0
    down = time & jnp.where(game.way < 0, game.aliens[:, 0], game.aliens[:, LAST]).any()
    sideways = jnp.where(game.way < 0, jnp.roll(game.aliens, -1, 1), jnp.roll(game.aliens, 1, 1))
    marched = jnp.where(down, shifted(game.aliens, 1, 0), jnp.where(time, sideways, game.aliens))
    return marched, jnp.where(down, -game.way, game.way), down & game.aliens[LAST].any()


def _bomber(aliens: Board, cannon: Int[Array, ""]) -> Board:
    """Returns the lowest alien of the column nearest to the cannon's; of two columns, the left one."""
    distance = jnp.abs(jnp.arange(SIDE) - cannon)
    column = jnp.where(aliens.any(0), distance, SIDE).argmin()
    row = jnp.where(aliens[:, column], jnp.arange(SIDE), -1).max()
    return board(row, column)
