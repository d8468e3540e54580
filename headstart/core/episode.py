"""One copy of one task: drawing its parameters, starting it, stepping it, starting it anew when it ends."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from numpyro.distributions import Distribution

from headstart.core.spaces import Seen
from headstart.core.types import Key, Params, PyTree, Record, Task, Transition


class Episode(Record):
    """Where one copy of a task stands."""

    params: Params
    state: PyTree
    time: Int[Array, ""]
    score: Float[Array, ""]  # undiscounted return so far


def draw(task: Task, key: Key) -> Params:
    """-> the parameters of one episode: what the task fixes as it is, what it leaves open drawn anew."""
    params = {name: jnp.asarray(value, jnp.float32) for name, value in task.env.defaults.items()}
    for i, (name, law) in enumerate(sorted(task.params.items())):
        drawn = law.sample(jax.random.fold_in(key, i)) if isinstance(law, Distribution) else law
        params[name] = jnp.asarray(drawn)
    return params


def reset(task: Task, key: Key) -> Episode:
    """-> a new episode."""
    k_params, k_state = jax.random.split(key)
    params = draw(task, k_params)
    return _first(params, task.env.initial(params, k_state))


def again(task: Task, state: PyTree, ended: Bool[Array, ""], key: Key) -> Episode:
    """-> the episode after the one that came to `state`; of no meaning unless that one `ended`."""
    k_params, k_state = jax.random.split(key)
    params = draw(task, k_params)
    return _first(params, task.env.again(params, state, ended, k_state))


def _first(params: Params, state: PyTree) -> Episode:
    return Episode(params, state, jnp.zeros((), jnp.int32), jnp.zeros(()))


def parameters(task: Task, episode: Episode) -> Float[Array, " parameter"]:
    """-> the numbers of this episode's parameters, in the env's order; nominal where nothing else is said."""
    numbers = [episode.params.get(p.name, p.nominal) for p in task.env.parameters]
    return jnp.array(numbers, jnp.float32) if numbers else jnp.zeros(0)


def observe(task: Task, episode: Episode) -> Seen:
    """-> what the agent sees now."""
    return task.env.observe(episode.params, episode.state)


def step(task: Task, episode: Episode, action: Array, key: Key) -> tuple[Episode, Transition]:
    """-> the episode one step on (or a new one, if this one ended), and what was experienced."""
    k_step, k_reset = jax.random.split(key)
    on, seen = onward(task, episode, action, k_step)
    after = again(task, on.state, seen.last, k_reset)
    return jax.tree.map(lambda new, old: jnp.where(seen.last, new, old), after, on), seen


def onward(task: Task, episode: Episode, action: Array, key: Key) -> tuple[Episode, Transition]:
    """-> the episode one step on, even where it ended there, and what was experienced.

    This is the one place where an env's functions become a step.
    """
    env, params, state = task.env, episode.params, episode.state
    done = env.action.rescale(action)
    next_state = env.transition(params, state, done, key)
    cumulants = env.cumulants(params, state, done, next_state)
    terminated: Bool[Array, ""] = env.terminal(params, next_state)
    last = terminated | env.truncated(params, next_state) | (episode.time + 1 >= env.horizon)
    reward = cumulants @ task.w
    score = episode.score + reward
    seen = Transition(
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
        score=score,
        extras={},
    )
    return Episode(params, next_state, episode.time + 1, score), seen
