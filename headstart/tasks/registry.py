"""Tasks by name: the list of envs, their parameters, and how a task is made."""

import difflib
import functools
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution

from headstart.core.errors import InputError, message
from headstart.core.types import Box, Env, Parameter, Task
from headstart.tasks import distributions
from headstart.tasks.descriptions import DESCRIPTIONS
from headstart.tasks.disturbances import disturb, offered
from headstart.tasks.labelled import default_weights
from headstart.tasks.worlds import WORLDS

PHYSICS = ("auto", "c", "mjx")


class Row(NamedTuple):
    """One row of the table of tasks."""

    id: str
    kind: str  # world: in pure JAX; mujoco: a robot
    observation: int  # size of the observation
    action: str
    horizon: int  # steps
    about: str


def is_ours(env_id: str) -> bool:
    """Returns whether headstart has an env of this name itself."""
    return env_id in WORLDS or env_id in _robots()


def make(env_id: str, physics: str = "auto", **options: Any) -> Env:
    """Returns the env of this name: headstart's own, or else Gymnasium's.

    `physics` steps a MuJoCo robot: "c", "mjx", or "auto" (MJX if JAX has an accelerator). `options` go to
    `headstart.host`, for an env that is not headstart's. Raises InputError if there is no such env (with the nearest
    names) or no such physics, or if Gymnasium cannot make it.
    """
    if physics not in PHYSICS:
        raise InputError(f"There is no physics={physics!r}; choose one of {', '.join(PHYSICS)}.")
    if env_id in WORLDS:
        return WORLDS[env_id]()
    if env_id in plugins():
        return _from_plugin(env_id)
    if env_id in _robots():
        from headstart.tasks import mujoco  # slow to import

        return mujoco.make(env_id, physics)  # pyright: ignore[reportArgumentType]
    from headstart.tasks.host import host, ids, is_registered, named  # imports Gymnasium

    if (env := named(env_id)) is not None:
        return env
    if is_registered(env_id):
        return host(env_id, **options)
    known = [*WORLDS, *_robots()]
    near = nearest(env_id, known) or nearest(env_id, ids(), 0.8)
    hint = _offer(near) if near else f"`headstart tasks` lists the {len(known)} known names"
    raise InputError(f"There is no task {env_id!r}; {hint}.")


@functools.cache
def plugins() -> dict[str, importlib.metadata.EntryPoint]:
    """Returns the envs of installed packages: entry points of the group headstart.tasks, by name."""
    return {point.name: point for point in importlib.metadata.entry_points(group="headstart.tasks")}


def _from_plugin(env_id: str) -> Env:
    """Returns the env of an entry point, which is a function that returns one. Raises InputError where it fails."""
    try:
        env = plugins()[env_id].load()()
    except Exception as error:
        raise InputError(f"The env {env_id} of {plugins()[env_id].value} cannot be made: {message(error)}.") from error
    if not isinstance(env, Env):
        raise InputError(f"{plugins()[env_id].value} returned {type(env).__name__}; it has to return a headstart Env.")
    return env


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
    """Returns all parameters of an env; disturbances come last. Raises InputError as `make` does."""
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
    """Returns a task: `task("Hopper-v5", torso_mass=dist.Uniform(3, 9))`, or `task("Hopper-v5@torso_mass=3..9")`.

    `params` are numbers, scalar `numpyro.distributions` that each episode draws from, or what task strings write for
    them; for an env with `data_names`, trees of arrays too. `w` weighs the env's cumulants, in their order or by name
    (1 where not given; 0 of a label): `task("HalfCheetah-v5", w={"reward_forward": -1})` runs backwards. Raises
    InputError if the env, a parameter or a cumulant is unknown, or if a value is not valid.
    """
    from headstart.tasks import strings  # imports this module

    if isinstance(env, str) and "@" in env:
        parsed = strings.parse(env, physics, target)
        if twice := parsed.params.keys() & params:
            raise InputError(f"The task {env!r} has {min(twice)} twice; keep one of them.")
        env, params, w = parsed.env, {**parsed.params, **params}, np.asarray(parsed.w).tolist() if w is None else w
    env = as_env(env, physics)
    data = {name: jax.tree.map(jnp.asarray, params.pop(name)) for name in env.data_names if name in params}
    if missing := set(env.data_names) - data.keys():
        raise InputError(f"{env.name} needs data that is not given; call task(..., {min(missing)}=…) with it.")
    read = {n: strings.read(x, parameter(env, n), env.name) if isinstance(x, str) else x for n, x in params.items()}
    settled = {name: distributions.canonical(env.name, parameter(env, name), value) for name, value in read.items()}
    weights = jnp.asarray(_weights(env, w))
    env = disturb(env, params)
    env = env.with_parameters(settled)
    return Task(env, {**settled, **data}, weights, jnp.zeros(0), jnp.asarray(int(target), jnp.int32))


