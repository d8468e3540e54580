"""Policies that are given, or identify, what differs between episodes: universal, identifying and recurrent ones."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from numpyro import distributions as dist

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.stages import learn_source
from headstart.core.types import Box, Discrete, Info, Method, Task, spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.nets.history import History
from headstart.protocol.transfer import adapt, keys

KEY = jax.random.key(0)
FAST = PPO(
    hidden=(16,), num_steps=8, num_envs=16, batch_size=32, num_epochs=4, learning_rate=5e-3, anneal_learning_rate=False
)
OFF_POLICY = {"hidden": (8,), "num_steps": 4, "num_envs": 2, "batch_size": 8, "buffer_size": 64, "learning_starts": 8}


def sides(steps: int = 4, hidden: bool = False) -> Task:
    """Returns hints of either side."""
    return probes.task(probes.Hint(steps, hidden), side=dist.Uniform(jnp.float32(-1.0), jnp.float32(1.0)))


def score(method: Method, tasks: Task, steps: int, seeds: int = 1) -> float:
    """Returns the worst seed's return after so many steps in the source, evaluated there with the target's learner."""
    key = keys(range(seeds))
    *_, point = learn_source(method, tasks, steps, key.source, num_points=1)
    judge = method.learner(spec(tasks), target=True)
    params = jax.vmap(judge.init)(key.evaluation, point.params)
    return float(evaluate(judge, params, tasks, 100, key.evaluation).mean((1, 2)).min())


# ------------------------------------------------------------------------------------------------ they identify it


def test_a_universal_policy_uses_parameters_that_no_observation_shows():
    assert score(UniversalPolicy(FAST), sides(hidden=True), 4_000) > 3.8
    assert score(FAST, sides(hidden=True), 4_000) < 2.6


@pytest.mark.parametrize(
    ("method", "steps"),
    [(Recurrent(FAST, hidden_size=8, sequence_length=4), 4), (Recurrent(FAST, memory="history", history_length=3), 3)],
    ids=["gru", "history"],
)
def test_a_recurrent_policy_acts_on_earlier_observations(method: Method, steps: int):
    assert score(method, sides(steps), 12_000, seeds=3) > steps - 0.3


def test_an_identifying_policy_is_as_good_as_a_universal_one():
    identifies = UPOSI(
        FAST, identification_fraction=0.5, hidden=(16,), update_to_data=0.1, batch_size=64, learning_rate=5e-3
    )
    assert score(identifies, sides(), 10_000) > 3.6


# ------------------------------------------------------------------------------------------------ their parts


def test_a_history_is_the_newest_steps_first():
    past = History(2, 1, Discrete(2))
    assert past.size == 8
    steps = past.push(past.empty(), jnp.array([5.0]), jnp.int32(1))
    assert steps.tolist() == [1, 5, 0, 1, 0, 0, 0, 0]
    steps = past.push(past.push(steps, jnp.array([6.0]), jnp.int32(0)), jnp.array([7.0]), jnp.int32(1))
    assert steps.tolist() == [1, 7, 0, 1, 1, 6, 1, 0]
    once = past.push(past.empty(), jnp.array([5.0]), jnp.int32(1))
    assert past.encode(once, lambda obs: obs - 9.0).tolist() == [
        1,
        -4,
        0,
        1,
        0,
        0,
        0,
        0,
    ]  # steps before the first are 0


def test_a_universal_policy_is_given_standardized_parameters():
    method, tasks = UniversalPolicy(FAST), sides()
    *_, point = learn_source(method, tasks, 1_000, keys([0]).source, num_points=1)
    scale = point.params["parameter_scale"]
    mean, variance = np.asarray(scale.mean[0]), np.asarray(scale.variance[0])
    assert mean[0] == pytest.approx(1.0)
    assert variance[0] == pytest.approx(0.0, abs=1e-6)
    assert mean[1] == pytest.approx(0.0, abs=0.15)
    assert variance[1] == pytest.approx(1 / 3, abs=0.1)


def test_identification_starts_with_the_true_parameters_and_continues_with_its_own_estimates():
    method = UPOSI(FAST, true_parameters_fraction=0.5, hidden=(4,))
    learner = method.learner(spec(sides()))
    params = probes.known(learner)
    fresh = probes.experience(jnp.zeros((1, 1, 1)))
    at = lambda progress: learner.prepare(params, fresh, Info(KEY, progress))[0]["use_true_parameters"].value
    assert [float(at(progress)) for progress in (0.0, 0.49, 0.5, 1.0)] == [1, 1, 0, 0]


def test_the_target_policy_is_not_given_the_parameters():
    """In the target, the parameters do not change the actions."""
    for method in (UPOSI(FAST, hidden=(4,)), Recurrent(FAST, hidden_size=4)):
        source, target = (method.learner(spec(sides(hidden=True)), where) for where in (False, True))
        known = probes.known(target, probes.known(source))
        returns = [
            evaluate(target, jax.tree.map(lambda x: x[None], known), tasks, 20, keys([0]).evaluation)
            for tasks in (probes.task(probes.Hint(hidden=True), side=side) for side in (0.3, 0.9))
        ]
        np.testing.assert_array_equal(*returns)


def test_critics_are_given_parameters_that_the_policy_is_not():
    method = Recurrent(FAST, hidden_size=4)
    params = probes.known(method.learner(spec(sides())))
    x = jnp.arange(2 + 4 + 2, dtype=jnp.float32)
    other = x.at[-1].set(-9.0)
    np.testing.assert_array_equal(params["policy"](x).logits, params["policy"](other).logits)
    assert float(params["value"](x)[0]) != float(params["value"](other)[0])


def test_sac_learns_with_a_memory_and_continues_in_the_target():
    method = Recurrent(SAC(**OFF_POLICY), hidden_size=4, sequence_length=4, burn_in=2)
    law = dist.Uniform(jnp.float32(0.5), jnp.float32(1.5))
    source = probes.task(probes.Corridor(length=3, discrete=False), push=law)
    target = probes.task(probes.Corridor(length=3, discrete=False), target=True, push=0.4)
    *_, learned = learn_source(method, source, 32, keys([0]).source, num_points=1)
    *_, after = adapt(method, learned.state, target, 16, [0], keys([0]), num_evals=1, eval_episodes=2)
    assert np.isfinite(after.returns).all()
    assert probes.different(learned.params["policy"], after.state.params["policy"])


# ------------------------------------------------------------------------------------------------ bad input


def test_bad_input_gets_its_sentence():
    images = probes.task(probes.Pixel())
    for method in (UPOSI(), Recurrent(memory="history")):
        with pytest.raises(InputError, match="this task has images"):
            method.learner(spec(images))
    few = spec(sides())
    with pytest.raises(InputError, match="acts by its critic; use PPO or SAC, or asymmetric_critic=false"):
        probes.known(Recurrent(DQN()).learner(few))
    by_critic = Recurrent(DQN(hidden=(4,)), asymmetric_critic=False, hidden_size=3)
    assert "policy" not in probes.known(by_critic.learner(few))
    with pytest.raises(InputError, match="this env lists none"):
        UniversalPolicy().learner(few._replace(num_parameters=0))
    known = probes.known(UniversalPolicy(FAST).learner(few))
    with pytest.raises(InputError, match="was trained with 2 parameters, and the target has 3"):
        UniversalPolicy(FAST).learner(few._replace(num_parameters=3), True).init(KEY, known)
    with pytest.raises(InputError, match="burn_in"):
        Recurrent(sequence_length=4, burn_in=4)
    assert isinstance(few.observation_space, Box)
