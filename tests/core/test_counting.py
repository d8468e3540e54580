"""Counts are exact at any size, and rates of gradient steps lose nothing over any number of calls."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.counting import Count, count_of, due
from headstart.core.types import RATES, Replay

SIZES = [0, 1, 2**20 - 1, 2**20, 2**24, 2**24 + 1, 2**31, 2**40 + 12_345, 10**12]


@pytest.mark.parametrize("n", SIZES)
def test_a_count_increases_by_one_at_any_size(n: int):
    count = count_of(n)
    assert [int(x.numbers()) for x in (count, count.add(jnp.int32(1)), count.add(jnp.float32(2.0**22)))] == [
        n,
        n + 1,
        n + 2**22,
    ]
    after = count.add(jnp.int32(1))
    assert [bool(x) for x in (count.less(after), after.less(count), count.less(count))] == [True, False, False]


def test_a_share_is_that_of_the_numbers_and_never_above_1():
    for part, of in ((0, 5), (1, 3), (2**24 + 1, 2**25), (10**12 // 4, 10**12), (7, 5)):
        assert float(count_of(part).share(count_of(of))) == pytest.approx(min(part / of, 1.0), rel=2e-7)


def replay(updates: float) -> Replay:
    return Replay(num_steps=1, num_envs=1, batch_size=1, buffer_size=1, update_to_data=updates)


@pytest.mark.parametrize(
    "updates", [0.02, 0.1, 0.25, 0.3, 1 / 3, 0.5, 2 / 3, 0.999999, 1.0, 1.5, 3.7, 123.456789, *RATES, np.pi / 10]
)
def test_over_many_rollouts_gradient_steps_are_the_integer_part_of_rate_times_transitions(updates: float):
    rate = replay(updates).update_rate
    assert float(rate) == pytest.approx(updates, abs=1e-11)
    sizes = np.random.default_rng(0).integers(0, 3_000, 400)
    sizes[::50] += 2**17  # some are large

    def turn(owed, gathered):
        steps, owed = due(rate, gathered, owed)
        return owed, steps

    owed, steps = jax.lax.scan(turn, jnp.int32(0), jnp.asarray(sizes, jnp.int32))
    exact, transitions = Fraction(0), 0
    for gathered, taken in zip(sizes.tolist(), np.cumsum(np.asarray(steps, np.int64)), strict=True):
        transitions += gathered
        exact = rate * transitions
        assert taken == exact.numerator // exact.denominator
    assert int(owed) == (exact - int(exact)) * rate.denominator


def test_the_largest_rollout_is_not_too_large():
    rate, gathered = Fraction(999_999, 1_000_000), 2**30 - 1
    steps, owed = jax.jit(lambda n, owed: due(rate, n, owed))(jnp.int32(gathered), jnp.int32(999_999))
    assert (int(steps), int(owed)) == divmod(999_999 * gathered + 999_999, 1_000_000)


def test_a_count_has_a_seed_axis_like_everything_in_a_run():
    both = jax.vmap(Count.add)(Count(jnp.zeros(2, jnp.int32), jnp.array([2**20 - 1, 3])), jnp.array([1.0, 2.0]))
    assert both.numbers().tolist() == [2.0**20, 5.0]
