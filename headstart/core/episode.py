"""Episodes of one env copy of one task: sampling its parameters, resetting it and stepping it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from numpyro.distributions import Distribution

from headstart.core.spaces import Observation
from headstart.core.types import Env, EnvParams, Key, PyTree, Record, Task, Transition


class Episode(Record):
    """The state of one env copy. It holds the sampled parameters only; fixed ones are the task's."""

    sampled: EnvParams  # the parameters that the task draws
    state: PyTree
    time: Int[Array, ""]
    episode_return: Float[Array, ""]  # undiscounted return so far, weighted by `Task.w`


def sample_params(task: Task, key: Key) -> EnvParams:
    """Returns the parameters of one episode: the task's fixed ones, and a new sample of those that it draws."""
    return _complete(task, _sample(task, key))


def _sample(task: Task, key: Key) -> EnvParams:
    """Returns a sample of the parameters that the task draws; each uses a key of its own."""
    distributions = [
        (i, *item) for i, item in enumerate(sorted(task.params.items())) if isinstance(item[1], Distribution)
    ]
    return {name: jnp.asarray(item.sample(jax.random.fold_in(key, i))) for i, name, item in distributions}


def _complete(task: Task, drawn: EnvParams) -> EnvParams:
    nominal = {name: jnp.asarray(value, jnp.float32) for name, value in task.env.defaults.items()}
    fixed = {name: jax.tree.map(jnp.asarray, value) for name, value in task.params.items() if name not in drawn}
    return {**nominal, **fixed, **drawn}


def params_of(task: Task, episode: Episode) -> EnvParams:
    """Returns the parameters of an episode."""
    return _complete(task, episode.sampled)


def reset(task: Task, key: Key, wanted: Bool[Array, ""] | None = None) -> Episode:
    """Returns a new episode. If `wanted` is given and false, the result is to be ignored."""
    k_params, k_state = jax.random.split(key)
    drawn = _sample(task, k_params)
    params = _complete(task, drawn)
    if wanted is None:
        return _first(drawn, task.env.initial(params, k_state))
    return _first(drawn, task.env.initial_where(params, wanted, k_state))


def reset_next(task: Task, state: PyTree, ended: Bool[Array, ""], key: Key) -> Episode:
    """Returns the episode after the one that reached `state`. The result is to be ignored unless that one `ended`."""
    k_params, k_state = jax.random.split(key)
    drawn = _sample(task, k_params)
    return _first(drawn, task.env.reset_next(_complete(task, drawn), state, ended, k_state))


def _first(drawn: EnvParams, state: PyTree) -> Episode:
    return Episode(drawn, state, jnp.zeros((), jnp.int32), jnp.zeros(()))


def episode_parameters(task: Task, episode: Episode) -> Float[Array, " parameter"]:
    """Returns the parameters of an episode in the env's order; nominal values where the task sets none."""
    return parameter_vector(task.env, params_of(task, episode))


def parameter_vector(env: Env, params: EnvParams) -> Float[Array, " parameter"]:
    """Returns parameters in the env's order; nominal values where `params` has none."""
    each = [params.get(p.name, p.nominal) for p in env.parameters]
    return jnp.array(each, jnp.float32) if each else jnp.zeros(0)


def observe(task: Task, episode: Episode) -> Observation:
    """Returns the current observation."""
    return task.env.observe(params_of(task, episode), episode.state)


def step(task: Task, episode: Episode, action: Array, key: Key, auto_reset: bool = True) -> tuple[Episode, Transition]:
    """Returns the episode after one step, or a new one if this step ended it and `auto_reset` is set; and the step."""
    k_step, k_reset = jax.random.split(key)
    stepped, transition = step_once(task, episode, action, k_step)
    if not auto_reset:
        return stepped, transition
    after = reset_next(task, stepped.state, transition.last, k_reset)
    return jax.tree.map(lambda new, old: jnp.where(transition.last, new, old), after, stepped), transition


def step_once(
    task: Task, episode: Episode, action: Array, key: Key, command: Array | None = None
) -> tuple[Episode, Transition]:
    """Returns the episode after one step, without a reset, and the step.

    `command` is the action in the env's units; None: `action_space.rescale(action)`. Outside of `tasks.gymnasium`, this
    is the only place that calls an env's functions in turn.
    """
    env, params, state = task.env, params_of(task, episode), episode.state
    if command is None:
        command = env.action_space.rescale(action)
    next_state = env.transition(params, state, command, key)
    cumulants = env.cumulants(params, state, command, next_state)
    terminated: Bool[Array, ""] = env.terminal(params, next_state)
    last = terminated | env.truncated(params, next_state) | (episode.time + 1 >= env.horizon)
    reward = cumulants @ task.w
    episode_return = episode.episode_return + reward
    transition = Transition(
        obs=env.observe(params, state),
        action=action,
        reward=reward,
        discount=1.0 - terminated.astype(jnp.float32),
        last=last,
        next_obs=env.observe(params, next_state),
        cumulants=cumulants,
        context=task.context,
        domain=task.domain,
        weight=jnp.ones(()),
        episode_return=episode_return,
        extras={},
    )
    return Episode(episode.sampled, next_state, episode.time + 1, episode_return), transition
