"""What is stored, and how gradient steps draw from it. Rows are told apart by their reward."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core import draw, memory, sampling
from headstart.core.draw import Draw
from headstart.core.errors import InputError
from headstart.core.memory import Memory
from headstart.core.types import Replay, Transition

KEY = jax.random.key(0)
add = jax.jit(memory.add)
from_rollout = jax.jit(memory.from_rollout)
cut_episodes = jax.jit(memory.cut_episodes)


def off_policy(num_envs: int = 1, batch_size: int = 2, buffer_size: int = 16, **fields: float) -> Replay:
    given = {"buffer_size": buffer_size, "update_to_data": 1.0, **fields}
    return Replay(num_steps=1, num_envs=num_envs, batch_size=batch_size)._replace(**given)


@functools.partial(jax.jit, static_argnames=("num_envs", "buffer_size"))
def empty(like: Transition, buffer_size: int, num_envs: int | None = None) -> Memory:
    return memory.empty(like, off_policy(num_envs or like.weight.shape[2], buffer_size=buffer_size))


def numbered(rows: list[int], steps: int) -> Transition:
    """Returns a rollout of this many steps, in which rows 1, 2, …, rows[i] of task i have weight."""
    numbers = np.broadcast_to(np.arange(1, steps + 1)[None, :, None], (len(rows), steps, 1))
    return experience(numbers, numbers <= np.array(rows)[:, None, None])


def ring_of(rows: list[int], capacity: int) -> Memory:
    """Returns a memory of the past in which task i has rows 1, 2, …, rows[i] and a newest row without a next one."""
    fresh = numbered([n + 1 for n in rows], max(rows) + 1)
    return add(empty(fresh, capacity), fresh)


def rollout_of(rows: list[int], steps: int) -> Memory:
    """Returns a memory of a rollout, in which rows 1, 2, …, rows[i] of task i have weight."""
    return from_rollout(numbered(rows, steps))


def episodes(*lengths: int, first: int = 1, steps: int | None = None) -> Transition:
    """Returns a rollout of one environment with episodes of these lengths, the last of which goes on after it.

    Rewards count the steps from `first` on. An observation is the step's number, and the final one is that of the last
    step plus ½.
    """
    total = sum(lengths)
    last = np.zeros(total, bool)
    last[np.cumsum(lengths)[:-1] - 1] = True
    reward = np.arange(first, first + total, dtype=np.float32)
    next_obs = np.where(last, reward + 0.5, reward + 1.0)
    return experience(reward[None, :, None], last=last[None, :, None], next_obs=next_obs[None, :, None, None])


def all_of(held: Memory) -> Draw:
    """Returns a draw of all rows of a memory."""
    weight = held.rows.weight
    return Draw(jnp.broadcast_to(jnp.arange(weight.shape[1]), weight.shape), held)


def known(held: Memory) -> dict[float, float]:
    """Returns the next observation of each step that may be drawn, by its reward."""
    rows = jax.jit(lambda held: sampling.uniform(held, 500, KEY))(held)
    drawn = jax.jit(draw.take)(held, rows)
    pairs = zip(
        drawn.reward.ravel().tolist(), drawn.next_obs.ravel().tolist(), drawn.weight.ravel().tolist(), strict=True
    )
    return {reward: then for reward, then, weight in pairs if weight}


def batches(held: Memory, replay: Replay, gathered: int = 1, key: Array = KEY) -> np.ndarray:
    """Returns the rewards that each gradient step sees [step, task, batch]."""
    return np.array(_drawn(held, replay, int(_steps(held, replay, gathered, key)), gathered, key))


@functools.partial(jax.jit, static_argnums=1)
def _steps(held: Memory, replay: Replay, gathered: Array | int, key: Array) -> Array:
    return sampling.plan_updates((held,), replay, jnp.int32(gathered), jnp.int32(0), key)[0]


@functools.partial(jax.jit, static_argnums=(1, 2))
def _drawn(held: Memory, replay: Replay, steps: int, gathered: Array | int, key: Array) -> Array:
    sampler = sampling.plan_updates((held,), replay, jnp.int32(gathered), jnp.int32(0), key)[2][0]
    return jax.vmap(lambda i: sampler.draw(i).batch().reward)(jnp.arange(steps))


# ------------------------------------------------------------------------------------------------ what is stored


def test_rows_without_weight_are_not_stored():
    rewards, weights = [[[1, 2], [3, 4], [5, 6]]], [[[1, 0], [0, 0.5], [1, 0]]]
    fresh = experience(rewards, weights, extras={"twice": 2 * np.array(rewards)})
    ring = add(empty(fresh, 6), fresh)  # two environments, with places for three steps and one observation each
    assert (ring.size.tolist(), ring.position.tolist(), ring.stored.tolist()) == ([[2, 1]], [[2, 1]], [3])
    assert ring.rows.reward[0].tolist() == [1, 4, 5, 0, 0, 0, 0, 0]
    assert ring.rows.weight[0].tolist() == [1, 0.5, 1, 0, 0, 0, 0, 0]
    assert ring.rows.extras["twice"][0, :3].tolist() == [2, 8, 10]
    assert ring.rows.obs[0, :, 0].tolist() == [1, 4, 5, 0, 0, 0, 0, 0]


def test_the_newest_rows_overwrite_the_oldest():
    ring = empty(experience([[[0]]]), 4)
    for first in (1, 4):
        ring = add(ring, experience([[[first], [first + 1], [first + 2]]]))
    assert ring.rows.reward.tolist() == [[6, 2, 3, 4, 5]]
    assert (ring.size.tolist(), ring.position.tolist(), ring.stored.tolist()) == ([[5]], [[1]], [6])


def test_of_more_rows_than_places_the_newest_stay():
    ring = add(empty(experience([[[0]]]), 2), experience([[[n] for n in range(1, 9)]]))
    assert sorted(ring.rows.reward[0].tolist()) == [6, 7, 8]
    ring = add(ring, experience([[[9]]]))
    assert sorted(ring.rows.reward[0].tolist()) == [7, 8, 9]


def test_each_task_has_a_ring_of_its_own():
    fresh = numbered([1, 3], 3)
    ring = add(empty(fresh, 3), fresh)
    assert (ring.size.tolist(), ring.position.tolist(), ring.stored.tolist()) == ([[1], [3]], [[1], [3]], [1, 3])
    assert ring.rows.reward.tolist() == [[1, 0, 0, 0], [1, 2, 3, 0]]


def test_the_final_observation_of_an_episode_has_a_row_without_weight():
    fresh = episodes(2, 1, 2)
    ring = add(empty(fresh, 9), fresh)
    assert ring.rows.obs[0, :7, 0].tolist() == [1, 2, 2.5, 3, 3.5, 4, 5]
    assert ring.rows.weight[0, :7].tolist() == [1, 1, 0, 1, 0, 1, 1]
    assert ring.rows.last[0, :7].tolist() == [False, True, False, True, False, False, False]
    assert ring.stored.tolist() == [5]


def test_the_final_row_has_the_next_context_and_the_domain():
    last = np.array([[[True]]])
    fresh = experience(
        [[[1.0]]], last=last, context=np.ones((1, 1, 1, 2), np.float32), domain=np.ones((1, 1, 1), np.int32)
    )
    fresh = fresh.replace(extras={"next_context": jnp.full((1, 1, 1, 2), 3.0)})
    ring = add(empty(fresh, 3), fresh)
    assert ring.rows.context[0, :2].tolist() == [[1, 1], [3, 3]]
    assert ring.rows.domain[0, :2].tolist() == [1, 1]
    assert "next_context" not in ring.rows.extras  # it is the context of the next row
    assert draw.take(ring, jnp.zeros((1, 1), jnp.int32)).next_context.tolist() == [[[3, 3]]]


def test_the_next_observation_is_that_of_the_next_row_of_the_environment():
    """Whatever rollouts the steps come in, and wherever the ring begins."""
    for cuts in ((12,), (5, 7), (1,) * 12, (4, 4, 4)):
        whole = episodes(3, 4, 1, 4)
        ring, at = empty(whole, 8), 0
        for steps in cuts:
            ring = add(ring, jax.tree.map(lambda x, at=at, steps=steps: x[:, at : at + steps], whole))
            at += steps
        # of the 15 rows the 9 newest are kept: 6, 7, final, 8, final, 9, 10, 11, and 12, whose next is not known
        assert known(ring) == {6: 7, 7: 7.5, 8: 8.5, 9: 10, 10: 11, 11: 12}


def test_environments_that_fill_unevenly_are_drawn_by_what_they_hold():
    weight = np.array([[[1, 1], [1, 0], [1, 0], [1, 0], [1, 1]]])
    rewards = np.array([[[1, 11], [2, 12], [3, 13], [4, 14], [5, 15]]])
    fresh = experience(rewards, weight)
    ring = add(empty(fresh, 20), fresh)
    drawn = batches(ring, off_policy(2, 600, 20))[0, 0]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [1, 2, 3, 4, 11]
    np.testing.assert_allclose(counts / 600, 1 / 5, atol=0.06)


def test_episodes_of_more_environments_follow_one_another():
    """Three environments with an episode each, of 2, 3 and 1 steps, in a memory of two."""
    steps, envs = np.mgrid[0:3, 0:3]
    lengths = np.array([2, 3, 1])
    numbers = (steps + 1 + 10 * envs)[None].astype(np.float32)
    fresh = experience(
        numbers, (steps < lengths)[None], last=(steps == lengths - 1)[None], next_obs=numbers[..., None] + 0.5
    )
    ring = add(empty(fresh, 20, 2), fresh)
    assert (ring.size.tolist(), ring.stored.tolist()) == ([[5, 4]], [6])
    assert ring.rows.obs[0, ::2, 0][:5].tolist() == [1, 2, 2.5, 21, 21.5]
    assert ring.rows.obs[0, 1::2, 0][:4].tolist() == [11, 12, 13, 13.5]


# ------------------------------------------------------------------------------------------------ looking ahead


def test_steps_left_until_an_episodes_end_are_known_when_a_row_is_drawn():
    fresh = episodes(2, 3, 1, 3)
    ring = add(empty(fresh, 20), fresh)
    left, ended = jax.jit(lambda ring: all_of(ring).steps_left(all_of(ring).rows))(ring)
    rows = ring.rows.weight[0] > 0
    assert left[0][rows].tolist()[:8] == [1, 0, 2, 1, 0, 0, 1, 0]  # the ninth step cannot be drawn yet
    assert ended[0][rows].tolist() == [True] * 6 + [False] * 3


def test_steps_left_stay_right_while_a_ring_goes_round():
    """Over many rings, each step that may be drawn knows how far its episode goes, and no stale end is left."""
    lengths = [2, 1, 5, 3, 1, 1, 4, 2, 6, 1, 2, 9]
    whole = episodes(*lengths)
    ends = np.repeat(np.cumsum(lengths), lengths)  # the reward of the last step of each step's episode
    ring, look = empty(whole, 7), jax.jit(lambda ring, rows: Draw(rows, ring).steps_left(rows))
    for at in range(sum(lengths)):
        ring = add(ring, jax.tree.map(lambda x, at=at: x[:, at : at + 1], whole))
        if at == 0:
            continue  # nothing can be drawn yet
        rows = jax.jit(lambda ring: sampling.uniform(ring, 60, KEY))(ring)
        left, ended = look(ring, rows)
        drawn = draw.take(ring, rows)
        for number, weight, steps, over in zip(
            *(x[0].tolist() for x in (drawn.reward, drawn.weight, left, ended)), strict=True
        ):
            if not weight:
                continue
            now = at + 1  # the reward of the newest step
            end = int(ends[int(number) - 1])
            finished = end <= now and end < sum(lengths)
            assert over == finished
            assert steps == (end if finished else now - 1) - number  # of one that goes on: up to what is known


def test_rows_some_steps_later_are_of_the_same_environment():
    fresh = experience(np.array([[[1, 11], [2, 12], [3, 13], [4, 14]]]))
    held = from_rollout(fresh)
    draw = Draw(jnp.array([[0, 1, 2]]), held)
    later = jax.jit(lambda draw: draw.take(draw.later(draw.rows[..., None], jnp.arange(3))).reward)(draw)
    assert later.tolist() == [[[1, 2, 3], [11, 12, 13], [2, 3, 4]]]
    each = jax.jit(lambda draw: draw.take(draw.later(draw.rows, jnp.array([[1, 2, 0]]))).reward)(draw)
    assert each.tolist() == [[2, 13, 2]]


def test_steps_left_in_a_rollout():
    held = from_rollout(episodes(2, 3))
    left, ended = jax.jit(lambda held: all_of(held).steps_left(all_of(held).rows))(held)
    assert left.tolist() == [[1, 0, 2, 1, 0]]
    assert ended.tolist() == [[True, True, False, False, False]]


def test_logged_experience_is_drawn_with_its_next_observations():
    """The last episode has no end in the log, so that what its newest step led to is the log's own next observation."""
    held = memory.from_log(episodes(2, 1, 3))
    assert known(held) == {1: 2, 2: 2.5, 3: 3.5, 4: 5, 5: 6}
    left, ended = jax.jit(lambda held: all_of(held).steps_left(all_of(held).rows))(held)
    counts = held.rows.weight[0] > 0
    assert left[0][counts].tolist() == [1, 0, 0, 1, 0]
    assert ended[0][counts].all()


