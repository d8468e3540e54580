"""Compiling costs seconds, so it is done once: what differs between tasks, priors and budgets is data."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import probes
import pytest
from jaxtyping import Array
from numpyro import distributions as dist

import headstart as hs
from headstart.core.counting import count_of
from headstart.core.rollout import evaluate
from headstart.core.train import Progress, enter_envs, init_loop_state, train, train_chunk
from headstart.core.types import Learner, Method, Task, TrainState, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.methods.forward.finetune import Finetune

SMALL = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=8, num_epochs=1)


class Traces:
    """An env's step, and how often JAX has looked at it (never when it runs what it compiled)."""

    def __init__(self) -> None:
        self.count = 0
        self.env = probes.Bandit(lambda number, action: number, steps=3, touched=self.touch)

    def touch(self) -> None:
        self.count += 1

    def tasks(self, levels: list[Any]) -> Task:
        return stack([probes.one(self.env, level=level) for level in levels])


def learn(learner: Learner, tasks: Task, key: Array, steps: int = 200, prior: TrainState | None = None) -> Progress:
    *_, last = train(learner, tasks, steps, key, prior, num_points=1)
    return last


def uniform(high: float) -> dist.Uniform:
    return dist.Uniform(jnp.float32(0.0), jnp.float32(high))


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.mark.parametrize(
    ("some", "others"),
    [
        ([float(n) for n in range(9)], [0.5 * n - 3 for n in range(9)]),
        ([uniform(1.0)] * 2, [uniform(5.0), uniform(7.0)]),
    ],
    ids=["numbers", "laws"],
)
def test_nine_tasks_and_nine_others_compile_once(traces: Traces, some: list, others: list):
    learner = SMALL.learner(spec(traces.tasks(some))) if len(some) == 9 else probes.counter()
    a = learn(learner, traces.tasks(some), probes.keys(1))
    once = traces.count
    b = learn(learner, traces.tasks(others), probes.keys(1, of=1))
    assert traces.count == once > 0
    assert a.metrics["return"].tolist() != b.metrics["return"].tolist()


def test_a_longer_training_is_the_same_program(traces: Traces):
    tasks, learner = traces.tasks([1.0]), probes.counter()
    learn(learner, tasks, probes.keys(1), steps=16)
    once = traces.count
    points = list(train(learner, tasks, 400, probes.keys(1), num_points=7))
    assert traces.count == once > 0
    assert len(points) == 7


@pytest.mark.parametrize("method", [SMALL, SAC(hidden=(4,), buffer_size=8), DQN(hidden=(4,), buffer_size=8)], ids=repr)
def test_the_second_turn_is_the_same_program_as_the_first(method: Method):
    """A number whose type JAX may still choose (a weak type) becomes another by learning, and compiles all anew."""
    tasks = hs.task("Pendulum-v1" if isinstance(method, SAC) else "CartPole-v1")
    learner = method.learner(spec(stack([tasks])))
    enters = lambda key: enter_envs(learner, stack([tasks]), init_loop_state(learner, key))
    before = jax.eval_shape(enters, probes.keys(1))
    turn = functools.partial(train_chunk.__wrapped__, learner, stack([tasks]))
    after, _ = jax.eval_shape(turn, before, jnp.int32(1), count_of(1))
    weak = lambda tree: [(jax.tree_util.keystr(path), x.weak_type) for path, x in jax.tree.leaves_with_path(tree)]
    assert weak(before) == weak(after)


def test_judging_another_policy_on_another_task_is_the_same_program(traces: Traces):
    learner = probes.counter()

    def judge(turn: int) -> list:
        params = {"k": jnp.full(1, 1.0 * turn)}
        return evaluate(learner, params, traces.tasks([1.0 * turn]), 2, probes.keys(1)).tolist()

    assert judge(1) == [[[3.0] * 2]]
    once = traces.count
    assert judge(2) == [[[6.0] * 2]]
    assert traces.count == once > 0


def test_finetuning_another_prior_is_the_same_program(traces: Traces):
    tasks = traces.tasks([1.0])
    source, target = (Finetune(SMALL, reset_head=True).learner(spec(tasks), target=where) for where in (False, True))
    priors = [init_loop_state(source, probes.keys(1, of=n)).state for n in range(2)]
    learn(target, tasks, probes.keys(1), prior=priors[0])
    once = traces.count
    learn(target, tasks, probes.keys(1), prior=priors[1])
    assert traces.count == once > 0
