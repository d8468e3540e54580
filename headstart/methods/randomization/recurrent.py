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
from headstart.learners.ppo import PPO
from headstart.learners.telling import Teller, tell
from headstart.methods.randomization.universal import check_parameters
from headstart.nets.contract import Contract, Step, numbering, pushing, recalling, seeing, step
from headstart.nets.encoders import see
from headstart.nets.history import History
from headstart.nets.moments import Moments, moments
from headstart.nets.policies import Blind


@dataclasses.dataclass(frozen=True)
class Recurrent(Method):
    """The base learner with a memory: a gated recurrent unit, or the last steps as they were."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains
    memory: Literal["gru", "history"] = "gru"  # what it remembers by
    units: int = 64  # of the recurrent unit, >= 1
    history: int = 8  # steps remembered as they were, >= 1
    segment: int = 16  # steps that a recurrent unit's gradient goes back, >= 1
    burn_in: int = 0  # of these, steps that only bring the memory up to date (off-policy learners), >= 0
    informed: bool = True  # whether critics are told the source's parameters

    def __post_init__(self) -> None:
        check_choices(self, "memory")
        for name in ("units", "history", "segment"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "burn_in", 0, self.segment - 1)

    def build(self, spec: Spec, target: bool) -> Learner:
        if self.memory == "history" and not isinstance(spec.observation, Box):
            raise InputError("Recurrent remembers vectors as they were, and this task shows images; use memory=gru.")
        if self.informed:
            check_parameters("Recurrent(informed=True)", spec)
        secret = spec.parameters if self.informed else 0
        past = History(self.history, spec.observation.size, spec.action)
        told = self.units if self.memory == "gru" else past.size
        inner = self.base.learner(spec.telling(told + secret), target)
        inner.replay.check_next("Recurrent")
        policy = self.base.learner(spec.telling(told), target)
        teller = (_gru if self.memory == "gru" else _history)(self, spec, past, secret, target)
        return tell(inner, teller)._replace(
            init=functools.partial(_init, self, inner, policy, spec, secret),
            replay=inner.replay._replace(segment=teller.segment),
        )


class Recollection(Record):
    """What makes a memory of what is seen and done; and the scale of parameters that critics are told."""

    cell: eqx.nn.GRUCell | None
    parameters: Moments


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
        k = k.replace(policy=Blind(policy.init(key, None).policy, secret))
    cell = None
    if recurrent.memory == "gru":
        seen = see(k, jnp.zeros(spec.observation.shape), jnp.zeros(0)).size
        cell = eqx.nn.GRUCell(seen + spec.action.size, recurrent.units, key=jax.random.fold_in(key, ord("r")))
    return k.with_model("Recurrent", Recollection(cell, moments(secret)))


def _secret(k: Knowledge, parameters: Array, target: bool) -> Array:
    """-> what critics are told of the parameters; in the target their mean, since they are not known there."""
    return jnp.zeros_like(parameters) if target else k.model.parameters.normalise(parameters)


def _include(secret: int, k: Knowledge, fresh: Transition) -> Knowledge:
    memory = fresh.extras["memory"]
    parameters = memory[..., memory.shape[-1] - secret :].reshape(-1, secret)
    known = k.model.parameters.include(parameters, fresh.weight.reshape(-1))
    return k.replace(model=k.model.replace(parameters=known))


def _gru(recurrent: Recurrent, spec: Spec, past: History, secret: int, target: bool) -> Teller:
    """-> remembers the unit's state and the last action."""
    units, acted = recurrent.units, recurrent.units + spec.action.size

    def say(k: Knowledge, memory: Array, obs: Array) -> Array:
        state, action, parameters = jnp.split(memory, [units, acted])
        seen = see(k, obs, jnp.zeros(0))
        return jnp.concatenate([k.model.cell(jnp.concatenate([seen, action]), state), _secret(k, parameters, target)])

    return Teller(
        begin=lambda parameters: jnp.concatenate([jnp.zeros(acted), parameters[:secret]]),
        tell=say,
        remember=lambda memory, said, obs, action: jnp.concatenate(
            [said[:units], spec.action.numbers(action), memory[acted:]]
        ),
        include=functools.partial(_include, secret) if secret and not target else lambda k, fresh: k,
        contract=functools.partial(_gru_contract, recurrent.units, spec, secret) if target else lambda k: None,
        segment=recurrent.segment,
        burn_in=recurrent.burn_in,
    )


def _gru_contract(units: int, spec: Spec, secret: int, k: Knowledge) -> Contract:
    names = ("weight_ih", "weight_hh", "bias", "bias_n")
    cell = step("gru", ("x", "state"), "state", {name: f"knowledge.model.cell.{name}" for name in names})
    told = (step("concatenate", ("seen", "acted"), "x"), cell, *_unknown("state", secret))
    memory = {"state": units, "acted": spec.action.size}
    return Contract((*seeing(k.features), *told), memory, (numbering(spec.action, "acted"),))


def _unknown(known: str, secret: int) -> tuple[Step, ...]:
    """Returns the steps to "said" from what is remembered: nobody knows the parameters that critics were told."""
    return step("zeros", (), "unknown", n=secret), step("concatenate", (known, "unknown"), "said")


def _history(recurrent: Recurrent, spec: Spec, past: History, secret: int, target: bool) -> Teller:
    """-> remembers the last steps as they were."""

    def say(k: Knowledge, memory: Array, obs: Array) -> Array:
        steps, parameters = jnp.split(memory, [past.size])
        eyes = functools.partial(see, k, context=jnp.zeros(0))
        return jnp.concatenate([past.read(steps, eyes), _secret(k, parameters, target)])

    return Teller(
        begin=lambda parameters: jnp.concatenate([past.empty(), parameters[:secret]]),
        tell=say,
        remember=lambda memory, said, obs, action: jnp.concatenate(
            [past.push(memory[: past.size], obs, action), memory[past.size :]]
        ),
        contract=functools.partial(_history_contract, past, secret) if target else lambda k: None,
        include=functools.partial(_include, secret) if secret and not target else lambda k, fresh: k,
    )


def _history_contract(past: History, secret: int, k: Knowledge) -> Contract:
    told = recalling(k, past.steps, past.observation, "recalled")
    return Contract((told, *_unknown("recalled", secret)), {"past": past.size}, pushing(past.action))
