"""PopArt: statistics that change while values stay, by hand; and that tasks have equal influence."""

from collections.abc import Callable
from typing import NamedTuple

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
from headstart.core.types import Box, Info, Method, Params, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.popart import PopArt, ReturnStatistics, rescaled
from headstart.methods.multitask.separate import Separate
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.values.deep_successor import DeepSuccessorFeatures
from headstart.nets.encoders import encode
from headstart.nets.mlp import MLP, mlp
from headstart.tasks.task_ids import stack_tasks

KEY = jax.random.key(0)
SMALL = PPO(hidden=(8,), num_steps=4, num_envs=2, batch_size=4, num_epochs=1)
IDS = np.eye(2, dtype=np.float32)  # contexts

update, normalize = jax.jit(ReturnStatistics.update), jax.jit(ReturnStatistics.normalize)
rescale = jax.jit(rescaled)


class Critic(NamedTuple):
    """A value network, and the statistics that its outputs are normalized by."""

    net: MLP
    returns: ReturnStatistics

    def value(self, x: Array, context: Array) -> Array:
        """Returns the value in the reward's units."""
        return self.returns.value(self.net(jnp.concatenate([x, context])), context)

    def normalized(self, x: Array, context: Array) -> Array:
        """Returns the normalized value."""
        return self.returns.select(self.net(jnp.concatenate([x, context])), context)


value_of, normalized_of = jax.jit(Critic.value), jax.jit(Critic.normalized)


def heads(step_size: float = 0.5) -> Critic:
    """Returns two heads over three numbers, the last two of which are the task's id; mean 0, std 1."""
    zeros = jnp.zeros(2)
    return Critic(mlp((3, 8, 2), 1.0, "tanh", KEY), ReturnStatistics(zeros, zeros + 1.0, zeros, step_size, (), 2))


def seen(critic: Critic, first: list[float], second: list[float]) -> Critic:
    """Returns the critic after those returns of each task [env]."""
    returns = floats([first, second])
    context = np.repeat(IDS[:, None], returns.shape[1], axis=1)
    after = update(critic.returns, returns, context, np.ones_like(returns))
    return Critic(rescale(critic.net, critic.returns, after), after)


def mean_and_std(returns: ReturnStatistics) -> list[tuple[float, float]]:
    """Returns each task's mean and standard deviation."""
    return list(zip(returns.mean.tolist(), returns.std.tolist(), strict=True))


def test_the_first_returns_set_the_statistics_and_later_ones_move_them():
    once = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    assert mean_and_std(once.returns) == [(2.0, 1.0), (300.0, 200.0)]
    twice = seen(once, [6.0, 6.0], [300.0, 300.0])
    # half of the way: means 4 and 300; squares (5 + 36) / 2 and (130 000 + 90 000) / 2
    flat = [x for pair in mean_and_std(twice.returns) for x in pair]
    assert flat == pytest.approx([4.0, 4.5**0.5, 300.0, 20_000**0.5])


def test_transitions_of_weight_0_are_ignored():
    once = seen(heads(), [1.0, 3.0], [100.0, 500.0]).returns
    returns, context = floats([[7.0, np.nan], [np.nan, np.nan]]), np.repeat(IDS[:, None], 2, axis=1)
    after = update(once, returns, context, floats([[1.0, 0.0], [0.0, 0.0]]))
    assert mean_and_std(after)[0] == pytest.approx((4.5, (0.5 * (5 + 49) - 4.5**2) ** 0.5))
    assert mean_and_std(after)[1] == (300.0, 200.0)
    assert after.rollouts.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("far", [1.0, 1e3])
def test_values_stay_while_their_statistics_change(far: float):
    before = seen(heads(), [1.0, 3.0], [far, 5 * far])
    after = seen(before, [50.0, 90.0], [-7 * far, far])
    for x in np.asarray(jax.random.normal(KEY, (20, 1))):
        for context in IDS:
            was, now = float(value_of(before, x, context)), float(value_of(after, x, context))
            assert now == pytest.approx(was, rel=1e-5, abs=1e-5 * far)
            normalized = float(normalized_of(before, x, context))
            assert float(normalized_of(after, x, context)) != pytest.approx(normalized, rel=1e-2)


