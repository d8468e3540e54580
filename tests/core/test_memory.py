"""What is kept, and how gradient steps draw from it. Rows are told apart by their reward."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core import memory
from headstart.core.errors import InputError
from headstart.core.memory import Memory, gather
from headstart.core.types import Replay, Transition

KEY = jax.random.key(0)
add = jax.jit(memory.add, static_argnames="segment")
empty = jax.jit(memory.empty, static_argnums=1)
holding = jax.jit(memory.from_rollout)


def numbered(rows: list[int], steps: int) -> Transition:
    """Returns a rollout of so many steps, of which task i's rows 1, 2, …, rows[i] count."""
    numbers = np.broadcast_to(np.arange(1, steps + 1)[None, :, None], (len(rows), steps, 1))
    return experience(numbers, numbers <= np.array(rows)[:, None, None])


def ring_of(rows: list[int], capacity: int) -> Memory:
    """Returns a memory of the past in which task i has rows 1, 2, …, rows[i]."""
    fresh = numbered(rows, max(rows))
    return add(empty(fresh, capacity), fresh)


def rollout_of(rows: list[int], steps: int) -> Memory:
    """Returns a memory of a rollout, of which task i's rows 1, 2, …, rows[i] count."""
    return holding(numbered(rows, steps))


def batches(ring: Memory, replay: Replay, gathered: int = 1, key: Array = KEY) -> np.ndarray:
    """Returns the rewards that each gradient step sees [step, task, batch]."""
    return np.array(_drawn(ring, replay, int(_steps(ring, replay, gathered, key)), gathered, key))


@functools.partial(jax.jit, static_argnums=1)
def _steps(ring: Memory, replay: Replay, gathered: Array | int, key: Array) -> Array:
    return memory.plan_updates(ring, replay, jnp.int32(gathered), jnp.int32(0), key)[0]


@functools.partial(jax.jit, static_argnums=(1, 2))
def _drawn(ring: Memory, replay: Replay, steps: int, gathered: Array | int, key: Array) -> Array:
    rows = memory.plan_updates(ring, replay, jnp.int32(gathered), jnp.int32(0), key)[2]
    return jax.vmap(lambda i: gather(ring, rows(i)).reward)(jnp.arange(steps))


def test_rows_without_weight_are_not_kept():
    rewards, weights = [[[1, 2], [3, 4], [5, 6]]], [[[1, 0], [0, 0.5], [1, 0]]]
    fresh = experience(rewards, weights, extras={"twice": 2 * np.array(rewards)})
    ring = add(empty(fresh, 6), fresh)
    assert (ring.size.tolist(), ring.position.tolist()) == ([3], [3])
    assert ring.rows.reward[0, :3].tolist() == [1, 4, 5]
    assert ring.rows.weight[0].tolist() == [1, 0.5, 1, 0, 0, 0]
    assert ring.rows.extras["twice"][0, :3].tolist() == [2, 8, 10]
    assert ring.rows.obs[0, :, 0].tolist() == [1, 4, 5, 0, 0, 0]


def test_the_oldest_rows_give_way():
    ring = empty(experience([[[0]]]), 4)
    for first in (1, 4):
        ring = add(ring, experience([[[first], [first + 1], [first + 2]]]))
    assert ring.rows.reward.tolist() == [[5, 6, 3, 4]]
    assert (ring.size.tolist(), ring.position.tolist()) == ([4], [2])


def test_of_more_rows_than_there_is_room_for_the_newest_stay():
    ring = add(empty(experience([[[0]]]), 3), experience([[[n] for n in range(1, 9)]]))
    assert sorted(ring.rows.reward[0].tolist()) == [6, 7, 8]
    ring = add(ring, experience([[[9]]]))
    assert sorted(ring.rows.reward[0].tolist()) == [7, 8, 9]


def test_each_task_has_a_ring_of_its_own():
    ring = ring_of([1, 3], capacity=4)
    assert (ring.size.tolist(), ring.position.tolist()) == ([1, 3], [1, 3])
    assert ring.rows.reward.tolist() == [[1, 0, 0, 0], [1, 2, 3, 0]]


