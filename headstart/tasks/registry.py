"""Every task by name: what there is, what can be changed about it, and tasks made of it."""

import difflib
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution

from headstart.core.errors import InputError
from headstart.core.types import Box, Env, Parameter, Task
from headstart.tasks import distributions
from headstart.tasks.descriptions import DESCRIPTIONS
from headstart.tasks.disturbances import disturb, offered
from headstart.tasks.worlds import WORLDS

PHYSICS = ("auto", "c", "mjx")


class Row(NamedTuple):
    """One task of the table."""

    id: str
    kind: str  # world: pure JAX; mujoco: a robot
    observation: int  # numbers observed
    action: str
    horizon: int  # steps
    about: str


def is_ours(env_id: str) -> bool:
    """Returns whether headstart has an env of this name itself, and knows all that can be said about it."""
    return env_id in WORLDS or env_id in _robots()


def make(env_id: str, physics: str = "auto", **said: Any) -> Env:
    """Returns the env of this name, at its nominal parameters where tasks say nothing else: ours, or else Gymnasium's.

    `physics` is what steps a MuJoCo robot: "c", "mjx", or "auto" (MJX where JAX has an accelerator). `said` goes to
    `headstart.host`, for an env that is not ours. Raises InputError where there is no such env, offering the nearest
    names, or no such physics, or where Gymnasium cannot make it.
    """
    if physics not in PHYSICS:
        raise InputError(f"There is no physics={physics!r}; choose one of {', '.join(PHYSICS)}.")
    if env_id in WORLDS:
        return WORLDS[env_id]()
    if env_id in _robots():
        from headstart.tasks import mujoco  # slow to import, and not needed by worlds

        return mujoco.make(env_id, physics)  # pyright: ignore[reportArgumentType]
    from headstart.tasks.host import host, ids, is_registered, named  # and with it Gymnasium

    if (env := named(env_id)) is not None:
        return env
    if is_registered(env_id):
        return host(env_id, **said)
    known = [*WORLDS, *_robots()]
    near = nearest(env_id, known) or nearest(env_id, ids(), 0.8)
    offer = _offer(near) if near else f"`headstart tasks` lists the {len(known)} that there are"
    raise InputError(f"There is no task {env_id!r}; {offer}.")


def tasks() -> list[Row]:
    """Returns the table of all tasks by name."""
    rows = []
    for kind, ids in (("world", WORLDS), ("mujoco", _robots())):
        for env_id in ids:
            env = make(env_id, "c")
            kind_of_action = "number" if isinstance(env.action_space, Box) else "choice"
            action = f"{env.action_space.size} {kind_of_action}{'s' * (env.action_space.size != 1)}"
            rows.append(Row(env_id, kind, env.observation_space.size, action, env.horizon, DESCRIPTIONS[env_id]))
    return rows


def parameters(env: str | Env) -> tuple[Parameter, ...]:
    """Returns everything in which tasks of this env may differ, disturbances last. Raises InputError as `make` does."""
    if isinstance(env, str) and "@" in env:
        return parameters(task(env, "c").env)
    return tuple(_parameters_by_name(as_env(env, "c")).values())


def task(
    env: str | Env,
    physics: str = "auto",
    target: bool = False,
    w: Sequence[float] | Mapping[str, float] | None = None,
    **params: Any,
) -> Task:
    """One task: `task("Hopper-v5", torso_mass=dist.Uniform(3, 9))`, or `task("Hopper-v5@torso_mass=3..9")`.

    `params` are numbers, scalar `numpyro.distributions`, drawn anew for each episode, or what a task string has for
    them; `w` weighs the env's `rewards`,
    in their order or by name (1 where not given): `task("HalfCheetah-v5", w={"reward_forward": -1})` runs backwards.
    Raises InputError where the env, a parameter or a reward is unknown, or a value no good.
    """
    from headstart.tasks import strings  # which make tasks by this

    if isinstance(env, str) and "@" in env:
        said = strings.parse(env, physics, target)
        if twice := said.params.keys() & params:
            raise InputError(f"The task {env!r} has {min(twice)} twice; keep one of them.")
        env, params, w = said.env, {**said.params, **params}, np.asarray(said.w).tolist() if w is None else w
    env = as_env(env, physics)
    data = {name: jax.tree.map(jnp.asarray, params.pop(name)) for name in env.data_names if name in params}
    if missing := set(env.data_names) - data.keys():
        raise InputError(f"{env.name} needs data that the task does not hold; give task(..., {min(missing)}=…) too.")
    read = {n: strings.read(x, parameter(env, n), env.name) if isinstance(x, str) else x for n, x in params.items()}
    settled = {name: distributions.canonical(env.name, parameter(env, name), value) for name, value in read.items()}
    weights = jnp.asarray(_weights(env, w))
    env = disturb(env, params)
    env = env.with_parameters(settled)
    return Task(env, {**settled, **data}, weights, jnp.zeros(0), jnp.asarray(int(target), jnp.int32))


