"""Recurrent dynamics randomization: a policy with a memory, which finds out in the episode what it is dealing with.

Transfers: policy with its memory (model), value and features (normaliser).
Assumes: the source can be randomised around the target; what differs shows in the course of an episode.
Fails when: one memoryless policy serves the whole ensemble as well, or episodes are too short to find out.
Source: arXiv:1710.06537, section IV (recurrent policy, critics that know the parameters, memory of 8 as a control).
Departs from it in: PPO or SAC for RDPG with HER, GRU for LSTM; critics know what the policy remembers too; in the
target, whose parameters nobody knows, critics are told the ensemble's mean.
"""

import dataclasses
import functools
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Box, Key, Knowledge, Learner, Method, Record, Spec, Transition
from headstart.learners.context_encoder import ContextEncoder, with_context_encoder
from headstart.learners.ppo import PPO
from headstart.methods.randomization.universal import check_parameters
from headstart.nets.contract import (
    PolicyContract,
    Step,
    action_features_step,
    history_step,
    history_update,
    observation_steps,
    step,
)
from headstart.nets.encoders import encode
from headstart.nets.history import History
from headstart.nets.policies import MaskedPolicy
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std


@dataclasses.dataclass(frozen=True)
class Recurrent(Method):
    """The base learner with a memory: a gated recurrent unit, or the last steps as they were."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains
    memory: Literal["gru", "history"] = "gru"  # what it remembers by
    hidden_size: int = 64  # of the recurrent unit, >= 1
    history_length: int = 8  # steps remembered as they were, >= 1
    sequence_length: int = 16  # steps that a recurrent unit's gradient goes back, >= 1
    burn_in: int = 0  # of these, steps that only bring the memory up to date (off-policy learners), >= 0
    asymmetric_critic: bool = True  # whether critics are told the source's parameters

    def __post_init__(self) -> None:
        check_choices(self, "memory")
        for name in ("hidden_size", "history_length", "sequence_length"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "burn_in", 0, self.sequence_length - 1)

    def build(self, spec: Spec, target: bool) -> Learner:
        if self.memory == "history" and not isinstance(spec.observation_space, Box):
            raise InputError("Recurrent remembers vectors as they were, and this task shows images; use memory=gru.")
        if self.asymmetric_critic:
            check_parameters("Recurrent(informed=True)", spec)
        secret = spec.num_parameters if self.asymmetric_critic else 0
        past = History(self.history_length, spec.observation_space.size, spec.action_space)
        told = self.hidden_size if self.memory == "gru" else past.size
        inner = self.base.learner(spec.with_encoded_context(told + secret), target)
        inner.replay.check_next("Recurrent")
        policy = self.base.learner(spec.with_encoded_context(told), target)
        teller = (_gru if self.memory == "gru" else _history)(self, spec, past, secret, target)
        return with_context_encoder(inner, teller)._replace(
            init=functools.partial(_init, self, inner, policy, spec, secret),
            replay=inner.replay._replace(sequence_length=teller.sequence_length),
        )


class RecurrentParams(Record):
    """What makes a memory of what is seen and done; and the scale of parameters that critics are told."""

    cell: eqx.nn.GRUCell | None
    parameters: RunningMeanStd


def _init(
    recurrent: Recurrent, inner: Learner, policy: Learner, spec: Spec, secret: int, key: Key, prior: Knowledge | None
) -> Knowledge:
    if prior is not None:
        if secret:
            check_parameters("Recurrent", spec, prior.model.parameters)
        return inner.init(key, prior)
    k = inner.init(key, None)
    if secret:
        if k.policy is None:
            raise InputError(
                f"Recurrent tells critics what the policy must not know, and {recurrent.base!r} acts by its critic; "
                "use PPO or SAC, or informed=false."
            )
        k = k.replace(policy=MaskedPolicy(policy.init(key, None).policy, secret))
    cell = None
    if recurrent.memory == "gru":
        seen = encode(k, jnp.zeros(spec.observation_space.shape), jnp.zeros(0)).size
        cell = eqx.nn.GRUCell(
            seen + spec.action_space.size, recurrent.hidden_size, key=jax.random.fold_in(key, ord("r"))
        )
    return k.with_model("Recurrent", RecurrentParams(cell, running_mean_std(secret)))


def _secret(k: Knowledge, parameters: Array, target: bool) -> Array:
    """-> what critics are told of the parameters; in the target their mean, since they are not known there."""
    return jnp.zeros_like(parameters) if target else k.model.parameters.normalize(parameters)


def _include(secret: int, k: Knowledge, fresh: Transition) -> Knowledge:
    memory = fresh.extras["memory"]
    parameters = memory[..., memory.shape[-1] - secret :].reshape(-1, secret)
    known = k.model.parameters.update(parameters, fresh.weight.reshape(-1))
    return k.replace(model=k.model.replace(parameters=known))


def _gru(recurrent: Recurrent, spec: Spec, past: History, secret: int, target: bool) -> ContextEncoder:
    """-> remembers the unit's state and the last action."""
    units, acted = recurrent.hidden_size, recurrent.hidden_size + spec.action_space.size

    def say(k: Knowledge, memory: Array, obs: Array) -> Array:
        state, action, parameters = jnp.split(memory, [units, acted])
        seen = encode(k, obs, jnp.zeros(0))
        return jnp.concatenate([k.model.cell(jnp.concatenate([seen, action]), state), _secret(k, parameters, target)])

    return ContextEncoder(
        init_memory=lambda parameters: jnp.concatenate([jnp.zeros(acted), parameters[:secret]]),
        encode=say,
        update_memory=lambda memory, said, obs, action: jnp.concatenate(
            [said[:units], spec.action_space.to_features(action), memory[acted:]]
        ),
        update_statistics=functools.partial(_include, secret) if secret and not target else lambda k, fresh: k,
        policy_contract=functools.partial(_gru_contract, recurrent.hidden_size, spec, secret)
        if target
        else lambda k: None,
        sequence_length=recurrent.sequence_length,
        burn_in=recurrent.burn_in,
    )


