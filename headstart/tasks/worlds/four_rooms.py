"""FourRooms: collect objects on the way through four rooms to the goal; the task says what each class is worth.

Barreto et al., "Successor Features for Transfer in Reinforcement Learning" (2017), arXiv:1606.05312, on a grid of 13 x
13 cells: the map, the one goal and the 200 steps are those of `mike-gimelfarb/deep-successor-features-for-transfer`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from headstart.core.drawing import Disc, Drawing, Polygon, Shape
from headstart.core.types import Box, Discrete, Env, EnvParams, Key, Parameter, Record
from headstart.tasks.worlds.grid import NAMES, board, leads, middle, square
from headstart.tasks.worlds.tables import slipped

MAP = """
1....2X.....G
......X......
......1......
.............
......X......
2....3X......
XX3.XXXXX.1XX
......X2....3
......X......
.............
......2......
......X......
_.....X3....1
"""
CELLS = np.array([list(row) for row in MAP.split()])
SIDE = len(CELLS)
WALLS = CELLS == "X"
(START,), (GOAL,) = np.flatnonzero(CELLS == "_"), np.flatnonzero(CELLS == "G")
PLACES = np.flatnonzero(np.isin(CELLS, ["1", "2", "3"]))  # the cells of the objects
CLASSES = np.array([int(name) - 1 for name in CELLS.flat[PLACES]])
LEADS = leads(WALLS)


class Walk(Record):
    """The walker's cell, and the objects that it has collected."""

    cell: Int[Array, ""]
    collected: Bool[Array, " object"]


class FourRooms(Env):
    """Four moves (up, down, left, right). Stepping on an object collects it, once. The goal ends an episode.

    φ counts the objects of each class that a step collects, and the goal. Tasks differ in `w` (in the paper: uniform in
    ±1 for each class, and 1 for the goal). The observation is the row and the column, one-hot with 13 numbers each, and
    12 bits for the collected objects: short for a network, and an index for a table of 13 · 13 · 2¹² states.
    """

    @property
    def name(self) -> str:
        return "FourRooms"

    @property
    def horizon(self) -> int:
        return 200

    @property
    def observation_space(self) -> Box:
        one_hot_groups = (SIDE, SIDE, *[1] * len(PLACES))
        return Box((0.0,) * sum(one_hot_groups), (1.0,) * sum(one_hot_groups), one_hot_groups)

    @property
    def action_space(self) -> Discrete:
        return Discrete(LEADS.shape[1], NAMES)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("slip", 0.0, 0.0, 1.0, "chance", "probability that a step takes a random move"),)

    @property
    def cumulant_names(self) -> tuple[str, ...]:
        return ("reward_class_1", "reward_class_2", "reward_class_3", "reward_goal")

    def initial(self, params: EnvParams, key: Key) -> Walk:
        return Walk(jnp.asarray(START, jnp.int32), jnp.zeros(len(PLACES), bool))

    def observe(self, params: EnvParams, state: Walk) -> Float[Array, " 38"]:
        place = [jax.nn.one_hot(line, SIDE) for line in (state.cell // SIDE, state.cell % SIDE)]
        return jnp.concatenate([*place, state.collected.astype(jnp.float32)])

    def transition(self, params: EnvParams, state: Walk, action: Int[Array, ""], key: Key) -> Walk:
        cell = jnp.asarray(LEADS)[state.cell, slipped(key, action, self.action_space.n, params["slip"])]
        return Walk(cell, state.collected | (jnp.asarray(PLACES) == cell))

    def cumulants(self, params: EnvParams, state: Walk, action: Int[Array, ""], next_state: Walk) -> Float[Array, " 4"]:
        new = next_state.collected & ~state.collected
        of_class = new[:, None] & jnp.asarray(CLASSES[:, None] == np.arange(3)[None])
        return jnp.append(of_class.sum(0), next_state.cell == GOAL).astype(jnp.float32)

    def terminal(self, params: EnvParams, state: Walk) -> Bool[Array, ""]:
        return state.cell == GOAL

    def draw(self, params: EnvParams, state: Walk) -> Drawing:
        left = [(i, kind) for i, kind in enumerate(CLASSES) if not state.collected[i]]
        objects = [_object(int(PLACES[i]), int(kind)) for i, kind in left]
        goal, agent = square(int(GOAL), WALLS, 0.42, "goal"), Disc(middle(int(state.cell), WALLS), 0.32, "body")
        return Drawing((0.0, 0.0), (float(SIDE), float(SIDE)), (*board(WALLS), *objects, goal, agent))


def _object(cell: int, kind: int) -> Shape:
    """Returns a disc, a square or a triangle, by class."""
    x, y = middle(cell, WALLS)
    if kind == 0:
        return Disc((x, y), 0.26, "limb")
    if kind == 1:
        return square(cell, WALLS, 0.24, "mark")
    return Polygon(((x - 0.3, y - 0.26), (x + 0.3, y - 0.26), (x, y + 0.28)), "wall")
