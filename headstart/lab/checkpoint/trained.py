"""The result of a training (`Trained`), and checks of the tasks that it can be used in."""

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
    """The result of a training: the parameters of one seed, and everything that is needed to use them."""

    method: Method
    spec: Spec
    state: TrainState  # each array with a leading seed axis of length 1
    trained_on: str  # the task string; of several tasks, all of them
    steps: int
    seed: int
    gradient_steps: int = 0
    sources: tuple[str, ...] = ()  # the tasks that were learned together, in the order of the context
    dt: float | None = None  # seconds between two steps; None if unknown
    budgets: tuple[dict[str, Any], ...] = ()  # the budget of each training, in their order
    history: tuple[Training, ...] = ()  # the trainings before the last one, which is by `method`
    adapted: bool = False  # whether the last one was in the target

    @property
    def stages(self) -> tuple[Training, ...]:
        """All trainings, in their order. They determine the shapes of the parameters."""
        return (*self.history, Training(self.method, self.spec, self.adapted))

    def policy(self, task: Task | str | None = None, seed: int = 0) -> Policy:
        """Returns the policy, which acts on one observation at a time (`act`, `reset`). It does not explore.

        `task` is the task to act in. It is required if the policy reads its task's parameters, and used if the policy
        was trained on several sources (by default the task is none of them). `seed` matters only to stochastic
        policies. Raises InputError if the task is missing or has other spaces.
        """
        check_seeds("seed", [seed])
        learner = self.method.learner(self.spec._replace(num_tasks=1), target=True)
        contract: PolicyContract | None = learner.policy_contract(self.state.params)
        context = parameters = None
        if task is not None:
            nominal_task = with_task_id(nominal(as_task(task)), self.sources)
            check_fit(self, stack([nominal_task]))
            context, parameters = nominal_task.context, parameter_vector(nominal_task.env, nominal_task.params)
        elif contract is not None and "parameters" in contract.inputs:
            raise InputError(
                f"{type(self.method).__name__} reads the parameters of its task; name the task, such as "
                f"policy({self.trained_on.split(', then ')[-1]!r})."
            )
        params_of_seed = jax.tree.map(lambda x: x[0], self.state.params)
        return Policy(learner, params_of_seed, self.spec, context, parameters, jax.random.key(seed))


def check_fit(trained: Trained, tasks: Task) -> None:
    """Raises InputError if a trained policy cannot be used in these tasks."""
    policy_spec, task_spec = trained.spec, spec(tasks)
    policy_spaces, task_spaces = ((of.observation_space, of.action_space) for of in (policy_spec, task_spec))
    check_spaces(f"The policy trained on {trained.trained_on}", policy_spaces, tasks.env.name, task_spaces)
    check_context(trained, tasks)
    same_number = policy_spec.num_parameters == task_spec.num_parameters
    if not same_number and _shapes(trained, policy_spec) != _shapes(trained, task_spec):
        raise InputError(
            f"The policy trained on {trained.trained_on} reads {policy_spec.num_parameters} parameters, but "
            f"{tasks.env.name} has "
            f"{task_spec.num_parameters}; name the same disturbances (such as action_delay) in both tasks."
        )


def _shapes(trained: Trained, spec: Spec) -> list[tuple[int, ...]]:
    """Returns the shapes of the method's parameters for tasks with as many task parameters as `spec`."""
    task_spec = trained.spec._replace(num_parameters=spec.num_parameters)
    return [x.shape for x in jax.tree.leaves(params_after((Training(trained.method, task_spec, False),)).params)]


def check_context(trained: Trained, tasks: Task) -> None:
    """Raises InputError if a trained policy reads a context of another size than that of these tasks."""
    policy_spec, task_spec = trained.spec, spec(tasks)
    if policy_spec.context_dim != task_spec.context_dim:
        raise InputError(
            f"The policy trained on {trained.trained_on} reads a context of size {policy_spec.context_dim}, but "
            f"{tasks.env.name} gives one of size {task_spec.context_dim}; choose tasks with the same context."
        )
