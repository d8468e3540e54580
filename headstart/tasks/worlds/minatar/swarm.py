"""Things that move along the rows of a board, in a fixed number of slots that may be empty."""

from typing import Self

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from headstart.core.types import Key, Record
from headstart.tasks.worlds.minatar.game import LAST, Board, board


class Swarm(Record):
    """One kind of thing."""

    there: Bool[Array, " n"]
    row: Int[Array, " n"]
    column: Int[Array, " n"]
    way: Int[Array, " n"]  # 1: to the right; -1: to the left
    rests: Int[Array, " n"]  # steps until it moves

    @classmethod
    def empty(cls, n: int, **more: Array) -> Self:
        """Returns n empty slots. `more` are the other fields of this kind."""
        zero = jnp.zeros(n, jnp.int32)
        return cls(there=jnp.zeros(n, bool), row=zero, column=zero, way=zero + 1, rests=zero, **more)

    def joined(self, when: Bool[Array, ""], **new: Array | int) -> Self:
        """Returns the swarm with a new member in the first empty slot if `when`; unchanged if no slot is empty."""
        at = (jnp.arange(self.there.size) == self.there.argmin()) & ~self.there & when
        return self.replace(
            there=self.there | at, **{name: jnp.where(at, x, getattr(self, name)) for name, x in new.items()}
        )

    def without(self, removed: Bool[Array, " n"]) -> Self:
        return self.replace(there=self.there & ~removed)

    def moved(self, members: Bool[Array, " n"], rests: Int[Array, ""]) -> Self:
        """Returns the swarm with `members` moved by a cell and resting; the others get closer to their move."""
        column = self.column + jnp.where(members, self.way, 0)
        within = (column >= 0) & (column <= LAST)
        return self.replace(
            there=self.there & within, column=column, rests=jnp.where(members, rests, jnp.maximum(self.rests - 1, 0))
        )

    def meets(self, cell: Int[Array, " 2"]) -> Bool[Array, " n"]:
        """Returns which slots are occupied in that row and column."""
        return self.there & (self.row == cell[0]) & (self.column == cell[1])

    def board(self, members: Bool[Array, " n"] | bool = True) -> Board:
        return board(self.row, self.column, self.there & members)

    def trail(self) -> Board:
        """Returns the cells behind the members."""
        return board(self.row, self.column - self.way, self.there)


class Enemies(Swarm):
    """Fish, and submarines that shoot."""

    armed: Bool[Array, " n"]
    loads: Int[Array, " n"]  # steps until it shoots


def enters(key: Key) -> dict[str, Array]:
    """Returns a row, an edge to enter at, and the direction from there, at random."""
    k_way, k_row = jax.random.split(key)
    right = jax.random.bernoulli(k_way)
    row = jax.random.randint(k_row, (), 1, LAST)
    return {"row": row, "column": jnp.where(right, 0, LAST), "way": jnp.where(right, 1, -1)}


def pairs(
    one: Swarm, other: Swarm, members: Bool[Array, " m"], first: Bool[Array, " m"]
) -> tuple[Bool[Array, " n"], Bool[Array, " m"]]:
    """Returns which members of one swarm and of another (there only `members`) meet, at most one of each.

    Members of the other swarm that are `first` come before the rest, and earlier slots before later ones.
    """
    same = lambda a, b: (a.row[:, None] == b.row[None]) & (a.column[:, None] == b.column[None])
    among = other.there & members
    order = jnp.where(first, 0, len(first)) + jnp.arange(len(first))
    earlier = jnp.arange(one.there.size)
    before = lambda swarm, there, place: (same(swarm, swarm) & there[None] & (place[None] < place[:, None])).sum(1)
    turn, their_turn = before(one, one.there, earlier), before(other, among, order)
    met = same(one, other) & one.there[:, None] & among[None] & (turn[:, None] == their_turn[None])
    return met.any(1), met.any(0)
