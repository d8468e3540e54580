"""A learner whose context includes an encoding of the episode so far, such as a recurrent state.

Where the encoder is trained, gradient steps draw sequences of an episode. The loss encodes them again, from the memory
that was stored at the first step of each.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Info, Learner, Params, Phase, PyTree, Record, Transition
from headstart.nets.contract import PolicyContract, step

Memory = Float[Array, "*memory"]
Encoded = Float[Array, " encoded"]


class ContextEncoder(NamedTuple):
    """What is remembered of an episode, and its encoding.

    init_memory       (parameters)                   -> memory before the first step; the episode's physical parameters
    encode            (params, memory, obs)          -> encoding, which is appended to the context
    update_memory     (memory, encoded, obs, action) -> memory after a step
    update_statistics (params, rollout)              -> params with the encoder's running statistics
    policy_contract   (params)                       -> as plain data, the steps to "encoded", and the memory
    train             parts of the encoder that every phase of the base learner trains too
    sequence_length   steps of a drawn sequence, through which gradients flow
    burn_in           first steps of a sequence that only bring the memory up to date
    """

    init_memory: Callable[[Array], Memory]
    encode: Callable[[Params, Memory, Array], Encoded]
    update_memory: Callable[[Memory, Encoded, Array, Array], Memory] = lambda memory, encoded, obs, action: memory
    update_statistics: Callable[[Params, Transition], Params] = lambda params, rollout: params
    policy_contract: Callable[[Params], PolicyContract | None] = lambda params: None
    train: tuple[str, ...] = ()
    sequence_length: int = 1
    burn_in: int = 0


class EncoderCarry(Record):
    """What a policy remembers: the base learner's carry, the encoder's memory, and the encoding at this step."""

    inner: PyTree
    memory: Memory
    encoded: Encoded


def with_context_encoder(inner: Learner, encoder: ContextEncoder) -> Learner:
    """Returns the learner with the encoding appended to its context; `inner` is built for the longer context."""

    def init_carry(parameters, info):
        return EncoderCarry(inner.init_carry(parameters, info), encoder.init_memory(parameters), jnp.zeros(0))

    def act(params, carry, obs, context, info):
        encoded = encoder.encode(params, carry.memory, obs)
        context = jnp.concatenate([context, encoded])
        action, own, extras = inner.act(params, carry.inner, obs, context, info)
        return action, EncoderCarry(own, carry.memory, encoded), {**extras, "memory": carry.memory}

    def update_carry(carry, transition):
        memory = encoder.update_memory(carry.memory, carry.encoded, transition.obs, transition.action)
        return EncoderCarry(inner.update_carry(carry.inner, transition), memory, jnp.zeros(0))

    def prepare(params, rollout, info):
        params = encoder.update_statistics(params, rollout)
        streams = jax.vmap(jax.vmap(lambda stream: unroll(encoder, params, stream), in_axes=1, out_axes=1))
        params, rows = inner.prepare(params, streams(rollout), info)
        extras = {name: x for name, x in rows.extras.items() if name != "next_context"}
        context = rows.context[..., : rollout.context.shape[-1]]  # memory stores no encoding: losses encode again
        return params, rows.replace(context=context, extras=extras)

    def encoded(params: Params, batch: Transition, info: Info) -> Transition:
        if encoder.sequence_length == 1:
            batch = jax.tree.map(lambda x: x[:, :, None], batch)
        batch = jax.vmap(jax.vmap(lambda stream: unroll(encoder, params, stream)))(batch)
        counts = (jnp.arange(batch.weight.shape[2]) >= encoder.burn_in).astype(jnp.float32)
        batch = batch.replace(weight=batch.weight * counts[None, None])
        return jax.tree.map(lambda x: x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]), batch)

    def with_encoder(phase: Phase) -> Phase:
        return phase.with_batch(encoded)._replace(train=(*phase.train, *encoder.train))

    def policy_contract(params):
        encoding, acting = encoder.policy_contract(params), inner.policy_contract(params)
        if encoding is None or acting is None or encoding.memory.keys() & acting.memory.keys():
            return None
        append = step("concatenate", ("context", "encoded"), "context")
        return PolicyContract(
            (*encoding.steps, append, *acting.steps),
            {**encoding.memory, **acting.memory},
            (*encoding.update, *acting.update),
            (*encoding.inputs, *acting.inputs),
        )

    return inner._replace(
        init_carry=init_carry,
        act=act,
        update_carry=update_carry,
        prepare=prepare,
        phases=tuple(map(with_encoder, inner.phases)),
        policy_contract=policy_contract,
        replay=inner.replay._replace(sequence_length=encoder.sequence_length),
    )


def unroll(encoder: ContextEncoder, params: Params, stream: Transition) -> Transition:
    """Returns a stream [time] whose contexts include the encoding, at each step and at the next one.

    The memory starts from the stored one at the first step of every sequence and every episode. Gradients do not flow
    back through the steps of `burn_in`.
    """

    def one(carry: tuple[Memory, Array], now: tuple[Transition, Array]):
        (memory, restart), (t, i) = carry, now
        memory = jnp.where(restart, t.extras["memory"], memory)
        memory = jnp.where(i == encoder.burn_in, jax.lax.stop_gradient(memory), memory)
        encoded = encoder.encode(params, memory, t.obs)
        after = encoder.update_memory(memory, encoded, t.obs, t.action)
        next_context = jnp.concatenate([t.context, encoder.encode(params, after, t.next_obs)])
        extras = {**t.extras, "next_context": next_context}
        t = t.replace(context=jnp.concatenate([t.context, encoded]), extras=extras)
        return (after, t.last | (t.weight == 0) | (i == encoder.sequence_length - 1)), t

    restart = jnp.array(True)
    if encoder.sequence_length == 1:  # each step by itself
        return jax.vmap(lambda t: one((t.extras["memory"], restart), (t, jnp.int32(0)))[1])(stream)
    places = jnp.arange(len(stream.weight)) % encoder.sequence_length
    return jax.lax.scan(one, (stream.extras["memory"][0], restart), (stream, places))[1]
