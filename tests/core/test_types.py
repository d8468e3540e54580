"""The words that everything speaks."""

import jax
import jax.numpy as jnp
import probes

from headstart.core.types import Box, Discrete, Spec, spec, stack
from headstart.learners.ppo import PPO


def test_stacked_tasks_share_their_env_and_lead_with_a_task_axis():
    tasks = stack([probes.one(probes.Corridor(), push=push) for push in (1.0, 2.0, 0.5)])
    assert tasks.env == probes.Corridor()
    assert tasks.params["push"].tolist() == [1.0, 2.0, 0.5]
    assert (tasks.w.shape, tasks.context.shape, tasks.domain.shape) == ((3, 1), (3, 0), (3,))


def test_a_spec_is_all_that_a_learner_knows():
    tasks = stack([probes.one(probes.Corridor(discrete=False))] * 2)
    assert spec(tasks) == Spec(
        Box((0.0,), (1.0,)), Box((-1.0,), (1.0,)), context_dim=0, num_cumulants=1, num_tasks=2, num_parameters=1
    )


def test_an_env_is_code_and_compared_by_value():
    assert probes.Corridor(length=5) == probes.Corridor(length=5) != probes.Corridor(length=6)
    assert not jax.tree.leaves(probes.Corridor())


def test_replacing_a_field_leaves_the_record_as_it_was():
    task = probes.task(probes.Corridor(), push=1.0)
    moved = task.replace(params={"push": jnp.array([2.0])})
    assert float(task.params["push"][0]) == 1.0
    assert float(moved.params["push"][0]) == 2.0


def test_equal_methods_share_one_learner():
    known = Spec(Box((0.0,), (1.0,)), Discrete(2))
    assert PPO(clip_eps=0.3).learner(known) is PPO(clip_eps=0.3).learner(known)
    assert PPO(clip_eps=0.3).learner(known) is not PPO(clip_eps=0.2).learner(known)
