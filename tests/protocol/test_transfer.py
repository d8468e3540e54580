"""The n-shot protocol: what is spent, when it is judged, and that seeds are pairs."""

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
SHOTS, STEPS, JUDGED = (0, 1, 3, 7), 200, 3


def adapted(prior: TrainState | None, steps: int = STEPS, shots=SHOTS) -> list[transfer.Evaluation]:
    return list(transfer.adapt(TINY, prior, TASK, steps, shots, KEYS, num_evals=3, eval_episodes=JUDGED))


def differ(a: TrainState, b: TrainState, part: str) -> np.ndarray:
    """Returns the seeds whose params differ in a part."""
    pairs = [(x, y) for (name, x), y in zip(named(a.params).items(), named(b.params).values(), strict=True)
             if name.startswith(part)]  # fmt: skip
    return np.any([np.any(np.asarray(x != y).reshape(x.shape[0], -1), 1) for x, y in pairs], axis=0)


@pytest.fixture(scope="module")
def prior() -> TrainState:
    """Returns what two seeds learned in a source."""
    return tiny.learned()


@pytest.fixture(scope="module")
def judgements(prior: TrainState) -> list[transfer.Evaluation]:
    return adapted(prior)


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
def test_collections_double_and_meet_every_number_of_shots(shots, at_once, collected):
    found = list(transfer.shot_schedule(shots, at_once))
    assert [episodes for episodes, _ in found] == collected
    spent = [total for _, total in found]
    assert spent == np.cumsum(collected).tolist()
    assert set(shots) - {0} <= set(spent)


def test_point_0_comes_first_and_costs_nothing(judgements):
    first = judgements[0]
    assert first.shots == 0
    assert not first.steps.any()
    assert not first.episodes.any()
    assert not first.gradient_steps.any()
    assert [j.shots for j in judgements[1:]] == [1, 3, 7, None, None, None]


def test_every_seed_is_judged_exactly_at_each_number_of_shots(judgements):
    for j in judgements:
        assert j.returns.shape == (2, JUDGED)
        if j.shots is not None:
            np.testing.assert_array_equal(j.episodes, [j.shots] * 2)
            assert np.all(j.steps <= 15 * j.shots)  # whole episodes, and nothing of the next ones


def test_then_the_rest_of_the_steps_is_spent(judgements):
    shots, *along = judgements[3:]
    assert np.all(np.diff([j.steps for j in (shots, *along)], axis=0) > 0)
    assert np.all(along[-1].steps >= STEPS)
    assert np.min(along[-1].steps) < STEPS + TINY.num_steps * TINY.num_envs
    assert np.all(along[-1].episodes > 7)


def test_shots_beyond_the_budget_are_spent_all_the_same(prior):
    found = adapted(prior, steps=1)
    assert [j.shots for j in found] == list(SHOTS)
    np.testing.assert_array_equal(found[-1].episodes, [7, 7])


def test_one_episode_is_enough_to_learn_from(judgements):
    before, after = judgements[:2]
    for part in ("normalizer", "policy", "value", "returns"):
        assert differ(before.state, after.state, part).all(), part
    assert np.all(after.gradient_steps == np.ceil(after.steps / TINY.batch_size))


def test_what_is_handed_over_is_left_alone(prior, judgements):
    held = jax.tree.map(np.array, prior)
    adapted(prior, shots=())  # straight into the loop that takes its runs' memory over
    jax.tree.map(np.testing.assert_array_equal, prior, held)
    assert not differ(judgements[0].state, prior, "policy").any()


def test_numbers_that_are_not_finite_are_no_returns_for_that_seed_only(prior, judgements):
    nan_first = lambda x: np.where(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)) == 0, np.float32(np.nan), x)
    broken = prior.replace(params=jax.device_put(jax.tree.map(nan_first, prior.params)))
    found = adapted(broken)
    assert np.all([np.isnan(j.returns[0]) for j in found])
    for ours, theirs in zip(found, judgements, strict=True):
        np.testing.assert_array_equal(ours.returns[1], theirs.returns[1])
    np.testing.assert_array_equal(transfer.finite(found[-1].state.params), [False, True])


def test_two_methods_are_judged_in_the_same_episodes():
    lottery = probes.Bandit(lambda number, action: number)  # its return names the episode, whatever is done
    task = probes.task(lottery, target=True, level=dist.Uniform(jnp.float32(0.0), jnp.float32(1.0)))

    def first(method) -> np.ndarray:
        return next(iter(transfer.adapt(method, None, task, 0, (), KEYS, eval_episodes=5))).returns

    ours, theirs = first(TINY), first(Uniform())
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) == ours.size == 10  # of two seeds, no two the same


def test_a_seed_is_the_same_in_any_company():
    alone, both = transfer.keys([8]), KEYS
    for ours, theirs in zip(alone, both, strict=True):
        np.testing.assert_array_equal(jax.random.key_data(ours)[0], jax.random.key_data(theirs)[1])
    data = np.concatenate([jax.random.key_data(key) for key in both])
    assert len(np.unique(data, axis=0)) == 6  # two seeds, and three uses of each


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_there_is_not_gets_its_sentence(seed):
    with pytest.raises(InputError, match="write another"):
        transfer.keys([0, seed])


def test_a_curve_knows_where_its_shots_are(judgements):
    curve = transfer.to_curve(judgements)
    assert curve.shot_points == {0: 0, 1: 1, 3: 2, 7: 3}
    assert curve.steps.shape == curve.episodes.shape == curve.returns.shape == (2, 7)
    np.testing.assert_allclose(curve.shots[3], judgements[2].returns.mean(1))
    np.testing.assert_array_equal(curve.episodes[:, 3], [7, 7])


def test_a_policy_that_is_only_run_stays_where_it_is():
    zero, returns = np.zeros((2, 1)), np.array([[5.0], [7.0]])
    curve = transfer.constant_curve(transfer.Curve(zero, zero, returns, {0: 0}), (0, 1, 100), 4000)
    np.testing.assert_array_equal(curve.returns, [[5.0, 5.0], [7.0, 7.0]])
    np.testing.assert_array_equal(curve.steps, [[0.0, 4000.0]] * 2)
    np.testing.assert_array_equal(curve.episodes, np.zeros((2, 2)))
    for shot in (0, 1, 100):
        np.testing.assert_array_equal(curve.shots[shot], [5.0, 7.0])
