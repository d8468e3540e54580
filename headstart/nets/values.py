"""Q-networks: from features to the value of every choice."""

from jaxtyping import Array, Float

from headstart.core.types import Key, Record
from headstart.nets.mlp import MLP, mlp


class Choices(Record):
    """A value for each choice, by one head."""

    net: MLP

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        return self.net(x)


class Dueling(Record):
    """The state's value, and how much better than their mean each choice is, by one head (arXiv:1511.06581, eq. 9)."""

    net: MLP  # the value, then the advantages

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " choice"]:
        out = self.net(x)
        return out[0] + out[1:] - out[1:].mean()


def choices(
    inputs: int, hidden: tuple[int, ...], n: int, activation: str, dueling: bool, key: Key
) -> Choices | Dueling:
    """-> a fresh Q-network over `n` choices."""
    if dueling:
        return Dueling(mlp((inputs, *hidden, n + 1), 1.0, activation, key))
    return Choices(mlp((inputs, *hidden, n), 1.0, activation, key))
