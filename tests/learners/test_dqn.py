"""DQN: what it minimises and how it explores, by hand; and worlds whose right answer is known."""

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
from headstart.core.types import Box, Discrete, Knowledge, Method, Spec
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


def certain(dqn: DQN, *values: float) -> Knowledge:
    """-> knowledge by which the choices have those values, whatever is seen."""
    k = probes.known(dqn.learner(SPEC))
    last = jax.tree.map(lambda x: jnp.zeros_like(x) if x.ndim == 2 else jnp.array(values), k.value.net.last)
    return k.replace(value=k.value.replace(net=k.value.net.replace(last=last)))


# ------------------------------------------------------------------------------------------------ by hand


def test_the_loss_of_one_transition_by_hand():
    dqn = DQN(discount=0.5, hidden=(4,))
    learner = dqn.learner(SPEC)
    k, slow = certain(dqn, 1.0, 3.0, 2.0), certain(dqn, 10.0, 0.5, 30.0)
    fresh = experience([[[2.0], [99.0]]], [[[1.0], [0.0]]], action=jnp.array([[[2], [0]]]))
    _, batch = jax.jit(learner.prepare)(k, fresh, KEY, 0.0)
    flat = jax.tree.map(lambda x: x.reshape(1, 2, *x.shape[3:]), batch)
    loss, metrics = jax.jit(learner.loss)(k, slow, flat, KEY, 0.0)
    # the network would choose 1, of which the lagged one thinks ½: 2 + ½ · ½ = 2.25, where 2 is believed
    assert float(loss) == pytest.approx(0.5 * 0.25**2)
    assert {name: float(x) for name, x in metrics.items()} == pytest.approx(
        {"value_loss": 0.5 * 0.25**2, "q": 2.0, "epsilon": 1.0}
    )


def test_no_gradient_goes_through_the_target():
    dqn = DQN(hidden=(4,))
    learner = dqn.learner(SPEC)
    k = certain(dqn, 0.0, 0.0, 0.0)
    _, batch = jax.jit(learner.prepare)(k, experience([[[1.0]]], action=jnp.array([[[1]]])), KEY, 0.0)
    flat = jax.tree.map(lambda x: x.reshape(1, 1, *x.shape[3:]), batch)
    gradient = probes.slope(lambda k: learner.loss(k, k, flat, KEY, 0.0)[0], k)
    assert gradient.value.net.last.bias.tolist() == [0.0, -1.0, 0.0]


def test_rewards_of_the_next_steps_are_summed():
    dqn = DQN(n_step=2, discount=0.5, hidden=(4,))
    _, batch = jax.jit(dqn.learner(SPEC).prepare)(certain(dqn, 0, 0, 0), experience([[[1.0], [2.0], [4.0]]]), KEY, 0.0)
    assert batch.reward[0, :, 0].tolist() == [2.0, 4.0, 4.0]
    assert batch.extras["discount"][0, :, 0].tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("dueling", [False, True])
def test_a_dueling_network_tells_value_and_advantages_apart(dueling: bool):
    k = probes.known(DQN(dueling=dueling, hidden=(4,)).learner(SPEC))
    assert k.value(jnp.zeros(1)).shape == (3,)
    if dueling:
        k = certain(DQN(dueling=True, hidden=(4,)), 10.0, 1.0, 2.0, 6.0)
        assert k.value(jnp.zeros(1)).tolist() == [8.0, 9.0, 13.0]


def test_it_acts_at_random_less_and_less_and_never_when_judged():
    dqn = DQN(epsilon=0.1, exploration_fraction=0.5, hidden=(4,))
    learner, k = dqn.learner(SPEC), certain(dqn, 0.0, 1.0, 0.0)

    def best(k: Knowledge, explore: float) -> float:
        act = lambda key: learner.act(k, (), jnp.zeros(1), jnp.zeros(0), key, explore)[0]
        return float((jax.jit(jax.vmap(act))(jax.random.split(KEY, 2000)) == 1).mean())

    assert best(k, 0.0) == 1.0
    assert best(k, 1.0) == pytest.approx(1 / 3, abs=0.04)
    epsilons = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        k, _ = jax.jit(learner.prepare)(k, experience([[[0.0]]]), KEY, progress)
        epsilons.append(float(k.extra.epsilon))
    assert epsilons == pytest.approx([1.0, 0.55, 0.1, 0.1])
    assert best(k, 1.0) == pytest.approx(0.9 + 0.1 / 3, abs=0.03)


