"""The words that everything in headstart speaks: what a task is, what is known, and what a learner does.

Shapes name their axes: `[task, time, copy]` is fresh experience of `copy` parallel worlds per task; `[task, batch]` is
what a loss sees. Nothing here has a seed axis: seeds are one `vmap` around all of it.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.env import Env, Key, PyTree
from headstart.core.env import EnvParams as EnvParams
from headstart.core.env import Parameter as Parameter
from headstart.core.errors import InputError
from headstart.core.fields import with_field_checks
from headstart.core.replay import RATES as RATES
from headstart.core.replay import Replay as Replay
from headstart.core.spaces import ActionSpace, Observations, ObservationSpace
from headstart.core.spaces import Box as Box
from headstart.core.spaces import Discrete as Discrete
from headstart.core.spaces import Image as Image
from headstart.core.spaces import components as components

Metrics = dict[str, Array]


class Record(eqx.Module):
    """An immutable pytree with named fields."""

    def replace(self, **fields: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **fields)


class Statistics(Record):
    """Numbers that experience moves, and nothing else: no gradient, optimizer, penalty or lagged copy touches them.

    A kind of statistics inherits from this, wherever in knowledge it is. Only `Learner.observe` changes it.
    """

    def for_new_training(self) -> Self:
        """Returns the statistics as another training, which may be of other tasks, begins with them."""
        return self


# ---------------------------------------------------------------------------------------------------- tasks


class Task(Record):
    """An MDP. The env is code and shared; everything in which tasks differ is a leaf, so K tasks are one stacked tree.

    `params` maps a name to a number or to a `numpyro.distributions` object; a random draw is still one MDP,
    whose first state draws its parameters, for each copy and each episode.
    """

    env: Env
    params: dict[str, Any]
    w: Float[Array, "*task cumulant"]
    context: Float[Array, "*task context"]
    domain: Int[Array, "*task"]  # 0 source, 1 target


class Spec(NamedTuple):
    """All that a learner knows of the world. Hashable: learners are built once for each."""

    observation_space: ObservationSpace
    action_space: ActionSpace
    context_dim: int = 0
    num_cumulants: int = 1
    num_tasks: int = 1
    num_parameters: int = 0  # in which tasks of this env may differ
    encoded_dim: int = 0  # of the context, the last numbers: what a method tells the learner that it builds on

    @property
    def task_id_dim(self) -> int:
        """Returns how many of the context's first numbers say which task it is."""
        return self.context_dim - self.encoded_dim

    def with_encoded_context(self, told: int) -> "Spec":
        """Returns the spec of a learner that is told so many numbers more."""
        return self._replace(context_dim=self.context_dim + told, encoded_dim=self.encoded_dim + told)


# ---------------------------------------------------------------------------------------------------- experience


class Transition(Record):
    """One step of experience, or many: [task, time, copy] when fresh, [task, batch] when sampled."""

    obs: Observations
    action: Array  # as the policy gave it, before `Space.rescale`
    reward: Float[Array, "*n"]
    discount: Float[Array, "*n"]  # 0 where the MDP ended, else 1
    last: Bool[Array, "*n"]  # the episode ended here, terminated or truncated
    next_obs: Observations  # of the step itself, never of the next episode
    cumulants: Float[Array, "*n cumulant"]
    context: Float[Array, "*n context"]
    domain: Int[Array, "*n"]
    weight: Float[Array, "*n"]  # how much the loss counts it; 0: as if it had not been
    episode_return: Float[Array, "*n"]  # undiscounted return of the episode so far, this step included
    extras: dict[str, Array]

    @property
    def next_context(self) -> Float[Array, "*n context"]:
        """What the policy is told at the next step: the same, but where a method makes it part of the context."""
        return self.extras.get("next_context", self.context)


# ---------------------------------------------------------------------------------------------------- learning


class Knowledge(Record):
    """What is learned: the lecture's four places, and helpers. `Learner.init` says what of a prior comes along."""

    features: PyTree = None
    policy: PyTree = None
    value: PyTree = None
    model: PyTree = None
    extra: PyTree = None

    def with_model(self, owner: str, model: PyTree) -> Self:
        """A copy with a method's model. Raises InputError where another method keeps one in that place."""
        if self.model is not None:
            raise InputError(
                f"{owner} keeps a model, and what it builds on keeps another in its place "
                f"({type(self.model).__name__}); give {owner} a base that has none, such as PPO, SAC or DQN."
            )
        return self.replace(model=model)


def no_loss(*_: Any) -> tuple[Array, Metrics]:
    """The loss of learners that learn in `observe` alone: no gradient step is taken."""
    return jnp.zeros(()), {}


