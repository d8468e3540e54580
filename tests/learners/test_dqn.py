"""DQN: its loss and its exploration by hand, and environments whose solution is known."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.types import Box, Discrete, Info, Method, Params, Spec, Transition
from headstart.learners.dqn import DQN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.forward.finetune import Finetune
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.nets.encoders import encode

KEY = jax.random.key(0)
SPEC = Spec(Box((-1.0,), (1.0,)), Discrete(3))
SMALL = DQN(
    hidden=(32,),
    batch_size=32,
    buffer_size=2_000,
    learning_starts=50,
    learning_rate=3e-3,
    num_envs=4,
    update_to_data=0.5,
    target_update_period=20,
    discount=0.5,
)


def certain(dqn: DQN, *values: float) -> Params:
    """Returns params by which the actions have those values in every state, and so has the target network."""
    params = probes.known(dqn.learner(SPEC))
    net = params["value"].net
    last = jax.tree.map(lambda x: jnp.zeros_like(x) if x.ndim == 2 else jnp.array(values), net.last)
    value = params["value"].replace(net=net.replace(last=last))
    return {**params, "value": value, "target": {"value": value}}


def sampled(dqn: DQN, fresh: Transition) -> Transition:
    """Returns what the loss is given of all rows of a rollout, [task, batch]."""
    sample = dqn.learner(SPEC).phases[0].sample
    return jax.jit(lambda fresh: sample({}, probes.all_rows(fresh).draw(jnp.int32(0)), Info(KEY)))(fresh)


# ------------------------------------------------------------------------------------------------ by hand


def test_the_loss_of_one_transition_by_hand():
    dqn = DQN(discount=0.5, hidden=(4,))
    learner = dqn.learner(SPEC)
    params = {**certain(dqn, 1.0, 3.0, 2.0), "target": certain(dqn, 10.0, 0.5, 30.0)["target"]}
    fresh = experience([[[2.0], [99.0]]], [[[1.0], [0.0]]], action=jnp.array([[[2], [0]]]))
    batch = sampled(dqn, fresh)
    loss, metrics = jax.jit(lambda params: probes.loss_of(learner, params, batch))(params)
    # the network would choose 1, of which the target network thinks ½: 2 + ½ · ½ = 2.25, where the estimate is 2
    assert float(loss) == pytest.approx(0.5 * 0.25**2)
    assert {name: float(x) for name, x in metrics.items()} == pytest.approx(
        {"value_loss": 0.5 * 0.25**2, "q": 2.0, "epsilon": 1.0}
    )


def test_no_gradient_flows_through_the_td_target():
    dqn = DQN(hidden=(4,))
    learner = dqn.learner(SPEC)
    batch = sampled(dqn, experience([[[1.0]]], action=jnp.array([[[1]]])))
    gradient = probes.gradient(learner, certain(dqn, 0.0, 0.0, 0.0), batch)
    assert set(gradient) == {"value"}  # of the target network and the schedule there is none
    assert gradient["value"].net.last.bias.tolist() == [0.0, -1.0, 0.0]


def test_rewards_of_the_next_steps_are_summed():
    """Of two environments, which end an episode after their second step: by termination and by truncation."""
    last, ends = np.array([[[0, 0], [1, 1], [0, 0], [0, 0]]]) > 0, np.array([[[1, 1], [0, 1], [1, 1], [1, 1]]])
    rewards = np.array([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]]])
    fresh = experience(rewards, last=last, discount=ends.astype(np.float32), next_obs=rewards[..., None] + 0.5)
    batch = sampled(DQN(n_step=3, discount=0.5, hidden=(4,)), fresh)
    rows = lambda x: x.reshape(4, 2).tolist()
    assert rows(batch.reward) == [[2.0, 20.0], [2.0, 20.0], [8.0, 80.0], [8.0, 80.0]]
    assert rows(batch.extras["discount"]) == [[0.0, 0.25], [0.0, 0.5], [0.25, 0.25], [0.5, 0.5]]
    assert rows(batch.next_obs) == [[2.5, 20.5], [2.5, 20.5], [8.5, 80.5], [8.5, 80.5]]
    assert rows(batch.obs) == rows(fresh.obs)


@pytest.mark.parametrize("tau", [1.0, 0.25])
def test_the_target_network_moves_once_a_period_and_by_tau(tau: float):
    dqn = DQN(tau=tau, target_update_period=3, hidden=(4,))
    learner = dqn.learner(SPEC)
    params = {**certain(dqn, 1.0, 3.0, 2.0), "target": certain(dqn, 9.0, -1.0, 0.0)["target"]}
    (phase,) = learner.phases
    for updates in range(6):
        after = phase.after(params, Info(KEY, updates=updates))
        bias = after["target"]["value"].net.last.bias
        if (updates + 1) % 3:
            probes.check_same(after, params)
        else:
            np.testing.assert_allclose(bias, [9 + tau * (1 - 9), -1 + tau * (3 + 1), tau * 2], rtol=1e-6)
            assert not probes.different(after["value"], params["value"])


@pytest.mark.parametrize("dueling", [False, True])
def test_a_dueling_network_separates_value_and_advantages(dueling: bool):
    params = probes.known(DQN(dueling=dueling, hidden=(4,)).learner(SPEC))
    assert params["value"](jnp.zeros(1)).shape == (3,)
    if dueling:
        params = certain(DQN(dueling=True, hidden=(4,)), 10.0, 1.0, 2.0, 6.0)
        assert params["value"](jnp.zeros(1)).tolist() == [8.0, 9.0, 13.0]


def test_random_actions_become_rarer_and_do_not_occur_in_evaluation():
    dqn = DQN(epsilon=0.1, exploration_fraction=0.5, hidden=(4,))
    learner, params = dqn.learner(SPEC), certain(dqn, 0.0, 1.0, 0.0)

    def best(params: Params, explore: float) -> float:
        act = lambda key: learner.act(params, (), jnp.zeros(1), jnp.zeros(0), Info(key, explore=explore))[0]
        return float((jax.jit(jax.vmap(act))(jax.random.split(KEY, 2000)) == 1).mean())

    assert best(params, 0.0) == 1.0
    assert best(params, 1.0) == pytest.approx(1 / 3, abs=0.04)
    epsilons = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        params, _ = jax.jit(learner.prepare)(params, experience([[[0.0]]]), Info(KEY, progress))
        epsilons.append(float(params["epsilon"].epsilon))
    assert epsilons == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert best(params, 1.0) == pytest.approx(0.9 + 0.1 / 3, abs=0.03)


def test_training_from_a_prior_keeps_epsilon_and_restarts_the_target_network():
    dqn = DQN(hidden=(4,))
    learner, prior = dqn.learner(SPEC), certain(dqn, 0.0, 1.0, 0.0)
    prior = {**prior, "epsilon": prior["epsilon"].replace(epsilon=jnp.float32(0.05))}
    prior["target"] = certain(dqn, 9.0, 9.0, 9.0)["target"]
    params = probes.known(learner, prior)
    probes.check_same(params["target"], {"value": prior["value"]})
    for progress in (0.0, 0.5):
        params, _ = jax.jit(learner.prepare)(params, experience([[[0.0]]]), Info(KEY, progress))
        assert float(params["epsilon"].epsilon) == pytest.approx(0.05)


# ------------------------------------------------------------------------------------------------ known solutions


def q(params: Params, shown: float) -> np.ndarray:
    """Returns the action values of each seed."""
    one = lambda params: params["value"](encode(params, jnp.array([shown]), jnp.zeros(0)))
    return np.asarray(jax.jit(jax.vmap(one))(params))


def its_sign(shown: Array, action: Array) -> Array:
    """Returns the reward: 1 for the action that is the sign of the observation."""
    return jnp.where((action == 1) == (shown > 0), 1.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, False),
        ({}, True),
        ({"n_step": 3}, False),
        ({"n_step": 3}, True),
        ({"dueling": True, "tau": 0.05, "target_update_period": 1}, False),
    ],
    ids=str,
)
def test_a_reward_that_depends_on_action_and_observation(changes: dict[str, Any], ends: bool):
    tasks = probes.task(probes.Bandit(its_sign), spread=1.0, ends=float(ends))
    _, last = probes.taught(dataclasses.replace(SMALL, **changes), tasks, 150, seeds=2)
    follows = 0.0 if ends else 0.5 * 1 / (1 - 0.5)  # a truncation bootstraps: γ times the best for ever
    np.testing.assert_allclose(q(last.params, 1.0), [[follows, 1 + follows]] * 2, atol=0.2)
    np.testing.assert_allclose(q(last.params, -1.0), [[1 + follows, follows]] * 2, atol=0.2)


def test_it_finds_the_end_of_a_corridor():
    tasks = probes.task(probes.Corridor(length=3))
    learner, last = probes.taught(dataclasses.replace(SMALL, discount=0.9, n_step=4), tasks, 200, seeds=2)
    assert (evaluate(learner, last.params, tasks, 4, probes.keys(2)) == 1.0).all()
    value = q(last.params, 0.0)
    np.testing.assert_allclose(value[:, 1], 0.9**2, atol=0.1)  # three steps from the end


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "field",
    [
        {"tau": 0.0},
        {"target_update_period": 0},
        {"epsilon": 1.5},
        {"exploration_fraction": 0.0},
        {"n_step": 0},
        {"update_to_data": 0.0},
        {"learning_rate": 0.0},
        {"learning_starts": -1},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"DQN\({name}=.* is out of range"):
        DQN(**field)  # pyright: ignore[reportArgumentType]


def test_continuous_actions_are_refused():
    with pytest.raises(InputError, match="DQN needs discrete actions, and this task's are continuous; use SAC or PPO"):
        DQN().learner(Spec(SPEC.observation_space, Box((-1.0,), (1.0,))))


@pytest.mark.parametrize(
    "method",
    [
        DARC(DQN(n_step=2)),
        UPOSI(DQN(n_step=2)),
        Recurrent(DQN(n_step=2), asymmetric_critic=False),
        Recurrent(DQN(n_step=2), "history"),
        UPOSI(Finetune(DQN(n_step=2))),
    ],
    ids=lambda method: f"{type(method).__name__}-{method.memory if isinstance(method, Recurrent) else ''}",
)
def test_methods_that_need_the_next_observation_refuse_n_step_rewards(method: Method):
    with pytest.raises(
        InputError, match=r"needs each step's next observation.*are given that 2 steps later; use n_step=1\.$"
    ):
        method.learner(SPEC._replace(num_parameters=1))


def test_the_universal_policy_takes_n_step_rewards():
    """The parameters in its context are the same in the whole episode."""
    assert UniversalPolicy(DQN(n_step=2)).learner(SPEC._replace(num_parameters=1)).replay.n_step == 2
