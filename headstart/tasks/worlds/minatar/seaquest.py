"""Seaquest-MinAtar: a submarine shoots fish and enemy submarines, rescues divers, and comes up for air."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

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
from headstart.tasks.worlds.minatar.swarm import Enemies, Swarm, enters, pairs

MOVES = np.array([(0, 0), (0, -1), (-1, 0), (0, 1), (1, 0), (0, 0)])  # rows and columns
SHOOT = 5  # the action
DEEPEST = LAST - 1  # row; the gauges are below it
FULL = 6  # divers
MOST_ENEMIES, MOST_DIVERS, MOST_SHOTS = 32, 8, 10  # at a time; MinAtar's lists are unbounded, and never get so long
MIN_REST = 2  # steps that enemies rest at least, however often the submarine came up
DIVERS_REST = 5  # steps


class Game(Record):
    """Positions, and counters of what happens next."""

    sub: Int[Array, " 2"]  # row, and column of its front
    way: Int[Array, ""]  # 1: to the right; -1: to the left
    loads: Int[Array, ""]  # steps until it can shoot
    shots: Swarm
    enemies: Enemies
    divers: Swarm
    left: Board  # the enemies' torpedoes that move to the left
    right: Board
    oxygen: Int[Array, ""]  # steps until the air runs out
    aboard: Int[Array, ""]  # divers
    surfaced: Bool[Array, ""]
    enemy_in: Int[Array, ""]
    diver_in: Int[Array, ""]
    enemy_every: Int[Array, ""]
    enemies_rest: Int[Array, ""]
    level: Int[Array, ""]


class Seaquest(MinAtar):
    """1 for each enemy that is shot; up to 10, for the air that is left, when six divers are brought up.

    Touching an enemy or a torpedo ends the episode, and so does running out of air, or coming up without a diver.
    Coming up costs a diver (after six, as in MinAtar, the next one counts for nothing), refills the air, and brings
    more and faster enemies.
    """

    @property
    def name(self) -> str:
        return "Seaquest-MinAtar"

    @property
    def channels(self) -> tuple[Channel, ...]:
        return (
            Channel("sub_front", block("body")),
            Channel("sub_back", disc("body", 0.34)),
            Channel("shot", disc("mark", 0.2)),
            Channel("trail", disc("ground", 0.16)),
            Channel("torpedo", disc("wall", 0.2)),
            Channel("fish", disc("limb", 0.36)),
            Channel("enemy_sub", block("limb")),
            Channel("oxygen", block("mark")),
            Channel("divers_aboard", disc("goal", 0.3)),
            Channel("diver", disc("goal", 0.3)),
        )

    @property
    def moves(self) -> tuple[str, ...]:
        return ("stay", "left", "up", "right", "down", "shoot")

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return (
            Parameter("oxygen", 200.0, 20.0, 1000.0, "steps", "steps under water that the air lasts, rounded"),
            Parameter("enemy_interval", 20.0, 1.0, 1e4, "steps", "steps from one enemy to the next, rounded"),
            Parameter("diver_interval", 30.0, 1.0, 1e4, "steps", "steps from one diver to the next, rounded"),
            Parameter("armed_chance", 1 / 3, 0.0, 1.0, "chance", "chance that an enemy is a submarine, which shoots"),
            Parameter("enemy_rest", 5.0, 1.0, 10.0, "steps", "steps that enemies rest between two moves, rounded"),
            Parameter("torpedo_rest", 10.0, 1.0, 1e4, "steps", "steps that they rest between two shots, rounded"),
            Parameter(
                "reload", 5.0, 1.0, 100.0, "steps", "steps from one of the submarine's shots to the next, rounded"
            ),
            Parameter("sub_speed", 1.0, -3.0, 3.0, "cells", "cells a move goes, rounded; below 0, the other way"),
            Parameter("ramp", 1.0, 0.0, 1.0, "switch", "1: it gets harder with each time of coming up; 0: it does not"),
        )

    def start(self, params: EnvParams, key: Key) -> Game:
        enemy, diver = rounded(params["enemy_interval"]), rounded(params["diver_interval"])
        zero, nothing = jnp.int32(0), jnp.zeros((SIDE, SIDE), bool)
        more = {"armed": jnp.zeros(MOST_ENEMIES, bool), "loads": jnp.zeros(MOST_ENEMIES, jnp.int32)}
        return Game(
            sub=jnp.asarray([0, 5], jnp.int32),
            way=jnp.int32(-1),
            loads=zero,
            shots=Swarm.empty(MOST_SHOTS),
            enemies=Enemies.empty(MOST_ENEMIES, **more),
            divers=Swarm.empty(MOST_DIVERS),
            left=nothing,
            right=nothing,
            oxygen=rounded(params["oxygen"]),
            aboard=zero,
            surfaced=jnp.array(True),
            enemy_in=enemy,
            diver_in=diver,
            enemy_every=enemy,
            enemies_rest=rounded(params["enemy_rest"]),
            level=zero,
        )

    def play(self, params: EnvParams, game: Game, action: Int[Array, ""], key: Key) -> Played:
        game = _move_player(params, _spawn(params, game, key), action)
        game, shot = _move_shots(game)
        game = _move_divers(game)
        game, shot_then, touched = _move_enemies(params, game)
        game, hit = _move_torpedoes(game)
        game, gain, drowned = _breathe(params, game)
        return Played(game, shot + shot_then + gain, touched | hit | drowned)

    def show(self, params: EnvParams, game: Game) -> tuple[Board, ...]:
        row, column = game.sub
        last, columns = jnp.full(SIDE, LAST), jnp.arange(SIDE)
        air = jnp.maximum(game.oxygen, 0) * 10 // rounded(params["oxygen"])
        return (
            board(row, column),
            board(row, column - game.way),
            game.shots.board(),
            game.enemies.trail() | game.divers.trail(),
            game.left | game.right,
            game.enemies.board(~game.enemies.armed),
            game.enemies.board(game.enemies.armed),
            board(last, columns, columns < air),
            board(last, columns, (columns >= LAST - game.aboard) & (columns < LAST)),
            game.divers.board(),
        )


def _spawn(params: EnvParams, game: Game, key: Key) -> Game:
    """Returns the game with a new enemy and a new diver if it is time; no enemy where one comes the other way."""
    k_enemy, k_armed, k_diver = jax.random.split(key, 3)
    enemy, diver = enters(k_enemy), enters(k_diver)
    enemies, armed = game.enemies, jax.random.bernoulli(k_armed, params["armed_chance"])
    is_blocked = (enemies.there & (enemies.row == enemy["row"]) & (enemies.way != enemy["way"])).any()
    enemy |= {"rests": game.enemies_rest, "armed": armed, "loads": rounded(params["torpedo_rest"])}
    comes, dives = game.enemy_in == 0, game.diver_in == 0
    return game.replace(
        enemies=enemies.joined(comes & ~is_blocked, **enemy),
        divers=game.divers.joined(dives, **diver, rests=jnp.int32(DIVERS_REST)),
        enemy_in=jnp.where(comes, game.enemy_every, game.enemy_in) - 1,
        diver_in=jnp.where(dives, rounded(params["diver_interval"]), game.diver_in) - 1,
    )


def _move_player(params: EnvParams, game: Game, action: Int[Array, ""]) -> Game:
    """Returns the game after the player's action."""
    step = jnp.asarray(MOVES)[action] * rounded(params["sub_speed"])
    shoots = (action == SHOOT) & (game.loads == 0)
    way = jnp.where(step[1] == 0, game.way, jnp.sign(step[1]))
    sub = jnp.clip(game.sub + step, 0, jnp.asarray([DEEPEST, LAST]))
    return game.replace(
        sub=sub,
        way=way,
        shots=game.shots.joined(shoots, row=sub[0], column=sub[1], way=way),
        loads=jnp.maximum(jnp.where(shoots, rounded(params["reload"]), game.loads) - 1, 0),
    )


