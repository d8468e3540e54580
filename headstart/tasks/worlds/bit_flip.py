"""BitFlip-n: flip one of n bits per step until they equal a goal; only reaching it is rewarded.

The experiment that motivates hindsight experience replay: Andrychowicz et al. (2017), arXiv:1707.01495.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Drawing, rectangle
from headstart.core.env import GoalFunctions
from headstart.core.errors import InputError
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.tables import slipped


class Bits(Record):
    """The current bits and the goal."""

    bits: Bool[Array, " n"]
    goal: Bool[Array, " n"]


class BitFlip(Env):
    """n bits and n steps. An action flips its bit; each step costs 1 unless the bits equal the goal after it.

    Bits and goal are drawn uniformly for each episode. The observation is the bits, then the goal, so that a transition
    can be relabelled with any other goal. Reaching the goal does not end the episode.
    """

    n: int = eqx.field(static=True)

    def __check_init__(self):
        if self.n < 1:
            raise InputError(f"BitFlip has no bits with n={self.n}; give 1 or more.")

    @property
    def name(self) -> str:
        return f"BitFlip-{self.n}"

    @property
    def horizon(self) -> int:
        return self.n

    @property
    def observation_space(self) -> Box:
        return Box((0.0,) * (2 * self.n), (1.0,) * (2 * self.n), (1,) * (2 * self.n))

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.n)

    @property
    def goal(self) -> GoalFunctions:
        return GoalFunctions(
            achieved=lambda obs: obs[: self.n],
            desired=lambda obs: obs[self.n :],
            with_goal=lambda obs, goal: jnp.concatenate([obs[: self.n], goal]),
            reward=lambda achieved, desired: (achieved == desired).all().astype(jnp.float32)[None] - 1.0,
        )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("slip", 0.0, 0.0, 1.0, "chance", "probability that a random bit flips instead"),)

    def initial(self, params: EnvParams, key: Key) -> Bits:
        bits, goal = jax.random.bernoulli(key, shape=(2, self.n))
        return Bits(bits, goal)

    def observe(self, params: EnvParams, state: Bits) -> Float[Array, " observation"]:
        return jnp.concatenate([state.bits, state.goal]).astype(jnp.float32)

    def transition(self, params: EnvParams, state: Bits, action: Int[Array, ""], key: Key) -> Bits:
        flipped = slipped(key, action, self.n, params["slip"])
        return state.replace(bits=state.bits ^ (jnp.arange(self.n) == flipped))

    def cumulants(self, params: EnvParams, state: Bits, action: Int[Array, ""], next_state: Bits) -> Float[Array, " 1"]:
        reached = (next_state.bits == next_state.goal).all()
        return reached.astype(jnp.float32)[None] - 1.0

    def terminal(self, params: EnvParams, state: Bits) -> Bool[Array, ""]:
        return jnp.zeros((), bool)

    def draw(self, params: EnvParams, state: Bits) -> Drawing:
        """Draws the goal above and the bits below, with a bar wherever they differ."""
        shapes = [rectangle((0.0, 0.0), (float(self.n), 2.6), "ground")]
        for i, (bit, goal) in enumerate(zip(state.bits.tolist(), state.goal.tolist(), strict=True)):
            left, right = i + 0.1, i + 0.9
            low, high = (1.7, 2.5) if goal else (1.7, 1.8)
            shapes.append(rectangle((left, low), (right, high), "goal"))
            shapes.append(rectangle((left, 0.5), (right, 1.3 if bit else 0.6), "body"))
            if bit != goal:
                shapes.append(rectangle((left, 0.1), (right, 0.3), "limb"))
        return Drawing((0.0, 0.0), (float(self.n), 2.6), tuple(shapes))
