"""Finetuning: training in the target starts from the params that the source left.

Transfers: all parts: policy, value, encoder or normalizer.
Assumes: source and target share observations and actions, and the source's behaviour is a good start.
Fails when: the source policy is too deterministic to explore, or what it learned is wrong in the target (negative
transfer).
Source: CS 285, "Transfer and Multi-Task Learning" (pretraining + finetuning); arXiv:1612.07307 for relearned heads;
arXiv:1802.01483 for L2-SP.
Departs from it in: the lecture's recipes are stated for supervised networks; L2-SP does not penalize new layers.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp

from headstart.core.errors import InputError, NameInputError, check_choices, check_names, check_range
from headstart.core.names import map_named, named, within
from headstart.core.types import Learner, Method, Params, Phase, Spec
from headstart.learners.ppo import PPO
from headstart.nets.optimizers import l2_sp, scale_by_name

FROZEN_COUNT = 1e12  # of a running statistic that a rollout does not change while `prepare` uses it


@dataclasses.dataclass(frozen=True)
class Finetune(Method):
    """Continues training in the target from the source's params; says what is kept, what is trained, and how fast."""

    base: Method = dataclasses.field(default_factory=PPO)  # the learner, in both domains
    layers: Literal["all", "last"] = "all"  # what is trained in the target: everything, or the last layers only
    reset_head: bool = False  # whether the last layers (and the policy's log_std) are initialized again
    reset: tuple[str, ...] = ()  # names of what is initialized again, such as "value"
    freeze: tuple[str, ...] = ()  # names of what is not trained, such as "policy.net.layers.0"
    learning_rate_scales: tuple[str, ...] = ()  # "NAME=FACTOR": learning rates relative to the others, >= 0
    l2_sp: float = 0.0  # weight of the L2 penalty on the distance to the source's weights, >= 0
    optimizer: Literal["fresh", "kept"] = "fresh"  # whether Adam's moments are kept from the source
    normalizer: Literal["kept", "fresh", "frozen"] = "kept"  # observation statistics: continued, restarted, or fixed
    scale_std: float = 1.0  # factor on the policy's standard deviation (or temperature) at the start, > 0

    def __post_init__(self) -> None:
        check_choices(self, "layers", "optimizer", "normalizer")
        check_names(self, "reset", "freeze", "learning_rate_scales")
        check_range(self, "scale_std", 0.0, float("inf"), open_low=True)
        check_range(self, "l2_sp", 0.0, float("inf"))
        for text in self.learning_rate_scales:
            if _rate(text) is None:
                raise InputError(
                    f"Finetune(learning_rate_scales={text!r}) is not NAME=FACTOR; write such as policy.net=0.1."
                )

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if not target:
            return inner
        if not inner.phases and (self.freeze or self.learning_rate_scales or self.l2_sp or self.layers == "last"):
            raise InputError(
                f"{self.base!r} trains without gradients; leave freeze, layers, learning_rate_scales and l2_sp out."
            )
        if self.l2_sp and self.optimizer == "kept":
            raise InputError("Finetune keeps l2_sp's start in the optimizer's state; use optimizer=fresh or l2_sp=0.")
        frozen = (*self.freeze, *(("normalizer",) if self.normalizer == "frozen" else ()))
        frozen = (*frozen, "returns") if "value" in frozen else frozen  # the units of its outputs

        def init(key, prior):
            fresh = inner.init(key, None)
            if prior is None:
                return fresh
            scaled = [name for name, _ in map(_split, self.learning_rate_scales)]
            _check_parts([("freeze", self.freeze), ("reset", self.reset), ("scale", scaled)], fresh)
            params = map_named(lambda name, new, old: old if self._kept(name) else new, fresh, inner.init(key, prior))
            if self.normalizer == "fresh" and "normalizer" in fresh:
                params["normalizer"] = fresh["normalizer"]
            if self.scale_std != 1.0:
                params["policy"] = params["policy"].scale_std(self.scale_std)
            return params

        def prepare(params, rollout, info):
            fixed = lambda name: within(name, frozen) and name.endswith("count")
            still = map_named(lambda name, x: jnp.full_like(x, FROZEN_COUNT) if fixed(name) else x, params)
            new, rows = inner.prepare(still, rollout, info)
            return map_named(lambda name, new, old: old if within(name, frozen) else new, new, params), rows

        def finetuned(phase: Phase) -> Phase:
            optimizer = scale_by_name(phase.optimizer, self._scale)
            return phase._replace(optimizer=l2_sp(optimizer, self.l2_sp, self._kept) if self.l2_sp else optimizer)

        return inner._replace(
            init=init,
            prepare=prepare if frozen else inner.prepare,
            phases=tuple(map(finetuned, inner.phases)),
            keep_optimizer=self.optimizer == "kept",
        )

    def _kept(self, name: str) -> bool:
        """Returns whether an array is the source's, and is not initialized again."""
        name = name.removeprefix("target.")  # a target network is a copy of the network of that name
        return not (within(name, self.reset) or (self.reset_head and _in_head(name)))

    def _scale(self, name: str) -> float:
        """Returns the factor on an array's learning rate; 0 where it is not trained."""
        if within(name, self.freeze) or (self.layers == "last" and not (_in_head(name) or name == "log_alpha")):
            return 0.0
        scales = [(part, scale) for part, scale in map(_split, self.learning_rate_scales) if within(name, [part])]
        return max(scales, key=lambda named: len(named[0]))[1] if scales else 1.0  # the most specific name counts


def _in_head(name: str) -> bool:
    """Returns whether an array belongs to the last layer of a network, or is a policy's log_std."""
    return ".last." in name or name.endswith("log_std")


def _split(text: str) -> tuple[str, float]:
    """Returns the two parts of "NAME=FACTOR"."""
    name, _, factor = text.rpartition("=")
    return name, float(factor)


def _rate(text: str) -> float | None:
    """Returns the factor of "NAME=FACTOR", or None where the text is malformed."""
    try:
        name, factor = _split(text)
    except ValueError:
        return None
    return factor if name and 0.0 <= factor < float("inf") else None


def _check_parts(asked: Sequence[tuple[str, Sequence[str]]], params: Params) -> None:
    """Raises NameInputError where a name is neither a part of params nor inside one."""
    names = list(named(params))
    for what, parts in asked:
        for part in parts:
            if not any(within(name, [part]) for name in names):
                raise NameInputError(
                    f"Finetune cannot {what} {part!r}: params have no part of that name; "
                    f"the names are {', '.join(names)}."
                )