# ------------------------------------------------------------------------------------------------ on-policy


def test_on_policy_each_pass_sees_each_row_once():
    seen = batches(rollout_of([12, 12], 12), Replay(num_steps=12, num_envs=1, batch_size=4, num_epochs=5))
    assert seen.shape == (15, 2, 4)
    for task in range(2):
        passes = seen[:, task].reshape(5, 12)
        np.testing.assert_array_equal(np.sort(passes, 1), np.tile(np.arange(1, 13), (5, 1)))
        assert len({tuple(row) for row in passes}) == 5  # and each in an order of its own


def test_on_policy_no_row_comes_first_more_often_and_no_two_side_by_side():
    replay = Replay(num_steps=8, num_envs=1, batch_size=5, num_epochs=1_000)
    seen = batches(rollout_of([5], 8), replay)[:, 0].astype(int)
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


# ------------------------------------------------------------------------------------------------ off-policy


def test_off_policy_draws_are_uniform_over_the_steps_with_a_next_observation():
    seen = batches(ring_of([3, 10], 16), off_policy(batch_size=64, update_to_data=20))
    assert seen.shape == (20, 2, 64)
    for task, rows in enumerate((3, 10)):
        count = np.bincount(seen[:, task].reshape(-1).astype(int), minlength=17)
        assert count[0] == count[rows + 1 :].sum() == 0
        np.testing.assert_allclose(count[1 : rows + 1] / count.sum(), 1 / rows, atol=0.05)