def test_on_policy_each_pass_sees_each_row_once():
    seen = batches(rollout_of([12, 12], 12), Replay(num_steps=12, num_envs=1, batch_size=4, num_epochs=5))
    assert seen.shape == (15, 2, 4)
    for task in range(2):
        passes = seen[:, task].reshape(5, 12)
        np.testing.assert_array_equal(np.sort(passes, 1), np.tile(np.arange(1, 13), (5, 1)))
        assert len({tuple(row) for row in passes}) == 5  # and each in an order of its own


def test_on_policy_no_row_comes_first_more_often_and_no_two_side_by_side():
    seen = batches(rollout_of([5], 8), Replay(num_steps=8, num_envs=1, batch_size=5, num_epochs=1_000))[:, 0].astype(
        int
    )
    for place in (0, 4):
        np.testing.assert_allclose(np.bincount(seen[:, place], minlength=6)[1:] / 1_000, 0.2, atol=0.05)
    np.testing.assert_allclose((seen[:, 1:] == seen[:, :-1] + 1).mean(), 0.2, atol=0.03)  # 4 of 20 ordered pairs


def test_on_policy_the_last_batch_of_a_pass_wraps_around():
    seen = batches(rollout_of([6], 6), Replay(num_steps=6, num_envs=1, batch_size=4))
    assert seen.shape == (2, 1, 4)
    assert sorted(seen.reshape(-1)[:6]) == [1, 2, 3, 4, 5, 6]
    assert seen.reshape(-1)[6:].tolist() == seen.reshape(-1)[:2].tolist()


def test_on_policy_few_rows_take_few_steps():
    seen = batches(rollout_of([5], 12), Replay(num_steps=12, num_envs=1, batch_size=4, num_epochs=2))
    assert seen.shape == (4, 1, 4)
    for one_pass in seen.reshape(2, 8):
        assert sorted(one_pass[:5]) == [1, 2, 3, 4, 5]
        assert set(one_pass) == {1, 2, 3, 4, 5}  # wrapped around, never an empty row


