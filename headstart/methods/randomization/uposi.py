"""UP-OSI: a policy for all parameters, and an identifier that tells it, from the last steps, which ones these are.

Transfers: policy, value and features (normaliser) of the universal policy; and the identifier (model).
Assumes: the target's parameters are nearly among the ensemble's, and show in a few steps.
Fails when: they cannot be told from so few steps, or the policy is as good without knowing them.
Source: arXiv:1702.02453, algorithm 1; the true parameters in the beginning, then its own (sections III-B and III-C).
Departs from it in: identification learns while it plays, where the paper alternates in five rounds; no dropout; PPO for
TRPO; in the target it goes on learning, told what the identifier says.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import InputError, check_range
from headstart.core.types import (
    RATES,
    Box,
    Key,
    Knowledge,
    Learner,
    Method,
    Metrics,
    PyTree,
    Record,
    Replay,
    Spec,
    Stage,
    Transition,
)
from headstart.learners.context_encoder import ContextEncoder, with_context_encoder
from headstart.learners.ppo import PPO
from headstart.losses.weighted import weighted_mean
from headstart.methods.randomization.universal import UniversalPolicy, check_parameters
from headstart.nets.contract import PolicyContract, history_step, history_update, network_steps, observation_steps, step
from headstart.nets.encoders import encode
from headstart.nets.history import History
from headstart.nets.mlp import MLP, check_network, mlp
from headstart.nets.running_statistics import RunningMeanStd, Setting, running_mean_std


@dataclasses.dataclass(frozen=True)
class UPOSI(Method):
    """First the universal policy learns; then it plays, and the identifier learns from what both aggregate."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns the universal policy; alone in the target
    history_length: int = 3  # steps that the identifier is told, >= 1
    identification_fraction: float = 0.2  # of the source's steps, for identification, in (0, 1)
    true_parameters_fraction: float = 0.2  # of identification, with the true parameters given to the policy, in [0, 1]
    learning_rate: float = 1e-3  # of the identifier: Adam's step size, > 0
    update_to_data: float = 0.02  # gradient steps of the identifier per step of a task, in [1e-6, 1e4]
    batch_size: int = 256  # transitions in one of them, >= 1
    buffer_size: int = 100_000  # transitions kept for it, >= 1
    hidden: tuple[int, ...] = (256, 128, 64)  # widths of its hidden layers

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
            raise InputError("UPOSI identifies from vectors, and this task shows images; use another method.")
        inner = self.base.learner(spec.with_encoded_context(spec.num_parameters), target)
        inner.replay.check_next("UPOSI")
        of = History(self.history_length, spec.observation_space.size, spec.action_space)
        hide = jnp.zeros_like if target else lambda parameters: parameters
        split = lambda memory: (memory[: spec.num_parameters], memory[spec.num_parameters :])
        push = lambda parameters, past, obs, action: jnp.concatenate([parameters, of.push(past, obs, action)])
        teller = ContextEncoder(
            init_memory=lambda parameters: jnp.concatenate([hide(parameters), of.empty()]),
            encode=lambda k, memory, obs: _say(of, k, *split(memory), obs, target),
            update_memory=lambda memory, said, obs, action: push(*split(memory), obs, action),
            policy_contract=functools.partial(_contract, of) if target else lambda k: None,
        )
        learner = with_context_encoder(inner, teller)._replace(init=functools.partial(_init, self, inner, of, spec))
        if target:
            return learner
        replay = inner.replay
        kept = Replay(
            replay.num_steps,
            replay.num_envs,
            self.batch_size,
            buffer_size=self.buffer_size,
            update_to_data=self.update_to_data,
        )
        return learner._replace(
            prepare=functools.partial(_observe, self),
            loss=functools.partial(_loss, of, split),
            optimizer=optax.adam(self.learning_rate),
            replay=kept,
            tau=None,
            stop=None,
        )


class Identifier(Record):
    """From the last steps to the parameters, in standard deviations of the ensemble's."""

    net: MLP
    parameters: RunningMeanStd
    use_true_parameters: Setting  # 1 while the policy is told the true ones

    def __call__(self, x: Float[Array, " history"]) -> Float[Array, " parameter"]:
        return self.net(x)


def _init(uposi: UPOSI, inner: Learner, of: History, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None and isinstance(prior.model, Identifier):
        check_parameters("UPOSI", spec, prior.model.parameters)
        return inner.init(key, prior)
    if prior is None:
        policy, known = inner.init(key, None), running_mean_std(spec.num_parameters)
    else:
        (policy,) = prior.extra
        known = policy.model
    net = mlp((of.size + spec.observation_space.size, *uposi.hidden, spec.num_parameters), 1.0, "tanh", key)
    return policy.replace(model=Identifier(net, known, Setting(jnp.ones(()))))


def _guess(of: History, k: Knowledge, past: Array, obs: Array) -> Float[Array, " parameter"]:
    eyes = functools.partial(encode, k, context=jnp.zeros(0))
    return k.model(jnp.concatenate([of.encode(past, eyes), eyes(obs)]))


def _say(
    of: History, k: Knowledge, parameters: Array, past: Array, obs: Array, target: bool
) -> Float[Array, " parameter"]:
    guessed = jax.lax.stop_gradient(_guess(of, k, past, obs))  # the policy's loss does not bend the identifier
    return (
        guessed
        if target
        else jnp.where(k.model.use_true_parameters.value > 0, k.model.parameters.normalize(parameters), guessed)
    )


def _contract(of: History, k: Knowledge) -> PolicyContract:
    """Returns how the identifier tells the parameters by the last steps."""
    told = (history_step(k, of.length, of.observation, "recalled"), step("concatenate", ("recalled", "seen"), "x"))
    says = network_steps(k.model.net, "knowledge.model.net", "said")
    return PolicyContract((*observation_steps(k.features), *told, *says), {"past": of.size}, history_update(of.action))


def _observe(
    uposi: UPOSI, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    truth = Setting(jnp.asarray(progress < uposi.true_parameters_fraction, jnp.float32))
    return k.replace(model=k.model.replace(use_true_parameters=truth)), fresh


def _loss(of: History, split, k: Knowledge, slow: PyTree, batch: Transition, key: Key, progress: Array | float):
    def one(t: Transition) -> Metrics:
        parameters, past = split(t.extras["memory"])
        error = _guess(of, k, past, t.obs) - k.model.parameters.normalize(parameters)
        return {"identification_loss": jnp.square(error).mean()}

    mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
    return mean["identification_loss"], {**mean, "truth": k.model.use_true_parameters.value}
