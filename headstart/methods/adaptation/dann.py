"""DANN: an encoder whose features do not tell a discriminator which domain they come from.

Transfers: the encoder, policy and value, trained in the source with images of the target beside it; no target rewards.
Assumes: domains differ in images only in what does not matter, and both show the same contents equally often.
Fails when: the domains show different contents, or the same action has another effect.
Source: arXiv:1505.07818, section 4 and equations 13 to 15; schedule of section 5.2.2.
Departs from it in: the label loss is a base learner's loss; the discriminator has an optimizer of its own, so that the
learner's gradient is clipped as without it. Its step size is constant; the paper's falls by (1 + 10 p)^-0.75. `weight`
is 0.3 by default, where the paper's λ rises to 1.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from headstart.core.errors import check_range
from headstart.core.types import Learner, Method, Metrics, Phase, Spec
from headstart.learners.ppo import PPO
from headstart.losses.domain_confusion import reversal_strength, reverse_gradient
from headstart.losses.domain_gap import domain_loss
from headstart.methods.adaptation import with_alignment_loss
from headstart.nets.mlp import check_network, mlp


@dataclasses.dataclass(frozen=True)
class DANN(Method):
    """The base learner in the source, and features trained to confuse a discriminator of the two domains."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, on images
    source_steps_per_target_step: int = 4  # source steps per target step, >= 1
    weight: float = 0.3  # λ of the reversed gradient at the end of its schedule, >= 0
    reversal_gamma: float = 10.0  # γ of that schedule: how early it rises, > 0
    learning_rate: float = 1e-3  # Adam's step size for the discriminator, > 0
    hidden: tuple[int, ...] = (64,)  # widths of the discriminator's hidden layers

    def __post_init__(self) -> None:
        check_range(self, "source_steps_per_target_step", 1, float("inf"))
        check_range(self, "weight", 0.0, float("inf"))
        for name in ("reversal_gamma", "learning_rate"):
            check_range(self, name, 0.0, float("inf"), open_low=True)
        check_network(type(self).__name__, self.hidden, "relu")

    def build(self, spec: Spec, target: bool) -> Learner:
        def confusion(params, features, domain, weight, info):
            """The discriminator's loss. Its gradient trains the discriminator, and reversed it trains the encoder."""
            strength = self.weight * reversal_strength(info.progress, self.reversal_gamma)

            def one(x: Array, domain: Array) -> Metrics:
                logit = params["dann"](reverse_gradient(x, strength))[0]
                correct = (logit > 0) == (domain == 1)
                return {"domain_loss": domain_loss(logit, domain), "domain_accuracy": correct.astype(jnp.float32)}

            each = jax.vmap(one)(features, domain)
            mean = {name: 0.5 * (x * weight).sum() for name, x in each.items()}
            return mean["domain_loss"], mean

        inner = with_alignment_loss(self, spec, target, confusion)

        def init(key, prior):
            params = inner.init(key, prior)
            size = params["encoder"].dense.weight.shape[-1]
            return {"dann": mlp((size, *self.hidden, 1), 0.1, "relu", jax.random.fold_in(key, ord("d"))), **params}

        def with_discriminator(phase: Phase) -> Phase:
            train = (*phase.train, "dann")
            labels = {name: "discriminator" if name == "dann" else "learner" for name in train}
            own = optax.adam(self.learning_rate)
            optimizer = optax.partition({"learner": phase.optimizer, "discriminator": own}, labels)
            return phase._replace(train=train, optimizer=optimizer)

        return inner._replace(init=init, phases=tuple(map(with_discriminator, inner.phases)))
