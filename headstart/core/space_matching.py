"""Knowledge in other spaces: what has the same name in both is taken along, the rest begins anew.

Which rows and columns of an array belong to what is seen, and which to what is done, nobody has to write down: a
learner is asked for the shapes of what it would know with one more component of either. An axis that grows by that
holds them: what is seen first, what is done last (several times over, where a policy has means and spreads), what it is
told between the two.
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
from headstart.core.types import Key, Knowledge, Method, PyTree, Spec

Places = Int[np.ndarray, " _"]
Pair = tuple[Places, Places]  # where something was on an axis, and where it comes to lie


class SpaceMatch(NamedTuple):
    """The components of two spaces, by name."""

    places: Pair  # of what both have
    sizes: tuple[int, int]
    copied: tuple[str, ...]
    new: tuple[str, ...]  # names that only the new space has
    dropped: tuple[str, ...]  # names that only the old one had
    same: bool  # whether the spaces are alike, and nothing has to move


class Axis(NamedTuple):
    """What an axis holds: how many numbers, and how many times over what is seen and what is done are among them."""

    size: int
    observation: int
    action: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How knowledge comes from one pair of spaces into another."""

    observation: SpaceMatch
    action: SpaceMatch
    arrays: dict[str, tuple[Pair, ...] | None]  # of each, on every axis; None: it does not come along

    @property
    def same(self) -> bool:
        """Whether everything comes along as it is."""
        return self.observation.same and self.action.same


class ArrayTransfer(NamedTuple):
    """What became of an array's numbers."""

    copied: int
    new: int
    dropped: int