def test_final_observations_are_hardly_drawn_and_steps_stay_uniform():
    """Every third row is a final observation: one in 3⁴ draws takes one after four tries."""
    fresh = episodes(*[2] * 8, 1)
    ring = add(empty(fresh, 40), fresh)
    rows = jax.jit(lambda ring: sampling.uniform(ring, 8_000, KEY))(ring)
    drawn = draw.take(ring, rows)
    np.testing.assert_allclose(1 - drawn.weight.mean(), 3.0**-4, atol=0.005)
    counts = np.bincount(np.asarray(drawn.reward[drawn.weight > 0], int), minlength=17)[1:17]
    np.testing.assert_allclose(counts / counts.sum(), 1 / 16, atol=0.01)


def test_off_policy_steps_are_as_many_as_what_was_gathered_asks_for():
    ring = ring_of([8], 16)
    for updates, gathered, steps in ((1, 1, 1), (1, 50, 50), (0.25, 4, 1), (0.25, 7, 1), (0.1, 30, 3), (2, 3, 6)):
        assert len(batches(ring, off_policy(update_to_data=updates), gathered)) == steps
    for least, steps in ((9, 1), (10, 0)):
        assert len(batches(ring, off_policy(learning_starts=least))) == steps


def test_nothing_is_learned_from_nothing():
    on_policy = Replay(num_steps=4, num_envs=1, batch_size=2)
    fresh = numbered([0, 1], 4)
    for none, replay in ((rollout_of([0], 4), on_policy), (add(empty(fresh, 4), fresh), off_policy(update_to_data=3))):
        for task in range(len(none.size)):
            one = jax.tree.map(lambda x, task=task: x[task : task + 1], none)
            assert int(_steps(one, replay, 1, KEY)) == 0  # a single step without a next observation counts as nothing


