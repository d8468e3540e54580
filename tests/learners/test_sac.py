"""SAC: what it minimises, by hand; and worlds whose right answer is known."""

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
from headstart.core.types import Box, Discrete, Knowledge, Spec, spec
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


def says(net: Any, bias: Array) -> Any:
    """-> the net with one answer to everything."""
    return net.replace(last=jax.tree.map(lambda x: jnp.zeros_like(x) if x.ndim > bias.ndim else bias, net.last))


def certain(sac: SAC, critics: tuple[float, float], mean: float = 0.0, log_std: float = -20.0) -> Knowledge:
    """-> knowledge by which every action is worth as much, and the policy is a spike (unless told otherwise)."""
    k = probes.known(sac.learner(SPEC))
    nets = tuple(says(net, jnp.array([value])) for net, value in zip(k.value.nets, critics, strict=True))
    return k.replace(
        value=k.value.replace(nets=nets),
        policy=k.policy.replace(net=says(k.policy.net, jnp.array([mean, log_std]))),
    )


# ------------------------------------------------------------------------------------------------ by hand


def losses(sac: SAC, k: Knowledge, slow: Knowledge, **fields: Any) -> tuple[float, dict[str, float]]:
    batch = experience([[2.0, 99.0]], [[1.0, 0.0]], action=jnp.zeros((1, 2, 1)), **fields)
    loss, metrics = jax.jit(sac.learner(SPEC).loss)(k, slow, batch, KEY, 0.0)
    return float(loss), {name: float(x) for name, x in metrics.items()}


def test_the_losses_of_one_transition_by_hand():
    sac = SAC(temperature=0.1, discount=0.5, hidden=(4,))
    k, slow = certain(sac, (1.0, 3.0), log_std=0.0), certain(sac, (10.0, 6.0), log_std=0.0)
    loss, metrics = losses(sac, k, slow)
    # the two critics believe the lesser lagged one, and pay for the next action's certainty
    k_next = jax.random.split(jax.random.split(KEY, (1, 2))[0, 0])[1]
    _, log_prob_next = jax.jit(lambda k, key: k.policy.sample(jnp.zeros(1), key))(k, k_next)
    target = 2 + 0.5 * (6 - 0.1 * float(log_prob_next))
    assert metrics["value_loss"] == pytest.approx(0.5 * ((1 - target) ** 2 + (3 - target) ** 2), rel=1e-5)
    assert metrics["policy_loss"] == pytest.approx(-0.1 * metrics["entropy"] - 1, rel=1e-5)
    assert metrics["q"] == 2.0
    assert loss == pytest.approx(metrics["value_loss"] + metrics["policy_loss"], rel=1e-5)  # α is given


def test_an_end_has_no_next_value():
    sac = SAC(temperature=0.1, hidden=(4,))
    _, metrics = losses(sac, certain(sac, (1.0, 3.0)), certain(sac, (10.0, 6.0)), discount=jnp.zeros((1, 2)))
    assert metrics["value_loss"] == pytest.approx(0.5 * (1 + 1))


def test_each_part_is_moved_by_its_own_loss():
    learner = SAC(hidden=(8,)).learner(SPEC)
    k = probes.known(learner)
    batch = experience([[1.0, 2.0]], action=jnp.full((1, 2, 1), 0.3))
    gradient = probes.slope(lambda k: learner.loss(k, k, batch, KEY, 0.0)[0], k)
    only_values = probes.slope(lambda k: learner.loss(k, k, batch, KEY, 0.0)[1]["value_loss"], k)
    jax.tree.map(np.testing.assert_allclose, gradient.value, only_values.value)
    assert not any(np.any(x) for x in jax.tree.leaves(only_values.policy))
    assert gradient.policy.net.last.bias.any()
    assert float(gradient.extra.log_alpha) != 0.0
    held = SAC(hidden=(8,), temperature=0.2).learner(SPEC)
    assert float(probes.slope(lambda k: held.loss(k, k, batch, KEY, 0.0)[0], k).extra.log_alpha) == 0.0