def match(
    what: str, old: ObservationSpace | ActionSpace, new: ObservationSpace | ActionSpace, renamed: Mapping[str, str]
) -> SpaceMatch:
    """Returns the components of both by name, those of the old space renamed before.

    Raises InputError where they are of kinds that cannot be matched, have no names, or measure in other units.
    """
    if compatible(old, new) and not renamed:
        names, every = () if isinstance(new, Image) else new.names, np.arange(old.size)
        return SpaceMatch((every, every), (old.size, old.size), names, (), (), True)
    before, after = _components(what, old, new, bool(renamed)), _components(what, new, old, bool(renamed))
    before = [c._replace(name=renamed.get(c.name, c.name)) for c in before]
    place, was = {c.name: i for i, c in enumerate(after)}, {c.name for c in before}
    if len(was) < len(before):
        raise InputError(f"Two {what} components have one name once renamed; give each a name of its own.")
    both = [(i, place[c.name]) for i, c in enumerate(before) if c.name in place]
    for i, j in both:
        units = before[i].unit, after[j].unit
        if all(units) and units[0] != units[1]:
            raise InputError(
                f"The {what} component {after[j].name!r} is in {units[0]} where it was learned, and in {units[1]} here;"
                " rename it, so that it does not come along."
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
    """Returns those of a space. Raises InputError where they cannot be matched with those of the other one."""
    if type(space) is not type(other) or isinstance(space, Image):
        raise InputError(
            f"Knowledge moves from vectors to vectors and from choices to choices, and the {what} spaces are "
            f"{kind_of(space)} and {kind_of(other)}; choose tasks that show and take the same kind."
        )
    if isinstance(space, Box) and space.one_hot_groups:
        raise InputError(f"What the {what} spaces hold are names of states, which mean nothing elsewhere.")
    if not space.components and not renamed:
        raise InputError(
            f"The {what} spaces differ ({space.size} and {other.size} components), and in one of them nobody has named "
            "them; say which is which by renaming."
        )
    return list(space.components) or [Component(name) for name in space.names]


def plan(method: Method, known: Spec, wanted: Spec, renamed: Mapping[str, str] | None = None) -> Plan:
    """Returns how what `method` knows in `known` comes into the spaces of `wanted`.

    `renamed` gives components of the old spaces their names in the new ones. Raises InputError where that is not
    possible, or a name is not there to be renamed.
    """
    renames = _by_space(renamed or {}, known)
    seen = match("observation", known.observation_space, wanted.observation_space, renames["observation"])
    done = match("action", known.action_space, wanted.action_space, renames["action"])
    old, new = (_layout(method, of, not seen.same, not done.same) for of in (known, with_spaces_of(known, wanted)))
    arrays = {name: _places(axes, new.get(name, ()), seen, done) for name, axes in old.items()}
    return Plan(seen, done, arrays)


def _by_space(renamed: Mapping[str, str], known: Spec) -> dict[str, dict[str, str]]:
    """Returns new names by the old ones, for each space. An old name may say which of them it is of: `action.0`."""
    spaces = {"observation": known.observation_space, "action": known.action_space}
    names = {what: () if isinstance(space, Image) else space.names for what, space in spaces.items()}
    found: dict[str, dict[str, str]] = {what: {} for what in spaces}
    for old, new in renamed.items():
        where = [(what, old.removeprefix(f"{what}.")) for what in spaces]
        where = [(what, name) for what, name in where if name in names[what]]
        if not where:
            known_names = ", ".join((*names["observation"], *names["action"]))
            raise InputError(f"There is no {old!r} to be renamed; there are {known_names}.")
        if len(where) > 1:
            raise InputError(f"{old!r} is both seen and done; write observation.{old} or action.{old}.")
        found[where[0][0]][where[0][1]] = new
    return found


def with_spaces_of(known: Spec, wanted: Spec) -> Spec:
    """Returns what the knowledge's own learner is told of the world that it comes into."""
    return known._replace(
        observation_space=wanted.observation_space,
        action_space=wanted.action_space,
        num_parameters=wanted.num_parameters,
    )


def _layout(method: Method, of: Spec, seen: bool, done: bool) -> dict[str, tuple[Axis, ...]]:
    """Returns of each array, what its axes hold; of `seen` and `done`, what is asked for."""
    base = _shapes(method, of)
    taller = _shapes(method, of._replace(observation_space=_wider(of.observation_space))) if seen else base
    one_more = Discrete(of.action_space.n + 1) if isinstance(of.action_space, Discrete) else _wider(of.action_space)
    busier = _shapes(method, of._replace(action_space=one_more)) if done else base
    return {
        name: tuple(
            Axis(n, more_seen - n, more_done - n)
            for n, more_seen, more_done in zip(shape, taller[name], busier[name], strict=True)
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


def _places(
    old: tuple[Axis, ...], new: tuple[Axis, ...], seen: SpaceMatch, done: SpaceMatch
) -> tuple[Pair, ...] | None:
    """Returns where an array's numbers were and come to lie, on each axis; None where the arrays are not of one kind."""
    if len(old) != len(new):
        return None
    pairs = []
    for a, b in zip(old, new, strict=True):
        rest = [
            axis.size - axis.observation * seen.sizes[i] - axis.action * done.sizes[i] for i, axis in enumerate((a, b))
        ]
        if (
            (a.observation, a.action) != (b.observation, b.action)
            or a.observation > 1
            or rest[0] != rest[1]
            or rest[0] < 0
        ):
            return None
        pairs.append(tuple(_axis(a, i, rest[0], seen, done) for i in range(2)))
    return tuple(pairs)


def _axis(axis: Axis, side: int, rest: int, seen: SpaceMatch, done: SpaceMatch) -> Places:
    """Returns places on an axis of what both spaces have, before (`side` 0) or after (1)."""
    first = axis.observation * seen.sizes[side]
    parts = [seen.places[side]] * axis.observation + [first + np.arange(rest)]
    parts += [first + rest + i * done.sizes[side] + done.places[side] for i in range(axis.action)]
    return np.concatenate(parts)


def move_params(plan: Plan, old: Knowledge, fresh: Knowledge) -> Knowledge:
    """Returns the fresh knowledge [seed], with the old one's numbers wherever they come along."""
    numbers = named(old)

    def at(name: str, x: PyTree) -> PyTree:
        pairs = plan.arrays.get(name)
        if pairs is None or name not in numbers:  # what was adapted may have left some of it behind
            return x
        x, seeds = np.array(x), np.arange(len(x))
        before, after = (np.ix_(seeds, *(pair[side] for pair in pairs)) for side in range(2))
        x[after] = np.asarray(numbers[name])[before]
        return jax.device_put(x)

    return map_named(at, fresh)


def init_knowledge(method: Method, of: Spec, keys: Key) -> Knowledge:
    """Returns what the method's learner knows before it has learned anything [seed]."""
    return jax.jit(jax.vmap(lambda key: method.learner(of).init(key, None)))(keys)


def count_transferred(plan: Plan, old: Knowledge, start: Knowledge) -> dict[str, ArrayTransfer]:
    """Returns what became of each array between what was left [seed] and what is begun with [seed], by their numbers.

    Told by comparing them, not by what was meant: what a method changes on the way counts as new.
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
