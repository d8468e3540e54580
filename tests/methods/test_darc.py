"""DARC: when the target is stepped, and which rewards are corrected."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.rollout import active_envs
from headstart.core.train import train
from headstart.core.types import Info, Learner, Params, Task, Transition, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.losses.domain_gap import reward_correction
from headstart.methods.adaptation.darc import DARC, classifier_logits
from headstart.protocol.transfer import adapt, keys

KEY = jax.random.key(0)
SMALL = SAC(hidden=(4,), batch_size=4, buffer_size=64, learning_starts=4)


def both(discrete: bool = False, **target: float) -> Task:
    """Returns a corridor, and the same as a target."""
    one = lambda is_target, **params: probes.one(probes.Corridor(length=3, discrete=discrete), is_target, **params)
    return stack([one(False, push=1.0), one(True, **{"push": 1.0, **target})])


def test_the_target_is_stepped_every_so_many_source_steps_and_is_inactive_in_between():
    tasks = both()
    learner = probes.player(lambda obs: jnp.ones(1))
    env_states = probes.start(learner, tasks, 1, KEY)
    learner = learner._replace(replay=learner.replay._replace(num_steps=6, num_envs=1, source_steps_per_target_step=3))
    active = jax.jit(active_envs, static_argnums=0)(learner, {}, tasks, jnp.int32(0), Info(KEY))
    after, fresh = probes.rollout(learner, {}, tasks, env_states, Info(KEY), 6, active)
    assert fresh.weight[..., 0].astype(int).tolist() == [[1] * 6, [1, 0, 0, 1, 0, 0]]
    assert after.episode.time[:, 0].tolist() == [0, 2]  # the source has been through two episodes
    assert fresh.last[..., 0].astype(int).tolist() == [[0, 0, 1, 0, 0, 1], [0] * 6]
    target = fresh.obs[1, :, 0, 0]
    np.testing.assert_allclose(target, [0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3], rtol=1e-6)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((after, fresh)))  # though its actions were NaN


def test_steps_of_each_domain_are_counted_over_dqn_too():
    dqn = DQN(hidden=(4,), batch_size=4, buffer_size=64, learning_starts=4, update_to_data=1.0)
    tasks, method = both(discrete=True), DARC(dqn, source_steps_per_target_step=5)
    plays = probes.player(probes.right, method.learner(spec(tasks)).replay._replace(buffer_size=0))
    *_, last = train(plays, tasks, 60, keys([0, 1]).source, num_points=1)
    assert last.steps.tolist() == [60.0, 60.0]  # ten iterations of five and one
    target = jax.tree.map(lambda x: x[1:], tasks)
    before, *_, after = adapt(method, None, target, 10, [1], keys([0, 1]), 2, 2, source(tasks))
    assert before.steps.tolist() == [0.0] * 2
    assert (after.steps.tolist(), after.source_steps.tolist()) == ([10.0] * 2, [50.0] * 2)
    assert after.shots is None
    assert (after.gradient_steps > 0).all()
    assert np.isfinite(after.returns).all()


def source(tasks: Task) -> Task:
    return jax.tree.map(lambda x: x[:1], tasks)


def test_source_rewards_are_corrected_by_the_classifiers_and_target_rewards_are_not_used():
    """The base learner's loss is that of r + weight · Δr, on the source's rows alone, after the warm-up.

    The classifiers' loss is a phase of its own, which trains nothing else.
    """
    tasks = both()
    method = DARC(SMALL, weight=0.5, warmup_fraction=0.5)
    learner = method.learner(spec(tasks))
    base = SMALL.learner(spec(source(tasks)))
    batch = probes.experience(
        [[1.0, 2.0], [30.0, 40.0]],
        obs=jnp.ones((2, 2, 1)),
        next_obs=jnp.full((2, 2, 1), 2.0),
        action=jnp.full((2, 2, 1), 0.5),
        domain=jnp.array([[0, 0], [1, 1]]),
    )
    params = probes.known(learner)
    losses = [jax.jit(learner.phases[0].loss)(params, batch, Info(KEY, progress))[0] for progress in (0.4, 0.6)]
    correction = lambda t: reward_correction(*classifier_logits(params, t, spec(tasks)))
    each = jax.jit(jax.vmap(jax.vmap(correction)))(batch)
    assert np.abs(each[0]).min() > 0
    for loss, weight in zip(losses, (0.0, 0.5), strict=True):
        corrected = batch.replace(reward=batch.reward + weight * each, weight=jnp.array([[1.0, 1.0], [0.0, 0.0]]))
        alone, _ = jax.jit(base.phases[0].loss)(params, corrected, Info(KEY))
        assert float(loss) == pytest.approx(float(alone), rel=1e-5)
    classifiers = learner.phases[1]
    total, metrics = jax.jit(classifiers.loss)(params, batch, Info(KEY, 0.6))
    assert float(total) == pytest.approx(float(metrics["classifier_loss"]), rel=1e-5)
    assert [phase.train for phase in learner.phases] == [base.phases[0].train, ("darc",)]


def test_noise_sets_how_different_next_states_have_to_be():
    """s' - s is the action in the source, and nothing in the target: the gap is -(a / its deviation)² / 2 noise².

    That is -2, -1/2 and 0 here, where a has a deviation of 1/2 over both domains: where both do the same, 0.
    """
    tasks = both()
    learner = DARC(SMALL, noise_std=1.0).learner(spec(tasks))
    action = jnp.tile(jnp.array([-1.0, -0.5, 0.0, 0.5, 1.0]), (2, 50))
    domain = jnp.zeros(action.shape, jnp.int32).at[1].set(1)
    moved = jnp.where(domain == 0, action, 0.0)
    rows = probes.experience(moved, obs=0 * moved[..., None], next_obs=moved[..., None], action=action[..., None])
    rows, params = rows.replace(domain=domain), probes.known(learner)
    params, _ = jax.jit(learner.prepare)(params, jax.tree.map(lambda x: np.asarray(x)[:, :, None], rows), Info(KEY))
    assert float(params["darc_change"].variance[0]) == pytest.approx(0.25)
    params = learn_classifiers(learner, params, rows, 800)
    gap = lambda params, row: reward_correction(*classifier_logits(params, row, spec(tasks)))
    gaps = jax.jit(jax.vmap(gap, (None, 0)))(params, jax.tree.map(lambda x: np.asarray(x)[0, :5], rows))
    np.testing.assert_allclose(gaps, [-2.0, -0.5, 0.0, -0.5, -2.0], atol=0.3)


def learn_classifiers(learner: Learner, params: Params, rows: Transition, steps: int) -> Params:
    """Returns params after so many steps of Adam on all of the rows, at a rate that falls to 0."""
    optimizer = optax.adam(optax.linear_schedule(1e-2, 0.0, steps))
    phase = learner.phases[1]

    def one(carry, key):
        darc, state = carry
        loss = lambda darc: phase.loss({**params, "darc": darc}, rows, Info(key))[0]
        changes, state = optimizer.update(jax.grad(loss)(darc), state)
        return (optax.apply_updates(darc, changes), state), None

    keys_of = jax.random.split(KEY, steps)
    (darc, _), _ = jax.jit(lambda darc: jax.lax.scan(one, (darc, optimizer.init(darc)), keys_of))(params["darc"])
    return {**params, "darc": darc}


# ------------------------------------------------------------------------------------------------ bad input


def test_a_base_without_a_replay_buffer_is_refused():
    with pytest.raises(InputError, match="DARC needs vector observations and a learner with a replay buffer"):
        DARC(PPO()).learner(spec(both()))


@pytest.mark.parametrize(
    "field",
    [
        {"source_steps_per_target_step": 0},
        {"warmup_fraction": 1.5},
        {"noise_std": -1.0},
        {"weight": -0.1},
        {"learning_rate": 0.0},
    ],
    ids=str,
)
def test_what_is_out_of_range_is_said(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"^DARC\({name}=.*\) is out of range"):
        dataclasses.replace(DARC(), **field)  # pyright: ignore[reportArgumentType]
