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
from headstart.core.types import Info, Method, Params, Transition, spec, stack
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
    """Returns the method's learner over both domains, its initial state, and a rollout."""
    learner = method.learner(spec(TASKS), target=True)
    state = jax.tree.map(lambda x: x[0], init_loop_state(learner, probes.keys(1)).state)
    play = lambda params: rollout(learner, params, TASKS, reset_envs(learner, TASKS, 2, KEY), Info(KEY), 4)[1]
    return learner, state, jax.jit(play)(state.params)


def taken(learner: Any, state: Any, fresh: Transition) -> Params:
    """Returns the params after `prepare` has processed the rollout, and one gradient step."""
    return probes.lesson(learner, state, fresh, 0.5).params


def without_discriminator(params: Params) -> Params:
    """Returns all parts but the discriminator."""
    return {name: part for name, part in params.items() if name != "dann"}


def learned(params: Params) -> dict[str, Any]:
    """Returns all arrays by name, but those of the discriminator."""
    return named(without_discriminator(params))


@pytest.mark.parametrize(("kind", "base"), OVER, ids=lambda x: getattr(x, "__name__", type(x).__name__))
def test_without_weight_it_learns_what_the_source_alone_teaches(kind: Any, base: Method):
    learner, state, fresh = over(kind(base, weight=0.0))
    alone = base.learner(spec(SOURCE))
    begun = init_train_state(alone, without_discriminator(state.params))
    source = jax.tree.map(lambda x: x[:1], fresh)
    theirs, ours = taken(alone, begun, source), taken(learner, state, fresh)
    assert learned(theirs).keys() == learned(ours).keys()
    for name, x in learned(theirs).items():
        np.testing.assert_array_equal(learned(ours)[name], x, err_msg=name)
    assert probes.different(learned(ours), learned(state.params))


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
    gradients = {}
    for weight in (0.0, 1.0, 2.0):
        learner, state, _ = over(DANN(PLAIN, weight=weight, reversal_gamma=1e3))
        gradients[weight] = probes.gradient(learner, state.params, batch, progress=1.0)
    nets = {name: state.params[name] for name in ("encoder", "dann")}
    straight = jax.jit(jax.grad(lambda nets: _domain_loss(nets, batch)))(nets)
    by = lambda weight: gradients[weight]["encoder"].dense.weight - gradients[0.0]["encoder"].dense.weight
    np.testing.assert_allclose(by(1.0), -straight["encoder"].dense.weight, atol=1e-6)
    np.testing.assert_allclose(by(2.0), -2.0 * straight["encoder"].dense.weight, atol=1e-6)
    assert np.abs(straight["encoder"].dense.weight).max() > 1e-4
    for gradient in gradients.values():
        np.testing.assert_allclose(gradient["dann"].last.weight, straight["dann"].last.weight, atol=1e-6)
        policy = gradient["policy"].net.last.weight
        np.testing.assert_array_equal(policy, gradients[0.0]["policy"].net.last.weight)


def _domain_loss(params: Params, batch: Transition) -> jax.Array:
    """Returns the mean of the discriminator's mean losses on the source's images and on the target's."""
    logit = jax.vmap(jax.vmap(lambda x: params["dann"](params["encoder"](x))[0]))(batch.obs)
    return 0.5 * (jax.nn.softplus(logit[0]).mean() + jax.nn.softplus(-logit[1]).mean())


def test_each_domain_is_half_of_what_the_discriminator_is_asked():
    """It classifies everything as source: wrong for the target, whatever share of the batch that is."""
    learner, state, fresh = over(DANN(PLAIN))
    discriminator = state.params["dann"]
    zeros = discriminator.replace(last=jax.tree.map(jnp.zeros_like, discriminator.last))
    params = {**state.params, "dann": zeros}
    batch = jax.jit(learner.prepare)(params, fresh, Info(KEY))[1]
    few = batch.replace(weight=batch.weight.at[1, 1:].set(0.0))
    metrics = jax.jit(learner.phases[0].loss)(params, from_rollout(few).rows, Info(KEY, 0.5))[1]
    assert float(metrics["domain_accuracy"]) == 0.5
    assert float(metrics["domain_loss"]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("kind", [DANN, MMD])
def test_alone_it_is_the_base_learner(kind: Any):
    alone, base = kind(PLAIN).learner(spec(TARGET), target=True), PLAIN.learner(spec(TARGET), target=True)
    assert (alone.prepare, alone.replay) == (base.prepare, base.replay)
    assert [phase.loss for phase in alone.phases] == [phase.loss for phase in base.phases]
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
    with pytest.raises(
        InputError, match=rf"^{kind.__name__} aligns the images of two domains, and this task has vectors"
    ):
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