def _gru_contract(units: int, spec: Spec, secret: int, k: Knowledge) -> PolicyContract:
    names = ("weight_ih", "weight_hh", "bias", "bias_n")
    cell = step("gru", ("x", "state"), "state", {name: f"knowledge.model.cell.{name}" for name in names})
    told = (step("concatenate", ("seen", "acted"), "x"), cell, *_unknown("state", secret))
    memory = {"state": units, "acted": spec.action_space.size}
    return PolicyContract(
        (*observation_steps(k.features), *told), memory, (action_features_step(spec.action_space, "acted"),)
    )


def _unknown(known: str, secret: int) -> tuple[Step, ...]:
    """Returns the steps to "said" from what is remembered: nobody knows the parameters that critics were told."""
    return step("zeros", (), "unknown", n=secret), step("concatenate", (known, "unknown"), "said")


def _history(recurrent: Recurrent, spec: Spec, past: History, secret: int, target: bool) -> ContextEncoder:
    """-> remembers the last steps as they were."""

    def say(k: Knowledge, memory: Array, obs: Array) -> Array:
        steps, parameters = jnp.split(memory, [past.size])
        eyes = functools.partial(encode, k, context=jnp.zeros(0))
        return jnp.concatenate([past.encode(steps, eyes), _secret(k, parameters, target)])

    return ContextEncoder(
        init_memory=lambda parameters: jnp.concatenate([past.empty(), parameters[:secret]]),
        encode=say,
        update_memory=lambda memory, said, obs, action: jnp.concatenate(
            [past.push(memory[: past.size], obs, action), memory[past.size :]]
        ),
        policy_contract=functools.partial(_history_contract, past, secret) if target else lambda k: None,
        update_statistics=functools.partial(_include, secret) if secret and not target else lambda k, fresh: k,
    )


def _history_contract(past: History, secret: int, k: Knowledge) -> PolicyContract:
    told = history_step(k, past.length, past.observation, "recalled")
    return PolicyContract((told, *_unknown("recalled", secret)), {"past": past.size}, history_update(past.action))
