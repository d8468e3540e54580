"""A policy for users: numpy in, numpy out, in the env's units. It keeps its method's state within an episode."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from headstart.core.errors import InputError
from headstart.core.spaces import ObservationSpace
from headstart.core.types import ActionSpace, Image, Info, Key, Learner, Params, PyTree, Spec, Transition


class Policy:
    """A policy that does not explore. It takes one observation at a time, for one episode at a time.

    The state within an episode (a recurrent state, the last steps) is carried from one `act` to the next and cleared
    by `reset`. All policies of one method with equal spaces share one compiled program.
    """

    def __init__(
        self,
        learner: Learner,
        params: Params,
        spec: Spec,
        context: Array | None = None,
        parameters: Array | None = None,
        key: Key | None = None,
    ):
        """`params` is that of one seed; `context` and `parameters` describe the task, and are zeros if None."""
        self._learner, self._params, self._spec = learner, params, spec
        self._context = jnp.zeros(spec.context_dim) if context is None else context
        self._parameters = jnp.zeros(spec.num_parameters) if parameters is None else parameters
        self._key = jax.random.key(0) if key is None else key
        self.reset()

    def reset(self, parameters: Any = None) -> None:
        """Starts an episode. `parameters` are the task parameters, if they have changed.

        Raises InputError if they are not one number for each parameter.
        """
        if parameters is not None:
            array = _real_array("The parameters", parameters, self._parameters.shape)
            self._parameters = jnp.asarray(array, jnp.float32)
        self._key, self._carry = _init_carry(self._learner, self._parameters, self._key)

    def act(self, observation: Any) -> np.ndarray:
        """Returns the action for one observation: numbers in the env's units, or the index of a discrete action.

        Raises InputError if it has another shape, is not finite, or does not hold the bits or bytes of an image.
        """
        obs = _check_observation(observation, self._spec.observation_space)
        arguments = (self._params, self._carry, obs, self._context, self._key)
        command, self._carry, self._key = _act(self._learner, self._spec.action_space, *arguments)
        return np.asarray(command)


def _check_observation(observation: Any, space: ObservationSpace) -> np.ndarray:
    """Returns the observation with the policy's dtype. Raises InputError as `Policy.act` does."""
    given = _real_array("The observation", observation, space.shape)
    _check_finite(given)
    if not isinstance(space, Image):
        return given.astype(np.float32)
    image = given.astype(space.dtype) if ((given >= 0) & (given <= space.max_value)).all() else None
    if image is None or (image != given).any():
        raise InputError(
            f"The observation is not an image of {space.dtype}: it needs whole numbers from 0 to {space.max_value}; "
            "give it as the env does, not scaled."
        )
    return image


def _real_array(what: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns `given` as an array. Raises InputError if it is not an array of real numbers of that shape."""
    try:
        array = np.asarray(given)
        array = array.astype(np.float64) if array.dtype.kind in "OUS" else array
    except (TypeError, ValueError):
        array = None
    if array is not None and array.shape != shape:
        is_observation = what == "The observation"
        if is_observation:
            expected = "observation at a time, and use one policy per env"
        else:
            expected = "number for each parameter of the task"
        raise InputError(
            f"{what} {'has' if is_observation else 'have'} shape {list(array.shape)}, but the policy takes "
            f"{list(shape)}; give one {expected}."
        )
    if array is None or array.dtype.kind not in "biuf":
        raise InputError(f"{what} must be an array of real numbers, of shape {list(shape)}.")
    return array


def _check_finite(observation: np.ndarray) -> None:
    """Raises InputError if a number is NaN, infinite, or too large for float32."""
    fits = np.abs(observation) <= np.finfo(np.float32).max if observation.dtype.kind == "f" else np.True_
    if not fits.all():
        place = tuple(map(int, np.argwhere(~fits)[0]))
        raise InputError(f"The observation holds {observation[place]} at {list(place)}; every number must be finite.")


@functools.partial(jax.jit, static_argnames="learner")
def _init_carry(learner: Learner, parameters: Array, key: Key) -> tuple[Key, PyTree]:
    key, k_begin = jax.random.split(key)
    return key, learner.init_carry(parameters, Info(k_begin))


@functools.partial(jax.jit, static_argnames=("learner", "space"))
def _act(
    learner: Learner, space: ActionSpace, params: Params, carry: PyTree, obs: Any, context: Array, key: Key
) -> tuple[Array, PyTree, Key]:
    """Returns the action in the env's units, the next carry and the next key."""
    key, k_act = jax.random.split(key)
    action, carry, extras = learner.act(params, carry, obs, context, Info(k_act, explore=0.0))
    unknown = jnp.full((), jnp.nan)  # not known here; a policy that does not learn must not read it
    transition = Transition(
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
        episode_return=unknown,
        extras=extras,
    )
    return space.rescale(action), learner.update_carry(carry, transition), key
