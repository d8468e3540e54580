"""Teachers and their student: which teacher is for which source, which policy acts, and that the student imitates."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.stages import learn_source
from headstart.core.types import Method, Params, Task, spec, stack
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
    """Returns two tasks whose hint is hidden, with opposite solutions. The context is the task's id."""
    each = [probes.one(probes.Hint(hidden=True), side=side) for side in (-0.5, 0.5)]
    return stack([one.replace(context=name) for one, name in zip(each, jnp.eye(2), strict=True)])


def student(method: Method, steps: int) -> tuple[Params, np.ndarray]:
    """Returns the params after distillation, and the student's mean return on each source."""
    *_, point = learn_source(method, sides(), steps, keys([0]).source, num_points=1)
    learner = method.learner(spec(sides()), target=True)
    params = jax.vmap(learner.init)(keys([0]).evaluation, point.params)
    return point.params, np.asarray(evaluate(learner, params, sides(), 4, keys([0]).evaluation)).mean((0, 2))


@pytest.mark.parametrize(
    "method",
    [
        Distil(FAST, **TEACH),
        Distil(QUICK, temperature=0.1, feature_coef=0.01, **TEACH),
        Distil(FAST, (QUICK, FAST), loss="nll", rollout_policy="teachers", feature_coef=0.1, **TEACH),
    ],
    ids=["ppo", "actor-mimic", "unlike-teachers"],
)
def test_one_student_imitates_all_teachers(method: Distil):
    params, returns = student(method, 4_000)
    assert returns.tolist() == [4.0, 4.0]
    assert len(params["teachers"]) == max(len(set(method.teachers)), 1)
    assert len(params.get("feature_maps", ())) == (len(params["teachers"]) if method.feature_coef else 0)


def test_each_source_has_its_own_teacher():
    few = spec(sides())
    assert Distil(FAST).pretraining(few) == ((Separate(FAST), 0.8, (0, 1)),)
    parts = Distil(FAST, (QUICK, FAST), distillation_fraction=0.5).pretraining(few)
    assert parts == ((Separate(QUICK), 0.25, (0,)), (Separate(FAST), 0.25, (1,)))
    alone = few._replace(num_tasks=1, context_dim=0)
    assert Distil(FAST).pretraining(alone) == ((Separate(FAST), 0.8, None),)
    with pytest.raises(InputError, match="Distil has 3 teachers for 2 sources; name one, or one for each"):
        Distil(FAST, (QUICK, FAST, FAST)).pretraining(few)


def test_the_student_learns_from_the_params_of_its_pretraining():
    method = Distil(FAST, (QUICK, FAST), **TEACH)
    learner, of = method.learner(spec(sides())), spec(sides())
    taught = tuple(
        jax.tree.map(lambda x: x + 1, probes.known(stage.method.learner(of))) for stage in method.pretraining(of)
    )
    params = probes.known(learner, {"pretraining": taught})
    probes.check_same(params["teachers"], taught)
    assert "pretraining" not in params


@pytest.mark.parametrize("feature_coef", [0.0, 0.1])
def test_teachers_are_not_trained_and_do_not_transfer(feature_coef: float):
    method = Distil(FAST, feature_coef=feature_coef, **TEACH)
    tasks, learner = sides(), method.learner(spec(sides()))
    params = probes.known(learner)
    rows = probes.experience(jnp.zeros((2, 3)), obs=jnp.ones((2, 3, 2)), next_obs=jnp.ones((2, 3, 2)))
    rows = rows.replace(context=jnp.repeat(jnp.eye(2)[:, None], 3, axis=1))
    gradient = probes.gradient(learner, params, rows)
    assert set(gradient) == {"policy", "value"} | ({"feature_maps"} if feature_coef else set())
    assert any(x.any() for x in jax.tree.leaves(gradient["policy"]))
    if feature_coef:
        assert any(x.any() for x in jax.tree.leaves(gradient["feature_maps"]))
        return
    *_, learned = learn_source(method, tasks, 300, keys([0]).source, num_points=1)
    one = jax.tree.map(lambda x: x[:1], tasks).replace(domain=jnp.ones(1, jnp.int32))
    before, *_ = adapt(method, learned.state, one, 1, [0], keys([0]), num_evals=1, eval_episodes=1)
    assert set(before.state.params) == set(FAST.learner(spec(one)).init(KEY, None))
    assert not probes.different(before.state.params["policy"], learned.params["policy"])


def test_the_students_head_may_be_initialized_again():
    method = Finetune(Distil(FAST, **TEACH), reset_head=True)
    *_, learned = learn_source(method, sides(), 300, keys([0]).source, num_points=1)
    one = jax.tree.map(lambda x: x[:1], sides())
    before, *_ = adapt(method, learned.state, one, 1, [0], keys([0]), num_evals=1, eval_episodes=1)
    now, then = before.state.params["policy"].net, learned.params["policy"].net
    assert not probes.different(now.layers, then.layers)
    assert probes.different(now.last, then.last)


def test_outputs_that_cannot_be_compared_are_refused():
    continuous = spec(probes.task(probes.Corridor(discrete=False)))
    unlike = Distil(PPO(hidden=(4,)), (SAC(hidden=(4,)),)).learner(continuous)
    rows = probes.experience(jnp.zeros((1, 1)), action=jnp.zeros((1, 1, 1)))
    with pytest.raises(InputError, match="let both learn by PPO, or both by SAC"):
        probes.loss_of(unlike, probes.known(unlike), rows)
    from headstart.tasks.worlds import RandomMDP

    tables = spec(probes.task(RandomMDP(states=3, actions=2, branching=1, features=2), seed=1))
    with pytest.raises(InputError, match="use PPO, SAC or DQN"):
        probes.known(Distil(QLearning()).learner(tables))