def test_values_and_returns_are_normalized_by_the_statistics_of_the_contexts_task():
    critic = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    assert normalize(critic.returns, floats([4.0, 400.0]), IDS).tolist() == [2.0, 0.5]
    for context, (mean, std) in zip(IDS, mean_and_std(critic.returns), strict=True):
        expected = mean + std * float(normalized_of(critic, floats([1.0]), context))
        assert float(value_of(critic, floats([1.0]), context)) == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_returns_without_variance_do_not_divide_by_zero():
    returns = seen(heads(), [5.0, 5.0], [0.0, 0.0]).returns
    assert np.isfinite(normalize(returns, floats([5.0, 0.0]), IDS)).all()
    assert (returns.std > 0).all()


def payers() -> Array:
    return jnp.array([1.0, 1000.0])


def test_advantages_are_standardized_within_each_task():
    bandit = probes.Bandit(lambda shown, action: shown * action)
    tasks = stack(
        [probes.one(bandit, level=x).replace(context=jnp.asarray(name)) for x, name in zip(payers(), IDS, strict=True)]
    )
    learner = PopArt(SMALL).learner(spec(tasks))
    fresh = probes.experience(
        [[[1.0, 0.0, 1.0, 0.0]], [[1000.0, 0.0, 0.0, 0.0]]],
        context=jnp.broadcast_to(jnp.asarray(IDS)[:, None, None], (2, 1, 4, 2)),
        action=jnp.array([[[1, 0, 1, 0]], [[1, 0, 0, 0]]]),
        last=jnp.ones((2, 1, 4), bool),
        discount=jnp.zeros((2, 1, 4)),
        obs=jnp.zeros((2, 1, 4, 1)),
        next_obs=jnp.zeros((2, 1, 4, 1)),
    )
    _, batch = jax.jit(learner.prepare)(probes.known(learner), fresh, Info(KEY))
    np.testing.assert_allclose(batch.extras["advantage"][0, 0], [1, -1, 1, -1], rtol=1e-4)
    np.testing.assert_allclose(batch.extras["advantage"][1, 0], np.array([3, -1, -1, -1]) / 3**0.5, rtol=1e-4)


def test_with_one_source_there_is_one_head():
    params = probes.known(PopArt(SMALL).learner(spec(probes.task(probes.Corridor()))))
    assert params["returns"].mean.shape == (1,)
    assert params["value"].last.bias.shape == (1,)


def test_a_base_without_a_value_network_is_refused():
    with pytest.raises(InputError, match=r"PopArt needs a learner with PPO's value network or DQN's Q-network"):
        probes.known(PopArt(Uniform()).learner(spec(probes.task(probes.Corridor()))))


def test_a_target_network_is_rescaled_to_the_statistics_of_the_network():
    zeros = jnp.zeros(2)
    stats = ReturnStatistics(zeros, zeros + 1.0, zeros, 0.5, (3,), 2)
    target = seen(Critic(mlp((3, 8, 6), 1.0, "tanh", KEY), stats), [1.0, 3.0], [100.0, 500.0])
    now = seen(target._replace(net=mlp((3, 8, 6), 1.0, "tanh", jax.random.key(1))), [-50.0, 90.0], [7000.0, 2.0])
    moved = Critic(rescale(target.net, target.returns, now.returns), now.returns)
    for context in jnp.asarray(IDS):
        assert moved.normalized(jnp.ones(1), context).shape == (3,)
        before, after = target.value(jnp.ones(1), context), moved.value(jnp.ones(1), context)
        np.testing.assert_allclose(after, before, atol=1e-5 * float(now.returns.std.max()))


