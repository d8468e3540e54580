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
    Part,
    PyTree,
    Record,
    Replay,
    Spec,
    Transition,
)
from headstart.learners.ppo import PPO
from headstart.learners.telling import Teller, tell
from headstart.losses.average import average
from headstart.methods.randomization.universal import UniversalPolicy, check_parameters
from headstart.nets.contract import Contract, network, pushing, recalling, seeing, step
from headstart.nets.encoders import see
from headstart.nets.history import History
from headstart.nets.mlp import MLP, check_network, mlp
from headstart.nets.moments import Moments, Setting, moments


@dataclasses.dataclass(frozen=True)
class UPOSI(Method):
    """First the universal policy learns; then it plays, and the identifier learns from what both aggregate."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns the universal policy; alone in the target
    history: int = 3  # steps that the identifier is told, >= 1
    share: float = 0.2  # of the source's steps, for identification, in (0, 1)
    truth: float = 0.2  # share of identification in which the policy is told the true parameters, in [0, 1]
    learning_rate: float = 1e-3  # of the identifier: Adam's step size, > 0
    updates: float = 0.02  # gradient steps of the identifier for each step that a task gathers, within [1e-6, 1e4]
    batch: int = 256  # transitions in one of them, >= 1
    capacity: int = 100_000  # transitions kept for it, >= 1
    hidden: tuple[int, ...] = (256, 128, 64)  # widths of its hidden layers

    def __post_init__(self) -> None:
        for name in ("history", "batch", "capacity"):
            check_range(self, name, 1, float("inf"))
        check_range(self, "truth", 0.0, 1.0)
        check_range(self, "share", 0.0, 1.0, open_low=True, open_high=True)
        check_range(self, "learning_rate", 0.0, float("inf"), open_low=True)
        check_range(self, "updates", *RATES)
        check_network("UPOSI", self.hidden, "tanh")

    def before(self, spec: Spec) -> tuple[Part, ...]:
        return (Part(UniversalPolicy(self.base), 1.0 - self.share),)

    def build(self, spec: Spec, target: bool) -> Learner:
        check_parameters("UPOSI", spec)
        if not isinstance(spec.observation, Box):
            raise InputError("UPOSI identifies from vectors, and this task shows images; use another method.")
        inner = self.base.learner(spec.telling(spec.parameters), target)
        inner.replay.check_next("UPOSI")
        of = History(self.history, spec.observation.size, spec.action)
        hide = jnp.zeros_like if target else lambda parameters: parameters
        split = lambda memory: (memory[: spec.parameters], memory[spec.parameters :])
        push = lambda parameters, past, obs, action: jnp.concatenate([parameters, of.push(past, obs, action)])
        teller = Teller(
            begin=lambda parameters: jnp.concatenate([hide(parameters), of.empty()]),
            tell=lambda k, memory, obs: _say(of, k, *split(memory), obs, target),
            remember=lambda memory, said, obs, action: push(*split(memory), obs, action),
            contract=functools.partial(_contract, of) if target else lambda k: None,
        )
        learner = tell(inner, teller)._replace(init=functools.partial(_init, self, inner, of, spec))
        if target:
            return learner
        replay = inner.replay
        kept = Replay(replay.length, replay.copies, self.batch, capacity=self.capacity, updates=self.updates)
        return learner._replace(
            observe=functools.partial(_observe, self),
            loss=functools.partial(_loss, of, split),
            optimizer=optax.adam(self.learning_rate),
            replay=kept,
            tau=None,
            stop=None,
        )


class Identifier(Record):
    """From the last steps to the parameters, in standard deviations of the ensemble's."""

    net: MLP
    parameters: Moments
    truth: Setting  # 1 while the policy is told the true ones

    def __call__(self, x: Float[Array, " history"]) -> Float[Array, " parameter"]:
        return self.net(x)


def _init(uposi: UPOSI, inner: Learner, of: History, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    if prior is not None and isinstance(prior.model, Identifier):
        check_parameters("UPOSI", spec, prior.model.parameters)
        return inner.init(key, prior)
    if prior is None:
        policy, known = inner.init(key, None), moments(spec.parameters)
    else:
        (policy,) = prior.extra
        known = policy.model
    net = mlp((of.size + spec.observation.size, *uposi.hidden, spec.parameters), 1.0, "tanh", key)
    return policy.replace(model=Identifier(net, known, Setting(jnp.ones(()))))


def _guess(of: History, k: Knowledge, past: Array, obs: Array) -> Float[Array, " parameter"]:
    eyes = functools.partial(see, k, context=jnp.zeros(0))
    return k.model(jnp.concatenate([of.read(past, eyes), eyes(obs)]))


def _say(
    of: History, k: Knowledge, parameters: Array, past: Array, obs: Array, target: bool
) -> Float[Array, " parameter"]:
    guessed = jax.lax.stop_gradient(_guess(of, k, past, obs))  # the policy's loss does not bend the identifier
    return guessed if target else jnp.where(k.model.truth.value > 0, k.model.parameters.normalise(parameters), guessed)


def _contract(of: History, k: Knowledge) -> Contract:
    """Returns how the identifier tells the parameters by the last steps."""
    told = (recalling(k, of.steps, of.observation, "recalled"), step("concatenate", ("recalled", "seen"), "x"))
    says = network(k.model.net, "knowledge.model.net", "said")
    return Contract((*seeing(k.features), *told, *says), {"past": of.size}, pushing(of.action))


def _observe(
    uposi: UPOSI, k: Knowledge, fresh: Transition, key: Key, progress: Array | float
) -> tuple[Knowledge, Transition]:
    truth = Setting(jnp.asarray(progress < uposi.truth, jnp.float32))
    return k.replace(model=k.model.replace(truth=truth)), fresh


def _loss(of: History, split, k: Knowledge, slow: PyTree, batch: Transition, key: Key, progress: Array | float):
    def one(t: Transition) -> Metrics:
        parameters, past = split(t.extras["memory"])
        error = _guess(of, k, past, t.obs) - k.model.parameters.normalise(parameters)
        return {"identification_loss": jnp.square(error).mean()}

    mean = average(jax.vmap(jax.vmap(one))(batch), batch.weight)
    return mean["identification_loss"], {**mean, "truth": k.model.truth.value}
