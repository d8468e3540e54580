"""DANN and MMD: what of the target reaches the learner, and which way its gradient points."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.learn import init_train_state
from headstart.core.memory import from_rollout
from headstart.core.names import named
from headstart.core.rollout import reset_envs, rollout
from headstart.core.spaces import Discrete, Image
from headstart.core.train import init_loop_state
from headstart.core.types import Knowledge, Method, Transition, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.methods.adaptation.dann import DANN
from headstart.methods.adaptation.mmd import MMD
from headstart.protocol.transfer import adapt, keys

KEY = jax.random.key(0)
SIGHT = Image((4, 4, 1), "uint8")
PLAIN = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=8, num_epochs=1)
DEEP = DQN(hidden=(4,), num_steps=4, num_envs=2, batch_size=8, buffer_size=64, learning_starts=4, update_to_data=1.0)
TASKS = stack([probes.one(probes.Pixel(SIGHT), target=target, swap=0.0) for target in (False, True)])
SOURCE, TARGET = (jax.tree.map(lambda x, i=i: x[i : i + 1], TASKS) for i in range(2))
OVER = [(kind, base) for kind in (DANN, MMD) for base in (PLAIN, DEEP)]


def over(method: Method) -> tuple[Any, Any, Transition]:
    """-> the method's learner over both domains, what it knows at first, and fresh experience."""
    learner = method.learner(spec(TASKS), target=True)
    state = jax.tree.map(lambda x: x[0], init_loop_state(learner, probes.keys(1)).state)
    played = lambda k: rollout(learner, k, TASKS, reset_envs(learner, TASKS, 2, KEY), KEY, 1.0, 4)[1]
    return learner, state, jax.jit(played)(state.knowledge)


def taken(learner: Any, state: Any, fresh: Transition) -> Knowledge:
    """-> what is known after all of it was seen and one gradient step."""
    return probes.lesson(learner, state, fresh, 0.5).knowledge


def learned(k: Knowledge) -> dict[str, Any]:
    """-> by name, all but the discriminator."""
    return named(k.replace(model=None))


@pytest.mark.parametrize(("kind", "base"), OVER, ids=lambda x: getattr(x, "__name__", type(x).__name__))
def test_without_weight_it_learns_what_the_source_alone_teaches(kind: Any, base: Method):
    learner, state, fresh = over(kind(base, weight=0.0))
    alone = base.learner(spec(SOURCE))
    k = state.knowledge.replace(model=None)
    begun = init_train_state(alone, k)
    source = jax.tree.map(lambda x: x[:1], fresh)
    theirs, ours = taken(alone, begun, source), taken(learner, state, fresh)
    for name, x in learned(theirs).items():
        np.testing.assert_array_equal(learned(ours)[name], x, err_msg=name)
    assert probes.different(learned(ours), learned(state.knowledge))


@pytest.mark.parametrize(("kind", "base"), OVER, ids=lambda x: getattr(x, "__name__", type(x).__name__))
def test_of_the_target_only_images_are_used(kind: Any, base: Method):
    learner, state, fresh = over(kind(base))
    in_target = jnp.arange(2)[:, None, None] == 1
    ours = taken(learner, state, fresh)
    paid = fresh.replace(reward=jnp.where(in_target, 1e3, fresh.reward), action=jnp.where(in_target, 1, fresh.action))
    assert not probes.different(ours, taken(learner, state, paid))
    blind = fresh.replace(obs=jnp.where(in_target[..., None, None, None], 0, fresh.obs).astype(jnp.uint8))
    assert probes.different(learned(ours), learned(taken(learner, state, blind)))


