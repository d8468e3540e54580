"""Experts and their student: who teaches what, who acts, and that the student does as they do."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.stages import learn_source
from headstart.core.types import Knowledge, Method, Task, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.separate import Separate
from headstart.protocol.transfer import adapt, keys

KEY = jax.random.key(0)
FAST = PPO(
    hidden=(16,), num_steps=8, num_envs=8, batch_size=32, num_epochs=4, learning_rate=5e-3, anneal_learning_rate=False
)
QUICK = DQN(
    hidden=(16,),
    num_steps=4,
    num_envs=2,
    batch_size=32,
    buffer_size=2_000,
    learning_starts=32,
    update_to_data=1.0,
    discount=0.5,
)
TEACH = {
    "update_to_data": 0.25,
    "batch_size": 32,
    "buffer_size": 2_000,
    "distillation_fraction": 0.4,
    "learning_rate": 5e-3,
}


def sides() -> Task:
    """-> two hidden hints, of which either choice is right; the context says which one it is."""
    each = [probes.one(probes.Hint(hidden=True), side=side) for side in (-0.5, 0.5)]
    return stack([one.replace(context=name) for one, name in zip(each, jnp.eye(2), strict=True)])


def student(method: Method, steps: int) -> tuple[Knowledge, np.ndarray]:
    """-> what the student knows, and its return on each source."""
    *_, point = learn_source(method, sides(), steps, keys([0]).source, num_points=1)
    learner = method.learner(spec(sides()), target=True)
    known = jax.vmap(learner.init)(keys([0]).evaluation, point.knowledge)
    return point.knowledge, np.asarray(evaluate(learner, known, sides(), 4, keys([0]).evaluation)).mean((0, 2))


@pytest.mark.parametrize(
    "method",
    [
        Distil(FAST, **TEACH),
        Distil(QUICK, temperature=0.1, feature_coef=0.01, **TEACH),
        Distil(FAST, (QUICK, FAST), loss="nll", rollout_policy="teachers", feature_coef=0.1, **TEACH),
    ],
    ids=["ppo", "actor-mimic", "unlike-experts"],
)
def test_one_student_does_as_all_experts_do(method: Distil):
    known, returns = student(method, 4_000)
    assert returns.tolist() == [4.0, 4.0]
    assert len(known.extra.teachers) == max(len(set(method.teachers)), 1)


def test_each_source_has_the_expert_that_was_named_for_it():
    few = spec(sides())
    assert Distil(FAST).pretraining(few) == ((Separate(FAST), 0.8, (0, 1)),)
    parts = Distil(FAST, (QUICK, FAST), distillation_fraction=0.5).pretraining(few)
    assert parts == ((Separate(QUICK), 0.25, (0,)), (Separate(FAST), 0.25, (1,)))
    alone = few._replace(num_tasks=1, context_dim=0)
    assert Distil(FAST).pretraining(alone) == ((Separate(FAST), 0.8, None),)
    with pytest.raises(InputError, match="3 experts for 2 sources; name one, or one for each"):
        Distil(FAST, (QUICK, FAST, FAST)).pretraining(few)


def test_experts_are_still_and_do_not_come_along():
    method = Distil(FAST, **TEACH)
    tasks, learner = sides(), method.learner(spec(sides()))
    k = probes.known(learner)
    rows = probes.experience(jnp.zeros((2, 3)), obs=jnp.ones((2, 3, 2)), next_obs=jnp.ones((2, 3, 2)))
    rows = rows.replace(context=jnp.repeat(jnp.eye(2)[:, None], 3, axis=1))
    gradient = probes.slope(lambda k: learner.loss(k, None, rows, KEY, 0.0)[0], k)
    assert all(not x.any() for x in jax.tree.leaves(gradient.extra.teachers))
    assert any(x.any() for x in jax.tree.leaves(gradient.policy))
    *_, learned = learn_source(method, tasks, 300, keys([0]).source, num_points=1)
    one = jax.tree.map(lambda x: x[:1], tasks).replace(domain=jnp.ones(1, jnp.int32))
    before, *_ = adapt(method, learned.state, one, 1, [0], keys([0]), num_evals=1, eval_episodes=1)
    assert before.state.knowledge.extra is None
    assert not probes.different(before.state.knowledge.policy, learned.knowledge.policy)


def test_a_head_may_start_anew_above_what_the_student_learned():
    method = Finetune(Distil(FAST, **TEACH), reset_head=True)
    *_, learned = learn_source(method, sides(), 300, keys([0]).source, num_points=1)
    one = jax.tree.map(lambda x: x[:1], sides())
    before, *_ = adapt(method, learned.state, one, 1, [0], keys([0]), num_evals=1, eval_episodes=1)
    now, then = before.state.knowledge.policy.net, learned.knowledge.policy.net
    assert not probes.different(now.layers, then.layers)
    assert probes.different(now.last, then.last)


def test_what_cannot_be_compared_is_said():
    continuous = spec(probes.task(probes.Corridor(discrete=False)))
    unlike = Distil(PPO(hidden=(4,)), (SAC(hidden=(4,)),)).learner(continuous)
    k = probes.known(unlike)
    rows = probes.experience(jnp.zeros((1, 1)), action=jnp.zeros((1, 1, 1)))
    with pytest.raises(InputError, match="let both learn by PPO, or both by SAC"):
        unlike.loss(k, None, rows, KEY, 0.0)
    from headstart.tasks.worlds import RandomMDP

    tables = spec(probes.task(RandomMDP(states=3, actions=2, branching=1, features=2), seed=1))
    with pytest.raises(InputError, match="use PPO, SAC or DQN"):
        probes.known(Distil(QLearning()).learner(tables))
