"""Transfer between different spaces: components with the same name are copied, the rest is initialised.

Nobody has to declare which rows and columns of an array belong to observations and which to actions. A learner is asked
for the shapes of its params with one more component of either. An axis that grows holds these components, in a
fixed order: observations first, actions last (repeatedly, if a policy has means and standard deviations), the context
between.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from headstart.core.errors import InputError
from headstart.core.names import map_named, named
from headstart.core.spaces import ActionSpace, Box, Component, Discrete, Image, ObservationSpace, compatible, kind_of
from headstart.core.types import Key, Method, Params, PyTree, Spec

Places = Int[np.ndarray, " _"]
Pair = tuple[Places, Places]  # indices on an old axis, and on the new one


class SpaceMatch(NamedTuple):
    """The components of two observation spaces, or of two action spaces, by name."""

    places: Pair  # of the components that both have
    sizes: tuple[int, int]
    copied: tuple[str, ...]
    new: tuple[str, ...]  # names that only the new space has
    dropped: tuple[str, ...]  # names that only the old space has
    same: bool  # whether the spaces are compatible as they are


class Axis(NamedTuple):
    """What an axis holds: its size, and how many times it contains the observation and the action."""

    size: int
    observation: int
    action: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How knowledge is copied from one pair of spaces into another."""

    observation: SpaceMatch
    action: SpaceMatch
    arrays: dict[str, tuple[Pair, ...] | None]  # of each array, the indices on every axis; None: it is not copied

    @property
    def same(self) -> bool:
        """Whether everything is copied as it is."""
        return self.observation.same and self.action.same


class ArrayTransfer(NamedTuple):
    """How many of an array's numbers were copied, are new, and were dropped."""

    copied: int
    new: int
    dropped: int


def match(
    what: str, old: ObservationSpace | ActionSpace, new: ObservationSpace | ActionSpace, renamed: Mapping[str, str]
) -> SpaceMatch:
    """Matches the components of two spaces by name, after renaming those of the old space.

    Raises InputError if the kinds of the spaces cannot be matched, or if components have no names or different units.
    """
    if compatible(old, new) and not renamed:
        names, every = () if isinstance(new, Image) else new.names, np.arange(old.size)
        return SpaceMatch((every, every), (old.size, old.size), names, (), (), True)
    before, after = _components(what, old, new, bool(renamed)), _components(what, new, old, bool(renamed))
    before = [c._replace(name=renamed.get(c.name, c.name)) for c in before]
    place, was = {c.name: i for i, c in enumerate(after)}, {c.name for c in before}
    if len(was) < len(before):
        raise InputError(f"Two {what} components have the same name once renamed; give each a name of its own.")
    both = [(i, place[c.name]) for i, c in enumerate(before) if c.name in place]
    for i, j in both:
        units = before[i].unit, after[j].unit
        if all(units) and units[0] != units[1]:
            raise InputError(
                f"The {what} component {after[j].name!r} is in {units[0]} where it was learned, and in {units[1]} here;"
                " rename it, so that it is not copied."
            )
    return SpaceMatch(
        (np.array([i for i, _ in both], int), np.array([j for _, j in both], int)),
        (len(before), len(after)),
        tuple(after[j].name for _, j in both),
        tuple(c.name for c in after if c.name not in was),
        tuple(c.name for c in before if c.name not in place),
        False,
    )


def _components(
    what: str, space: ObservationSpace | ActionSpace, other: ObservationSpace | ActionSpace, renamed: bool
) -> list[Component]:
    """Returns the components of `space`. Raises InputError if they cannot be matched with those of `other`."""
    if type(space) is not type(other) or isinstance(space, Image):
        raise InputError(
            f"Knowledge transfers from vectors to vectors and from choices to choices, but the {what} spaces are "
            f"{kind_of(space)} and {kind_of(other)}; choose tasks with spaces of the same kind."
        )
    if isinstance(space, Box) and space.one_hot_groups:
        raise InputError(f"The {what} spaces encode states, whose numbers mean nothing in another space.")
    if not space.components and not renamed:
        raise InputError(
            f"The {what} spaces differ ({space.size} and {other.size} components), and one of them has no names for "
            "its components; match them by renaming."
        )
    return list(space.components) or [Component(name) for name in space.names]


def plan(method: Method, known: Spec, wanted: Spec, renamed: Mapping[str, str] | None = None) -> Plan:
    """Plans how knowledge of `method` in the spaces of `known` is copied into those of `wanted`.

    `renamed` gives components of the old spaces their names in the new ones. Raises InputError if the spaces cannot be
    matched, or if `renamed` has an unknown name.
    """
    renames = _by_space(renamed or {}, known)
    obs = match("observation", known.observation_space, wanted.observation_space, renames["observation"])
    act = match("action", known.action_space, wanted.action_space, renames["action"])
    old, new = (_layout(method, of, not obs.same, not act.same) for of in (known, with_spaces_of(known, wanted)))
    arrays = {name: _places(axes, new.get(name, ()), obs, act) for name, axes in old.items()}
    return Plan(obs, act, arrays)