# ------------------------------------------------------------------------------------------------ sequences


def steps_of(time: int, copies: int, weight: object = None, first: int = 1) -> Transition:
    """Returns a rollout of one task whose rewards name environment and step: 10 · environment + step."""
    numbers = np.arange(first, first + time)[:, None] + 10 * np.arange(copies)[None, :]
    return experience(numbers[None], weight)


def test_a_rollout_falls_into_sequences_that_lie_side_by_side():
    fresh, replay = steps_of(6, 2), Replay(num_steps=6, num_envs=2, batch_size=3, sequence_length=3)
    seen = batches(memory.from_rollout(fresh), replay)
    assert seen.shape == (4, 1, 1, 3)  # one sequence of three a step: four steps
    assert sorted(seen[:, 0, 0].tolist()) == [[1, 2, 3], [4, 5, 6], [11, 12, 13], [14, 15, 16]]


def test_the_last_sequence_overlaps_where_the_rollout_is_no_multiple():
    fresh, replay = steps_of(5, 1), Replay(num_steps=5, num_envs=1, batch_size=3, sequence_length=3)
    assert sorted(batches(memory.from_rollout(fresh), replay)[:, 0, 0].tolist()) == [[1, 2, 3], [3, 4, 5]]


def test_sequences_without_weight_are_not_drawn_and_those_with_some_are_whole():
    weight = np.array([[[1, 0], [0, 0], [0, 0], [0, 0]]])
    replay = Replay(num_steps=4, num_envs=2, batch_size=2, num_epochs=2, sequence_length=2)
    seen = batches(memory.from_rollout(steps_of(4, 2, weight)), replay)
    assert seen[:, 0, 0].tolist() == [[1, 2], [1, 2]]  # one step an epoch