def test_what_was_taught_does_not_act_at_random_once_more():
    learner = DQN(hidden=(4,)).learner(SPEC)
    taught = certain(DQN(hidden=(4,)), 0.0, 1.0, 0.0)
    taught = taught.replace(extra=taught.extra.replace(epsilon=jnp.float32(0.05)))
    k = probes.known(learner, taught)
    for progress in (0.0, 0.5):
        k, _ = jax.jit(learner.prepare)(k, experience([[[0.0]]]), KEY, progress)
        assert float(k.extra.epsilon) == pytest.approx(0.05)


# ------------------------------------------------------------------------------------------------ probe worlds


def q(k: Knowledge, shown: float) -> np.ndarray:
    """-> for each seed, the values of the choices."""
    return np.asarray(jax.jit(jax.vmap(lambda k: k.value(encode(k, jnp.array([shown]), jnp.zeros(0)))))(k))


def its_sign(shown: Array, action: Array) -> Array:
    """-> what is paid: 1 for the choice that is the sign of what is shown."""
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
def test_a_reward_that_depends_on_the_action_and_on_what_is_shown(changes: dict[str, Any], ends: bool):
    tasks = probes.task(probes.Bandit(its_sign), spread=1.0, ends=float(ends))
    _, last = probes.taught(dataclasses.replace(SMALL, **changes), tasks, 150, seeds=2)
    follows = 0.0 if ends else 0.5 * 1 / (1 - 0.5)  # a truncation goes on: γ times the best for ever
    np.testing.assert_allclose(q(last.knowledge, 1.0), [[follows, 1 + follows]] * 2, atol=0.2)
    np.testing.assert_allclose(q(last.knowledge, -1.0), [[1 + follows, follows]] * 2, atol=0.2)


def test_the_way_out_of_a_corridor_is_found():
    tasks = probes.task(probes.Corridor(length=3))
    learner, last = probes.taught(dataclasses.replace(SMALL, discount=0.9, n_step=4), tasks, 200, seeds=2)
    assert (evaluate(learner, last.knowledge, tasks, 4, probes.keys(2)) == 1.0).all()
    value = q(last.knowledge, 0.0)
    np.testing.assert_allclose(value[:, 1], 0.9**2, atol=0.1)  # three steps from the end


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "field",
    [
        {"tau": 0.0},
        {"target_update_period": 0},
        {"epsilon": 1.5},
        {"exploration_fraction": 0.0},
        {"n_step": 5},
        {"n_step": 0},
        {"update_to_data": 0.0},
        {"learning_rate": 0.0},
        {"learning_starts": -1},
    ],
    ids=str,
)
def test_what_is_out_of_range_is_said_in_one_sentence(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"DQN\({name}=.* is out of range"):
        DQN(**field)  # pyright: ignore[reportArgumentType]


def test_real_numbers_are_not_for_it():
    with pytest.raises(InputError, match="takes real numbers; use SAC or PPO"):
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
def test_over_rewards_of_several_steps_nobody_takes_what_follows_them_for_what_follows_one(method: Method):
    with pytest.raises(InputError, match=r"needs each step's next observation.*stores that 2 steps later; use n=1\.$"):
        method.learner(SPEC._replace(num_parameters=1))


def test_told_the_parameters_several_steps_are_well():
    """They are the same in the whole episode."""
    assert UniversalPolicy(DQN(n_step=2)).learner(SPEC._replace(num_parameters=1)).replay.n_step == 2
