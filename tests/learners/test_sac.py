"""SAC: its losses by hand, and environments whose solution is known."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core.counting import count_of
from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.types import Box, Discrete, Info, Params, Spec, spec
from headstart.learners.sac import SAC
from headstart.nets.encoders import encode

KEY = jax.random.key(0)
BOX = Box((-1.0,), (1.0,))
SPEC = Spec(BOX, BOX)
SMALL = SAC(
    hidden=(16,),
    batch_size=32,
    buffer_size=2_000,
    learning_starts=50,
    learning_rate=3e-3,
    num_envs=4,
    num_steps=4,
    discount=0.5,
)


def constant(net: Any, bias: Array) -> Any:
    """Returns the network with the same output for every input."""
    return net.replace(last=jax.tree.map(lambda x: jnp.zeros_like(x) if x.ndim > bias.ndim else bias, net.last))


def certain(sac: SAC, critics: tuple[float, float], mean: float = 0.0, log_std: float = -20.0) -> Params:
    """Returns params by which the critics, and their target network, have those values everywhere.

    The policy is almost deterministic, unless `log_std` is given.
    """
    params = probes.known(sac.learner(SPEC))
    value, policy = params["value"], params["policy"]
    value = value.replace(nets=tuple(constant(net, jnp.array([x])) for net, x in zip(value.nets, critics, strict=True)))
    policy = policy.replace(net=constant(policy.net, jnp.array([mean, log_std])))
    return {**params, "value": value, "policy": policy, "target": {"value": value}}


# ------------------------------------------------------------------------------------------------ by hand


def losses(sac: SAC, params: Params, target: Params, **fields: Any) -> tuple[float, dict[str, float]]:
    """Returns the loss and the metrics of a transition with reward 2, with the target network of other params."""
    learner, params = sac.learner(SPEC), {**params, "target": target["target"]}
    batch = experience([[2.0, 99.0]], [[1.0, 0.0]], action=jnp.zeros((1, 2, 1)), **fields)
    loss, metrics = jax.jit(lambda params: probes.loss_of(learner, params, batch, KEY))(params)
    return float(loss), {name: float(x) for name, x in metrics.items()}


def test_the_losses_of_one_transition_by_hand():
    sac = SAC(temperature=0.1, discount=0.5, hidden=(4,))
    params, target = certain(sac, (1.0, 3.0), log_std=0.0), certain(sac, (10.0, 6.0), log_std=0.0)
    loss, metrics = losses(sac, params, target)
    # the target of both critics is the smaller target value, plus the entropy bonus of the next action
    k_next = jax.random.split(jax.random.split(KEY, (1, 2))[0, 0])[1]
    _, log_prob_next = jax.jit(lambda params, key: params["policy"].sample(jnp.zeros(1), key))(params, k_next)
    td_target = 2 + 0.5 * (6 - 0.1 * float(log_prob_next))
    assert metrics["value_loss"] == pytest.approx(0.5 * ((1 - td_target) ** 2 + (3 - td_target) ** 2), rel=1e-5)
    assert metrics["policy_loss"] == pytest.approx(-0.1 * metrics["entropy"] - 1, rel=1e-5)
    assert metrics["q"] == 2.0
    assert loss == pytest.approx(metrics["value_loss"] + metrics["policy_loss"], rel=1e-5)  # α is fixed


def test_a_terminal_state_has_no_value():
    sac = SAC(temperature=0.1, hidden=(4,))
    _, metrics = losses(sac, certain(sac, (1.0, 3.0)), certain(sac, (10.0, 6.0)), discount=jnp.zeros((1, 2)))
    assert metrics["value_loss"] == pytest.approx(0.5 * (1 + 1))


def test_each_part_is_trained_by_its_own_loss():
    learner = SAC(hidden=(8,)).learner(SPEC)
    params = probes.known(learner)
    batch = experience([[1.0, 2.0]], action=jnp.full((1, 2, 1), 0.3))
    gradient = probes.gradient(learner, params, batch)
    value_loss = lambda trained: probes.loss_of(learner, {**params, **trained}, batch)[1]["value_loss"]
    only_values = jax.jit(jax.grad(value_loss))({name: params[name] for name in learner.phases[0].train})
    assert set(gradient) == {"policy", "value", "log_alpha"}
    jax.tree.map(np.testing.assert_allclose, gradient["value"], only_values["value"])
    assert not any(np.any(x) for x in jax.tree.leaves(only_values["policy"]))
    assert gradient["policy"].net.last.bias.any()
    assert float(gradient["log_alpha"]) != 0.0
    fixed = SAC(hidden=(8,), temperature=0.2).learner(SPEC)
    assert float(probes.gradient(fixed, params, batch)["log_alpha"]) == 0.0


def test_the_target_network_follows_the_critics_by_tau():
    sac = SAC(tau=0.25, hidden=(4,))
    (phase,) = sac.learner(SPEC).phases
    params = {**certain(sac, (1.0, 3.0)), "target": certain(sac, (9.0, -1.0))["target"]}
    after = phase.after(params, Info(KEY))
    biases = [float(net.last.bias[0]) for net in after["target"]["value"].nets]
    assert biases == pytest.approx([9 + 0.25 * (1 - 9), -1 + 0.25 * (3 + 1)])
    assert not probes.different({**after, "target": params["target"]}, params)


def test_it_acts_at_random_at_first_and_deterministically_in_evaluation():
    learner = SAC(learning_starts=10, hidden=(4,)).learner(SPEC)
    params = certain(SAC(learning_starts=10, hidden=(4,)), (0.0, 0.0), mean=0.5)

    def actions(params: Params, explore: float) -> np.ndarray:
        act = lambda key: learner.act(params, (), jnp.zeros(1), jnp.zeros(0), Info(key, explore=explore))[0]
        return np.asarray(jax.jit(jax.vmap(act))(jax.random.split(KEY, 500))[:, 0])

    np.testing.assert_allclose(actions(params, 0.0), np.tanh(0.5), rtol=1e-5)
    assert actions(params, 1.0).std() == pytest.approx(3**-0.5, abs=0.05)  # uniform in [-1, 1]
    seen, _ = jax.jit(learner.prepare)(params, experience([[[1.0], [2.0]]] * 1), Info(KEY))
    assert float(seen["env_steps"].numbers()) == 2.0
    later = {**params, "env_steps": count_of(10)}
    np.testing.assert_allclose(actions(later, 1.0), np.tanh(0.5), rtol=1e-4)  # the policy's std is almost 0


def test_training_from_a_prior_keeps_the_temperature_and_restarts_the_target_network():
    sac = SAC(learning_starts=10, hidden=(4,))
    prior = {**certain(sac, (1.0, 3.0)), "log_alpha": jnp.float32(-2.0), "env_steps": count_of(4)}
    prior["target"] = certain(sac, (9.0, 9.0))["target"]
    params = probes.known(sac.learner(SPEC, target=True), prior)
    probes.check_same(params["target"], {"value": prior["value"]})
    assert float(params["log_alpha"]) == -2.0
    assert float(params["env_steps"].numbers()) == 10.0  # no random actions


# ------------------------------------------------------------------------------------------------ known solutions


def q(params: Params, shown: float, action: float) -> np.ndarray:
    """Returns the critics' mean value of an action, of each seed."""
    one = lambda params: params["value"](encode(params, jnp.array([shown]), jnp.zeros(0)), jnp.array([action])).mean()
    return np.asarray(jax.jit(jax.vmap(one))(params))