def test_a_sequence_that_is_longer_than_the_rollout_is_refused():
    with pytest.raises(InputError, match="A sequence of 6 steps does not fit into a rollout of 5"):
        batches(from_rollout(steps_of(5, 2)), Replay(num_steps=5, num_envs=2, batch_size=6, sequence_length=6))


def test_a_buffer_that_holds_no_sequence_is_refused():
    replay = off_policy(2, buffer_size=8, sequence_length=5)
    with pytest.raises(InputError, match="A buffer of 8 transitions of 2 environments has no room for a sequence of 5"):
        memory.empty(steps_of(4, 2), replay)


def test_off_policy_sequences_hold_an_environments_steps_in_turn():
    """Steps without weight are not stored, so that the step after 1 is 4."""
    weight = np.array([[[1, 1], [0, 1], [0, 1], [1, 1], [1, 1]]])
    past = off_policy(2, 60, 12, sequence_length=2)
    ring = add(empty(steps_of(5, 2), 12), steps_of(5, 2, weight))
    drawn = {tuple(row) for row in batches(ring, past)[0, 0].tolist()}
    assert drawn == {(1, 4), (11, 12), (12, 13), (13, 14)}


def test_sequences_of_the_past_never_reach_over_the_newest_step():
    replay, ring = off_policy(2, 90, 8, sequence_length=3), empty(steps_of(2, 2), 8)
    for first in (1, 3, 5):  # the last 5 steps of each environment are kept: 2 to 6, of which 6 has no next observation
        ring = add(ring, steps_of(2, 2, first=first))
    drawn = {tuple(row) for row in batches(ring, replay)[0, 0].tolist()}
    assert drawn == {(2, 3, 4), (3, 4, 5), (12, 13, 14), (13, 14, 15)}


# ------------------------------------------------------------------------------------------------ cut short


def test_an_episode_that_is_cut_ends_at_the_newest_step_with_a_next_observation():
    fresh = episodes(2, 3)
    ring = cut_episodes(add(empty(fresh, 9), fresh))
    assert known(ring) == {1: 2, 2: 2.5, 3: 4, 4: 5}
    assert ring.rows.weight[0, :6].tolist() == [1, 1, 0, 1, 1, 0]
    assert ring.rows.last[0, :6].tolist() == [False, True, False, False, True, False]
    assert ring.rows.discount[0, 4] == 1  # truncated, not terminated
    ring = add(ring, episodes(3, first=10))  # another episode of other environments
    assert known(ring) == {1: 2, 2: 2.5, 3: 4, 4: 5, 10: 11, 11: 12}


def test_an_episode_of_one_step_is_dropped_when_it_is_cut():
    fresh = episodes(2, 1)
    ring = cut_episodes(add(empty(fresh, 9), fresh))
    assert known(ring) == {1: 2, 2: 2.5}
    assert known(add(ring, episodes(2, first=10))) == {1: 2, 2: 2.5, 10: 11}


def test_where_no_episode_goes_on_nothing_is_cut():
    fresh = episodes(2, 1, 1)
    whole = jax.tree.map(lambda x: x[:, :3], fresh)
    for ring in (empty(fresh, 9), add(empty(fresh, 9), whole)):
        same = jax.tree.map(lambda a, b: bool((a == b).all()), cut_episodes(ring), ring)
        assert all(jax.tree.leaves(same))
