"""A learner that is told more than it sees: what it makes of the episode so far, as a part of its context.

Where that is learned (a memory that is a network), gradient steps see segments of episodes, and what was told in them
is made anew, from what was remembered at their beginning.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from headstart.core.types import Key, Knowledge, Learner, Metrics, PyTree, Record, Transition, no_loss
from headstart.nets.contract import PolicyContract, step

Memory = Float[Array, "*memory"]
Encoded = Float[Array, " said"]


class ContextEncoder(NamedTuple):
    """What is remembered of an episode, and what is told of that.

    begin    (parameters)                -> memory: before the first step; `parameters` are the episode's own numbers
    tell     (knowledge, memory, obs)    -> what the policy is told now
    remember (memory, said, obs, action) -> memory: after a step
    include  (knowledge, fresh)          -> knowledge: its statistics those of fresh experience too
    contract (knowledge)                 -> as plain data, the steps to "said", and what is remembered
    """

    init_memory: Callable[[Array], Memory]
    encode: Callable[[Knowledge, Memory, Array], Encoded]
    update_memory: Callable[[Memory, Encoded, Array, Array], Memory] = lambda memory, said, obs, action: memory
    update_statistics: Callable[[Knowledge, Transition], Knowledge] = lambda k, fresh: k
    policy_contract: Callable[[Knowledge], PolicyContract | None] = lambda k: None
    sequence_length: int = 1  # steps that gradients go back in time
    burn_in: int = 0  # of these, steps that only bring the memory up to date


class EncoderCarry(Record):
    """What a policy remembers: of its learner's own, and for the teller."""

    inner: PyTree
    memory: Memory
    encoded: Encoded  # at this step


def with_context_encoder(inner: Learner, teller: ContextEncoder) -> Learner:
    """-> the learner, built for a context that is longer by what is told, in a world where nobody else tells it."""
    return inner._replace(
        init_carry=functools.partial(_begin, inner, teller),
        act=functools.partial(_act, inner, teller),
        update_carry=functools.partial(_remember, inner, teller),
        prepare=functools.partial(_observe, inner, teller),
        loss=no_loss if inner.loss is no_loss else functools.partial(_loss, inner, teller),
        policy_contract=functools.partial(_contract, inner, teller),
    )


def _contract(inner: Learner, teller: ContextEncoder, k: Knowledge) -> PolicyContract | None:
    """Returns how the learner acts, told what the teller says."""
    said, acts = teller.policy_contract(k), inner.policy_contract(k)
    if said is None or acts is None or said.memory.keys() & acts.memory.keys():
        return None
    together = step("concatenate", ("context", "said"), "context")
    return PolicyContract(
        (*said.steps, together, *acts.steps),
        {**said.memory, **acts.memory},
        (*said.remember, *acts.remember),
        (*said.told, *acts.told),
    )


def _begin(inner: Learner, teller: ContextEncoder, key: Key, parameters: Array) -> EncoderCarry:
    return EncoderCarry(inner.init_carry(key, parameters), teller.init_memory(parameters), jnp.zeros(0))


def _act(
    inner: Learner,
    teller: ContextEncoder,
    k: Knowledge,
    carry: EncoderCarry,
    obs: Array,
    context: Array,
    key: Key,
    explore: Array | float,
):
    said = teller.encode(k, carry.memory, obs)
    action, own, extras = inner.act(k, carry.inner, obs, jnp.concatenate([context, said]), key, explore)
    return action, EncoderCarry(own, carry.memory, said), {**extras, "memory": carry.memory}


def _remember(inner: Learner, teller: ContextEncoder, carry: EncoderCarry, seen: Transition) -> EncoderCarry:
    memory = teller.update_memory(carry.memory, carry.encoded, seen.obs, seen.action)
    return EncoderCarry(inner.update_carry(carry.inner, seen), memory, jnp.zeros(0))


def _observe(
    inner: Learner, teller: ContextEncoder, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    k = teller.update_statistics(k, fresh)
    streams = jax.vmap(jax.vmap(functools.partial(unroll, teller, k), in_axes=1, out_axes=1))
    k, batch = inner.prepare(k, streams(fresh), key, progress)
    extras = {name: x for name, x in batch.extras.items() if name != "next_context"}
    return k, batch.replace(context=batch.context[..., : fresh.context.shape[-1]], extras=extras)


def _loss(
    inner: Learner,
    teller: ContextEncoder,
    k: Knowledge,
    slow: PyTree,
    batch: Transition,
    key: Key,
    progress: Array | float,
) -> tuple[Array, Metrics]:
    if teller.sequence_length == 1:
        batch = jax.tree.map(lambda x: x[:, :, None], batch)
    told = jax.vmap(jax.vmap(functools.partial(unroll, teller, k)))(batch)
    counts = (jnp.arange(batch.weight.shape[2]) >= teller.burn_in).astype(jnp.float32)
    told = told.replace(weight=told.weight * counts[None, None])
    flat = jax.tree.map(lambda x: x.reshape(x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]), told)
    return inner.loss(k, slow, flat, key, progress)


def unroll(teller: ContextEncoder, k: Knowledge, stream: Transition) -> Transition:
    """-> a stream [time] with what was told in it and at the next step of each.

    The memory is as it was at the beginning of every segment and every episode, and made anew from there on; no
    gradient goes back through the steps of `burn_in`.
    """

    def one(carry: tuple[Memory, Array], now: tuple[Transition, Array]):
        (memory, anew), (t, i) = carry, now
        memory = jnp.where(anew, t.extras["memory"], memory)
        memory = jnp.where(i == teller.burn_in, jax.lax.stop_gradient(memory), memory)
        said = teller.encode(k, memory, t.obs)
        after = teller.update_memory(memory, said, t.obs, t.action)
        following = jnp.concatenate([t.context, teller.encode(k, after, t.next_obs)])
        told = t.replace(context=jnp.concatenate([t.context, said]), extras={**t.extras, "next_context": following})
        return (after, t.last | (t.weight == 0) | (i == teller.sequence_length - 1)), told

    if teller.sequence_length == 1:  # each step by itself
        begun = jnp.array(True)
        return jax.vmap(lambda t: one((t.extras["memory"], begun), (t, jnp.int32(0)))[1])(stream)
    places = jnp.arange(len(stream.weight)) % teller.sequence_length
    return jax.lax.scan(one, (stream.extras["memory"][0], jnp.array(True)), (stream, places))[1]
