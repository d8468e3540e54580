"""Tasks of several envs in one training: a tuple of stacks, which share what their learner shares."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest
from jaxtyping import Array

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.train import enter_envs, init_loop_state, train, train_on_shots
from headstart.core.types import Env, Info, Learner, Method, Params, Phase, Replay, Spec, Task, Transition, spec, stack
from headstart.learners.ppo import PPO

CORRIDOR, BANDIT = probes.Corridor(length=3), probes.Bandit(lambda shown, action: 2.0 * action)


def two_envs() -> tuple[Task, Task]:
    """Returns two tasks of a corridor, in which an agent walks to the right, and one of a bandit."""
    corridor = stack([probes.one(CORRIDOR, push=push) for push in (1.0, 0.5)])
    return corridor, probes.task(BANDIT, spread=1.0)


@dataclasses.dataclass(frozen=True)
class PerEnv(Method):
    """Its base learner for each env, with parts of its own for each."""

    takes_groups: ClassVar[bool] = True
    base: Method = dataclasses.field(default_factory=PPO)

    def build(self, spec: Spec, target: bool) -> Learner:
        each = {env: self.base.learner(own, target) for env, own in spec.groups}
        first = next(iter(each.values()))
        of = lambda params, env: {name: params[f"{env.name}/{name}"] for name in parts[env]}
        put = lambda params, env, new: {**params, **{f"{env.name}/{name}": x for name, x in new.items()}}
        parts: dict[Env, list[str]] = {}

        def init(key, prior):
            params: Params = {}
            for i, (env, inner) in enumerate(each.items()):
                own = inner.init(jax.random.fold_in(key, i), None if prior is None else of(prior, env))
                parts[env] = list(own)
                params = put(params, env, own)
            return params

        def own_env(info: Info) -> Env:
            assert info.task is not None
            return info.task.env

        def act(params, carry, obs, context, info):
            env = own_env(info)
            return each[env].act(of(params, env), carry, obs, context, info)

        def prepare(params, rollout, info):
            env = own_env(info)
            own, rows = each[env].prepare(of(params, env), rollout, info)
            return put(params, env, own), rows

        def loss(params, batch, info):
            env = own_env(info)
            return each[env].phases[0].loss(of(params, env), batch, info)

        (phase,) = first.phases
        train = tuple(f"{env.name}/{name}" for env in each for name in phase.train)
        return first._replace(init=init, act=act, prepare=prepare, phases=(phase._replace(loss=loss, train=train),))


def adder(replay: Replay, seen: list[Any]) -> Learner:
    """Returns a learner whose part `a` grows in each update by the mean over groups of half their mean reward."""

    def loss(params: Params, batch: Transition, info: Info) -> tuple[Array, dict[str, Array]]:
        assert info.task is not None
        jax.debug.callback(lambda reward, name=info.task.env.name: seen.append((name, reward)), batch.reward)
        return -params["a"] * batch.reward.mean() / 2, {"tasks": jnp.float32(len(info.task.w))}

    return probes.player(probes.right, replay)._replace(
        init=lambda key, prior: {"a": jnp.zeros(())}, phases=(Phase(loss, ("a",), optax.sgd(1.0)),)
    )


def test_every_group_is_played_and_counted_and_has_its_batch_in_each_update():
    seen: list[Any] = []
    tasks = two_envs()
    replay = Replay(num_steps=4, num_envs=2, batch_size=8)
    *_, last = train(adder(replay, seen), tasks, 48, probes.keys(1), num_points=1)
    jax.effects_barrier()
    assert last.steps.tolist() == [48.0]  # two rollouts of 4 steps in 2 environments of 3 tasks
    assert last.gradient_steps.tolist() == [2.0]
    shapes = {(name, reward.shape) for name, reward in seen}
    assert shapes == {(CORRIDOR.name, (2, 8)), (BANDIT.name, (1, 8))}
    assert float(last.metrics["tasks"][0]) == 1.5  # a mean over groups
    corridor, bandit = (np.mean([r for name, r in seen if name == env.name]) for env in (CORRIDOR, BANDIT))
    assert float(last.params["a"][0]) == pytest.approx(2 * (corridor + bandit) / 2 / 2, rel=1e-5)


def test_off_policy_each_group_has_a_memory_of_its_own():
    seen: list[Any] = []
    replay = Replay(num_steps=2, num_envs=2, batch_size=8, buffer_size=20, update_to_data=0.5)
    tasks, learner = two_envs(), adder(replay, seen)
    run = enter_envs(learner, tasks, init_loop_state(learner, probes.keys(2)))
    assert run.memory is not None
    assert [memory.rows.weight.shape for memory in run.memory] == [(2, 2, 22), (2, 1, 22)]  # [seed, task, row]
    *_, last = train(learner, tasks, 36, probes.keys(2), num_points=1)
    assert last.gradient_steps.tolist() == [6.0, 6.0]  # three rollouts of 4 steps in each task


def test_shots_are_spent_in_each_group():
    replay = Replay(num_steps=CORRIDOR.horizon, num_envs=3, batch_size=8)
    learner, tasks = adder(replay, []), (probes.task(CORRIDOR), probes.task(BANDIT))
    run = init_loop_state(learner, probes.keys(1))
    budget = jax.tree.map(lambda x: x[0], run.steps.add(jnp.int32(100)))
    run, _ = train_on_shots(learner, tasks, run, jnp.int32(2), budget)
    assert run.episodes.numbers().tolist() == [4.0]


def test_a_learner_for_each_env_learns_both():
    base = PPO(hidden=(8,), num_steps=8, num_envs=16, batch_size=64, num_epochs=4, learning_rate=3e-3, discount=0.9)
    tasks = (probes.task(CORRIDOR), probes.task(probes.Bandit(lambda shown, action: 1.0 * (action == 0)), spread=1.0))
    learner = PerEnv(base).learner(spec(tasks))
    *_, last = train(learner, tasks, 40 * 8 * 16 * 2, probes.keys(2), num_points=1)
    for group in tasks:
        assert (evaluate(learner, last.params, group, 8, probes.keys(2)) == 1.0).all()


def test_one_group_is_trained_as_the_stack_alone():
    learner, tasks = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=4).learner(spec(two_envs()[0])), two_envs()[0]
    *_, alone = train(learner, tasks, 64, probes.keys(1), num_points=1)
    *_, group = train(learner, (tasks,), 64, probes.keys(1), num_points=1)
    probes.check_same(alone.params, group.params)
    assert spec((tasks,)) == spec(tasks)


def test_a_method_of_one_env_refuses_several():
    with pytest.raises(InputError, match=r"PPO trains tasks of one env, and these are of .*, .*; choose one\.$"):
        PPO().learner(spec(two_envs()))
