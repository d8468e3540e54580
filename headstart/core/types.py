"""The types that all of headstart shares: tasks, experience, and learners.

Shapes name their axes: `[task, time, env]` is a rollout of `env` parallel environments per task; `[task, batch]` is a
batch. Nothing here has a seed axis: seeds are one `vmap` around all of it.
"""

import abc
import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from headstart.core.draw import Draw
from headstart.core.env import Env, Key, PyTree
from headstart.core.env import EnvParams as EnvParams
from headstart.core.env import Parameter as Parameter
from headstart.core.errors import InputError
from headstart.core.experience import Record as Record
from headstart.core.experience import Step as Step
from headstart.core.experience import Transition as Transition
from headstart.core.fields import with_field_checks
from headstart.core.replay import RATES as RATES
from headstart.core.replay import Replay as Replay
from headstart.core.spaces import ActionSpace, ObservationSpace
from headstart.core.spaces import Box as Box
from headstart.core.spaces import Discrete as Discrete
from headstart.core.spaces import Image as Image
from headstart.core.spaces import components as components

Metrics = dict[str, Array]


class Statistics(Record):
    """Numbers that experience moves, in `Learner.prepare`. They are parts of params that no phase trains."""

    def for_new_training(self) -> Self:
        """Returns the statistics with which another training starts, possibly of other tasks."""
        return self


# ---------------------------------------------------------------------------------------------------- tasks


class Task(Record):
    """An MDP. The env is code and shared; everything in which tasks differ is a leaf, so K tasks are one stacked tree.

    `params` maps a name to a number or to a `numpyro.distributions` object. A task with distributions is still one MDP:
    its first state draws the parameters, for each environment and each episode.
    """

    env: Env
    params: dict[str, Any]
    w: Float[Array, "*task cumulant"]
    context: Float[Array, "*task context"]
    domain: Int[Array, "*task"]  # 0 source, 1 target


GROUP = 1 << 17  # folded into the keys of the groups of tasks, plus the group's index
Tasks = Task | tuple[Task, ...]  # stacked tasks of one env, or such a stack (a group) for each of several envs


def groups(tasks: Tasks) -> tuple[Task, ...]:
    """Returns the stacks of tasks, one for each env."""
    return tasks if isinstance(tasks, tuple) else (tasks,)


def group_key(key: Key, group: int) -> Key:
    """Returns the key of a group of tasks; the first one has the key itself."""
    return key if group == 0 else jax.random.fold_in(key, GROUP + group)


class Spec(NamedTuple):
    """All that a learner is built for: spaces and sizes. Hashable, so that equal ones share a learner.

    Where tasks are of several envs, `groups` has the spec of each, and the other fields are those of the first.
    """

    observation_space: ObservationSpace
    action_space: ActionSpace
    context_dim: int = 0
    num_cumulants: int = 1
    num_tasks: int = 1
    num_parameters: int = 0  # in which tasks of this env may differ
    encoded_dim: int = 0  # how many of the context's last numbers a method adds for its base learner
    groups: "tuple[tuple[Env, Spec], ...]" = ()  # empty: one env

    @property
    def task_id_dim(self) -> int:
        """Returns how many of the context's first numbers are the task's one-hot id."""
        return self.context_dim - self.encoded_dim

    def with_encoded_context(self, size: int) -> "Spec":
        """Returns the spec for a base learner whose context has `size` more numbers."""
        return self._replace(context_dim=self.context_dim + size, encoded_dim=self.encoded_dim + size)


# ---------------------------------------------------------------------------------------------------- learning

Params = dict[str, PyTree]  # what is learned: parts by name, such as encoder, normalizer, policy, value


class Info(NamedTuple):
    """What a learner's functions are given besides params and data."""

    key: Key
    progress: Array | float = 0.0  # from 0 to 1 over the training
    explore: Array | float = 1.0  # 1 in training, 0 in evaluation
    updates: Array | int = 0  # updates made so far
    task: Task | None = None  # the env's own task in `act` and `init_carry`, the stacked tasks elsewhere


class Phase(NamedTuple):
    """One loss with an optimizer of its own. An update runs the phases of a learner in order.

    A part of params that no phase names in `train` is never touched by a gradient, an optimizer or a penalty: running
    statistics, frozen teachers, target networks (which `after` moves).

    loss     (params, batch [task, batch], info) -> scalar, metrics
    train    the parts that the gradient moves
    sample   (params, draw, info) -> the batch of a gradient step, which by default is `draw.batch()`. It may draw other
             rows, look ahead within their episodes, and change or add transitions (`core/draw.py`)
    every    updates between two steps of this phase
    times    gradient steps in such an update, each on a batch of its own
    after    (params, info) -> params: runs after each gradient step, such as for target networks
    combine  (gradients with a leading task axis, losses, key) -> gradient, metrics; None: take that of the joint loss
    stop     (metrics) -> bool: whether to undo this update and to skip the rollout's other ones
    """

    loss: Callable[[Params, Transition, Info], tuple[Array, Metrics]]
    train: tuple[str, ...]
    optimizer: optax.GradientTransformation
    sample: Callable[[Params, Draw, Info], Transition] = lambda params, draw, info: draw.batch()
    every: int = 1
    times: int = 1
    after: Callable[[Params, Info], Params] = lambda params, info: params
    combine: Callable[[Params, Array, Key], tuple[Params, Metrics]] | None = None
    stop: Callable[[Metrics], Array] | None = None

    def with_batch(self, transform: Callable[[Params, Transition, Info], Transition]) -> "Phase":
        """Returns the phase whose loss is given the batch that `transform` makes of it, such as with other rewards."""
        loss = self.loss
        return self._replace(loss=lambda params, batch, info: loss(params, transform(params, batch, info), info))


