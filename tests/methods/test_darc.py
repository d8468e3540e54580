"""DARC: who waits for whom, and what is corrected."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import rollout, start
from headstart.core.train import train
from headstart.core.types import Knowledge, Task, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.losses.domain_gap import reward_gap
from headstart.methods.adaptation.darc import DARC, say
from headstart.protocol.transfer import adapt, keys

KEY = jax.random.key(0)
SMALL = SAC(hidden=(4,), batch=4, capacity=64, start=4)


def both(**target: float) -> Task:
    """-> a corridor, and the same as a target."""
    one = lambda is_target, **params: probes.one(probes.Corridor(length=3, discrete=False), is_target, **params)
    return stack([one(False, push=1.0), one(True, **{"push": 1.0, **target})])


def test_the_target_plays_every_so_many_steps_and_waits_in_between():
    tasks = both()
    learner = probes.player(lambda obs: jnp.ones(1))
    worlds = start(learner, tasks, 1, KEY)
    after, fresh = rollout(learner, Knowledge(), tasks, worlds, KEY, 1.0, 6, spare=3)
    assert fresh.weight[..., 0].astype(int).tolist() == [[1] * 6, [1, 0, 0, 1, 0, 0]]
    assert after.episode.time[:, 0].tolist() == [0, 2]  # the source has been through two episodes
    assert fresh.last[..., 0].astype(int).tolist() == [[0, 0, 1, 0, 0, 1], [0] * 6]
    target = fresh.obs[1, :, 0, 0]
    np.testing.assert_allclose(target, [0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3], rtol=1e-6)


def test_what_each_domain_was_played_is_counted():
    tasks, method = both(), DARC(SMALL, spare=5)
    *_, last = train(method.learner(spec(tasks)), tasks, 60, keys([0, 1]).source, points=1)
    assert last.steps.tolist() == [60.0, 60.0]  # ten turns of five and one
    target = jax.tree.map(lambda x: x[1:], tasks)
    before, *_, after = adapt(method, None, target, 10, [1], keys([0]), 2, 2, source(tasks))
    assert (before.steps.tolist(), after.steps.tolist(), after.source_steps.tolist()) == ([0.0], [10.0], [50.0])
    assert after.shots is None


def source(tasks: Task) -> Task:
    return jax.tree.map(lambda x: x[:1], tasks)


def test_the_source_is_paid_what_the_classifiers_say_and_target_rewards_are_not_seen():
    """The loss of the base learner is asked for with r + weight · Δr, on the source's rows alone, after the warm-up."""
    tasks = both()
    method = DARC(SMALL, weight=0.5, warmup=0.5)
    learner = method.learner(spec(tasks))
    base = SMALL.learner(spec(source(tasks)))
    batch = probes.experience(
        [[1.0, 2.0], [30.0, 40.0]],
        obs=jnp.ones((2, 2, 1)),
        next_obs=jnp.full((2, 2, 1), 2.0),
        action=jnp.full((2, 2, 1), 0.5),
        domain=jnp.array([[0, 0], [1, 1]]),
    )
    k = learner.init(KEY, None)
    whole = [jax.jit(learner.loss)(k, k, batch, KEY, progress) for progress in (0.4, 0.6)]  # pyright: ignore[reportArgumentType, reportCallIssue]
    k_inner, _ = jax.random.split(KEY)
    each = jax.vmap(jax.vmap(lambda t: reward_gap(*say(k.model, t, spec(tasks)))))(batch)
    for (loss, told), paid in zip(whole, (0.0, 0.5), strict=True):
        corrected = batch.replace(reward=batch.reward + paid * each, weight=jnp.array([[1.0, 1.0], [0.0, 0.0]]))
        alone, _ = jax.jit(base.loss)(k, k, corrected, k_inner, 0.0)  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert float(loss) == pytest.approx(float(alone + told["classifier_loss"]), rel=1e-5)


# ------------------------------------------------------------------------------------------------ what it is over


def test_it_is_over_dqn_too():
    one = lambda target: probes.one(probes.Corridor(length=3), target, push=1.0)
    method = DARC(DQN(hidden=(4,), batch=4, capacity=64, start=4, updates=1.0), spare=2)
    *_, last = adapt(method, None, stack([one(True)]), 20, [], keys([0, 1]), 1, 2, stack([one(False)]))
    assert (last.gradient_steps > 0).all()
    assert np.isfinite(last.returns).all()


def test_what_keeps_no_experience_is_refused():
    with pytest.raises(InputError, match="DARC needs vectors to see, and a learner that keeps its experience"):
        DARC(PPO()).learner(spec(both()))


@pytest.mark.parametrize("field", [{"spare": 0}, {"warmup": 1.5}, {"noise": -1.0}, {"weight": -0.1}], ids=str)
def test_what_is_out_of_range_is_said(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"^DARC\({name}=.*\) is out of range"):
        dataclasses.replace(DARC(), **field)  # pyright: ignore[reportArgumentType]
