"""PopArt: units that move while values stay, by hand; and that each task has the same say."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array
from probes import floats

from headstart.core.counting import count_of
from headstart.core.errors import InputError
from headstart.core.run import copy_arrays
from headstart.core.train import enter_envs, init_loop_state, train, train_chunk
from headstart.core.types import Box, Method, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.popart import PopArt, PopArtHeads, ReturnStatistics
from headstart.methods.multitask.separate import Separate
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.values.deep_successor import DeepSuccessorFeatures
from headstart.nets.encoders import encode
from headstart.nets.mlp import mlp
from headstart.tasks.task_ids import stack_tasks

KEY = jax.random.key(0)
SMALL = PPO(hidden=(8,), num_steps=4, num_envs=2, batch_size=4, num_epochs=1)
TOLD = np.eye(2, dtype=np.float32)

include, measure = jax.jit(PopArtHeads.update), jax.jit(PopArtHeads.normalize)
worth, in_units = jax.jit(PopArtHeads.value), jax.jit(PopArtHeads.__call__)


def heads(rate: float = 0.5) -> PopArtHeads:
    """-> two heads over three numbers, the last two of which name the task; units 0 ± 1."""
    none = jnp.zeros(2)
    return PopArtHeads(mlp((3, 8, 2), 1.0, "tanh", KEY), ReturnStatistics(none, none + 1.0, none), rate, (), 2, 1)


def seen(heads: PopArtHeads, first: list[float], second: list[float]) -> PopArtHeads:
    """-> the heads after those returns of each task [copy]."""
    returns = floats([first, second])
    return include(heads, returns, np.repeat(TOLD[:, None], returns.shape[1], axis=1), np.ones_like(returns))


def units(heads: PopArtHeads) -> list[tuple[float, float]]:
    """-> each task's mean and spread."""
    return list(zip(heads.statistics.mean.tolist(), heads.statistics.std.tolist(), strict=True))


def test_the_first_returns_are_the_units_and_later_ones_move_them():
    once = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    assert units(once) == [(2.0, 1.0), (300.0, 200.0)]
    twice = seen(once, [6.0, 6.0], [300.0, 300.0])
    # half of the way: means 4 and 300; squares (5 + 36) / 2 and (130 000 + 90 000) / 2
    assert [x for pair in units(twice) for x in pair] == pytest.approx([4.0, 4.5**0.5, 300.0, 20_000**0.5])


def test_what_has_no_weight_moves_nothing():
    once = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    returns, context = floats([[7.0, np.nan], [np.nan, np.nan]]), np.repeat(TOLD[:, None], 2, axis=1)
    after = include(once, returns, context, floats([[1.0, 0.0], [0.0, 0.0]]))
    assert units(after)[0] == pytest.approx((4.5, (0.5 * (5 + 49) - 4.5**2) ** 0.5))
    assert units(after)[1] == (300.0, 200.0)
    assert after.statistics.rollouts.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("far", [1.0, 1e3])
def test_values_stay_where_they_are_while_their_units_move(far: float):
    before = seen(heads(), [1.0, 3.0], [far, 5 * far])
    after = seen(before, [50.0, 90.0], [-7 * far, far])
    for x in np.asarray(jax.random.normal(KEY, (20, 1))):
        for name in TOLD:
            told = np.concatenate([x, name])
            was, now = float(worth(before, told)), float(worth(after, told))
            assert now == pytest.approx(was, rel=1e-5, abs=1e-5 * far)
            assert float(in_units(after, told)) != pytest.approx(float(in_units(before, told)), rel=1e-2)


def test_values_and_returns_are_in_the_units_of_the_task_that_is_named():
    told = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    assert measure(told, floats([4.0, 400.0]), TOLD).tolist() == [2.0, 0.5]
    for task, (mean, spread) in enumerate(units(told)):
        x = floats([1.0, *TOLD[task]])
        assert float(worth(told, x)) == pytest.approx(mean + spread * float(in_units(told, x)), rel=1e-6, abs=1e-4)


def test_a_spread_of_nothing_divides_by_no_zero():
    told = seen(heads(), [5.0, 5.0], [0.0, 0.0])
    assert np.isfinite(measure(told, floats([5.0, 0.0]), TOLD)).all()
    assert (told.statistics.std > 0).all()