def test_dqns_values_and_those_of_its_target_network_stay_while_statistics_change():
    base = DQN(
        hidden=(8,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=1_000, update_to_data=1.0
    )
    learner = PopArt(base).learner(spec(probes.task(probes.Corridor())))
    tasks = stack([probes.one(probes.Corridor())])
    run = enter_envs(learner, tasks, init_loop_state(learner, jax.random.split(KEY, 1)))
    after, _ = train_chunk(learner, tasks, copy_arrays(run), jnp.int32(3), count_of(100))
    was, now = (jax.tree.map(lambda x: x[0], one.state) for one in (run, after))
    assert (now.updates, was.updates) == (0, 0)
    assert float(now.params["returns"].rollouts[0]) == 3.0
    assert mean_and_std(now.params["returns"]) != mean_and_std(was.params["returns"])

    def values(params: Params, x: Array) -> list[Array]:
        networks = params["value"], params["target"]["value"]
        return [params["returns"].value(network(x), jnp.zeros(0)) for network in networks]

    for x in jax.random.normal(KEY, (5, 1)):
        np.testing.assert_allclose(values(now.params, x), values(was.params, x), rtol=1e-4, atol=1e-5)
    for network in (lambda params: params["value"], lambda params: params["target"]["value"]):
        assert probes.different(network(now.params).net.last, network(was.params).net.last)


def test_over_dqn_each_task_is_learned_at_its_own_scale():
    """Of two bandits one pays a thousand times as much; both are learned by the same steps."""
    one = probes.one(probes.Bandit(lambda shown, action: shown * action), level=1.0, ends=1.0)
    tasks = stack([one.replace(w=x[None], context=jnp.asarray(name)) for x, name in zip(payers(), IDS, strict=True)])
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
    params = jax.tree.map(lambda x: x[0], last.params)
    for name, paid in zip(jnp.asarray(IDS), payers(), strict=True):
        values = params["returns"].value(params["value"](jnp.concatenate([jnp.ones(1), name])), name)
        np.testing.assert_allclose(values, [0.0, float(paid)], atol=0.1 * float(paid))


def test_dueling_networks_are_refused():
    with pytest.raises(InputError, match="not dueling"):
        probes.known(PopArt(DQN(dueling=True)).learner(spec(probes.task(probes.Corridor()))))


def test_a_value_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"PopArt\(step_size=0.0\) is out of range"):
        PopArt(step_size=0.0)


# ------------------------------------------------------------------------------------------------ encoded contexts


class Two(probes.Corridor):
    """Observations of two numbers, so that the context starts at another index than counted from the end."""

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
def test_with_an_encoded_context_a_task_still_has_its_own_head(base: Method, outer: Callable[[Method], Method]):
    """The encoded parameter follows the task's id in the context, and is larger than 1."""
    tasks = stack_tasks([probes.one(Two(), push=push) for push in (2.0, 3.0)])
    learner = outer(base).learner(spec(tasks))
    params = probes.known(learner)
    stats: ReturnStatistics = params["returns"]
    assert stats.mean.shape == (2,)
    stats = stats.replace(mean=jnp.array([10.0, 20.0]), square=jnp.array([101.0, 401.0]))  # std 1
    params["returns"] = stats
    contexts = jnp.array([[1.0, 0.0, 5.0], [0.0, 1.0, 5.0]])
    outputs = [params["value"](encode(params, jnp.array([7.0, 8.0]), context)) for context in contexts]
    apart = [stats.value(x, context) - stats.select(x, context) for x, context in zip(outputs, contexts, strict=True)]
    assert [float(np.mean(x)) for x in apart] == pytest.approx([10.0, 20.0], rel=1e-5)
    assert normalize(stats, jnp.array([11.0, 21.0]), contexts).tolist() == pytest.approx([1.0, 1.0])

    env_states = probes.start(learner, tasks, 2, KEY)
    fresh = probes.rollout(learner, params, tasks, env_states, Info(KEY), 4)[1]
    after, _ = jax.jit(learner.prepare)(params, fresh, Info(KEY))
    assert after["returns"].rollouts.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("inner", [Separate(SMALL), Distil(SMALL), DeepSuccessorFeatures(hidden=(4,))], ids=repr)
def test_methods_that_would_mistake_an_encoding_for_a_task_id_are_refused(inner: Method):
    tasks = stack_tasks([probes.one(Two(), push=push) for push in (2.0, 3.0)])
    with pytest.raises(InputError, match="tells tasks apart by their context, to which the method around it adds 1"):
        UniversalPolicy(inner).learner(spec(tasks))
