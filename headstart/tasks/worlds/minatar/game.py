"""What MinAtar's games share: a board of bits, sticky actions, a score, and drawings."""

import abc
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Disc, Drawing, Line, Role, Shape, rectangle
from headstart.core.spaces import Component
from headstart.core.types import Discrete, Env, EnvParams, Image, Key, Parameter, PyTree, Record

SIDE = 10  # cells
LAST = SIDE - 1  # rows are counted from the top, columns from the left

Board = Bool[Array, "10 10"]
Look = Callable[[float, float], Shape]  # from the middle of a cell to its shape


class Channel(NamedTuple):
    """One bit of every cell."""

    name: str
    look: Look | None  # None: it is not drawn


class Played(NamedTuple):
    """The result of a step."""

    game: PyTree
    scored: Array
    over: Array


class Round(Record):
    """A game, and the results of its last step."""

    game: PyTree
    scored: Float[Array, ""]
    over: Bool[Array, ""]
    pressed: Int[Array, ""]  # the last action that was executed


class MinAtar(Env):
    """A game, defined by its channels, actions and parameters, and by three functions."""

    @property
    @abc.abstractmethod
    def channels(self) -> tuple[Channel, ...]:
        """The channels of the observation, in order."""

    @property
    @abc.abstractmethod
    def moves(self) -> tuple[str, ...]:
        """The name of each action."""

    @property
    @abc.abstractmethod
    def knobs(self) -> tuple[Parameter, ...]:
        """The parameters, except for `sticky`."""

    @abc.abstractmethod
    def start(self, params: EnvParams, key: Key) -> PyTree:
        """Returns the first state of the game."""

    @abc.abstractmethod
    def play(self, params: EnvParams, game: PyTree, action: Int[Array, ""], key: Key) -> Played:
        """Returns the game after one step."""

    @abc.abstractmethod
    def show(self, params: EnvParams, game: PyTree) -> tuple[Board, ...]:
        """Returns a board for each channel."""

    @property
    def horizon(self) -> int:
        return 1000

    @property
    def observation_space(self) -> Image:
        return Image((SIDE, SIDE, len(self.channels)))

    @property
    def action_space(self) -> Discrete:
        return Discrete(len(self.moves), tuple(map(Component, self.moves)))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        about = "chance that the last action acts again instead of the new one"
        return (Parameter("sticky", 0.1, 0.0, 1.0, "chance", about), *self.knobs)

    def initial(self, params: EnvParams, key: Key) -> Round:
        return Round(self.start(params, key), jnp.float32(0), jnp.array(False), jnp.int32(0))

    def observe(self, params: EnvParams, state: Round) -> Bool[Array, "10 10 channel"]:
        return jnp.stack(self.show(params, state.game), -1)

    def transition(self, params: EnvParams, state: Round, action: Int[Array, ""], key: Key) -> Round:
        k_stick, k_play = jax.random.split(key)
        pressed = jnp.where(jax.random.bernoulli(k_stick, params["sticky"]), state.pressed, action)
        game, scored, over = self.play(params, state.game, pressed, k_play)
        return Round(game, scored.astype(jnp.float32), over, pressed.astype(jnp.int32))

    def cumulants(
        self, params: EnvParams, state: Round, action: Int[Array, ""], next_state: Round
    ) -> Float[Array, " reward"]:
        return next_state.scored[None]

    def terminal(self, params: EnvParams, state: Round) -> Bool[Array, ""]:
        return state.over

    def draw(self, params: EnvParams, state: Round) -> Drawing:
        boards = [np.argwhere(np.asarray(board)) for board in _boards(self, params, state.game)]
        shapes = [
            channel.look(column + 0.5, LAST - row + 0.5)
            for channel, cells in zip(self.channels, boards, strict=True)
            if channel.look
            for row, column in cells.tolist()
        ]
        corners = ((0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0), (0.0, 0.0))
        return Drawing((-0.1, -0.1), (10.1, 10.1), (*shapes, Line(corners, 0.12, "wall")))


@functools.partial(jax.jit, static_argnums=0)
def _boards(env: MinAtar, params: EnvParams, game: PyTree) -> tuple[Board, ...]:
    """Returns the boards, by one compiled program instead of one for each operation."""
    return env.show(params, game)


def rounded(number: Float[Array, ""]) -> Int[Array, ""]:
    """Returns a parameter rounded to an integer."""
    return jnp.round(number).astype(jnp.int32)


def board(row: Int[Array, "*n"], column: Int[Array, "*n"], present: Bool[Array, "*n"] | bool = True) -> Board:
    """Returns a board with ones at these places; places beyond its edges are dropped."""
    rows, columns = jnp.arange(SIDE)[:, None], jnp.arange(SIDE)[None, :]
    place = lambda x: jnp.asarray(x).reshape(-1, 1, 1)
    return ((place(row) == rows[None]) & (place(column) == columns[None]) & place(present)).any(0)


def shifted(things: Board, by: int, axis: int) -> Board:
    """Returns the board shifted by 1 or -1 along rows (axis 1) or columns (0); what leaves it is dropped."""
    entered = 0 if by == 1 else LAST
    return jnp.roll(things, by, axis) & jnp.expand_dims(jnp.arange(SIDE) != entered, 1 - axis)


def block(role: Role) -> Look:
    """Returns a rectangle that fills most of a cell."""
    return lambda x, y: rectangle((x - 0.44, y - 0.4), (x + 0.44, y + 0.4), role)


def disc(role: Role, radius: float) -> Look:
    return lambda x, y: Disc((x, y), radius, role)