class Learner(NamedTuple):
    """Pure functions over one `Knowledge`, as an optax transformation is a record of two.

    init     (key, prior)                                         -> Knowledge: what is known at the start
    begin    (key, parameters)                                    -> carry: what is remembered within an episode
    act      (knowledge, carry, obs, context, key, explore)       -> action, carry, extras; of one observation
    remember (carry, transition)                                  -> carry: what the step that followed leaves behind
    observe  (knowledge, fresh [task, time, copy], key, progress) -> Knowledge, batch: what it means; no gradient
    allot    (knowledge, key)                                     -> Int[task]: copies of each that play; None: all do
    follow   (slow, knowledge)                                    -> slow: what `observe` changed in both copies at once
    loss     (knowledge, slow, batch [task, batch], key, progress)-> scalar, metrics; `no_loss`: observe is all
    combine  (gradients with a leading task axis, losses, key)    -> gradient, metrics; None: that of the joint loss
    stop     (metrics)                                            -> bool: skip this and the rollout's other updates
    contract (knowledge)                                          -> how it acts when judged, as plain data
                                                                     (`nets/contract.py`); None: nobody says

    `explore` is 1 while learning and 0 when judged; `progress` runs from 0 to 1 over the training. `parameters` are the
    episode's own numbers, in the env's order: no policy knows them but one that is to be told.
    """

    init: Callable[[Key, Knowledge | None], Knowledge]
    act: Callable[..., tuple[Array, PyTree, dict[str, Array]]]
    prepare: Callable[..., tuple[Knowledge, Transition]]
    loss: Callable[..., tuple[Array, Metrics]]
    optimizer: optax.GradientTransformation
    replay: Replay
    init_carry: Callable[[Key, Array], PyTree] = lambda key, parameters: ()
    update_carry: Callable[[PyTree, Transition], PyTree] = lambda carry, seen: carry
    allocate_envs: Callable[[Knowledge, Key], Array] | None = None  # adds up to `replay.copies` over the tasks
    rescale_target: Callable[[Knowledge | None, Knowledge], Knowledge | None] = lambda slow, knowledge: slow
    tau: float | None = None  # share of the new in the lagged copy when it moves; None: no lagged copy
    target_update_period: int = 1  # gradient steps between two moves of the lagged copy
    combine: Callable[[PyTree, Array, Key], tuple[PyTree, Metrics]] | None = None
    stop: Callable[[Metrics], Array] | None = None
    policy_contract: Callable[[Knowledge], Any] = lambda knowledge: None
    keep_optimizer: bool = False  # whether a prior's optimizer state comes along; else it starts fresh


class TrainState(Record):
    """What gradient steps change. `knowledge` is what transfers; the rest comes along only where a learner says so."""

    knowledge: Knowledge
    target: Knowledge | None  # the lagged copy
    optimizer: PyTree
    gradient_steps: Int[Array, "*seed"]  # gradient steps


class Method(abc.ABC):
    """A way to learn, or to transfer: a frozen dataclass whose fields are its hyper-parameters."""

    def __init_subclass__(cls, **how: Any) -> None:
        super().__init_subclass__(**how)
        with_field_checks(cls)

    def learner(self, spec: Spec, target: bool = False) -> "Learner":
        """-> what it does in the source domain, or in the target. Equal methods share one learner, and one compile."""
        return _built(self, spec, target)

    @abc.abstractmethod
    def build(self, spec: Spec, target: bool) -> "Learner":
        """-> a new learner; `learner` keeps it."""

    def base_learner(self) -> "Method":
        """Returns what learns one task from nothing as this method would: its base, or itself where it has none."""
        base = getattr(self, "base", None)
        return self if base is None else base.base_learner()

    def pretraining(self, spec: Spec) -> "tuple[Stage, ...]":
        """-> what is learned in the source before this; `init` then finds in `prior.extra` what each of them knows."""
        return ()


class Stage(NamedTuple):
    """What another method learns in the source, before the one that asks for it."""

    method: Method
    fraction: float  # of the source's steps, in (0, 1)
    tasks: tuple[int, ...] | None = None  # which of the stacked tasks; None: all


@functools.cache
def _built(method: Method, spec: Spec, target: bool) -> Learner:
    return method.build(spec, target)


def stack(tasks: list[Task]) -> Task:
    """K tasks of one env as one, with a leading task axis on every leaf."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)


def spec(tasks: Task) -> Spec:
    """-> what a learner needs to know of stacked tasks."""
    k, cumulants = tasks.w.shape
    env = tasks.env
    return Spec(env.observation_space, env.action_space, tasks.context.shape[-1], cumulants, k, len(env.parameters))