def payers() -> Array:
    return jnp.array([1.0, 1000.0])


def test_each_tasks_advantages_have_mean_0_and_spread_1_by_themselves():
    bandit = probes.Bandit(lambda shown, action: shown * action)
    tasks = stack(
        [probes.one(bandit, level=x).replace(context=jnp.asarray(name)) for x, name in zip(payers(), TOLD, strict=True)]
    )
    learner = PopArt(SMALL).learner(spec(tasks))
    fresh = probes.experience(
        [[[1.0, 0.0, 1.0, 0.0]], [[1000.0, 0.0, 0.0, 0.0]]],
        context=jnp.broadcast_to(jnp.asarray(TOLD)[:, None, None], (2, 1, 4, 2)),
        action=jnp.array([[[1, 0, 1, 0]], [[1, 0, 0, 0]]]),
        last=jnp.ones((2, 1, 4), bool),
        discount=jnp.zeros((2, 1, 4)),
        obs=jnp.zeros((2, 1, 4, 1)),
        next_obs=jnp.zeros((2, 1, 4, 1)),
    )
    _, batch = jax.jit(learner.prepare)(probes.known(learner), fresh, KEY, 0.0)
    np.testing.assert_allclose(batch.extras["advantage"][0, 0], [1, -1, 1, -1], rtol=1e-4)
    np.testing.assert_allclose(batch.extras["advantage"][1, 0], np.array([3, -1, -1, -1]) / 3**0.5, rtol=1e-4)


def test_with_one_source_there_is_one_head():
    k = probes.known(PopArt(SMALL).learner(spec(probes.task(probes.Corridor()))))
    assert k.value.statistics.mean.shape == (1,)


def test_a_base_without_ppos_critic_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"PopArt needs a learner with PPO's critic or DQN's values"):
        probes.known(PopArt(Uniform()).learner(spec(probes.task(probes.Corridor()))))


def of_choices() -> PopArtHeads:
    """-> two heads for three choices each."""
    none = jnp.zeros(2)
    return PopArtHeads(mlp((3, 8, 6), 1.0, "tanh", KEY), ReturnStatistics(none, none + 1.0, none), 0.5, (3,), 2, 1)


def test_the_lagged_copy_is_told_in_the_units_of_now():
    slow = seen(of_choices(), [1.0, 3.0], [100.0, 500.0])
    now = seen(slow.replace(net=mlp((3, 8, 6), 1.0, "tanh", jax.random.key(1))), [-50.0, 90.0], [7000.0, 2.0])
    moved = slow.rescaled(now.statistics)
    assert units(moved) == units(now)
    for name in TOLD:
        x = jnp.concatenate([jnp.ones(1), name])
        assert moved(x).shape == (3,)
        np.testing.assert_allclose(moved.value(x), slow.value(x), atol=1e-5 * float(now.statistics.std.max()))


