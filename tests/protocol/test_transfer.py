"""The n-shot protocol: counts of steps and episodes, times of evaluation, and keys of seeds."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import probes
import pytest
import tiny

from headstart.core.errors import InputError
from headstart.core.names import named
from headstart.core.types import TrainState
from headstart.learners.uniform import Uniform
from headstart.protocol import transfer

TINY, TASK, KEYS = tiny.METHOD, tiny.TASK, transfer.keys(tiny.SEEDS)
SHOTS, STEPS, EVAL_EPISODES = (0, 1, 3, 7), 200, 3


def adapt(prior: TrainState | None, steps: int = STEPS, shots=SHOTS) -> list[transfer.Evaluation]:
    return list(transfer.adapt(TINY, prior, TASK, steps, shots, KEYS, num_evals=3, eval_episodes=EVAL_EPISODES))


def differ(a: TrainState, b: TrainState, part: str) -> np.ndarray:
    """Returns the seeds whose params differ in a part."""
    pairs = [(x, y) for (name, x), y in zip(named(a.params).items(), named(b.params).values(), strict=True)
             if name.startswith(part)]  # fmt: skip
    return np.any([np.any(np.asarray(x != y).reshape(x.shape[0], -1), 1) for x, y in pairs], axis=0)


@pytest.fixture(scope="module")
def prior() -> TrainState:
    """Returns the state of two seeds trained in a source."""
    return tiny.learned()


@pytest.fixture(scope="module")
def evaluations(prior: TrainState) -> list[transfer.Evaluation]:
    return adapt(prior)


@pytest.mark.parametrize(
    ("shots", "at_once", "collected"),
    [
        ((0, 1, 10, 100), 10, [1, 1, 2, 4, 2, *[10] * 9]),
        ((100,), 16, [1, 1, 2, 4, 8, *[16] * 5, 4]),
        ((0, 1, 2, 3), 10, [1, 1, 1]),
        ((5, 5, 0, 2), 10, [1, 1, 2, 1]),
        ((7,), 1, [1] * 7),
        ((0,), 1, []),
        ((), 1, []),
    ],
)
def test_shots_are_collected_in_doubling_batches_that_meet_every_number(shots, at_once, collected):
    evaluations = list(transfer.shot_schedule(shots, at_once))
    assert [episodes for episodes, _ in evaluations] == collected
    totals = [total for _, total in evaluations]
    assert totals == np.cumsum(collected).tolist()
    assert set(shots) - {0} <= set(totals)


def test_first_evaluation_takes_no_steps(evaluations):
    first = evaluations[0]
    assert first.shots == 0
    assert not first.steps.any()
    assert not first.episodes.any()
    assert not first.gradient_steps.any()
    assert [point.shots for point in evaluations[1:]] == [1, 3, 7, None, None, None]


def test_every_seed_is_evaluated_exactly_at_each_number_of_shots(evaluations):
    for point in evaluations:
        assert point.returns.shape == (2, EVAL_EPISODES)
        if point.shots is not None:
            np.testing.assert_array_equal(point.episodes, [point.shots] * 2)
            assert np.all(point.steps <= 15 * point.shots)  # whole episodes, and nothing of the next ones


def test_rest_of_the_steps_follows_the_shots(evaluations):
    shots, *rest = evaluations[3:]
    assert np.all(np.diff([point.steps for point in (shots, *rest)], axis=0) > 0)
    assert np.all(rest[-1].steps >= STEPS)
    assert np.min(rest[-1].steps) < STEPS + TINY.num_steps * TINY.num_envs
    assert np.all(rest[-1].episodes > 7)


def test_shots_beyond_the_budget_are_still_collected(prior):
    evaluations = adapt(prior, steps=1)
    assert [point.shots for point in evaluations] == list(SHOTS)
    np.testing.assert_array_equal(evaluations[-1].episodes, [7, 7])


def test_one_episode_updates_all_parts(evaluations):
    before, after = evaluations[:2]
    for part in ("normalizer", "policy", "value", "returns"):
        assert differ(before.state, after.state, part).all(), part
    assert np.all(after.gradient_steps == np.ceil(after.steps / TINY.batch_size))


def test_prior_is_not_changed(prior, evaluations):
    copy = jax.tree.map(np.array, prior)
    adapt(prior, shots=())  # straight into the loop that takes its runs' memory over
    jax.tree.map(np.testing.assert_array_equal, prior, copy)
    assert not differ(evaluations[0].state, prior, "policy").any()


def test_not_finite_params_give_nan_returns_for_their_seed_only(prior, evaluations):
    nan_first = lambda x: np.where(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)) == 0, np.float32(np.nan), x)
    broken = prior.replace(params=jax.device_put(jax.tree.map(nan_first, prior.params)))
    broken_evaluations = adapt(broken)
    assert np.all([np.isnan(point.returns[0]) for point in broken_evaluations])
    for first_returns, theirs in zip(broken_evaluations, evaluations, strict=True):
        np.testing.assert_array_equal(first_returns.returns[1], theirs.returns[1])
    np.testing.assert_array_equal(transfer.finite(broken_evaluations[-1].state.params), [False, True])


def test_two_methods_are_evaluated_in_the_same_episodes():
    bandit = probes.Bandit(lambda number, action: number)  # its return names the episode, whatever is done
    task = probes.task(bandit, target=True, level=dist.Uniform(jnp.float32(0.0), jnp.float32(1.0)))

    def first(method) -> np.ndarray:
        return next(iter(transfer.adapt(method, None, task, 0, (), KEYS, eval_episodes=5))).returns

    first_returns, theirs = first(TINY), first(Uniform())
    np.testing.assert_array_equal(first_returns, theirs)
    assert len(np.unique(first_returns)) == first_returns.size == 10  # of two seeds, no two the same


def test_seed_has_the_same_keys_beside_other_seeds():
    alone, both = transfer.keys([8]), KEYS
    for first_returns, theirs in zip(alone, both, strict=True):
        np.testing.assert_array_equal(jax.random.key_data(first_returns)[0], jax.random.key_data(theirs)[1])
    data = np.concatenate([jax.random.key_data(key) for key in both])
    assert len(np.unique(data, axis=0)) == 6  # two seeds, and three uses of each


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_invalid_seed_is_refused(seed):
    with pytest.raises(InputError, match="write another"):
        transfer.keys([0, seed])


def test_curve_has_the_points_of_its_shots(evaluations):
    curve = transfer.to_curve(evaluations)
    assert curve.shot_points == {0: 0, 1: 1, 3: 2, 7: 3}
    assert curve.steps.shape == curve.episodes.shape == curve.returns.shape == (2, 7)
    np.testing.assert_allclose(curve.shots[3], evaluations[2].returns.mean(1))
    np.testing.assert_array_equal(curve.episodes[:, 3], [7, 7])


def test_constant_curve_by_hand():
    zero, returns = np.zeros((2, 1)), np.array([[5.0], [7.0]])
    curve = transfer.constant_curve(transfer.Curve(zero, zero, returns, {0: 0}), (0, 1, 100), 4000)
    np.testing.assert_array_equal(curve.returns, [[5.0, 5.0], [7.0, 7.0]])
    np.testing.assert_array_equal(curve.steps, [[0.0, 4000.0]] * 2)
    np.testing.assert_array_equal(curve.episodes, np.zeros((2, 2)))
    for shot in (0, 1, 100):
        np.testing.assert_array_equal(curve.shots[shot], [5.0, 7.0])
