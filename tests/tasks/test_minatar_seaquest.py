"""Seaquest: MinAtar's rules, one by one and by hand; and the swarms that it uses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.types import EnvParams
from headstart.tasks.worlds import Seaquest
from headstart.tasks.worlds.minatar.seaquest import MOST_DIVERS, MOST_ENEMIES, Enemies, Game
from headstart.tasks.worlds.minatar.swarm import Swarm, enters, pairs

KEY = jax.random.key(0)
WORLD = Seaquest()
STAY, LEFT, UP, RIGHT, DOWN, SHOOT = range(6)
FRONT, BACK, SHOT, TRAIL, TORPEDO, FISH, ENEMY_SUB, OXYGEN, ABOARD, DIVER = range(10)
play, show, begin = jax.jit(WORLD.play), jax.jit(WORLD.show), jax.jit(WORLD.start)
joined = jax.jit(lambda things, one: things.joined(jnp.array(True), **one))


def params(**changed: float) -> EnvParams:
    return {name: jnp.float32(x) for name, x in {**WORLD.defaults, "sticky": 0.0, **changed}.items()}


def swarm(*things: dict[str, Any], n: int = 4) -> Swarm:
    """Returns these members: each has a row, a column and what else is not 0 (way: 1)."""
    filled = Swarm.empty(n)
    for thing in things:
        filled = joined(filled, {"way": 1, "rests": 9, **thing})
    return filled


def enemies(*things: dict[str, Any]) -> Enemies:
    filled = Enemies.empty(MOST_ENEMIES, armed=jnp.zeros(MOST_ENEMIES, bool), loads=jnp.zeros(MOST_ENEMIES, jnp.int32))
    for thing in things:
        filled = joined(filled, {"way": 1, "rests": 9, "armed": False, "loads": 9, **thing})
    return filled


def at(row: int, column: int, **more: Any) -> dict[str, Any]:
    return {"row": row, "column": column, **more}


def game(**changed: Any) -> Game:
    """Returns a submarine under water in row 4, column 5, that faces right; nothing else, unless given."""
    start = begin(params(), KEY)
    fields = {"sub": [4, 5], "way": 1, "surfaced": False, **changed}
    as_it_was = lambda name, x: jnp.asarray(x, getattr(start, name).dtype)
    complete = {name: x if isinstance(x, Swarm) else as_it_was(name, x) for name, x in fields.items()}
    return start.replace(**complete)


def played(state: Game, action: int = STAY, key: Any = KEY, **given: float) -> tuple[Game, float, bool]:
    """Returns the game after one step, the score, and whether it is over."""
    then, scored, over = play(params(**given), state, jnp.int32(action), key)
    return then, float(scored), bool(over)


def seen(state: Game, channel: int) -> list[list[int]]:
    return np.argwhere(np.asarray(show(params(), state)[channel])).tolist()


def test_it_starts_at_the_surface_with_full_air_and_may_stay_there():
    start = begin(params(), KEY)
    assert (seen(start, FRONT), seen(start, BACK)) == ([[0, 5]], [[0, 6]])
    assert seen(start, OXYGEN) == [[9, column] for column in range(10)]
    then, scored, over = played(start)
    assert (int(then.oxygen), scored, over) == (200, 0.0, False)


def test_it_moves_within_the_water_and_looks_where_it_went():
    where = lambda action, sub=(4, 5), **given: played(game(sub=sub, aboard=1), action, **given)[0].sub.tolist()
    assert [where(a) for a in range(6)] == [[4, 5], [4, 4], [3, 5], [4, 6], [5, 5], [4, 5]]
    assert [where(LEFT, (4, 0)), where(RIGHT, (4, 9)), where(DOWN, (8, 5)), where(UP, (0, 5))] == [
        [4, 0],
        [4, 9],
        [8, 5],
        [0, 5],
    ]
    ways = [int(played(game(way=way), a)[0].way) for way in (1, -1) for a in (LEFT, UP, RIGHT, SHOOT)]
    assert ways == [-1, 1, 1, 1, -1, -1, 1, -1]
    assert where(LEFT, sub_speed=-1) == [4, 6]
    assert seen(game(way=1), BACK) == [[4, 4]]


def test_shots_fly_from_its_front_once_it_has_loaded():
    state, columns = game(sub=[4, 2]), []
    for _ in range(6):
        state, *_ = played(state, SHOOT)
        columns.append([column for _, column in seen(state, SHOT)])
    assert columns == [[3], [4], [5], [6], [7], [3, 8]]
    assert seen(played(game(way=-1), SHOOT)[0], SHOT) == [[4, 4]]
    assert seen(played(game(sub=[4, 9]), SHOOT)[0], SHOT) == []


def test_a_shot_takes_one_enemy_with_it_fish_first():
    fish, armed = at(4, 7), at(4, 7, armed=True)
    then, scored, over = played(game(shots=swarm(at(4, 6), n=10), enemies=enemies(armed, fish)))
    assert (scored, over, seen(then, SHOT)) == (1.0, False, [])
    assert (seen(then, FISH), seen(then, ENEMY_SUB)) == ([], [[4, 7]])
    both = game(shots=swarm(at(4, 6), at(4, 8, way=-1), n=10), enemies=enemies(armed, fish))
    then, scored, _ = played(both)
    assert (scored, int(then.enemies.there.sum())) == (2.0, 0)


def test_an_enemy_that_swims_into_a_shot_is_struck_submarines_first():
    shots = swarm(at(4, 6), n=10)  # in column 7 when the enemies move
    fish, armed = at(4, 8, way=-1, rests=0), at(4, 8, way=-1, rests=0, armed=True)
    then, scored, _ = played(game(shots=shots, enemies=enemies(fish, armed)))
    assert (scored, seen(then, FISH), seen(then, ENEMY_SUB), seen(then, SHOT)) == (1.0, [[4, 7]], [], [])


@pytest.mark.parametrize("armed", [False, True])
def test_an_enemys_touch_is_the_end_before_or_after_it_moved(armed: bool):
    over = lambda *enemy: played(game(enemies=enemies(at(*enemy[:2], armed=armed, **enemy[2]))))[2]
    assert over(4, 5, {})
    assert over(4, 5, {"rests": 0})
    assert over(4, 4, {"rests": 0})
    assert not over(4, 4, {"rests": 1})
    assert not over(4, 4, {"rests": 0, "way": -1})
    assert not over(5, 5, {})


def test_enemies_swim_rest_and_leave():
    state, columns = game(enemies=enemies(at(2, 8, rests=1))), []
    for _ in range(14):
        columns.append([column for _, column in seen(state, FISH)])
        state, *_ = played(state)
    assert columns == [[8]] * 2 + [[9]] * 6 + [[]] * 6
    assert seen(game(enemies=enemies(at(2, 8))), TRAIL) == [[2, 7]]
    assert seen(game(enemies=enemies(at(2, 9, way=-1))), TRAIL) == []


def test_enemy_submarines_shoot_now_and_then_and_torpedoes_hit():
    state, columns = game(enemies=enemies(at(2, 5, armed=True, loads=1, rests=50))), []
    for _ in range(14):
        columns.append([column for _, column in seen(state, TORPEDO)])
        state, *_ = played(state)
    assert columns == [[], [], [6], [7], [8], [9], [], [], [], [], [], [], [], [6]]
    assert seen(played(game(enemies=enemies(at(2, 5, loads=0))))[0], TORPEDO) == []  # fish do not
    mark = lambda row, column: np.arange(100).reshape(10, 10) == 10 * row + column
    assert played(game(right=mark(4, 4)))[2]
    assert played(game(left=mark(4, 6)))[2]
    assert played(game(left=mark(4, 5)))[2]
    assert not played(game(left=mark(4, 4)))[2]
    assert seen(played(game(left=mark(3, 0), right=mark(3, 9)))[0], TORPEDO) == []  # gone, not around


def test_divers_come_aboard_up_to_six():
    there = swarm(at(4, 5), n=MOST_DIVERS)
    then, *_ = played(game(divers=there))
    assert (int(then.aboard), seen(then, DIVER), seen(then, ABOARD)) == (1, [], [[9, 8]])
    swum, *_ = played(game(divers=swarm(at(4, 4, rests=0), n=MOST_DIVERS)))
    assert int(swum.aboard) == 1
    full, *_ = played(game(divers=there, aboard=6))
    assert (int(full.aboard), seen(full, DIVER)) == (6, [[4, 5]])
    two, *_ = played(game(divers=swarm(at(4, 5), at(4, 5), n=MOST_DIVERS), aboard=5))
    assert (int(two.aboard), seen(two, DIVER)) == (6, [[4, 5]])
    assert seen(full, ABOARD) == [[9, column] for column in range(3, 9)]


def test_air_runs_out_under_water():
    then, _, over = played(game(oxygen=1))
    assert (int(then.oxygen), over) == (0, False)
    assert played(then)[2]
    assert seen(game(oxygen=119), OXYGEN) == [[9, column] for column in range(5)]


def test_coming_up_takes_a_diver_and_fills_the_air_or_is_the_end():
    below = lambda **fields: game(sub=[1, 5], oxygen=90, **fields)
    then, scored, over = played(below(aboard=2), UP)
    assert (int(then.aboard), int(then.oxygen), scored, over) == (1, 200, 0.0, False)
    repeated, scored, over = played(then)
    assert (int(repeated.aboard), over) == (1, False)  # staying there takes none
    assert played(below(aboard=0), UP)[2]
    then, scored, over = played(below(aboard=6), UP)
    assert (int(then.aboard), scored, over) == (-1, 4.0, False)  # as MinAtar counts
    assert seen(then, ABOARD) == []


def test_coming_up_makes_it_harder_and_every_second_time_faster():
    up = lambda **fields: played(game(sub=[1, 5], aboard=1, **fields), UP)[0]
    first = up()
    assert (int(first.enemy_every), int(first.enemies_rest), int(first.level)) == (19, 5, 1)
    assert int(up(level=1).enemies_rest) == 4
    assert int(up(level=1, enemies_rest=2).enemies_rest) == 2
    last = up(enemy_every=1, enemies_rest=2, level=3)
    assert (int(last.enemy_every), int(last.level)) == (1, 3)
    assert int(played(game(sub=[1, 5], aboard=1), UP, ramp=0)[0].enemy_every) == 20


def test_enemies_and_divers_come_in_at_the_edges():
    many = jax.jit(jax.vmap(WORLD.play, in_axes=(None, None, None, 0)))
    keys = jax.random.split(KEY, 3000)
    then = many(params(), game(enemy_in=0, diver_in=0), jnp.int32(STAY), keys).game
    one, rows = then.enemies, np.asarray(then.enemies.row)[:, 0]
    assert (np.asarray(one.there.sum(1)) == 1).all()
    assert np.bincount(rows, minlength=9)[1:] / 3000 == pytest.approx([1 / 8] * 8, abs=0.03)
    assert float(one.armed[:, 0].mean()) == pytest.approx(1 / 3, abs=0.03)
    np.testing.assert_array_equal(one.column[:, 0], np.where(np.asarray(one.way[:, 0]) == 1, 0, 9))
    assert (int(then.enemy_in[0]), int(then.diver_in[0])) == (19, 29)
    assert (np.asarray(then.divers.there.sum(1)) == 1).all()
    lanes = enemies(*(at(row, 5) for row in range(1, 9)))  # in every row one that goes right
    then = many(params(), game(sub=[0, 5], surfaced=True, enemies=lanes, enemy_in=0), jnp.int32(STAY), keys).game
    new = np.asarray(then.enemies.there[:, 8])
    assert new.mean() == pytest.approx(0.5, abs=0.03)
    assert (np.asarray(then.enemies.way[:, 8])[new] == 1).all()


# ------------------------------------------------------------------------------------------------- swarms


def test_a_swarm_takes_one_more_as_long_as_there_is_room():
    full = swarm(*(at(1, column) for column in range(6)), n=4)
    assert full.column.tolist() == [0, 1, 2, 3]
    freed = full.without(jnp.arange(4) == 1).joined(jnp.array(True), row=2, column=7)
    assert freed.column.tolist() == [0, 7, 2, 3]
    assert not swarm(n=2).joined(jnp.array(False), row=2).there.any()


def test_pairs_are_one_to_one_in_each_cell():
    one, other = swarm(at(1, 1), at(1, 1), at(2, 2)), swarm(at(1, 1), at(2, 2), at(1, 1), at(1, 1))
    every, nobody = jnp.ones(4, bool), jnp.zeros(4, bool)
    assert [x.tolist() for x in pairs(one, other, every, nobody)] == [[True] * 3 + [False], [True] * 3 + [False]]
    last = jnp.arange(4) == 3
    assert pairs(one, other, every, last)[1].tolist() == [True, True, False, True]
    assert [x.sum() for x in pairs(one, other, last, nobody)] == [1, 1]


def test_things_enter_at_an_edge_and_move_inwards():
    fields = jax.vmap(enters)(jax.random.split(KEY, 500))
    assert set(fields["row"].tolist()) == set(range(1, 9))
    assert {(0, 1), (9, -1)} == set(zip(fields["column"].tolist(), fields["way"].tolist(), strict=True))
