"""PopArt: units that move while values stay, by hand; and that each task has the same say."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array

from headstart.core.errors import InputError
from headstart.core.types import spec, stack
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods.multitask.popart import Heads, PopArt
from headstart.nets.mlp import mlp

KEY = jax.random.key(0)
SMALL = PPO(hidden=(8,), length=4, copies=2, batch=4, epochs=1)
TOLD = jnp.eye(2)


def heads(rate: float = 0.5) -> Heads:
    """-> two heads over three numbers, the last two of which name the task; units 0 ± 1."""
    none = jnp.zeros(2)
    return Heads(mlp((3, 8, 2), 1.0, "tanh", KEY), none, none + 1.0, none, rate)


def seen(heads: Heads, first: list[float], second: list[float]) -> Heads:
    """-> the heads after those returns of each task [copy]."""
    returns = jnp.array([first, second])
    return heads.include(returns, jnp.repeat(TOLD[:, None], returns.shape[1], axis=1), jnp.ones_like(returns))


def units(heads: Heads) -> list[tuple[float, float]]:
    """-> each task's mean and spread."""
    return list(zip(heads.mean.tolist(), heads.spread.tolist(), strict=True))


def test_the_first_returns_are_the_units_and_later_ones_move_them():
    once = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    assert units(once) == [(2.0, 1.0), (300.0, 200.0)]
    twice = seen(once, [6.0, 6.0], [300.0, 300.0])
    # half of the way: means 4 and 300; squares (5 + 36) / 2 and (130 000 + 90 000) / 2
    assert [x for pair in units(twice) for x in pair] == pytest.approx([4.0, 4.5**0.5, 300.0, 20_000**0.5])


def test_what_has_no_weight_moves_nothing():
    once = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    returns, context = jnp.array([[7.0, jnp.nan], [jnp.nan, jnp.nan]]), jnp.repeat(TOLD[:, None], 2, axis=1)
    after = once.include(returns, context, jnp.array([[1.0, 0.0], [0.0, 0.0]]))
    assert units(after)[0] == pytest.approx((4.5, (0.5 * (5 + 49) - 4.5**2) ** 0.5))
    assert units(after)[1] == (300.0, 200.0)
    assert after.seen.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("far", [1.0, 1e3])
def test_values_stay_where_they_are_while_their_units_move(far: float):
    before = seen(heads(), [1.0, 3.0], [far, 5 * far])
    after = seen(before, [50.0, 90.0], [-7 * far, far])
    for x in jax.random.normal(KEY, (20, 1)):
        for name in TOLD:
            told = jnp.concatenate([x, name])
            was, now = float(before.worth(told)), float(after.worth(told))
            assert now == pytest.approx(was, rel=1e-5, abs=1e-5 * far)
            assert float(after(told)) != pytest.approx(float(before(told)), rel=1e-2)  # in other units


def test_values_and_returns_are_in_the_units_of_the_task_that_is_named():
    told = seen(heads(), [1.0, 3.0], [100.0, 500.0])
    assert told.measure(jnp.array([4.0, 400.0]), TOLD).tolist() == [2.0, 0.5]
    for task, (mean, spread) in enumerate(units(told)):
        x = jnp.concatenate([jnp.ones(1), TOLD[task]])
        assert float(told.worth(x)) == pytest.approx(mean + spread * float(told(x)), rel=1e-6, abs=1e-4)


def test_a_spread_of_nothing_divides_by_no_zero():
    told = seen(heads(), [5.0, 5.0], [0.0, 0.0])
    assert np.isfinite(told.measure(jnp.array([5.0, 0.0]), TOLD)).all()
    assert (told.spread > 0).all()


def payers() -> Array:
    return jnp.array([1.0, 1000.0])


def test_each_tasks_advantages_have_mean_0_and_spread_1_by_themselves():
    bandit = probes.Bandit(lambda shown, action: shown * action)
    tasks = stack([probes.one(bandit, level=x).replace(context=name) for x, name in zip(payers(), TOLD, strict=True)])
    learner = PopArt(SMALL).learner(spec(tasks))
    fresh = probes.experience(
        [[[1.0, 0.0, 1.0, 0.0]], [[1000.0, 0.0, 0.0, 0.0]]],
        context=jnp.broadcast_to(TOLD[:, None, None], (2, 1, 4, 2)),
        action=jnp.array([[[1, 0, 1, 0]], [[1, 0, 0, 0]]]),
        last=jnp.ones((2, 1, 4), bool),
        discount=jnp.zeros((2, 1, 4)),
        obs=jnp.zeros((2, 1, 4, 1)),
        next_obs=jnp.zeros((2, 1, 4, 1)),
    )
    _, batch = jax.jit(learner.observe)(learner.init(KEY, None), fresh, KEY, 0.0)
    np.testing.assert_allclose(batch.extras["advantage"][0, 0], [1, -1, 1, -1], rtol=1e-4)
    np.testing.assert_allclose(batch.extras["advantage"][1, 0], np.array([3, -1, -1, -1]) / 3**0.5, rtol=1e-4)


def test_with_one_source_there_is_one_head():
    k = PopArt(SMALL).learner(spec(probes.task(probes.Corridor()))).init(KEY, None)
    assert k.value.mean.shape == (1,)


def test_a_base_without_ppos_critic_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"PopArt needs a learner with PPO's critic, and Uniform\(\) has none"):
        PopArt(Uniform()).learner(spec(probes.task(probes.Corridor()))).init(KEY, None)


def test_what_is_out_of_range_is_said():
    with pytest.raises(InputError, match=r"PopArt\(rate=0.0\) is out of range"):
        PopArt(rate=0.0)