def test_the_gradient_reaches_the_features_reversed_and_the_discriminator_as_it_is():
    batch = probes.experience(
        jnp.zeros((2, 3)),
        obs=jax.random.randint(KEY, (2, 3, 4, 4, 1), 0, 256).astype(jnp.uint8),
        domain=jnp.array([[0] * 3, [1] * 3]),
        extras={name: jnp.zeros((2, 3)) for name in ("log_prob", "advantage", "value_target")},
    )
    slopes = {}
    for weight in (0.0, 1.0, 2.0):
        learner, state, _ = over(DANN(PLAIN, weight=weight, reversal_gamma=1e3))
        lost = lambda k, learner=learner: learner.loss(k, None, batch, KEY, 1.0)[0]
        slopes[weight] = jax.jit(jax.grad(lost))(state.knowledge)
    straight = jax.jit(jax.grad(lambda k: _domain_loss(k, batch)))(state.knowledge)
    by = lambda weight: slopes[weight].features.dense.weight - slopes[0.0].features.dense.weight
    np.testing.assert_allclose(by(1.0), -straight.features.dense.weight, atol=1e-6)
    np.testing.assert_allclose(by(2.0), -2.0 * straight.features.dense.weight, atol=1e-6)
    assert np.abs(straight.features.dense.weight).max() > 1e-4
    for slope in slopes.values():
        np.testing.assert_allclose(slope.model.last.weight, straight.model.last.weight, atol=1e-6)
        np.testing.assert_array_equal(slope.policy.net.last.weight, slopes[0.0].policy.net.last.weight)


def _domain_loss(k: Knowledge, batch: Transition) -> jax.Array:
    """-> the mean over the source's images, and over the target's, of what the discriminator loses."""
    logit = jax.vmap(jax.vmap(lambda x: k.model(k.features(x))[0]))(batch.obs)
    return 0.5 * (jax.nn.softplus(logit[0]).mean() + jax.nn.softplus(-logit[1]).mean())


def test_each_domain_is_half_of_what_the_discriminator_is_asked():
    """It says source of everything: wrong of the target, whatever part of the batch that is."""
    learner, state, fresh = over(DANN(PLAIN))
    last = jax.tree.map(jnp.zeros_like, state.knowledge.model.last)
    k = state.knowledge.replace(model=state.knowledge.model.replace(last=last))
    batch = jax.jit(learner.prepare)(k, fresh, KEY, 0.0)[1]
    few = batch.replace(weight=batch.weight.at[1, 1:].set(0.0))
    told = jax.jit(learner.loss)(k, None, from_rollout(few).rows, KEY, 0.5)[1]
    assert float(told["domain_accuracy"]) == 0.5
    assert float(told["domain_loss"]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("kind", [DANN, MMD])
def test_alone_it_is_the_base_learner(kind: Any):
    alone, base = kind(PLAIN).learner(spec(TARGET), target=True), PLAIN.learner(spec(TARGET), target=True)
    assert (alone.prepare, alone.loss, alone.replay) == (base.prepare, base.loss, base.replay)
    assert kind(PLAIN, source_steps_per_target_step=2).learner(spec(TASKS), target=True).replay == base.replay._replace(
        source_steps_per_target_step=2
    )


@pytest.mark.parametrize("kind", [DANN, MMD])
def test_beside_a_source_the_target_waits(kind: Any):
    *_, last = adapt(kind(PLAIN, source_steps_per_target_step=2), None, TARGET, 8, [], keys([0, 1]), 1, 2, SOURCE)
    assert (last.steps.tolist(), last.source_steps.tolist()) == ([8.0] * 2, [16.0] * 2)
    assert np.isfinite(last.returns).all()


@pytest.mark.parametrize("kind", [DANN, MMD])
def test_numbers_are_refused(kind: Any):
    tasks = probes.task(probes.Corridor())
    with pytest.raises(InputError, match=rf"^{kind.__name__} makes images of two domains look the same, and this task"):
        kind().learner(spec(tasks))
    assert kind(PLAIN).learner(spec(TARGET)._replace(action_space=Discrete(5))) is not None


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        (DANN(), {"source_steps_per_target_step": 0}),
        (DANN(), {"weight": -1.0}),
        (DANN(), {"reversal_gamma": 0.0}),
        (DANN(), {"learning_rate": 0.0}),
        (MMD(), {"source_steps_per_target_step": 0}),
        (MMD(), {"weight": -1.0}),
    ],
    ids=str,
)
def test_what_is_out_of_range_is_said(method: Any, fields: dict[str, float]):
    (name,) = fields
    with pytest.raises(InputError, match=rf"^{type(method).__name__}\({name}=.*\) is out of range"):
        dataclasses.replace(method, **fields)