def as_env(given: Any, physics: str = "auto") -> Env:
    """Returns an env: the one given, that of a task, or that of a name or task string.

    Raises InputError as `make` does, and if it is none of them.
    """
    if isinstance(given, str):
        return make(given, physics)
    env = given.env if isinstance(given, Task) else given
    if not isinstance(env, Env):
        raise InputError(f"{given!r} is no env; give one, or a name such as Hopper-v5.")
    return env


def _weights(env: Env, w: Sequence[float] | Mapping[str, float] | None) -> np.ndarray:
    """Returns a float32 weight for each cumulant. Raises InputError if names or numbers do not match them."""
    named = {} if w is None else w
    unknown = named.keys() - set(env.cumulant_names) if isinstance(named, Mapping) else set()
    listed = list({**default_weights(env), **named}.values()) if isinstance(named, Mapping) else named
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
    """Returns a parameter by name. Raises InputError, with the nearest names, if there is none."""
    known = _parameters_by_name(env)
    listed = known.get(name) or env.unlisted_parameter(name)
    if listed is not None:
        return listed
    near = nearest(name, known)
    hint = _offer(near) if near else f"headstart.parameters({env.name!r}) lists its {len(known)}"
    raise InputError(f"{env.name} has no parameter {name!r}; {hint}.")


def value_of(task: Task, name: str) -> str:
    """Returns a task's value of one parameter as task strings write it; the default if the task does not set it.

    Raises InputError as `parameter` does.
    """
    declared = parameter(task.env, name)
    return distributions.text(task.params[name] if name in task.params else _default(task, declared), declared)


def interval(task: Task) -> float | None:
    """Returns the seconds between two steps of a task, or of stacked ones; None if they are unknown or differ."""
    seconds = task.params.get("dt", task.env.dt)
    each = [] if seconds is None or isinstance(seconds, Distribution) else np.unique(seconds).tolist()
    return float(each[0]) if len(each) == 1 else None


def aligned(tasks: Sequence[Task]) -> list[Task]:
    """Returns the tasks with one shared env, each setting all parameters that any of them sets.

    Tasks whose values are of equal kinds (numbers, or the same distributions) can then be stacked. Raises InputError if
    their envs differ, or if the default of a missing parameter is not one number.
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
    """Returns up to three known names that are most similar to this one, ignoring case; [] if none is similar."""
    by_lower = {k.lower(): k for k in known}
    return [by_lower[k] for k in difflib.get_close_matches(name.lower(), by_lower, 3, like)]


def _offer(near: list[str]) -> str:
    return f"the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}"


def _default(task: Task, parameter: Parameter) -> Any:
    """Returns the value of a parameter that the task does not set: nominal, or derived from others that it sets."""
    for other, times in task.env.derived_from(parameter.name):
        if isinstance(task.params.get(other), Distribution):
            raise InputError(
                f"{task.env.name}: the default of {parameter.name} depends on {other}, which is drawn; "
                f"give {parameter.name} or {other} in both tasks, not each in one."
            )
        if other in task.params:
            return times * task.params[other]
    return parameter.nominal


def _parameters_by_name(env: Env) -> dict[str, Parameter]:
    """Returns an env's parameters by name; last come all disturbances that it can have."""
    disturbances = offered(env)
    return {p.name: p for p in (*(p for p in env.parameters if p not in disturbances), *disturbances)}


def _robots() -> tuple[str, ...]:
    from headstart.tasks.mujoco import NAMES

    return NAMES
