"""RandomMDP: an MDP with few states, drawn by a seed. What theory says of any MDP should hold in it.

Garnets ("generic average reward non-stationary environment test-bench"): Archibald, McKinnon and Thomas, "On the
generation of Markov decision processes" (1995). Each action leads to a few states, with probabilities that cut [0, 1]
at random points.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Disc, Drawing, Line, Point
from headstart.core.errors import InputError
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.tables import Tables

LARGEST = 2.0**24 - 1  # float32 holds every integer up to here

State = Int[Array, ""]


class Ways(Record):
    """The possible next states of a state and an action."""

    to: Int[Array, " way"]  # states, all different
    chances: Float[Array, " way"]
    features: Float[Array, "way feature"]  # φ(s, a, s')


class RandomMDP(Env):
    """Its parameter `seed` draws the transitions, and φ uniformly in ±1; its fields are its sizes.

    The first state is uniform, and only the horizon ends an episode. The observation is the state, one-hot. No table is
    stored: each step draws its own row again from the seed, so that another seed is only another number.
    """

    states: int = eqx.field(static=True, default=20)
    actions: int = eqx.field(static=True, default=4)
    branching: int = eqx.field(static=True, default=3)  # states to which each action may lead
    features: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        if min(self.states, self.actions, self.branching, self.features) < 1 or self.branching > self.states:
            raise InputError(
                f"RandomMDP(states={self.states}, actions={self.actions}, branching={self.branching}, "
                f"features={self.features}) is out of range: give 1 or more of each, and no more branching than states."
            )

    @property
    def name(self) -> str:
        return "RandomMDP"

    @property
    def horizon(self) -> int:
        return 100

    @property
    def observation_space(self) -> Box:
        return Box((0.0,) * self.states, (1.0,) * self.states, (self.states,))

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.actions)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("seed", 0.0, 0.0, LARGEST, "seeds", "draws transitions and features; rounded to an integer"),)

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return tuple(f"feature_{i + 1}" for i in range(self.features))

    def initial(self, params: EnvParams, key: Key) -> State:
        return jax.random.randint(key, (), 0, self.states)

    def observe(self, params: EnvParams, state: State) -> Float[Array, " state"]:
        return jax.nn.one_hot(state, self.states)

    def transition(self, params: EnvParams, state: State, action: Int[Array, ""], key: Key) -> State:
        ways = self._ways(params, state, action)
        return ways.to[jax.random.categorical(key, jnp.log(ways.chances))]

    def cumulants(
        self, params: EnvParams, state: State, action: Int[Array, ""], next_state: State
    ) -> Float[Array, " feature"]:
        ways = self._ways(params, state, action)
        return ((ways.to == next_state)[:, None] * ways.features).sum(0)

    def terminal(self, params: EnvParams, state: State) -> Bool[Array, ""]:
        return jnp.zeros((), bool)

    def tables(self, params: EnvParams) -> Tables:
        """Returns the MDP that this seed draws, as tables. φ is 0 for impossible transitions."""
        of_state = jax.vmap(self._row, in_axes=(None, None, 0))
        of_all = jax.vmap(of_state, in_axes=(None, 0, None))
        return Tables(*of_all(params, jnp.arange(self.states), jnp.arange(self.actions)))

    def draw(self, params: EnvParams, state: State) -> Drawing:
        """Draws the states on a circle, and the transitions from this one: the wider, the likelier."""
        places = [_on_circle(i / self.states) for i in range(self.states)]
        radius = min(0.09, 1.5 / self.states)
        lines, here = [], places[int(state)]
        for action in range(self.actions):
            ways = self._ways(params, jnp.asarray(state), jnp.asarray(action))
            for to, chance in zip(ways.to.tolist(), ways.chances.tolist(), strict=True):
                lines.append(Line((here, places[to]), 0.01 + 0.05 * chance, "limb"))
        discs = [Disc(place, radius, "ground" if place != here else "body") for place in places]
        return Drawing((-1.15, -1.15), (1.15, 1.15), (*lines, *discs))

    def _ways(self, params: EnvParams, state: State, action: Int[Array, ""]) -> Ways:
        # A seed gives the same MDP whichever generator JAX is set to.
        seed = jax.random.key(jnp.round(params["seed"]).astype(jnp.int32), impl="threefry2x32")
        k_to, k_chances, k_features = jax.random.split(jax.random.fold_in(seed, state * self.actions + action), 3)
        # The indices of the largest random numbers are a draw without replacement. Exponential numbers divided by their
        # sum have the lengths of the pieces into which uniform points cut [0, 1].
        to = jax.lax.top_k(jax.random.uniform(k_to, (self.states,)), self.branching)[1]
        pieces = jax.random.exponential(k_chances, (self.branching,))
        features = jax.random.uniform(k_features, (self.branching, self.features), minval=-1.0, maxval=1.0)
        return Ways(to, pieces / pieces.sum(), features)

    def _row(
        self, params: EnvParams, state: State, action: Int[Array, ""]
    ) -> tuple[Float[Array, " next"], Float[Array, "next feature"]]:
        """Returns the tables' entries for one state and action."""
        ways = self._ways(params, state, action)
        transitions, cumulants = jnp.zeros(self.states), jnp.zeros((self.states, self.features))
        return transitions.at[ways.to].set(ways.chances), cumulants.at[ways.to].set(ways.features)


def _on_circle(turn: float) -> Point:
    return math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)
