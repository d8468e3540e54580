"""What a training leaves, and where it can be used."""

import dataclasses
from typing import Any

import jax

from headstart.core.episode import parameter_vector
from headstart.core.errors import InputError
from headstart.core.types import Method, Spec, Task, TrainState, spec, stack
from headstart.lab.checkpoint.policy import Policy
from headstart.nets.contract import PolicyContract
from headstart.protocol.checks import check_seeds, check_spaces
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training
from headstart.tasks.sampling import nominal
from headstart.tasks.strings import as_task
from headstart.tasks.task_ids import with_task_id


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training leaves: the knowledge of one seed, and everything needed to use it again."""

    method: Method
    spec: Spec
    state: TrainState  # each array with a leading seed axis of length 1
    trained_on: str  # the task, as a string; of several, all of them
    steps: int
    seed: int
    gradient_steps: int = 0
    sources: tuple[str, ...] = ()  # the tasks that were learned together: what the context names, in its order
    dt: float | None = None  # seconds between two steps; None if unknown
    budgets: tuple[dict[str, Any], ...] = ()  # what each training was allowed, in their order
    before: tuple[Training, ...] = ()  # the trainings that led to the last one, which is by `method`
    adapted: bool = False  # whether the last one was in the target

    @property
    def stages(self) -> tuple[Training, ...]:
        """All trainings that led to this, in their order: the shapes of what is known follow from them."""
        return (*self.before, Training(self.method, self.spec, self.adapted))

    def policy(self, task: Task | str | None = None, seed: int = 0) -> Policy:
        """Returns the policy to act by, one observation at a time (`act`, `reset`). It does not explore.

        `task` is where it is to act. It is needed where the policy is told something of its task: its parameters, or
        which of several sources it is (by default none of them). `seed` matters only to what acts at random. Raises
        InputError where the task is missing, or not of the spaces that the policy knows.
        """
        check_seeds("seed", [seed])
        learner, known = self.method.learner(self.spec._replace(num_tasks=1), target=True), self.state.params
        contract: PolicyContract | None = learner.policy_contract(known)
        context = parameters = None
        if task is not None:
            one = with_task_id(nominal(as_task(task)), self.sources)
            check_fit(self, stack([one]))
            context, parameters = one.context, parameter_vector(one.env, one.params)
        elif contract is not None and "parameters" in contract.inputs:
            raise InputError(
                f"{type(self.method).__name__} acts by the parameters of its task; name the task, such as "
                f"policy({self.trained_on.split(', then ')[-1]!r})."
            )
        alone = jax.tree.map(lambda x: x[0], known)
        return Policy(learner, alone, self.spec, context, parameters, jax.random.key(seed))


def check_fit(trained: Trained, tasks: Task) -> None:
    """Raises InputError where knowledge cannot be used in these tasks."""
    known, wanted = trained.spec, spec(tasks)
    mine, theirs = (known.observation_space, known.action_space), (wanted.observation_space, wanted.action_space)
    check_spaces(f"What was learned on {trained.trained_on}", mine, tasks.env.name, theirs)
    check_context(trained, tasks)
    if known.num_parameters != wanted.num_parameters and _shapes(trained, known) != _shapes(trained, wanted):
        raise InputError(
            f"What was learned on {trained.trained_on} is told {known.num_parameters} parameters, but "
            f"{tasks.env.name} has "
            f"{wanted.num_parameters}; name the same disturbances (such as action_delay) in both tasks."
        )


def _shapes(trained: Trained, of: Spec) -> list[tuple[int, ...]]:
    """Returns the shapes of what its method knows where a task has as many parameters."""
    here = trained.spec._replace(num_parameters=of.num_parameters)
    return [x.shape for x in jax.tree.leaves(params_after((Training(trained.method, here, False),)).params)]


def check_context(trained: Trained, tasks: Task) -> None:
    """Raises InputError where knowledge is told more, or less, than these tasks say."""
    known, wanted = trained.spec, spec(tasks)
    if known.context_dim != wanted.context_dim:
        raise InputError(
            f"What was learned on {trained.trained_on} is told {known.context_dim} numbers of context, but "
            f"{tasks.env.name} gives {wanted.context_dim}; choose tasks that give the same."
        )
