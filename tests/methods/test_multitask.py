"""Several tasks at once: one learner for all, or one for each task."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest
from probes import experience

from headstart.core.errors import InputError
from headstart.core.iterations import steps_per_iteration
from headstart.core.learn import gradient_step, init_train_state, select_parts
from headstart.core.train import train
from headstart.core.types import Info, Learner, Method, Params, Task, TrainState, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.methods.multitask.joint import Joint
from headstart.methods.multitask.popart import PopArt
from headstart.methods.multitask.separate import Separate
from headstart.protocol.transfer import adapt, keys
from headstart.tasks.task_ids import stack_tasks
from headstart.tasks.worlds import RandomMDP

KEY = jax.random.key(0)
SMALL = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, num_epochs=1)
OFF_POLICY = {"hidden": (4,), "num_steps": 4, "num_envs": 2, "batch_size": 4, "buffer_size": 64, "learning_starts": 4}


def several(n: int, discrete: bool = True) -> Task:
    """Returns n corridors, whose contexts are their ids."""
    each = [probes.one(probes.Corridor(length=3, discrete=discrete), push=0.5 + 0.5 * i) for i in range(n)]
    return stack([one.replace(context=name) for one, name in zip(each, jnp.eye(n), strict=True)])


def before(learner: Learner) -> TrainState:
    """Returns the state before the first gradient step."""
    return init_train_state(learner, probes.known(learner))


def whole(n: int, discrete: bool) -> tuple[Task, Task]:
    """Returns n corridors, and a target that is none of them."""
    new = probes.one(probes.Corridor(length=3, discrete=discrete), target=True, push=0.7)
    return several(n, discrete), stack([new.replace(context=jnp.zeros(n))])


def test_it_learns_several_sources_and_adapts_to_one_that_is_none_of_them():
    method, seeds = Joint(SAC(**OFF_POLICY), surgery="cagrad"), keys([0, 1])
    tasks, target = whole(3, discrete=False)
    learner = method.learner(spec(tasks))
    *_, learned = train(learner, tasks, 2 * steps_per_iteration(learner, tasks), seeds.source, num_points=2)
    assert (learned.gradient_steps >= 2).all()
    first, after = adapt(method, learned.state, target, 1, [1], seeds, eval_episodes=2)
    assert after.episodes.tolist() == [1.0, 1.0]
    assert np.isfinite(after.returns).all()
    assert probes.different(first.state.params, after.state.params)


@pytest.mark.parametrize(
    ("method", "discrete"),
    [(PopArt(Joint(SMALL, surgery="pcgrad")), False), (Separate(DQN(update_to_data=1.0, **OFF_POLICY)), True)],
    ids=["PopArt-Joint", "Separate-DQN"],
)
def test_they_fit_one_another_and_other_learners(method: Method, discrete: bool):
    probes.check_fits(method, *whole(3, discrete))


# ------------------------------------------------------------------------------------------------ joint


def test_with_one_source_and_in_the_target_joint_is_its_base():
    one, three = spec(several(1)), spec(several(3))
    method = Joint(SMALL, surgery="pcgrad")
    assert method.learner(one) is SMALL.learner(one)
    learner = method.learner(three)
    assert all(phase.combine is not None for phase in learner.phases)
    alone = tuple(phase._replace(combine=None) for phase in learner.phases)
    assert learner._replace(phases=alone) == SMALL.learner(three)


def test_the_mean_of_the_tasks_gradients_is_the_gradient_of_all():
    rng = np.random.default_rng(0)
    tasks = several(3)
    batch = experience(
        rng.normal(size=(3, 8)),
        action=jnp.asarray(rng.integers(0, 2, (3, 8)), jnp.int32),
        context=jnp.repeat(jnp.eye(3)[:, None], 8, axis=1),
        extras={name: jnp.float32(rng.normal(size=(3, 8))) for name in ("advantage", "value_target", "log_prob")},
    )

    def moved(method: Method) -> Params:
        learner = method.learner(spec(tasks))
        phase, params = learner.phases[0]._replace(optimizer=optax.sgd(1.0)), probes.known(learner)
        optimizer = phase.optimizer.init(select_parts(params, phase.train))
        return jax.jit(gradient_step, static_argnums=0)(phase, params, optimizer, (batch,), (Info(KEY),))[0]

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *map(moved, (SMALL, Joint(SMALL)))
    )
    apart = moved(Joint(SMALL, surgery="mgda"))
    assert probes.different(apart["policy"], moved(SMALL)["policy"])


def test_surgery_treats_each_part_separately():
    """The policy's gradients oppose each other, the value's agree: nothing of the first is left, all of the second."""
    gradients = {
        "policy": jnp.array([[1.0], [-1.0]]),
        "value": jnp.array([[2.0], [2.0]]),
        "log_alpha": jnp.array([1.0, 3.0]),
    }
    combine = Joint(SMALL, surgery="mgda").learner(spec(several(2))).phases[0].combine
    assert combine is not None
    found, metrics = jax.jit(combine)(gradients, jnp.array([5.0, 7.0]), KEY)
    np.testing.assert_allclose(found["policy"], [0.0], atol=1e-6)
    np.testing.assert_allclose(found["value"], [2.0], rtol=1e-6)
    assert float(found["log_alpha"]) == 2.0  # a single number follows the mean
    assert (float(metrics["policy_conflict"]), float(metrics["value_conflict"])) == (1.0, 0.0)
    assert (float(metrics["policy_cosine"]), float(metrics["value_cosine"])) == pytest.approx((-1.0, 1.0))
    assert (float(metrics["loss_1"]), float(metrics["loss_2"])) == (5.0, 7.0)


# ------------------------------------------------------------------------------------------------ separate


def test_separate_tables_learn_without_a_gradient():
    few = RandomMDP(states=3, actions=2, branching=1, features=1)
    tasks = stack_tasks([probes.one(few, seed=seed) for seed in (1, 2)])
    learner, last = probes.taught(Separate(QLearning()), tasks, 20)
    assert learner.phases == ()
    assert last.gradient_steps.tolist() == [0.0]
    first, second = np.asarray(last.params["value"][0])
    assert probes.different(first, second)
    assert np.any(first)
    assert np.any(second)


def test_separate_learners_share_nothing():
    """A task's experience changes its own params alone, by the same amount whatever the other task's advantages are."""
    tasks = several(2)
    learner = Separate(SMALL).learner(spec(tasks))
    extras = {name: jnp.array([[1.0, -1.0], [0.0, 0.0]]) for name in ("advantage", "value_target", "log_prob")}
    batch = experience(jnp.zeros((2, 2)), action=jnp.array([[0, 1], [1, 0]]), extras=extras)  # stored without an id
    huge = batch.replace(extras={**batch.extras, "advantage": jnp.array([[1.0, -1.0], [1e6, -1e6]])})
    state = before(learner)
    (phase,), (optimizer,) = learner.phases, state.optimizers
    step = jax.jit(gradient_step, static_argnums=0)
    after = [step(phase, state.params, optimizer, (x,), (Info(KEY, task=tasks),))[0] for x in (batch, huge)]
    of_task = lambda params, i: jax.tree.map(lambda x: x[i], params)
    assert probes.different(of_task(state.params, 0), of_task(after[0], 0))
    jax.tree.map(np.testing.assert_array_equal, of_task(after[0], 0), of_task(after[1], 0))
    assert probes.different(of_task(after[0], 1), of_task(after[1], 1))


def test_each_learner_rescales_its_own_networks():
    learner = Separate(PopArt(DQN(**OFF_POLICY))).learner(spec(several(2)))
    params = probes.known(learner)
    params["target"] = jax.tree.map(lambda x: x - 0.3, params["target"])
    far = 5_100.0**0.5  # so that the mean square is 10 000
    fresh = experience(
        [[[7.0, -1.0]], [[-70.0 + far, -70.0 - far]]],
        context=jnp.repeat(jnp.eye(2)[:, None, None], 2, axis=2),
        discount=jnp.zeros((2, 1, 2)),
        last=jnp.ones((2, 1, 2), bool),
    )
    moved, _ = jax.jit(learner.prepare)(params, fresh, Info(KEY))
    np.testing.assert_allclose(moved["returns"].mean, [[3.0], [-70.0]], rtol=1e-5)
    np.testing.assert_allclose(moved["returns"].square, [[25.0], [10_000.0]], rtol=1e-5)

    def values(params: Params, task: int) -> list[np.ndarray]:
        own = jax.tree.map(lambda x: x[task], params)
        networks = own["value"], own["target"]["value"]
        return [own["returns"].value(network(jnp.ones(1)), jnp.zeros(0)) for network in networks]

    for task in range(2):
        np.testing.assert_allclose(values(moved, task), values(params, task), atol=1e-3)
        assert probes.different(moved["target"]["value"], params["target"]["value"])


def test_each_task_has_its_own_policy():
    learner = Separate(SMALL).learner(spec(several(2)))
    zeros = jax.tree.map(jnp.zeros_like, probes.known(learner))
    params = eqx.tree_at(lambda params: params["policy"].net.last.bias, zeros, jnp.array([[5.0, 0.0], [0.0, 5.0]]))
    info = Info(KEY, explore=0.0)
    act = lambda context: int(learner.act(params, (), jnp.zeros(1), jnp.array(context), info)[0])
    assert (act([1.0, 0.0]), act([0.0, 1.0]), act([0.0, 0.0])) == (0, 1, 0)


def test_with_one_source_separate_is_its_base():
    one = spec(probes.task(probes.Corridor()))
    assert Separate(SMALL).learner(one) is SMALL.learner(one)


def test_separate_cannot_stop_for_one_task_alone():
    with pytest.raises(InputError, match="leave target_kl out"):
        Separate(PPO(target_kl=0.1)).learner(spec(several(2)))


def test_a_value_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"Joint\(cagrad_c=1.5\) is out of range"):
        Joint(cagrad_c=1.5)