def _move_shots(game: Game) -> tuple[Game, Int[Array, ""]]:
    """Returns the game after the player's shots move, and how many enemies they hit: fish before submarines."""
    shots, enemies = game.shots.moved(game.shots.there, jnp.int32(0)), game.enemies
    used_shots, hit_enemies = pairs(shots, enemies, enemies.there, ~enemies.armed)
    return game.replace(shots=shots.without(used_shots), enemies=enemies.without(hit_enemies)), hit_enemies.sum()


def _move_divers(game: Game) -> Game:
    """Returns the game after divers move; those at the submarine come aboard before and after."""
    aboard, divers = game.aboard, game.divers
    for move in (False, True):
        if move:
            divers = divers.moved(divers.there & (divers.rests == 0), jnp.int32(DIVERS_REST))
        touched = divers.meets(game.sub)
        picked_up = touched & (touched.cumsum() <= FULL - aboard)
        aboard, divers = aboard + picked_up.sum(), divers.without(picked_up)
    return game.replace(aboard=aboard, divers=divers)


def _move_enemies(params: EnvParams, game: Game) -> tuple[Game, Int[Array, ""], Bool[Array, ""]]:
    """Returns the game after enemies move and shoot, how many ran into shots, and whether one hit the submarine."""
    enemies = game.enemies
    touched = enemies.meets(game.sub)
    swims = enemies.there & (enemies.rests == 0)
    shoots = enemies.there & enemies.armed & (enemies.loads == 0)
    moved_enemies = enemies.moved(swims, game.enemies_rest)
    touched_after_move = moved_enemies.meets(game.sub)
    used_shots, hit_enemies = pairs(game.shots, moved_enemies, swims & ~touched_after_move, moved_enemies.armed)
    torpedoes = lambda way: board(moved_enemies.row, moved_enemies.column, shoots & (moved_enemies.way == way))
    loads = jnp.where(shoots, rounded(params["torpedo_rest"]), jnp.maximum(moved_enemies.loads - 1, 0))
    game = game.replace(
        enemies=moved_enemies.without(hit_enemies).replace(loads=loads),
        shots=game.shots.without(used_shots),
        left=game.left | torpedoes(-1),
        right=game.right | torpedoes(1),
    )
    return game, hit_enemies.sum(), (touched | touched_after_move).any()


