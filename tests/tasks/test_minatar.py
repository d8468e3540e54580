"""What MinAtar's games share, and the rules of Asterix, Freeway and SpaceInvaders by hand."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import EnvParams
from headstart.tasks.worlds import WORLDS, Asterix, Breakout, Freeway, Seaquest, SpaceInvaders
from headstart.tasks.worlds.minatar import asterix, freeway, space_invaders
from headstart.tasks.worlds.minatar.game import MinAtar, board

KEY = jax.random.key(0)
GAMES = [Asterix(), Breakout(), Freeway(), Seaquest(), SpaceInvaders()]
STAY, LEFT, UP, RIGHT, DOWN = range(5)  # Asterix' actions


@functools.cache
def compiled(world: MinAtar, method: str) -> Callable:
    """Returns one of its methods, compiled once."""
    return jax.jit(getattr(world, method))


def params(world: MinAtar, **changed: float) -> EnvParams:
    return {name: jnp.float32(x) for name, x in {**world.defaults, "sticky": 0.0, **changed}.items()}


def started(world: MinAtar, given: dict[str, float] | None = None, **changed: Any) -> Any:
    """Returns the first state of the game, with some fields changed."""
    game = compiled(world, "start")(params(world, **(given or {})), KEY)
    like = lambda x, old: jnp.broadcast_to(jnp.asarray(x, old.dtype), old.shape)
    return game.replace(**{name: like(x, getattr(game, name)) for name, x in changed.items()})


def played(world: MinAtar, game: Any, action: int = 0, key: Any = KEY, **given: float) -> tuple[Any, float, bool]:
    """Returns the game after one step, the score, and whether it is over."""
    then, scored, over = compiled(world, "play")(params(world, **given), game, jnp.int32(action), key)
    return then, float(scored), bool(over)


def cells(board: Any) -> list[list[int]]:
    return np.argwhere(np.asarray(board)).tolist()


# ------------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("world", GAMES, ids=lambda world: world.name)
def test_a_game_shows_a_bit_for_each_channel_and_as_many_actions_as_moves(world: MinAtar):
    state = compiled(world, "initial")(params(world), KEY)
    observation = compiled(world, "observe")(params(world), state)
    assert (observation.shape, observation.dtype) == (world.observation_space.shape, jnp.dtype("bool"))
    assert observation.shape == (10, 10, len(world.channels))
    assert world.action_space.n == len(set(world.moves))
    assert world.parameters[0].name == "sticky"
    assert WORLDS[world.name]() == world


def test_actions_stick_with_the_given_probability():
    world = SpaceInvaders()
    state = compiled(world, "initial")(params(world), KEY).replace(pressed=jnp.int32(1))
    many = jax.jit(jax.vmap(world.transition, in_axes=(None, None, None, 0)))
    then = many(params(world, sticky=0.1), state, jnp.int32(2), jax.random.split(KEY, 2000))
    assert float((then.game.cannon == 4).mean()) == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(then.pressed == 1, then.game.cannon == 4)


def test_cells_beyond_the_edge_are_dropped():
    row, column = jnp.array([0, 1, 2, 3]), jnp.array([0, -1, 10, 9])
    assert cells(board(row, column)) == [[0, 0], [3, 9]]
    assert cells(board(row, column, jnp.array([False, True, True, True]))) == [[3, 9]]


# ------------------------------------------------------------------------------------------------- Asterix


def lane(row: int, column: int, way: int = 1, gold: bool = False, **changed: Any) -> asterix.Game:
    """Returns Asterix with one thing, and the player in the middle."""
    return started(Asterix(), there=np.arange(1, 9) == row, column=column, way=way, gold=gold, **changed)


def test_asterix_walks_within_the_lanes():
    world = Asterix()
    where = lambda player, action, **given: played(world, started(world, player=player), action, **given)[
        0
    ].player.tolist()
    assert [where([5, 5], a) for a in range(5)] == [[5, 5], [5, 4], [4, 5], [5, 6], [6, 5]]
    assert [where([1, 0], a) for a in (LEFT, UP)] == [[1, 0], [1, 0]]
    assert [where([8, 9], a) for a in (RIGHT, DOWN)] == [[8, 9], [8, 9]]
    assert where([5, 5], LEFT, player_speed=-1) == [5, 6]


@pytest.mark.parametrize("gold", [False, True])
def test_asterix_takes_treasures_and_enemies_end_it_whichever_side_moves(gold: bool):
    world, expected = Asterix(), ((1.0, False) if gold else (0.0, True))
    walked = played(world, lane(5, 6, gold=gold), RIGHT)
    assert walked[1:] == expected
    assert bool(walked[0].there.any()) != gold
    came = played(world, lane(5, 4, gold=gold, moves_in=0))
    assert came[1:] == expected
    assert played(world, lane(5, 4, gold=gold, moves_in=1))[1:] == (0.0, False)  # not yet
    assert played(world, lane(5, 4, way=-1, gold=gold, moves_in=0))[1:] == (0.0, False)  # it goes the other way
    assert played(world, lane(4, 6, gold=gold), RIGHT)[1:] == (0.0, False)  # another lane


def test_asterix_things_move_now_and_then_and_leave_at_the_edge():
    world, game = Asterix(), lane(3, 8)
    columns = []
    for _ in range(12):
        game, *_ = played(world, game)
        columns.append(int(game.column[2]) if game.there[2] else None)
    assert columns == [8] * 5 + [9] * 5 + [None] * 2
    enemy, trail, gold = world.show({}, lane(3, 8))[1:]
    assert (cells(enemy), cells(trail), cells(gold)) == ([[3, 8]], [[3, 7]], [])
    enemy, trail, gold = world.show({}, lane(3, 9, way=-1, gold=True))[1:]
    assert (cells(enemy), cells(trail), cells(gold)) == ([], [], [[3, 9]])


def test_asterix_things_come_in_at_the_edges_of_free_lanes():
    world = Asterix()
    many = jax.jit(jax.vmap(world.play, in_axes=(None, None, None, 0)))
    collected = np.arange(8) < 6
    game = started(world, there=collected, column=5, spawns_in=0, moves_in=3)
    then = many(params(world), game, jnp.int32(STAY), jax.random.split(KEY, 3000)).game
    new = np.asarray(then.there) & ~collected
    assert (new.sum(1) == 1).all()
    assert new.mean(0)[6:] == pytest.approx([0.5, 0.5], abs=0.03)
    assert np.asarray(then.gold)[new].mean() == pytest.approx(1 / 3, abs=0.03)
    way, column = np.asarray(then.way)[new], np.asarray(then.column)[new]
    assert way.mean() == pytest.approx(0.0, abs=0.06)
    np.testing.assert_array_equal(column, np.where(way == 1, 0, 9))
    assert int(then.spawns_in[0]) == 9
    full, *_ = played(world, started(world, there=True, column=5, player=[8, 0], spawns_in=0))
    assert full.column.tolist() == [5] * 8
    none = many(params(world, gold_chance=0), game, jnp.int32(STAY), jax.random.split(KEY, 3000)).game
    assert not (np.asarray(none.gold) & ~collected).any()


def test_asterix_gets_harder_and_faster_every_second_time():
    world, game = Asterix(), started(Asterix(), harder_in=-1)
    game, *_ = played(world, game)
    assert (int(game.spawns_every), int(game.moves_every), int(game.harder_in)) == (9, 5, 100)
    game, *_ = played(world, game.replace(harder_in=jnp.int32(-1)))
    assert (int(game.spawns_every), int(game.moves_every), int(game.level)) == (8, 4, 2)
    end = started(world, spawns_every=1, moves_every=1, harder_in=-1)
    assert int(played(world, end)[0].level) == 0


# ------------------------------------------------------------------------------------------------- Freeway


def road(**changed: Any) -> freeway.Game:
    """Returns cars at the left edge that all move right and rest for long, unless given otherwise."""
    return started(Freeway(), **{"way": 1, "rest": 5, "rests": 5, "tired": 0, **changed})


def test_freeway_the_chicken_moves_every_third_step_and_scores_at_the_top():
    world, game, rows = Freeway(), road(row=3), []
    for _ in range(7):
        game, scored, over = played(world, game, 1)
        rows.append((int(game.row), scored))
        assert not over
    assert rows == [(2, 0.0)] * 3 + [(1, 0.0)] * 3 + [(9, 1.0)]
    assert int(played(world, road(row=5), 2)[0].row) == 6
    assert int(played(world, road(row=5), 2, player_speed=-1)[0].row) == 4
    assert int(played(world, road(row=9), 2)[0].row) == 9


def test_freeway_all_cars_change_at_the_top():
    world = Freeway()
    many = jax.jit(jax.vmap(world.play, in_axes=(None, None, None, 0)))
    then = many(params(world), road(row=1, column=7), jnp.int32(1), jax.random.split(KEY, 500)).game
    shares = [(np.asarray(then.rest) == rest).mean() for rest in range(1, 6)]
    assert shares == pytest.approx([0.2] * 5, abs=0.03)
    assert np.asarray(then.way).mean() == pytest.approx(0.0, abs=0.06)
    np.testing.assert_array_equal(then.rests, then.rest - 1)
    assert (np.asarray(then.column) == 7).all()
    two = world.start(params(world, least_rest=2, most_rest=2), KEY)
    assert two.rest.tolist() == [2] * 8
    odd = world.start(params(world, least_rest=4, most_rest=2), KEY)
    assert odd.rest.tolist() == [4] * 8


def test_freeway_a_car_sends_the_chicken_back():
    world = Freeway()
    assert int(played(world, road(row=5, column=4))[0].row) == 9  # it stands there
    assert int(played(world, road(row=5, column=3, rests=0))[0].row) == 9  # it comes
    assert int(played(world, road(row=5, column=5, rests=0, way=-1))[0].row) == 9
    assert int(played(world, road(row=6, column=np.where(np.arange(1, 9) == 5, 4, 0)), 1)[0].row) == 9  # walked into
    assert int(played(world, road(row=5, column=3))[0].row) == 5


def test_freeway_cars_rest_come_in_again_and_leave_their_trail():
    world, game, columns = Freeway(), road(column=8, rest=1, rests=0), []
    for _ in range(5):
        game, *_ = played(world, game)
        columns.append(int(game.column[0]))
    assert columns == [9, 9, 0, 0, 1]
    observation = world.show({}, road(column=np.arange(8), rest=[1, 2, 3, 4, 5, 1, 1, 1], way=[-1] + [1] * 7))
    assert cells(observation[0]) == [[9, 4]]
    assert cells(observation[1]) == [[i + 1, i] for i in range(8)]
    assert [cells(trail) for trail in observation[3:]] == [[[2, 0]], [[3, 1]], [[4, 2]], [[5, 3]]]
    assert cells(observation[2]) == [[1, 1], [6, 4], [7, 5], [8, 6]]
    assert cells(world.show({}, road(column=0, rest=1))[2]) == [[i, 9] for i in range(1, 9)]
    assert world.horizon == 2500


# ------------------------------------------------------------------------------------------------- SpaceInvaders


def wave(aliens: Any = ((2, 5),), **changed: Any) -> space_invaders.Game:
    """Returns only those aliens; they move left, and neither move nor drop bombs soon."""
    marked = {
        name: np.isin(np.arange(100).reshape(10, 10), [10 * row + column for row, column in where])
        for name, where in {"aliens": aliens, "shots": (), "bombs": (), **changed}.items()
        if name in ("aliens", "shots", "bombs")
    }
    return started(SpaceInvaders(), **{"moves_in": 5, "bombs_in": 5, **changed, **marked})


def test_space_invaders_starts_with_a_wave_above_a_cannon():
    world = SpaceInvaders()
    cannon, alien, left, right, shot, bomb = world.show({}, started(world))
    assert cells(cannon) == [[9, 5]]
    assert cells(alien) == [[row, column] for row in range(4) for column in range(2, 8)] == cells(left)
    assert not (right | shot | bomb).any()
    assert started(world, {"alien_rows": 2.0}).aliens.sum() == 12


def test_space_invaders_the_cannon_moves_shoots_and_loads():
    world, game = SpaceInvaders(), wave(moves_in=20, bombs_in=20)
    assert [int(played(world, game, a)[0].cannon) for a in range(4)] == [5, 4, 6, 5]
    assert int(played(world, game, 1, cannon_speed=-2)[0].cannon) == 7
    assert int(played(world, wave(cannon=9), 2)[0].cannon) == 9
    rows = []
    for _ in range(6):
        game, *_ = played(world, game, 3)
        rows.append([row for row, _ in cells(game.shots)])
    assert rows == [[8], [7], [6], [5], [4], [3, 8]]
    hit, scored, _ = played(world, game)
    assert (scored, cells(hit.shots), int(hit.aliens.sum())) == (1.0, [[7, 5]], 24)  # and the next wave is there


def test_space_invaders_the_next_wave_is_faster_down_to_a_limit():
    world = SpaceInvaders()
    last = lambda **changed: wave(((2, 5),), shots=((3, 5),), **changed)
    assert int(played(world, last())[0].moves_every) == 11
    assert int(played(world, last(), ramp=3)[0].moves_every) == 9
    assert int(played(world, last(moves_every=7), ramp=3)[0].moves_every) == 6
    assert int(played(world, last(moves_every=6))[0].moves_every) == 6
    assert int(played(world, last(), ramp=0)[0].moves_every) == 12
    assert int(played(world, wave(((2, 5), (0, 0)), shots=((3, 5),)))[0].moves_every) == 12


def test_space_invaders_aliens_march_and_come_down_at_the_edge():
    world = SpaceInvaders()
    moved, *_ = played(world, wave(((2, 5), (1, 3)), moves_in=0))
    assert (cells(moved.aliens), int(moved.way), int(moved.moves_in)) == ([[1, 2], [2, 4]], -1, 1)
    down, *_ = played(world, wave(((2, 5), (1, 0)), moves_in=0))
    assert (cells(down.aliens), int(down.way)) == ([[2, 0], [3, 5]], 1)
    back, *_ = played(world, wave(((2, 9),), way=1, moves_in=0))
    assert (cells(back.aliens), int(back.way)) == ([[3, 9]], -1)
    assert cells(world.show({}, back)[2]) == [[3, 9]]
    assert not world.show({}, back)[3].any()
    assert int(played(world, started(world, moves_in=0))[0].moves_in) == 11  # 24 of them: as slow as it gets


@pytest.mark.parametrize(
    ("game", "over"),
    [
        (wave(bombs=((8, 5),)), True),  # a bomb comes down on the cannon
        (wave(bombs=((8, 4),)), False),
        (wave(((9, 6),), moves_in=0), True),  # an alien walks into it
        (wave(((9, 6),)), False),
        (wave(((9, 5),)), True),
        (wave(((9, 0), (3, 3)), moves_in=0), True),  # one comes down from the last row
        (wave(((8, 0), (3, 3)), moves_in=0), False),
    ],
)
def test_space_invaders_ends(game: space_invaders.Game, over: bool):
    assert played(SpaceInvaders(), game)[1:] == (0.0, over)


def test_space_invaders_the_lowest_of_the_nearest_column_drops_a_bomb():
    world = SpaceInvaders()
    bombed = lambda aliens, **changed: played(world, wave(aliens, bombs_in=0, **changed))[0]
    assert cells(bombed(((1, 3), (4, 3), (6, 8))).bombs) == [[4, 3]]
    assert cells(bombed(((1, 3), (4, 7))).bombs) == [[1, 3]]  # two as near: the left one
    assert cells(bombed(((1, 3), (4, 6))).bombs) == [[4, 6]]
    assert int(bombed(((1, 3),)).bombs_in) == 9
    assert cells(played(world, wave(bombs=((4, 3), (9, 1))))[0].bombs) == [[5, 3]]
