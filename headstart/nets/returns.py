"""Normalizers of returns: the units that a value network's outputs are in. They are the part `returns` of params.

`select` picks a network's outputs for the task that the context names, `value` turns them into returns, `normalize`
turns returns into targets for them, and `update` is the normalizer after more returns.
"""

from typing import Any, Self

from jaxtyping import Array, Float

from headstart.core.types import Params, Statistics
from headstart.nets.running_statistics import RunningRMS, running_rms

Returns = Float[Array, "*n"]
Contexts = Float[Array, "*n context"]
Context = Float[Array, " context"]
Outputs = Float[Array, " output"]
Weights = Float[Array, "*n"]


class ReturnScale(Statistics):
    """Values in units of the returns' root mean square, from a network with one output."""

    scale: RunningRMS

    def select(self, outputs: Outputs, context: Context) -> Float[Array, ""]:
        """Returns the normalized value."""
        return outputs[0]

    def value(self, outputs: Outputs, context: Context) -> Float[Array, ""]:
        """Returns the value in the reward's units."""
        return self.scale.rms * outputs[0]

    def normalize(self, returns: Returns, context: Contexts) -> Returns:
        """Returns returns in units of the scale."""
        return returns / self.scale.rms

    def update(self, returns: Returns, context: Contexts, weight: Weights) -> Self:
        """Returns the normalizer after more returns."""
        return self.replace(scale=self.scale.update(returns.reshape(-1), weight.reshape(-1)))


class Unnormalized(Statistics):
    """Values in the reward's units, one output for each discrete action."""

    def select(self, outputs: Outputs, context: Context) -> Outputs:
        """Returns the outputs."""
        return outputs

    def value(self, outputs: Outputs, context: Context) -> Outputs:
        """Returns the outputs."""
        return outputs

    def normalize(self, returns: Returns, context: Contexts) -> Returns:
        """Returns the returns."""
        return returns


def return_scale() -> ReturnScale:
    """Returns the normalizer before any return was seen: its scale is 1."""
    return ReturnScale(running_rms())


def q_normalizer(params: Params) -> Any:
    """Returns the normalizer of Q-values: the part `returns`, if a method has added it."""
    return params.get("returns", Unnormalized())
