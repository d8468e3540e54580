"""A learner with an encoding appended to its context: what is encoded when, and how far back gradients flow."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest

from headstart.core.rollout import reset_envs, rollout
from headstart.core.types import Info, Learner, Params, Phase, Transition
from headstart.learners.context_encoder import ContextEncoder, unroll, with_context_encoder

KEY = jax.random.key(0)
TASKS = probes.task(probes.Hint(steps=3), side=0.5)


def summing_encoder(sequence_length: int = 1, burn_in: int = 0) -> ContextEncoder:
    """Returns an encoder whose memory is the sum of encodings so far, and whose encoding is factor · memory + 1."""
    return ContextEncoder(
        init_memory=lambda parameters: jnp.zeros(1),
        encode=lambda params, memory, obs: params["factor"] * memory + 1.0,
        update_memory=lambda memory, encoded, obs, action: memory + encoded,
        train=("factor",),
        sequence_length=sequence_length,
        burn_in=burn_in,
    )


def base_learner() -> Learner:
    """Returns a learner that reports its context. Its loss is the weighted sum of context + 10 · next context."""

    def loss(params, batch, info):
        each = batch.context[..., 0] + 10.0 * batch.next_context[..., 0]
        return (each * batch.weight).sum(), {}

    return probes.player(probes.right)._replace(
        init=lambda key, prior: {"factor": jnp.ones(())},
        act=lambda params, carry, obs, context, info: (jnp.int32(1), carry, {"heard": context}),
        phases=(Phase(loss, (), optax.identity()),),
    )


def played(encoder: ContextEncoder, num_steps: int = 7) -> tuple[Learner, Params, Transition]:
    """Returns the learner with the encoder, its params, and a rollout."""
    learner = with_context_encoder(base_learner(), encoder)
    params = probes.known(learner)
    go = lambda params: rollout(learner, params, TASKS, reset_envs(learner, TASKS, 1, KEY), Info(KEY), num_steps)[1]
    return learner, params, jax.jit(go)(params)


def test_encodings_depend_on_the_episode_so_far_and_restart_with_it():
    _, _, fresh = played(summing_encoder())
    # memory 0, 1, 3, then a new episode
    assert fresh.extras["heard"][0, :, 0, 0].tolist() == [1, 2, 4, 1, 2, 4, 1]
    assert fresh.extras["memory"][0, :, 0, 0].tolist() == [0, 1, 3, 0, 1, 3, 0]


@pytest.mark.parametrize("sequence_length", [1, 2, 4, 7])
def test_a_sequence_is_encoded_as_it_was_in_the_rollout_and_at_the_next_steps(sequence_length: int):
    encoder = summing_encoder(sequence_length)
    _, params, fresh = played(encoder)
    encoded = unroll(encoder, params, jax.tree.map(lambda x: x[0, :, 0], fresh))
    assert encoded.context[:, 0].tolist() == [1, 2, 4, 1, 2, 4, 1]
    assert encoded.next_context[:, 0].tolist() == [2, 4, 8, 2, 4, 8, 2]


def test_rows_of_memory_hold_the_encoders_memory_and_no_encoding():
    learner, params, fresh = played(summing_encoder(2))
    _, batch = jax.jit(learner.prepare)(params, fresh, Info(KEY))
    assert batch.context.shape[-1] == 0
    assert set(batch.extras) == {"heard", "memory"}


def test_every_phase_of_the_base_learner_trains_the_encoder_too():
    base = base_learner()
    base = base._replace(phases=(*base.phases, base.phases[0]._replace(train=("other",))))
    phases = with_context_encoder(base, summing_encoder()).phases
    assert [phase.train for phase in phases] == [("factor",), ("other", "factor")]


def factor_gradient(sequence_length: int, burn_in: int = 0) -> float:
    """Returns the gradient of the loss of one sequence by `factor`, which is 1."""
    learner, params, fresh = played(summing_encoder(sequence_length, burn_in), num_steps=3)
    rows = jax.tree.map(lambda x: jnp.swapaxes(x, 1, 2), fresh)  # [task, env, time]: one sequence of three
    rows = rows if sequence_length > 1 else jax.tree.map(lambda x: x[:, 0], rows)
    return float(probes.gradient(learner, params, rows)["factor"])


def test_gradients_flow_back_through_the_sequence():
    # encoded at m: k m + 1, and m' = m + k m + 1, with k = 1. Through time dm' = 2 dm + m, so that from m = 0, 1, 3, 7
    # dm = 0, 0, 1, 5 and the encoding changes by m + dm = 0, 1, 4, 12; the next encoding counts ten times
    assert factor_gradient(3) == (0 + 1 + 4) + 10 * (1 + 4 + 12)
    # each step by itself: by m = 0, 1, 3; the next by m' + m = 1 + 0, 3 + 1, 7 + 3
    assert factor_gradient(1) == (0 + 1 + 3) + 10 * (1 + 4 + 10)


def test_steps_of_burn_in_have_no_weight_and_no_gradient():
    # two steps of burn-in; at the third, m = 3 and no gradient flows further back: 3, and next 7 + 3
    assert factor_gradient(3, burn_in=2) == 3 + 10 * 10


def test_the_memory_restarts_after_steps_without_weight():
    encoder = summing_encoder(4)
    _, params, fresh = played(encoder, 4)
    stream = jax.tree.map(lambda x: x[0, :, 0], fresh)
    stream = stream.replace(weight=jnp.array([0.0, 1.0, 1.0, 1.0]), last=jnp.zeros(4, bool))
    stream = stream.replace(extras={**stream.extras, "memory": jnp.array([[0.0], [5.0], [9.0], [9.0]])})
    np.testing.assert_array_equal(unroll(encoder, params, stream).context[:, 0], [1.0, 6.0, 12.0, 24.0])