def as_env(given: Any, physics: str = "auto") -> Env:
    """Returns the env that is meant: an env, that of a task, or the one of a name or task string.

    Raises InputError as `make` does, and where it is none of them.
    """
    if isinstance(given, str):
        return make(given, physics)
    env = given.env if isinstance(given, Task) else given
    if not isinstance(env, Env):
        raise InputError(f"{given!r} is no env; give one, or a name such as Hopper-v5.")
    return env


def _weights(env: Env, w: Sequence[float] | Mapping[str, float] | None) -> np.ndarray:
    """Returns a weight for each reward, in float32. Raises InputError where they are not its rewards, or not finite."""
    named = {} if w is None else w
    unknown = named.keys() - set(env.cumulant_names) if isinstance(named, Mapping) else set()
    listed = [named.get(name, 1.0) for name in env.cumulant_names] if isinstance(named, Mapping) else named
    try:
        weights = np.asarray(listed, np.float32)
    except (TypeError, ValueError):
        weights = np.zeros(0)
    if unknown or weights.shape != (len(env.cumulant_names),) or not np.isfinite(weights).all():
        raise InputError(
            f"{env.name}: w={w!r} does not weigh its rewards; give {len(env.cumulant_names)} finite numbers, "
            f"one for each of {', '.join(env.cumulant_names)}."
        )
    return weights


def parameter(env: Env, name: str) -> Parameter:
    """Returns what is known of one parameter. Raises InputError, offering the nearest, where there is none of this name."""
    known = _parameters_by_name(env)
    told = known.get(name) or env.unlisted_parameter(name)
    if told is not None:
        return told
    near = nearest(name, known)
    offer = _offer(near) if near else f"headstart.parameters({env.name!r}) lists its {len(known)}"
    raise InputError(f"{env.name} has no parameter {name!r}; {offer}.")


def value_of(task: Task, name: str) -> str:
    """Returns a task's value for one parameter, as task strings write it; its nominal value where the task says nothing.

    Raises InputError as `parameter` does.
    """
    told = parameter(task.env, name)
    return distributions.text(task.params[name] if name in task.params else _default(task, told), told)


def interval(task: Task) -> float | None:
    """Returns seconds between two steps of a task, or of stacked ones; None where there is not one number that is so."""
    said = task.params.get("dt", task.env.dt)
    each = [] if said is None or isinstance(said, Distribution) else np.unique(said).tolist()
    return float(each[0]) if len(each) == 1 else None


def aligned(tasks: Sequence[Task]) -> list[Task]:
    """Returns the same tasks, each naming all that any of them names, on one shared env.

    Those of equal kinds (numbers, or laws of one kind) can then be stacked. Raises InputError where they are tasks of
    different envs, or where what one leaves unsaid is no single number.
    """
    names = sorted({name for task in tasks for name in task.params})
    known = {parameter.name for task in tasks for parameter in task.env.parameters}
    envs = [disturb(task.env, {*names, *known}) for task in tasks]
    shared = functools.reduce(lambda one, other: one.merged_with(other), envs)
    for env in envs:
        if env.merged_with(shared) != shared:
            raise InputError(f"{envs[0].name} and {env.name} are different envs (or stepped by different physics).")
    filled = []
    for task in tasks:
        missing = [name for name in names if name not in task.params]
        unsaid = {name: _default(task, parameter(shared, name)) for name in missing}
        full = {name: jnp.full(task.domain.shape, value, jnp.float32) for name, value in unsaid.items()}
        filled.append(task.replace(env=shared, params={**task.params, **full}))
    return filled


def nearest(name: str, known: Iterable[str], like: float = 0.5) -> list[str]:
    """Returns up to three known names that are most like this one, however it is capitalised; [] where none is."""
    by_lower = {k.lower(): k for k in known}
    return [by_lower[k] for k in difflib.get_close_matches(name.lower(), by_lower, 3, like)]


def _offer(near: list[str]) -> str:
    return f"the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"


def _default(task: Task, told: Parameter) -> Any:
    """Returns the value of a parameter that the task does not name: nominal, or what others that it names make of it."""
    for other, times in task.env.derived_from(told.name):
        if isinstance(task.params.get(other), Distribution):
            raise InputError(
                f"{task.env.name}: {told.name} depends on the drawn {other} where it is not given; "
                f"give {told.name} or {other} in both tasks, not each in one."
            )
        if other in task.params:
            return times * task.params[other]
    return told.nominal


def _parameters_by_name(env: Env) -> dict[str, Parameter]:
    """Returns its parameters by name; last come all the disturbances that it can have."""
    disturbances = offered(env)
    return {p.name: p for p in (*(p for p in env.parameters if p not in disturbances), *disturbances)}


def _robots() -> tuple[str, ...]:
    from headstart.tasks.mujoco import NAMES

    return NAMES