def half(shown: Array, action: Array) -> Array:
    """Returns the reward, which is highest for half of the observation."""
    return 1 - jnp.square(action[0] - 0.5 * shown)


@pytest.mark.parametrize("ends", [False, True])
def test_a_reward_that_depends_on_action_and_observation(ends: bool):
    tasks = probes.task(probes.Bandit(half, BOX), spread=1.0, ends=float(ends))
    learner, last = probes.taught(dataclasses.replace(SMALL, temperature=0.01), tasks, 150, seeds=2)
    returns = evaluate(learner, last.params, tasks, 20, probes.keys(2))
    assert (returns.mean((1, 2)) > 0.97).all()
    follows = 0.0 if ends else 0.5 * 1 / (1 - 0.5)  # a truncation bootstraps: γ times the best for ever
    np.testing.assert_allclose(q(last.params, 1.0, -0.5), 0.0 + follows, atol=0.15)
    np.testing.assert_allclose(q(last.params, 1.0, 0.5), 1.0 + follows, atol=0.15)


def test_it_finds_the_end_of_a_corridor():
    tasks = probes.task(probes.Corridor(length=3, discrete=False))
    learner, last = probes.taught(dataclasses.replace(SMALL, discount=0.9), tasks, 200, seeds=2)
    assert (evaluate(learner, last.params, tasks, 4, probes.keys(2)) == 1.0).all()


def test_the_temperature_keeps_the_target_entropy():
    tasks = probes.task(probes.Bandit(lambda shown, action: -jnp.square(action[0]), BOX), ends=1.0)
    learner = dataclasses.replace(SMALL, target_entropy=-0.5).learner(spec(tasks))
    last = probes.trained(learner, tasks, 300, seeds=2, num_points=6)  # the metrics are the last sixth's
    assert np.asarray(last.metrics["entropy"]) == pytest.approx(-0.5, abs=0.2)


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "field",
    [
        {"tau": 0.0},
        {"discount": 1.5},
        {"update_to_data": 0.0},
        {"temperature": 0.0},
        {"batch_size": 0},
        {"learning_starts": -1},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"SAC\({name}=.* is out of range"):
        SAC(**field)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("low", "high"), [(-np.inf, np.inf), (5.0, np.inf), (-np.inf, 5.0), (-1e30, 1.0)])
def test_unbounded_actions_are_refused(low: float, high: float):
    with pytest.raises(InputError, match=r"have no bounds for 1; wrap the env by .*TransformAction.* or use PPO"):
        SAC().learner(Spec(BOX, Box((-1.0, low), (1.0, high))))


def test_discrete_actions_are_refused():
    with pytest.raises(InputError, match="SAC needs continuous actions, and this task's are discrete; use DQN or PPO"):
        SAC().learner(Spec(BOX, Discrete(2)))
