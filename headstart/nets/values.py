"""Q-networks: from features to the value of every action."""

import abc
from typing import Self

from jaxtyping import Array, Float

from headstart.core.types import Key, Record
from headstart.nets.mlp import MLP, mlp


class UnnormalizedValues(Record):
    """Action values in the units of returns. A method may replace them by normalized ones, which have other units."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        """Returns the value of each action, in the network's units."""

    def value(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        """Returns the value of each action, in the units of returns."""
        return self(x)

    def update(
        self, returns: Float[Array, "*n"], context: Float[Array, "*n context"], weight: Float[Array, "*n"]
    ) -> Self:
        """Returns the same values, with their units adapted to these returns."""
        return self

    def normalize(self, returns: Float[Array, "*n"], context: Float[Array, "*n context"]) -> Float[Array, "*n"]:
        """Returns `returns` in the network's units."""
        return returns


class QNetwork(UnnormalizedValues):
    """One value per action, by one head."""

    net: MLP

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        return self.net(x)


class DuelingQNetwork(UnnormalizedValues):
    """The state's value plus each action's advantage over the mean advantage, by one head (arXiv:1511.06581, eq. 9)."""

    net: MLP  # the value, then the advantages

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        out = self.net(x)
        return out[0] + out[1:] - out[1:].mean()


def q_network(
    inputs: int, hidden: tuple[int, ...], n: int, activation: str, dueling: bool, key: Key
) -> QNetwork | DuelingQNetwork:
    """Returns a new Q-network for `n` actions."""
    if dueling:
        return DuelingQNetwork(mlp((inputs, *hidden, n + 1), 1.0, activation, key))
    return QNetwork(mlp((inputs, *hidden, n), 1.0, activation, key))
