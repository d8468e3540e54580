"""UP-OSI: a policy for all parameters, and an identifier that estimates the parameters from the last steps.

Transfers: policy, value and encoder or normalizer of the universal policy; and the identifier.
Assumes: the target's parameters are nearly among the ensemble's, and a few steps reveal them.
Fails when: so few steps do not reveal them, or the policy is as good without knowing them.
Source: arXiv:1702.02453, algorithm 1; true parameters first, then the identifier's own (sections III-B and III-C).
Departs from it in: the identifier is trained while it acts, where the paper alternates in five rounds; no dropout; PPO
for TRPO; in the target training continues, with the identifier's estimates.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import RATES, Box, Learner, Method, Metrics, Params, Phase, Replay, Spec, Stage, Transition
from headstart.learners.context_encoder import ContextEncoder, with_context_encoder
from headstart.learners.ppo import PPO
from headstart.losses.weighted import weighted_mean
from headstart.methods.randomization.universal import UniversalPolicy, check_parameters
from headstart.nets.contract import PolicyContract, history_step, history_update, network_steps, observation_steps, step
from headstart.nets.encoders import encode_obs
from headstart.nets.history import History
from headstart.nets.mlp import check_network, mlp
from headstart.nets.running_statistics import Setting, running_mean_std


@dataclasses.dataclass(frozen=True)
class UPOSI(Method):
    """First the universal policy is trained; then it acts, and the identifier is trained on the aggregated data."""

    base: Method = dataclasses.field(default_factory=PPO)  # the universal policy's learner, alone in the target
    history_length: int = 3  # last steps that the identifier is given, >= 1
    identification_fraction: float = 0.2  # of the source steps, for identification, in (0, 1)
    true_parameters_fraction: float = 0.2  # of identification, with the true parameters given to the policy, in [0, 1]
    learning_rate: float = 1e-3  # Adam's step size for the identifier, > 0
    update_to_data: float = 0.02  # gradient steps of the identifier per step of a task, in [1e-6, 1e4]
    batch_size: int = 256  # transitions per gradient step of the identifier, >= 1
    buffer_size: int = 100_000  # transitions in its replay buffer, >= 1
    hidden: tuple[int, ...] = (256, 128, 64)  # widths of the identifier's hidden layers

    def __post_init__(self) -> None:
        for name in ("history_length", "batch_size", "buffer_size"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "true_parameters_fraction", 0.0, 1.0)
        check_range(self, "identification_fraction", 0.0, 1.0, open_low=True, open_high=True)
        check_range(self, "learning_rate", 0.0, float("inf"), open_low=True)
        check_range(self, "update_to_data", *RATES)
        check_network("UPOSI", self.hidden, "tanh")

    def pretraining(self, spec: Spec) -> tuple[Stage, ...]:
        return (Stage(UniversalPolicy(self.base), 1.0 - self.identification_fraction),)

    def build(self, spec: Spec, target: bool) -> Learner:
        check_parameters("UPOSI", spec)
        if not isinstance(spec.observation_space, Box):
            raise InputError("UPOSI identifies parameters from vectors, and this task has images; use another method.")
        inner = self.base.learner(spec.with_encoded_context(spec.num_parameters), target)
        inner.replay.check_next("UPOSI")
        history = History(self.history_length, spec.observation_space.size, spec.action_space)
        split = lambda memory: (memory[: spec.num_parameters], memory[spec.num_parameters :])

        def init(key, prior):
            if prior is not None and "identifier" in prior:
                check_parameters("UPOSI", spec, prior.get("parameter_scale"))
                return inner.init(key, prior)
            if prior is None:
                params = {"parameter_scale": running_mean_std(spec.num_parameters), **inner.init(key, None)}
            else:
                (params,) = prior["pretraining"] if "pretraining" in prior else (inner.init(key, prior),)
            sizes = (history.size + spec.observation_space.size, *self.hidden, spec.num_parameters)
            identifier, use_true = mlp(sizes, 1.0, "tanh", key), Setting(jnp.ones(()))
            return {**params, "identifier": identifier, "use_true_parameters": use_true}

        def estimate(params: Params, past: Array, obs: Array) -> Float[Array, " parameter"]:
            """Returns the identifier's estimate, in standard deviations of the ensemble's parameters."""
            encoded = history.encode(past, functools.partial(encode_obs, params))
            return params["identifier"](jnp.concatenate([encoded, encode_obs(params, obs)]))

        def encode(params: Params, memory: Array, obs: Array) -> Float[Array, " parameter"]:
            parameters, past = split(memory)
            estimated = jax.lax.stop_gradient(estimate(params, past, obs))  # the policy's loss does not train it
            if target:
                return estimated
            true = params["parameter_scale"].normalize(parameters)
            return jnp.where(params["use_true_parameters"].value > 0, true, estimated)

        def update_memory(memory: Array, encoded: Array, obs: Array, action: Array) -> Array:
            parameters, past = split(memory)
            return jnp.concatenate([parameters, history.push(past, obs, action)])

        def policy_contract(params: Params) -> PolicyContract:
            recalled = history_step(params, history.length, history.observation, "recalled")
            inputs = (recalled, step("concatenate", ("recalled", "features"), "x"))
            estimates = network_steps(params["identifier"], "params.identifier", "encoded")
            steps = (*observation_steps(params), *inputs, *estimates)
            return PolicyContract(steps, {"past": history.size}, history_update(history.action))

        known = jnp.zeros_like if target else lambda parameters: parameters
        encoder = ContextEncoder(
            init_memory=lambda parameters: jnp.concatenate([known(parameters), history.empty()]),
            encode=encode,
            update_memory=update_memory,
            policy_contract=policy_contract if target else lambda params: None,
        )
        learner = with_context_encoder(inner, encoder)._replace(init=init)
        if target:
            return learner

        def prepare(params, rollout, info):
            use_true = Setting(jnp.asarray(info.progress < self.true_parameters_fraction, jnp.float32))
            return {**params, "use_true_parameters": use_true}, rollout

        def identify(params, batch, info):
            def one(t: Transition) -> Metrics:
                parameters, past = split(t.extras["memory"])
                error = estimate(params, past, t.obs) - params["parameter_scale"].normalize(parameters)
                return {"identification_loss": jnp.square(error).mean()}

            mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
            use_true = params["use_true_parameters"].value
            return mean["identification_loss"], {**mean, "use_true_parameters": use_true}

        sizes = (inner.replay.num_steps, inner.replay.num_envs, self.batch_size)
        return learner._replace(
            prepare=prepare,
            phases=(Phase(identify, ("identifier",), optax.adam(self.learning_rate)),),
            replay=Replay(*sizes, buffer_size=self.buffer_size, update_to_data=self.update_to_data),
        )
