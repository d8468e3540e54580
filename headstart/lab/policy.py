"""A policy to act by: numpy in and numpy out, in the env's own units, with what its method remembers of an episode."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from headstart.core.errors import InputError
from headstart.core.types import Image, Key, Knowledge, Learner, PyTree, Space, Spec, Transition


class Policy:
    """A policy that does not explore. It takes one observation at a time, and acts for one episode at a time.

    What its method remembers of an episode (a recurrent state, the last steps) is kept from one `act` to the next, and
    forgotten by `reset`. All policies of one method and of equal spaces share one compiled program.
    """

    def __init__(
        self,
        learner: Learner,
        knowledge: Knowledge,
        spec: Spec,
        context: Array | None = None,
        parameters: Array | None = None,
        key: Key | None = None,
    ):
        """`knowledge` is one seed's; `context` and `parameters` are what is told of the task, zeros where None."""
        self._learner, self._knowledge, self._spec = learner, knowledge, spec
        self._context = jnp.zeros(spec.context) if context is None else context
        self._parameters = jnp.zeros(spec.parameters) if parameters is None else parameters
        self._key = jax.random.key(0) if key is None else key
        self.reset()

    def reset(self, parameters: Float[np.ndarray | Array, " parameter"] | None = None) -> None:
        """Begins an episode: forgets the last one. `parameters` are the env's numbers in it, where they are others."""
        if parameters is not None:
            self._parameters = jnp.asarray(parameters)
        self._key, self._carry = _begin(self._learner, self._parameters, self._key)

    def act(self, observation: Any) -> np.ndarray:
        """Returns the action for one observation: numbers in the env's units, or the number of a choice.

        Raises InputError where this is no observation of what the policy knows.
        """
        seen = self._spec.observation
        given = np.asarray(observation)
        if given.shape != seen.shape:
            raise InputError(
                f"The policy takes one observation of shape {list(seen.shape)}, and this one has {list(given.shape)}; "
                "give one at a time, and a policy of its own to each env."
            )
        given = given.astype(seen.dtype if isinstance(seen, Image) else np.float32)
        told = (self._knowledge, self._carry, given, self._context, self._key)
        command, self._carry, self._key = _act(self._learner, self._spec.action, *told)
        return np.asarray(command)


@functools.partial(jax.jit, static_argnames="learner")
def _begin(learner: Learner, parameters: Array, key: Key) -> tuple[Key, PyTree]:
    key, k_begin = jax.random.split(key)
    return key, learner.begin(k_begin, parameters)


@functools.partial(jax.jit, static_argnames=("learner", "space"))
def _act(
    learner: Learner, space: Space, knowledge: Knowledge, carry: PyTree, obs: Any, context: Array, key: Key
) -> tuple[Array, PyTree, Key]:
    """Returns the action in the env's units, what is remembered after it, and the next key."""
    key, k_act = jax.random.split(key)
    action, carry, extras = learner.act(knowledge, carry, obs, context, k_act, 0.0)
    unknown = jnp.full((), jnp.nan)  # what follows is not known here, and no policy that is judged remembers it
    seen = Transition(
        obs=obs,
        action=action,
        reward=unknown,
        discount=unknown,
        last=jnp.array(False),
        next_obs=obs,
        cumulants=unknown[None],
        context=context,
        domain=jnp.int32(1),
        weight=jnp.ones(()),
        score=unknown,
        extras=extras,
    )
    return space.rescale(action), learner.remember(carry, seen), key