def test_on_policy_a_task_with_fewer_rows_goes_round_again():
    seen = batches(rollout_of([2, 8], 8), Replay(num_steps=8, num_envs=1, batch_size=4))
    assert seen.shape == (2, 2, 4)
    assert sorted(seen[:, 0].reshape(-1)) == [1] * 4 + [2] * 4
    assert sorted(seen[:, 1].reshape(-1)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_off_policy_draws_are_uniform_over_the_filled_rows():
    seen = batches(
        ring_of([3, 10], 16), Replay(num_steps=1, num_envs=1, batch_size=64, buffer_size=16, update_to_data=20)
    )
    assert seen.shape == (20, 2, 64)
    for task, rows in enumerate((3, 10)):
        count = np.bincount(seen[:, task].reshape(-1).astype(int), minlength=17)
        assert count[0] == count[rows + 1 :].sum() == 0
        np.testing.assert_allclose(count[1 : rows + 1] / count.sum(), 1 / rows, atol=0.05)


def test_off_policy_steps_are_as_many_as_what_was_gathered_asks_for():
    ring = ring_of([9], 16)
    for updates, gathered, steps in ((1, 1, 1), (1, 50, 50), (0.25, 4, 1), (0.25, 7, 1), (0.1, 30, 3), (2, 3, 6)):
        replay = Replay(num_steps=1, num_envs=1, batch_size=2, buffer_size=16, update_to_data=updates)
        assert len(batches(ring, replay, gathered)) == steps
    for least, steps in ((9, 1), (10, 0)):
        replay = Replay(num_steps=1, num_envs=1, batch_size=2, buffer_size=16, update_to_data=1, learning_starts=least)
        assert len(batches(ring, replay)) == steps


def test_from_nothing_nothing_is_learned():
    past = Replay(num_steps=1, num_envs=1, batch_size=2, buffer_size=4, update_to_data=3)
    for none, replay in (
        (rollout_of([0], 4), Replay(num_steps=4, num_envs=1, batch_size=2)),
        (ring_of([0, 1], 4), past),
    ):
        one = jax.tree.map(lambda x: x[:1], none)
        assert int(_steps(one, replay, 1, KEY)) == 0


# ------------------------------------------------------------------------------------------------ segments


def steps_of(time: int, copies: int, weight: object = None, first: int = 1) -> Transition:
    """Returns a rollout of one task whose rewards say when and whose: 10 · copy + time."""
    numbers = np.arange(first, first + time)[:, None] + 10 * np.arange(copies)[None, :]
    return experience(numbers[None], weight)


def test_a_rollout_falls_into_segments_that_lie_side_by_side():
    fresh, replay = steps_of(6, 2), Replay(num_steps=6, num_envs=2, batch_size=3, sequence_length=3)
    seen = batches(memory.from_rollout(fresh), replay)
    assert seen.shape == (4, 1, 1, 3)  # one segment of three a step: four steps
    assert sorted(seen[:, 0, 0].tolist()) == [[1, 2, 3], [4, 5, 6], [11, 12, 13], [14, 15, 16]]


def test_the_last_segment_overlaps_where_the_rollout_is_no_multiple():
    fresh, replay = steps_of(5, 1), Replay(num_steps=5, num_envs=1, batch_size=3, sequence_length=3)
    assert sorted(batches(memory.from_rollout(fresh), replay)[:, 0, 0].tolist()) == [[1, 2, 3], [3, 4, 5]]


def test_segments_without_weight_are_not_drawn_and_those_with_some_are_whole():
    weight = np.array([[[1, 0], [0, 0], [0, 0], [0, 0]]])
    fresh, replay = (
        steps_of(4, 2, weight),
        Replay(num_steps=4, num_envs=2, batch_size=2, num_epochs=2, sequence_length=2),
    )
    assert add(empty(fresh, 8), fresh, segment=2).size.tolist() == [8]
    assert batches(memory.from_rollout(fresh), replay)[:, 0, 0].tolist() == [[1, 2], [1, 2]]  # one step an epoch


def test_a_segment_that_is_longer_than_the_rollout_is_refused():
    with pytest.raises(InputError, match="A sequence of 6 steps does not fit into a rollout of 5"):
        batches(holding(steps_of(5, 2)), Replay(num_steps=5, num_envs=2, batch_size=6, sequence_length=6))


def test_off_policy_segments_without_weight_are_not_drawn_either():
    weight = np.array([[[1, 0], [0, 0], [0, 0], [0, 1]]])
    past = Replay(num_steps=4, num_envs=2, batch_size=60, buffer_size=8, update_to_data=1.0, sequence_length=2)
    for held in (holding(steps_of(4, 2, weight)), add(empty(steps_of(4, 2), 8), steps_of(4, 2, weight), segment=2)):
        drawn = {tuple(row) for row in batches(held, past)[0, 0].tolist()}
        assert drawn == {(1, 2), (13, 14)}
        assert int(_steps(held, past._replace(learning_starts=3), 1, KEY)) == 0  # of two that count
    nothing = holding(steps_of(4, 2, np.zeros((1, 4, 2))))
    assert int(_steps(nothing, past, 1, KEY)) == 0


def test_segments_of_the_past_never_reach_over_the_newest_step():
    replay = Replay(num_steps=2, num_envs=2, batch_size=60, buffer_size=8, update_to_data=1.0, sequence_length=3)
    ring = empty(steps_of(2, 2), 8)
    for first in (1, 3, 5):  # the last 4 steps of each copy are kept: 3 to 6
        ring = add(ring, steps_of(2, 2, first=first), segment=3)
    drawn = {tuple(row) for row in batches(ring, replay)[0, 0].tolist()}
    assert drawn == {(3, 4, 5), (4, 5, 6), (13, 14, 15), (14, 15, 16)}


def test_broken_off_each_copys_newest_row_is_an_episodes_last():
    fresh = experience(np.arange(1.0, 11.0).reshape(1, 5, 2))  # two copies, of which the last four steps fit
    ring = add(empty(fresh, 8), fresh, segment=2)
    broken = jax.jit(lambda ring: memory.cut_episodes(ring, 2))(ring)
    assert sorted(broken.rows.reward[broken.rows.last].tolist()) == [9.0, 10.0]
    assert jax.tree.leaves(broken.rows.replace(last=ring.rows.last))[0].tolist() == ring.rows.obs.tolist()
    nothing = empty(fresh, 8)
    assert not jax.jit(lambda ring: memory.cut_episodes(ring, 2))(nothing).rows.last.any()