def _move_torpedoes(game: Game) -> tuple[Game, Bool[Array, ""]]:
    """Returns the game after torpedoes move, and whether one hit the submarine."""
    left, right = shifted(game.left, -1, 1), shifted(game.right, 1, 1)
    hit = (board(*game.sub) & (game.left | game.right | left | right)).any()
    return game.replace(left=left, right=right), hit


def _breathe(params: EnvParams, game: Game) -> tuple[Game, Int[Array, ""], Bool[Array, ""]]:
    """Returns the game after breathing or coming up, the reward for that, and whether it ends the game."""
    is_under_water, out_of_air = game.sub[0] > 0, game.oxygen <= 0
    surfaces = ~is_under_water & ~game.surfaced
    comes_up, full = surfaces & (game.aboard != 0), game.aboard == FULL
    max_oxygen = rounded(params["oxygen"])
    gain = jnp.where(comes_up & full, jnp.maximum(game.oxygen, 0) * 10 // max_oxygen, 0)
    game = game.replace(
        oxygen=jnp.where(comes_up, max_oxygen, game.oxygen - is_under_water),
        aboard=jnp.where(comes_up, jnp.where(full, 0, game.aboard) - 1, game.aboard),
        surfaced=~is_under_water,
    )
    return _increase_difficulty(params, game, comes_up), gain, out_of_air | (surfaces & ~comes_up)


def _increase_difficulty(params: EnvParams, game: Game, when: Bool[Array, ""]) -> Game:
    """Returns the game made harder if `when`: more and, every second time, faster enemies, within limits."""
    can_get_harder = (game.enemy_every > 1) | (game.enemies_rest > MIN_REST)
    is_due = when & can_get_harder & (rounded(params["ramp"]) == 1)
    return game.replace(
        enemies_rest=game.enemies_rest - (is_due & (game.enemies_rest > MIN_REST) & (game.level % 2 == 1)),
        enemy_every=game.enemy_every - (is_due & (game.enemy_every > 1)),
        level=game.level + is_due,
    )