def unprocessed(params: Params, rollout: Transition, info: Info) -> tuple[Params, Transition]:
    """Returns params and the rollout as they are: the `prepare` of a learner without statistics."""
    return params, rollout


class Learner(NamedTuple):
    """Pure functions over `Params`, as an optax transformation is a record of two.

    init             (key, prior) -> params; `prior` are a source's params and the only way in for source knowledge
    act              (params, carry, obs, context, info) -> action, carry, extras; of one observation
    prepare          (params, rollout [task, time, env], info) -> params, rows: statistics, advantages; no gradient
    phases           the losses; () where `prepare` does all the learning
    init_carry       (parameters, info) -> carry: what the policy remembers within an episode
    update_carry     (carry, transition) -> carry after the step
    allocate_envs    (params, info) -> Int[task]: active envs of each task, adding up to `replay.num_envs`; None: all
    policy_contract  (params) -> how the deterministic policy acts, as plain data (`nets/contract.py`), or None
    keep_optimizer   whether a prior's optimizer states come along; else they start fresh

    `parameters` are the episode's own physical parameters in the env's order. No policy is given them unless a method
    says so.
    """

    init: Callable[[Key, Params | None], Params]
    act: Callable[..., tuple[Array, PyTree, dict[str, Array]]]
    phases: tuple[Phase, ...]
    replay: Replay
    prepare: Callable[[Params, Transition, Info], tuple[Params, Transition]] = unprocessed
    init_carry: Callable[[Array, Info], PyTree] = lambda parameters, info: ()
    update_carry: Callable[[PyTree, Transition], PyTree] = lambda carry, transition: carry
    allocate_envs: Callable[[Params, Info], Array] | None = None
    policy_contract: Callable[[Params], Any] = lambda params: None
    keep_optimizer: bool = False


class TrainState(Record):
    """What training changes. `params` transfers; the rest comes along only where a learner says so."""

    params: Params
    optimizers: tuple[PyTree, ...]  # of each phase
    updates: Int[Array, "*seed"]


class Method(abc.ABC):
    """A learning or transfer method: a frozen dataclass whose fields are its hyper-parameters."""

    takes_groups: ClassVar[bool] = False  # whether it trains tasks of several envs together (`Spec.groups`)

    def __init_subclass__(cls, **how: Any) -> None:
        super().__init_subclass__(**how)
        with_field_checks(cls)

    def learner(self, spec: Spec, target: bool = False) -> "Learner":
        """Returns its learner in the source or in the target. Equal methods share one, and one compile.

        Raises InputError for tasks of several envs, unless it `takes_groups`.
        """
        if spec.groups and not self.takes_groups:
            names = ", ".join(env.name for env, _ in spec.groups)
            raise InputError(f"{type(self).__name__} trains tasks of one env, and these are of {names}; choose one.")
        return _built(self, spec, target)

    @abc.abstractmethod
    def build(self, spec: Spec, target: bool) -> "Learner":
        """Returns a new learner, which `learner` caches."""

    def base_learner(self) -> "Method":
        """Returns the learner that trains one task from scratch for this method: its base, or itself if it has none."""
        base = getattr(self, "base", None)
        return self if base is None else base.base_learner()

    def pretraining(self, spec: Spec) -> "tuple[Stage, ...]":
        """Returns the stages that train in the source before it; `init` has their params in `prior["pretraining"]`."""
        return ()


class Stage(NamedTuple):
    """A training of another method in the source, before that of the method that asks for it."""

    method: Method
    fraction: float  # of the source steps, in (0, 1)
    tasks: tuple[int, ...] | None = None  # indices of the stacked tasks; None: all


@functools.cache
def _built(method: Method, spec: Spec, target: bool) -> Learner:
    return method.build(spec, target)


def stack(tasks: list[Task]) -> Task:
    """Returns K tasks of one env as one Task, with a leading task axis on every leaf."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)


def spec(tasks: Tasks) -> Spec:
    """Returns the Spec of stacked tasks, of one env or of several."""
    if isinstance(tasks, tuple):
        each = tuple((group.env, spec(group)) for group in tasks)
        return each[0][1]._replace(groups=each if len(each) > 1 else ())
    k, cumulants = tasks.w.shape
    env = tasks.env
    return Spec(env.observation_space, env.action_space, tasks.context.shape[-1], cumulants, k, len(env.parameters))
