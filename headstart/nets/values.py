"""Q-networks: from features to the value of every discrete action."""

from jaxtyping import Array, Float

from headstart.core.types import Key, Record
from headstart.nets.mlp import MLP, mlp


class QNetwork(Record):
    """Q-values as the outputs of one network."""

    net: MLP

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " output"]:
        return self.net(x)


class DuelingQNetwork(Record):
    """Q-values as the state's value plus each action's advantage over their mean (arXiv:1511.06581, equation 9)."""

    net: MLP  # the value, then the advantages

    def __call__(self, x: Float[Array, " features"]) -> Float[Array, " output"]:
        out = self.net(x)
        return out[0] + out[1:] - out[1:].mean()


def q_network(
    inputs: int, hidden: tuple[int, ...], n: int, activation: str, dueling: bool, key: Key
) -> QNetwork | DuelingQNetwork:
    """Returns a newly initialized Q-network over `n` actions."""
    if dueling:
        return DuelingQNetwork(mlp((inputs, *hidden, n + 1), 1.0, activation, key))
    return QNetwork(mlp((inputs, *hidden, n), 1.0, activation, key))
