"""DANN: features that a discriminator cannot tell the domains by, since its gradient reaches them reversed.

Transfers: nothing that was learned before: source and target are learned side by side, and of the target only images
are seen, never rewards.
Assumes: what differs between the domains' images is nothing that matters, and both show the same things equally often.
Fails when: what is shown is not equally often the same, or the same action leads elsewhere.
Source: arXiv:1505.07818, section 4 and equations 13 to 15; schedule of section 5.2.2.
Departs from it in: the loss on the source's labels is a learner's; the discriminator has an optimiser of its own, so
that the norm of the learner's gradient is cut as without it. Its step size is constant, where the paper's falls by
(1 + 10 p)^-0.75. `weight` is 0.3 by default, where the paper's λ rises to 1.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from headstart.core.errors import check_range
from headstart.core.types import Key, Knowledge, Learner, Method, Metrics, Spec
from headstart.learners.ppo import PPO
from headstart.losses.domain_confusion import reversal_strength, reverse_gradient
from headstart.losses.domain_gap import domain_loss
from headstart.methods.adaptation import Domains, RowWeights, with_alignment_loss
from headstart.nets.encoders import feature_dim
from headstart.nets.mlp import MLP, check_network, mlp


@dataclasses.dataclass(frozen=True)
class DANN(Method):
    """The base learner on the source, and a discriminator of the domains that its features learn to confuse."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns the source from images
    source_steps_per_target_step: int = 4  # steps in the source for each in the target, >= 1
    weight: float = 0.3  # λ of the reversed gradient at the end of its schedule, >= 0
    reversal_gamma: float = 10.0  # γ of its schedule: how soon it comes near that, > 0
    learning_rate: float = 1e-3  # Adam's step size for the discriminator, > 0
    hidden: tuple[int, ...] = (64,)  # widths of the discriminator's hidden layers

    def __post_init__(self) -> None:
        check_range(self, "source_steps_per_target_step", 1, float("inf"))
        check_range(self, "weight", 0.0, float("inf"))
        for name in ("reversal_gamma", "learning_rate"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_network(type(self).__name__, self.hidden, "relu")

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = with_alignment_loss(self, spec, target, functools.partial(_confuse, self))
        return inner._replace(
            init=functools.partial(_init, self, inner, spec),
            optimizer=optax.partition(
                {"learner": inner.optimizer, "discriminator": optax.adam(self.learning_rate)},
                Knowledge("learner", "learner", "learner", "discriminator", "learner"),
            ),
        )


def _init(dann: DANN, inner: Learner, spec: Spec, key: Key, prior: Knowledge | None) -> Knowledge:
    k = inner.init(key, prior)
    if prior is not None and isinstance(prior.model, MLP):
        return k
    inputs = feature_dim(k.features, spec.observation_space)
    return k.with_model("DANN", mlp((inputs, *dann.hidden, 1), 0.1, "relu", jax.random.fold_in(key, ord("d"))))


def _confuse(
    dann: DANN,
    k: Knowledge,
    features: Float[Array, "row feature"],
    domain: Domains,
    share: RowWeights,
    progress: Array | float,
) -> tuple[Array, Metrics]:
    """The discriminator's loss, by whose gradient it learns to tell the domains apart, and the features not to."""
    strength = dann.weight * reversal_strength(progress, dann.reversal_gamma)

    def one(x: Array, domain: Array) -> Metrics:
        logit = k.model(reverse_gradient(x, strength))[0]
        right = (logit > 0) == (domain == 1)
        return {"domain_loss": domain_loss(logit, domain), "domain_accuracy": right.astype(jnp.float32)}

    told = {name: 0.5 * (x * share).sum() for name, x in jax.vmap(one)(features, domain).items()}
    return told["domain_loss"], told