def _by_space(renamed: Mapping[str, str], known: Spec) -> dict[str, dict[str, str]]:
    """Returns new names by old ones, for each space. A prefix tells the space of an ambiguous old name: `action.0`."""
    spaces = {"observation": known.observation_space, "action": known.action_space}
    names = {what: () if isinstance(space, Image) else space.names for what, space in spaces.items()}
    found: dict[str, dict[str, str]] = {what: {} for what in spaces}
    for old, new in renamed.items():
        where = [(what, old.removeprefix(f"{what}.")) for what in spaces]
        where = [(what, name) for what, name in where if name in names[what]]
        if not where:
            known_names = ", ".join((*names["observation"], *names["action"]))
            raise InputError(f"There is no {old!r} to rename; there are {known_names}.")
        if len(where) > 1:
            raise InputError(f"{old!r} is both observed and an action; write observation.{old} or action.{old}.")
        found[where[0][0]][where[0][1]] = new
    return found


def with_spaces_of(known: Spec, wanted: Spec) -> Spec:
    """Returns the Spec that the knowledge's own learner gets in the new spaces."""
    return known._replace(
        observation_space=wanted.observation_space,
        action_space=wanted.action_space,
        num_parameters=wanted.num_parameters,
    )


def _layout(method: Method, of: Spec, obs: bool, act: bool) -> dict[str, tuple[Axis, ...]]:
    """Returns what the axes of each array hold; the flags say which of both to look for."""
    base = _shapes(method, of)
    with_obs = _shapes(method, of._replace(observation_space=_wider(of.observation_space))) if obs else base
    one_more = Discrete(of.action_space.n + 1) if isinstance(of.action_space, Discrete) else _wider(of.action_space)
    with_act = _shapes(method, of._replace(action_space=one_more)) if act else base
    return {
        name: tuple(
            Axis(n, more_obs - n, more_act - n)
            for n, more_obs, more_act in zip(shape, with_obs[name], with_act[name], strict=True)
        )
        for name, shape in base.items()
    }


def _shapes(method: Method, of: Spec) -> dict[str, tuple[int, ...]]:
    known = jax.eval_shape(lambda key: method.learner(of).init(key, None), jax.random.key(0))
    return {name: x.shape for name, x in named(known).items()}


def _wider(space: ObservationSpace) -> Box:
    """Returns the space with one more number."""
    assert isinstance(space, Box)
    return Box((*space.low, 0.0), (*space.high, 1.0))


def _places(old: tuple[Axis, ...], new: tuple[Axis, ...], obs: SpaceMatch, act: SpaceMatch) -> tuple[Pair, ...] | None:
    """Returns the indices of an array's numbers on each old and new axis; None if the axes hold different things."""
    if len(old) != len(new):
        return None
    pairs = []
    for a, b in zip(old, new, strict=True):
        rest = [
            axis.size - axis.observation * obs.sizes[i] - axis.action * act.sizes[i] for i, axis in enumerate((a, b))
        ]
        if (
            (a.observation, a.action) != (b.observation, b.action)
            or a.observation > 1
            or rest[0] != rest[1]
            or rest[0] < 0
        ):
            return None
        pairs.append(tuple(_axis(a, i, rest[0], obs, act) for i in range(2)))
    return tuple(pairs)


def _axis(axis: Axis, side: int, rest: int, obs: SpaceMatch, act: SpaceMatch) -> Places:
    """Returns the indices of the shared components on an axis, of the old array (`side` 0) or the new one (1)."""
    first = axis.observation * obs.sizes[side]
    parts = [obs.places[side]] * axis.observation + [first + np.arange(rest)]
    parts += [first + rest + i * act.sizes[side] + act.places[side] for i in range(axis.action)]
    return np.concatenate(parts)


def move_params(plan: Plan, old: Params, fresh: Params) -> Params:
    """Returns the fresh params [seed], with the old numbers wherever the plan copies them."""
    numbers = named(old)

    def at(name: str, x: PyTree) -> PyTree:
        pairs = plan.arrays.get(name)
        if pairs is None or name not in numbers:  # adapted knowledge may lack parts of what its method starts with
            return x
        x, seeds = np.array(x), np.arange(len(x))
        before, after = (np.ix_(seeds, *(pair[side] for pair in pairs)) for side in range(2))
        x[after] = np.asarray(numbers[name])[before]
        return jax.device_put(x)

    return map_named(at, fresh)


def init_params(method: Method, of: Spec, keys: Key) -> Params:
    """Returns the params [seed] of an untrained learner of this method."""
    return jax.jit(jax.vmap(lambda key: method.learner(of).init(key, None)))(keys)


def count_transferred(plan: Plan, old: Params, start: Params) -> dict[str, ArrayTransfer]:
    """Counts what became of each array between the old params [seed] and the start in the new space [seed].

    The numbers themselves are compared, so that whatever a method changes on the way counts as new.
    """
    left, begun, came = named(old), named(start), {}
    for name in [*left, *(name for name in begun if name not in left)]:
        was, now = (np.asarray(x[name])[0] if name in x else np.zeros(0) for x in (left, begun))
        pairs = plan.arrays.get(name)
        copied = 0
        if pairs is not None and name in left and name in begun:
            before, after = (np.ix_(*(pair[side] for pair in pairs)) if pairs else () for side in range(2))
            copied = int((was[before] == now[after]).sum())
        came[name] = ArrayTransfer(copied, now.size - copied, was.size - copied)
    return came
