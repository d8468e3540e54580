"""Recurrent dynamics randomization: a policy with a memory, which can identify the dynamics within an episode.

Transfers: policy with its memory, value and encoder or normalizer.
Assumes: the source can be randomized around the target; differences in dynamics show within an episode.
Fails when: one memoryless policy serves the whole ensemble as well, or episodes are too short.
Source: arXiv:1710.06537, section IV (recurrent policy, critics that know the parameters, history of 8 as a control).
Departs from it in: PPO or SAC for RDPG with HER, GRU for LSTM; critics are given the policy's memory too; in the
target, whose parameters are unknown, critics are given the ensemble's mean.
"""

import dataclasses
import functools
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.errors import InputError, check_choices, check_range
from headstart.core.types import Box, Learner, Method, Params, Spec, Transition
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
from headstart.nets.encoders import encode_obs, feature_dim
from headstart.nets.history import History
from headstart.nets.policies import MaskedPolicy
from headstart.nets.running_statistics import running_mean_std


@dataclasses.dataclass(frozen=True)
class Recurrent(Method):
    """The base learner with a memory: a gated recurrent unit, or the last steps of the episode."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, in both domains
    memory: Literal["gru", "history"] = "gru"  # the kind of memory
    hidden_size: int = 64  # size of the recurrent state, >= 1
    history_length: int = 8  # steps in the history, >= 1
    sequence_length: int = 16  # steps of backpropagation through time, >= 1
    burn_in: int = 0  # first steps of a sequence that only update the memory (off-policy), in [0, sequence_length - 1]
    asymmetric_critic: bool = True  # whether critics are given the source's parameters

    def __post_init__(self) -> None:
        check_choices(self, "memory")
        for name in ("hidden_size", "history_length", "sequence_length"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "burn_in", 0, self.sequence_length - 1)

    def build(self, spec: Spec, target: bool) -> Learner:
        gru = self.memory == "gru"
        if not gru and not isinstance(spec.observation_space, Box):
            raise InputError("Recurrent(memory='history') stores vectors, and this task has images; use memory=gru.")
        if self.asymmetric_critic:
            check_parameters("Recurrent(asymmetric_critic=True)", spec)
        private = spec.num_parameters if self.asymmetric_critic else 0
        history = History(self.history_length, spec.observation_space.size, spec.action_space)
        encoded_size = self.hidden_size if gru else history.size
        inner = self.base.learner(spec.with_encoded_context(encoded_size + private), target)
        inner.replay.check_next("Recurrent")
        policy = self.base.learner(spec.with_encoded_context(encoded_size), target)
        encoder = (_gru if gru else _history)(self, spec, history, private, target)

        def init(key, prior):
            if prior is not None:
                if private:
                    check_parameters("Recurrent", spec, prior.get("recurrent_scale"))
                return inner.init(key, prior)
            params = inner.init(key, None)
            if private:
                if "policy" not in params:
                    raise InputError(
                        f"Recurrent gives critics parameters that the policy must not use, and {self.base!r} acts by "
                        "its critic; use PPO or SAC, or asymmetric_critic=false."
                    )
                params["policy"] = MaskedPolicy(policy.init(key, None)["policy"], private)
            if gru:
                inputs, cell_key = feature_dim(params, spec) + spec.action_space.size, jax.random.fold_in(key, ord("r"))
                params["recurrent"] = eqx.nn.GRUCell(inputs, self.hidden_size, key=cell_key)
            return {**params, "recurrent_scale": running_mean_std(private)}

        return with_context_encoder(inner, encoder)._replace(init=init)


def _private(params: Params, parameters: Array, target: bool) -> Array:
    """Returns the normalized parameters for critics; in the target, where they are unknown, their mean."""
    return jnp.zeros_like(parameters) if target else params["recurrent_scale"].normalize(parameters)


def _update_scale(private: int, params: Params, rollout: Transition) -> Params:
    memory = rollout.extras["memory"]
    parameters = memory[..., memory.shape[-1] - private :].reshape(-1, private)
    scale = params["recurrent_scale"].update(parameters, rollout.weight.reshape(-1))
    return {**params, "recurrent_scale": scale}


def _gru(method: Recurrent, spec: Spec, history: History, private: int, target: bool) -> ContextEncoder:
    """Returns the encoder whose memory is the unit's state, the last action, and the parameters for critics."""
    size, acted = method.hidden_size, method.hidden_size + spec.action_space.size

    def encode(params: Params, memory: Array, obs: Array) -> Array:
        state, action, parameters = jnp.split(memory, [size, acted])
        state = params["recurrent"](jnp.concatenate([encode_obs(params, obs), action]), state)
        return jnp.concatenate([state, _private(params, parameters, target)])

    def update_memory(memory: Array, encoded: Array, obs: Array, action: Array) -> Array:
        return jnp.concatenate([encoded[:size], spec.action_space.to_features(action), memory[acted:]])

    def policy_contract(params: Params) -> PolicyContract:
        names = ("weight_ih", "weight_hh", "bias", "bias_n")
        cell = step("gru", ("x", "state"), "state", {name: f"params.recurrent.{name}" for name in names})
        steps = (step("concatenate", ("features", "last_action"), "x"), cell, *_unknown("state", private))
        memory = {"state": size, "last_action": spec.action_space.size}
        return PolicyContract(
            (*observation_steps(params), *steps), memory, (action_features_step(spec.action_space, "last_action"),)
        )

    return ContextEncoder(
        init_memory=lambda parameters: jnp.concatenate([jnp.zeros(acted), parameters[:private]]),
        encode=encode,
        update_memory=update_memory,
        update_statistics=_statistics(private, target),
        policy_contract=policy_contract if target else lambda params: None,
        train=("recurrent",),
        sequence_length=method.sequence_length,
        burn_in=method.burn_in,
    )


def _history(method: Recurrent, spec: Spec, history: History, private: int, target: bool) -> ContextEncoder:
    """Returns the encoder whose memory is the last steps, and the parameters for critics."""

    def encode(params: Params, memory: Array, obs: Array) -> Array:
        steps, parameters = jnp.split(memory, [history.size])
        encoded = history.encode(steps, functools.partial(encode_obs, params))
        return jnp.concatenate([encoded, _private(params, parameters, target)])

    def update_memory(memory: Array, encoded: Array, obs: Array, action: Array) -> Array:
        return jnp.concatenate([history.push(memory[: history.size], obs, action), memory[history.size :]])

    def policy_contract(params: Params) -> PolicyContract:
        recalled = history_step(params, history.length, history.observation, "recalled")
        steps = (*observation_steps(params), recalled, *_unknown("recalled", private))
        return PolicyContract(steps, {"past": history.size}, history_update(history.action))

    return ContextEncoder(
        init_memory=lambda parameters: jnp.concatenate([history.empty(), parameters[:private]]),
        encode=encode,
        update_memory=update_memory,
        update_statistics=_statistics(private, target),
        policy_contract=policy_contract if target else lambda params: None,
    )


def _statistics(private: int, target: bool):
    """Returns the encoder's `update_statistics`: in the source, where critics are given parameters, their scale."""
    return functools.partial(_update_scale, private) if private and not target else lambda params, rollout: params


def _unknown(known: str, private: int) -> tuple[Step, ...]:
    """Returns the steps to "encoded" from the memory; zeros stand for the parameters that critics were given."""
    return step("zeros", (), "unknown", n=private), step("concatenate", (known, "unknown"), "encoded")
