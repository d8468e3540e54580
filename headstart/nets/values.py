"""Q-networks: from features to the value of every choice."""

import abc
from typing import Self

from jaxtyping import Array, Float

from headstart.core.types import Key, Record
from headstart.nets.mlp import MLP, mlp


class UnnormalizedValues(Record):
    """Values that are told as they are. A method may put others in their place, which have units of their own."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        """Returns the value of each choice, in these units."""

    def value(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        """Returns the value of each choice as it is."""
        return self(x)

    def update(
        self, returns: Float[Array, "*n"], context: Float[Array, "*n context"], weight: Float[Array, "*n"]
    ) -> Self:
        """Returns the same values, in units that know of these returns too."""
        return self

    def normalize(self, returns: Float[Array, "*n"], context: Float[Array, "*n context"]) -> Float[Array, "*n"]:
        """Returns returns in these units."""
        return returns


class QNetwork(UnnormalizedValues):
    """A value for each choice, by one head."""

    net: MLP

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        return self.net(x)


class DuelingQNetwork(UnnormalizedValues):
    """The state's value, and how much better than their mean each choice is, by one head (arXiv:1511.06581, eq. 9)."""

    net: MLP  # the value, then the advantages

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        out = self.net(x)
        return out[0] + out[1:] - out[1:].mean()


def q_network(
    inputs: int, hidden: tuple[int, ...], n: int, activation: str, dueling: bool, key: Key
) -> QNetwork | DuelingQNetwork:
    """Returns a fresh Q-network over `n` choices."""
    if dueling:
        return DuelingQNetwork(mlp((inputs, *hidden, n + 1), 1.0, activation, key))
    return QNetwork(mlp((inputs, *hidden, n), 1.0, activation, key))
