"""GridWall: 10 x 10 cells, and a wall that only the target has, right in the way of the source's policy.

A tabular env in which DARC's reward correction can be computed exactly. DARC is Eysenbach, Asawa, Chaudhari, Levine and
Salakhutdinov (2021), arXiv:2006.13916; the numbers of this grid are this library's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Disc, Drawing
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter
from headstart.tasks.worlds.grid import NAMES, board, leads, middle, square
from headstart.tasks.worlds.tables import Tables, chances, slipped

SIDE = 10  # cells
START, GOAL = 90, 99  # columns 0 and 9 of row 9
OPEN = np.zeros((SIDE, SIDE), bool)
WALLED = OPEN.copy()
WALLED[2:, 5] = True
LEADS = np.stack([leads(OPEN), leads(WALLED)])  # [wall, cell, move]
LEADS[:, GOAL] = GOAL  # the goal is absorbing
STEP_COST = 0.05

Cell = Int[Array, ""]


class GridWall(Env):
    """Four moves (up, down, left, right) from one corner to another. A step costs 0.05; a step into the goal gives 1.

    The goal ends an episode. The observation is the cell, one-hot with 100 numbers: a linear function of it is a table.
    """

    @property
    def name(self) -> str:
        return "GridWall"

    @property
    def horizon(self) -> int:
        return 200

    @property
    def observation_space(self) -> Box:
        return Box((0.0,) * SIDE**2, (1.0,) * SIDE**2, (SIDE**2,))

    @property
    def action_space(self) -> Discrete:
        return Discrete(LEADS.shape[-1], NAMES)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        wall = "whether column 5 has a wall from row 2 down: 0 or 1, else rounded"
        slip = "probability that a step takes a random move"
        return (
            Parameter("wall", 0.0, 0.0, 1.0, "walls", wall),
            Parameter("slip", 0.1, 0.0, 1.0, "chance", slip),
        )

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_step", "reward_goal")

    def initial(self, params: EnvParams, key: Key) -> Cell:
        return jnp.asarray(START, jnp.int32)

    def observe(self, params: EnvParams, state: Cell) -> Float[Array, " cell"]:
        return jax.nn.one_hot(state, SIDE**2)

    def transition(self, params: EnvParams, state: Cell, action: Int[Array, ""], key: Key) -> Cell:
        return _leads(params)[state, slipped(key, action, self.action_space.n, params["slip"])]

    def cumulants(self, params: EnvParams, state: Cell, action: Int[Array, ""], next_state: Cell) -> Float[Array, " 2"]:
        reached = next_state == GOAL
        return (state != GOAL) * jnp.stack([jnp.where(reached, 0.0, -STEP_COST), reached.astype(jnp.float32)])

    def terminal(self, params: EnvParams, state: Cell) -> Bool[Array, ""]:
        return state == GOAL

    def tables(self, params: EnvParams) -> Tables:
        """Returns the MDP of these parameters as tables; its states are the cells."""
        cells = jnp.arange(SIDE**2)
        each = lambda state: jax.vmap(lambda after: self.cumulants(params, state, jnp.asarray(0), after))(cells)
        cumulants = jnp.repeat(jax.vmap(each)(cells)[:, None], self.action_space.n, axis=1)
        return Tables(chances(_leads(params), params["slip"]), cumulants)

    def draw(self, params: EnvParams, state: Cell) -> Drawing:
        walls = (OPEN, WALLED)[int(_walled(params))]
        goal, agent = square(GOAL, walls, 0.42, "goal"), Disc(middle(int(state), walls), 0.32, "body")
        return Drawing((0.0, 0.0), (float(SIDE), float(SIDE)), (*board(walls), goal, agent))


def _leads(params: EnvParams) -> Int[Array, "cell move"]:
    """Returns the cell to which each move leads from each cell."""
    return jnp.asarray(LEADS)[_walled(params)]


def _walled(params: EnvParams) -> Int[Array, ""]:
    return (params["wall"] > 0.5).astype(jnp.int32)
