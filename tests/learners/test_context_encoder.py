"""A learner that is told more than it sees: what it is told when, and how far back gradients go."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.rollout import reset_envs, rollout
from headstart.core.types import Knowledge, Learner, Transition
from headstart.learners.context_encoder import ContextEncoder, unroll, with_context_encoder

KEY = jax.random.key(0)
TASKS = probes.task(probes.Hint(steps=3), side=0.5)


def adder(segment: int = 1, burn_in: int = 0) -> ContextEncoder:
    """-> remembers the sum of what was told before; tells that, times what is known, plus 1."""
    return ContextEncoder(
        init_memory=lambda parameters: jnp.zeros(1),
        encode=lambda k, memory, obs: k.model * memory + 1.0,
        update_memory=lambda memory, said, obs, action: memory + said,
        sequence_length=segment,
        burn_in=burn_in,
    )


def listener() -> Learner:
    """-> hands on what it is told; the loss is the weighted sum of that, and of what will be told next."""

    def loss(k, slow, batch, key, progress):
        each = batch.context[..., 0] + 10.0 * batch.next_context[..., 0]
        return (each * batch.weight).sum(), {}

    return probes.player(probes.right)._replace(
        init=lambda key, prior: Knowledge(model=jnp.ones(())),
        act=lambda k, carry, obs, context, key, explore: (jnp.int32(1), carry, {"heard": context}),
        loss=loss,
    )


def played(teller: ContextEncoder, length: int = 7) -> tuple[Learner, Knowledge, Transition]:
    learner = with_context_encoder(listener(), teller)
    k = probes.known(learner)
    go = lambda k: rollout(learner, k, TASKS, reset_envs(learner, TASKS, 1, KEY), KEY, 1.0, length)[1]
    return learner, k, jax.jit(go)(k)


def test_what_is_told_grows_out_of_the_episode_and_begins_anew_with_it():
    _, _, fresh = played(adder())
    # memory 0, 1, 3, then a new episode
    assert fresh.extras["heard"][0, :, 0, 0].tolist() == [1, 2, 4, 1, 2, 4, 1]
    assert fresh.extras["memory"][0, :, 0, 0].tolist() == [0, 1, 3, 0, 1, 3, 0]


@pytest.mark.parametrize("segment", [1, 2, 4, 7])
def test_in_a_segment_it_is_told_the_same_again_and_what_comes_next(segment: int):
    teller = adder(segment)
    _, k, fresh = played(teller)
    told = unroll(teller, k, jax.tree.map(lambda x: x[0, :, 0], fresh))
    assert told.context[:, 0].tolist() == [1, 2, 4, 1, 2, 4, 1]
    assert told.next_context[:, 0].tolist() == [2, 4, 8, 2, 4, 8, 2]


def test_what_is_observed_is_told_and_what_is_kept_is_not():
    learner, k, fresh = played(adder(2))
    _, batch = jax.jit(learner.prepare)(k, fresh, KEY, 0.0)
    assert batch.context.shape[-1] == 0
    assert set(batch.extras) == {"heard", "memory"}


def slope(segment: int, burn_in: int = 0) -> float:
    """-> how the loss of one segment of an episode changes with what is known, which is 1."""
    learner, k, fresh = played(adder(segment, burn_in), length=3)
    rows = jax.tree.map(lambda x: jnp.swapaxes(x, 1, 2), fresh)  # [task, copy, time]: one segment of three
    rows = rows if segment > 1 else jax.tree.map(lambda x: x[:, 0], rows)
    return float(jax.jit(jax.grad(lambda k: learner.loss(k, None, rows, KEY, 0.0)[0]))(k).model)


def test_gradients_go_back_through_the_segment():
    # told at m: k m + 1, and m' = m + k m + 1, with k = 1. Through time dm' = 2 dm + m, so that from m = 0, 1, 3, 7
    # dm = 0, 0, 1, 5 and what is told changes by m + dm = 0, 1, 4, 12; what is told next counts ten times
    assert slope(3) == (0 + 1 + 4) + 10 * (1 + 4 + 12)
    # each step by itself: by m = 0, 1, 3; the next by m' + m = 1 + 0, 3 + 1, 7 + 3
    assert slope(1) == (0 + 1 + 3) + 10 * (1 + 4 + 10)


def test_steps_that_burn_in_have_no_weight_and_no_gradient():
    # two steps burn in; at the third, m = 3 and nothing goes further back: 3, and next 7 + 3
    assert slope(3, burn_in=2) == 3 + 10 * 10


def test_a_memory_begins_anew_after_steps_without_weight():
    teller = adder(4)
    _, k, fresh = played(teller, 4)
    stream = jax.tree.map(lambda x: x[0, :, 0], fresh)
    stream = stream.replace(weight=jnp.array([0.0, 1.0, 1.0, 1.0]), last=jnp.zeros(4, bool))
    stream = stream.replace(extras={**stream.extras, "memory": jnp.array([[0.0], [5.0], [9.0], [9.0]])})
    np.testing.assert_array_equal(unroll(teller, k, stream).context[:, 0], [1.0, 6.0, 12.0, 24.0])
