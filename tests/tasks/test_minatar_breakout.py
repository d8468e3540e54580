"""Breakout: MinAtar's rules, one by one and by hand. Rows of text show `paddle`, `ball` and bricks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import headstart as hs
from headstart.core.types import EnvParams
from headstart.tasks.worlds import Breakout
from headstart.tasks.worlds.minatar.breakout import Game

KEY = jax.random.key(0)
WORLD = Breakout()
STAY, LEFT, RIGHT = range(3)
PADDLE, BALL, TRAIL, BRICK = range(4)
play, observe, show = jax.jit(WORLD.play), jax.jit(WORLD.observe), jax.jit(WORLD.show)
begin, initial = jax.jit(WORLD.start), jax.jit(WORLD.initial)


def params(**changed: float) -> EnvParams:
    return {name: jnp.float32(x) for name, x in {**WORLD.defaults, "sticky": 0.0, **changed}.items()}


def game(ball: tuple[int, int], way: tuple[int, int], paddle: int = 4, bricks: Any = (), **changed: Any) -> Game:
    """Returns a game with only those bricks."""
    wall = np.zeros((10, 10), bool)
    for cell in bricks:
        wall[cell] = True
    start = begin(params(), KEY)
    fields = {"ball": jnp.array(ball), "way": jnp.array(way), "paddle": jnp.int32(paddle), "bricks": jnp.array(wall)}
    return start.replace(**fields, **{name: jnp.asarray(x) for name, x in changed.items()})


def played(state: Game, action: int = STAY, **changed: float) -> tuple[Game, float]:
    """Returns the game after one step, and the score; the ball is not lost."""
    then, scored, terminated = play(params(**changed), state, jnp.int32(action), KEY)
    assert not terminated
    return then, float(scored)


def ball_of(state: Game) -> tuple[list[int], list[int]]:
    return state.ball.tolist(), state.way.tolist()


def seen(state: Game) -> Any:
    return np.stack(show(params(), state), -1)


def test_it_starts_with_a_ball_at_either_edge_under_three_rows():
    starts = [initial(params(), jax.random.key(i)) for i in range(20)]
    assert {str(ball_of(s.game)) for s in starts} == {"([3, 0], [1, 1])", "([3, 9], [1, -1])"}
    image = observe(params(), starts[0])
    assert (image.shape, image.dtype) == (WORLD.observation_space.shape, jnp.dtype(WORLD.observation_space.dtype))
    assert image.sum((0, 1)).tolist() == [1, 1, 1, 30]
    assert bool(image[9, 4, PADDLE])
    assert image[1:4, :, BRICK].all()
    assert observe(params(brick_rows=5), initial(params(brick_rows=5), KEY))[..., BRICK].sum() == 50


@pytest.mark.parametrize(
    ("state", "ball", "way", "terminated"),
    [
        (game((5, 5), (1, -1)), [6, 4], [1, -1], False),  # it flies on
        (game((5, 0), (1, -1)), [6, 0], [1, 1], False),  # a side turns it
        (game((5, 9), (-1, 1)), [4, 9], [-1, -1], False),
        (game((0, 5), (-1, 1)), [0, 6], [1, 1], False),  # and so does the top
        (game((0, 9), (-1, 1)), [0, 9], [1, -1], False),  # and a corner, both ways
        (game((8, 4), (1, 1)), [8, 5], [-1, 1], False),  # the paddle is under the ball: it goes on to its side
        (game((8, 3), (1, 1)), [8, 4], [-1, -1], False),  # it is where the ball would be: back
        (game((8, 5), (1, 1)), [9, 6], [1, 1], True),  # it is neither
        (game((8, 0), (1, -1), paddle=0), [8, 0], [-1, 1], False),  # at the edge
    ],
)
def test_how_the_ball_flies(state: Game, ball: list[int], way: list[int], terminated: bool):
    then, scored, over = play(params(), state, jnp.int32(STAY), KEY)
    assert (*ball_of(then), bool(over)) == (ball, way, terminated)
    assert not scored
    assert np.argwhere(seen(then)[..., TRAIL]).tolist() == [state.ball.tolist()]
    assert np.argwhere(seen(then)[..., BALL]).tolist() == [ball]


def test_a_brick_breaks_and_turns_the_ball_but_no_two_in_a_row():
    state = game((4, 4), (-1, 1), bricks=[(3, 5), (5, 6), (6, 7), (7, 8)])
    broken, reward = played(state)
    assert (ball_of(broken), reward) == (([4, 5], [1, 1]), 1.0)
    assert not broken.bricks[3, 5]
    flown, reward = played(broken)  # through the next
    assert (ball_of(flown), reward, int(flown.bricks.sum())) == (([5, 6], [1, 1]), 0.0, 3)
    flown, reward = played(flown)  # and the one behind it
    assert (ball_of(flown), reward, int(flown.bricks.sum())) == (([6, 7], [1, 1]), 0.0, 3)
    free, _ = played(flown.replace(way=jnp.array([1, -1])))
    second, reward = played(
        free.replace(ball=jnp.array([6, 7]), way=jnp.array([1, 1]))
    )  # after a cell without one it breaks bricks again
    assert (reward, int(second.bricks.sum())) == (1.0, 2)


def test_once_none_is_left_all_come_back_when_the_ball_is_down():
    high, _ = played(game((5, 5), (1, 1)))
    assert not high.bricks.any()
    low, reward = played(game((8, 4), (1, 1)), brick_rows=2)
    assert (int(low.bricks.sum()), reward) == (20, 0.0)
    assert int(played(game((8, 4), (1, 1), bricks=[(1, 1)]))[0].bricks.sum()) == 1


def test_the_paddle_moves_before_the_ball_and_stays_inside():
    where = lambda paddle, action, **p: int(played(game((5, 5), (-1, 1), paddle), action, **p)[0].paddle)
    assert [where(4, a) for a in (STAY, LEFT, RIGHT)] == [4, 3, 5]
    assert (where(0, LEFT), where(9, RIGHT)) == (0, 9)
    assert (where(4, LEFT, paddle_speed=-1), where(4, RIGHT, paddle_speed=2.2)) == (5, 6)
    assert ball_of(played(game((8, 5), (1, 1)), RIGHT)[0]) == ([8, 6], [-1, 1])  # just in time


def test_a_wide_paddle_catches_beside_its_middle():
    assert ball_of(played(game((8, 6), (1, 1)), paddle_reach=2)[0]) == ([8, 7], [-1, 1])
    assert ball_of(played(game((8, 1), (1, 1)), paddle_reach=2)[0]) == ([8, 2], [-1, -1])
    assert play(params(paddle_reach=2), game((8, 7), (1, 1)), jnp.int32(STAY), KEY).over
    paddle = show(params(paddle_reach=2), game((5, 5), (1, 1), 0))[PADDLE]
    assert paddle[9].tolist() == [True] * 3 + [False] * 7


def test_balls_rest_with_the_given_probability():
    many = jax.jit(jax.vmap(WORLD.play, in_axes=(None, None, None, 0)))
    slow = many(params(rest=0.3), game((5, 5), (-1, 1)), jnp.int32(RIGHT), jax.random.split(KEY, 2000)).game
    rested = (slow.ball == jnp.array([[5, 5]])).all(1)
    assert float(rested.mean()) == pytest.approx(0.3, abs=0.03)
    assert (slow.paddle == 5).all()


def test_an_episode_in_gymnasium_ends_with_the_ball():
    env = hs.to_gymnasium(hs.task("Breakout-MinAtar", sticky=0), render_mode="rgb_array")
    env.reset(seed=0)
    ends = [env.step(LEFT)[2:4]]
    while not any(ends[-1]):
        ends.append(env.step(LEFT)[2:4])
    assert len(ends) < 20
    assert ends[-1] == (True, False)