def test_dqns_values_and_their_lagged_copy_stay_where_they_are_while_units_move():
    base = DQN(
        hidden=(8,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=1_000, update_to_data=1.0
    )
    learner = PopArt(base).learner(spec(probes.task(probes.Corridor())))
    tasks = stack([probes.one(probes.Corridor())])
    run = enter_envs(learner, tasks, init_loop_state(learner, jax.random.split(KEY, 1)))
    after, _ = train_chunk(learner, tasks, copy_arrays(run), jnp.int32(3), count_of(100))
    was, now = (jax.tree.map(lambda x: x[0], one.state) for one in (run, after))
    assert (now.gradient_steps, was.gradient_steps) == (0, 0)
    assert float(now.knowledge.value.statistics.rollouts[0]) == 3.0
    assert units(now.knowledge.value) == units(now.target.value) != units(was.knowledge.value)
    for x in jax.random.normal(KEY, (5, 1)):
        for one in ("knowledge", "target"):
            before, later = (getattr(state, one).value.value(x) for state in (was, now))
            np.testing.assert_allclose(later, before, rtol=1e-4, atol=1e-5)


def test_over_dqn_a_choice_is_learned_in_the_units_of_its_task():
    """Of two bandits one pays a thousand times as much; both are learned by the same steps."""
    one = probes.one(probes.Bandit(lambda shown, action: shown * action), level=1.0, ends=1.0)
    tasks = stack([one.replace(w=x[None], context=jnp.asarray(name)) for x, name in zip(payers(), TOLD, strict=True)])
    base = DQN(
        hidden=(16,),
        num_steps=4,
        num_envs=4,
        batch_size=32,
        buffer_size=512,
        learning_starts=32,
        update_to_data=0.5,
        exploration_fraction=0.5,
    )
    learner = PopArt(base).learner(spec(tasks))
    *_, last = train(learner, tasks, 2_000, jax.random.split(KEY, 1), num_points=1)
    value = jax.tree.map(lambda x: x[0], last.knowledge).value
    for name, paid in zip(jnp.asarray(TOLD), payers(), strict=True):
        worth = value.value(jnp.concatenate([jnp.ones(1), name]))
        np.testing.assert_allclose(worth, [0.0, float(paid)], atol=0.1 * float(paid))


def test_dueling_values_are_refused():
    with pytest.raises(InputError, match="not dueling"):
        probes.known(PopArt(DQN(dueling=True)).learner(spec(probes.task(probes.Corridor()))))


def test_what_is_out_of_range_is_said():
    with pytest.raises(InputError, match=r"PopArt\(step_size=0.0\) is out of range"):
        PopArt(step_size=0.0)


# ------------------------------------------------------------------------------------------------ told contexts


class Two(probes.Corridor):
    """Two numbers are seen, so that where the context begins is not where it would be counted from the end."""

    @property
    def observation_space(self):
        return Box((0.0, 0.0), (1.0, 1.0))

    def observe(self, params, state):
        return jnp.stack([state, state])


@pytest.mark.parametrize(
    "base", [SMALL, DQN(hidden=(8,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64)], ids=["ppo", "dqn"]
)
@pytest.mark.parametrize(
    "outer", [lambda base: PopArt(UniversalPolicy(base)), lambda base: UniversalPolicy(PopArt(base))], ids=["out", "in"]
)
def test_told_the_parameters_too_a_task_has_the_head_of_its_name(base: Method, outer: Callable[[Method], Method]):
    """The parameter that is told lies behind the name, and is larger than any 1 in it."""
    tasks = stack_tasks([probes.one(Two(), push=push) for push in (2.0, 3.0)])
    learner = outer(base).learner(spec(tasks))
    k = probes.known(learner)
    heads: PopArtHeads = k.value
    assert heads.statistics.mean.shape == (2,)
    units = heads.statistics.replace(mean=jnp.array([10.0, 20.0]), square=jnp.array([101.0, 401.0]))  # spreads of 1
    k = k.replace(value=heads.replace(statistics=units))
    told = [encode(k, jnp.array([7.0, 8.0]), jnp.array([*name, 5.0])) for name in np.eye(2)]
    values = [float(np.mean(worth(k.value, x) - in_units(k.value, x))) for x in told]
    assert values == pytest.approx([10.0, 20.0], rel=1e-5)
    contexts = jnp.array([[1.0, 0.0, 5.0], [0.0, 1.0, 5.0]])
    assert measure(k.value, jnp.array([11.0, 21.0]), contexts).tolist() == pytest.approx([1.0, 1.0])

    worlds = probes.start(learner, tasks, 2, KEY)
    fresh = probes.rollout(learner, k, tasks, worlds, KEY, 1.0, 4)[1]
    after, _ = jax.jit(learner.prepare)(k, fresh, KEY, 0.0)
    assert after.value.statistics.rollouts.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("inner", [Separate(SMALL), Distil(SMALL), DeepSuccessorFeatures(hidden=(4,))], ids=repr)
def test_what_would_take_a_told_number_for_a_name_is_refused(inner: Method):
    tasks = stack_tasks([probes.one(Two(), push=push) for push in (2.0, 3.0)])
    with pytest.raises(InputError, match="tells tasks apart by their context, to which the method around it adds 1"):
        UniversalPolicy(inner).learner(spec(tasks))