def test_it_acts_at_random_at_first_and_surely_when_judged():
    learner = SAC(learning_starts=10, hidden=(4,)).learner(SPEC)
    k = certain(SAC(learning_starts=10, hidden=(4,)), (0.0, 0.0), mean=0.5)

    def actions(k: Knowledge, explore: float) -> np.ndarray:
        act = lambda key: learner.act(k, (), jnp.zeros(1), jnp.zeros(0), key, explore)[0]
        return np.asarray(jax.jit(jax.vmap(act))(jax.random.split(KEY, 500))[:, 0])

    np.testing.assert_allclose(actions(k, 0.0), np.tanh(0.5), rtol=1e-5)
    assert actions(k, 1.0).std() == pytest.approx(3**-0.5, abs=0.05)  # uniform in [-1, 1]
    seen, _ = jax.jit(learner.prepare)(k, experience([[[1.0], [2.0]]] * 1), KEY, 0.0)
    assert float(seen.extra.env_steps.numbers()) == 2.0
    later = k.replace(extra=k.extra.replace(env_steps=count_of(10)))
    np.testing.assert_allclose(actions(later, 1.0), np.tanh(0.5), rtol=1e-4)  # a spike


# ------------------------------------------------------------------------------------------------ probe worlds


def q(k: Knowledge, shown: float, action: float) -> np.ndarray:
    """-> for each seed, what the critics make of an action."""
    of = lambda k: k.value(encode(k, jnp.array([shown]), jnp.zeros(0)), jnp.array([action])).mean()
    return np.asarray(jax.jit(jax.vmap(of))(k))


def half(shown: Array, action: Array) -> Array:
    """-> what is paid: most for half of what is shown."""
    return 1 - jnp.square(action[0] - 0.5 * shown)


@pytest.mark.parametrize("ends", [False, True])
def test_a_reward_that_depends_on_the_action_and_on_what_is_shown(ends: bool):
    tasks = probes.task(probes.Bandit(half, BOX), spread=1.0, ends=float(ends))
    learner, last = probes.taught(dataclasses.replace(SMALL, temperature=0.01), tasks, 150, seeds=2)
    returns = evaluate(learner, last.knowledge, tasks, 20, probes.keys(2))
    assert (returns.mean((1, 2)) > 0.97).all()
    follows = 0.0 if ends else 0.5 * 1 / (1 - 0.5)  # a truncation goes on: γ times the best for ever
    np.testing.assert_allclose(q(last.knowledge, 1.0, -0.5), 0.0 + follows, atol=0.15)
    np.testing.assert_allclose(q(last.knowledge, 1.0, 0.5), 1.0 + follows, atol=0.15)


def test_the_way_out_of_a_corridor_is_found():
    tasks = probes.task(probes.Corridor(length=3, discrete=False))
    learner, last = probes.taught(dataclasses.replace(SMALL, discount=0.9), tasks, 200, seeds=2)
    assert (evaluate(learner, last.knowledge, tasks, 4, probes.keys(2)) == 1.0).all()


def test_the_temperature_keeps_the_entropy_that_is_wanted():
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
def test_what_is_out_of_range_is_said_in_one_sentence(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"SAC\({name}=.* is out of range"):
        SAC(**field)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("low", "high"), [(-np.inf, np.inf), (5.0, np.inf), (-np.inf, 5.0), (-1e30, 1.0)])
def test_actions_without_bounds_are_not_for_it(low: float, high: float):
    with pytest.raises(InputError, match=r"have none for 1; wrap the env by .*TransformAction.* or use PPO"):
        SAC().learner(Spec(BOX, Box((-1.0, low), (1.0, high))))


def test_choices_are_not_for_it():
    with pytest.raises(InputError, match="takes one of some choices; use DQN or PPO"):
        SAC().learner(Spec(BOX, Discrete(2)))
