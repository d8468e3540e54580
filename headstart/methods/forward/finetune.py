"""Finetuning: start in the target domain from what the source domain taught, and go on learning.

Transfers: policy, value and features (normaliser, or what encodes images).
Assumes: source and target share components of what is seen and done, and the source's behaviour is a good start.
Fails when: the source policy is too certain to explore, or what it learned is wrong in the target (negative transfer).
Source: CS 285, "Transfer and Multi-Task Learning" (pretraining + finetuning); arXiv:1612.07307 for relearned heads;
arXiv:1802.01483 for L2-SP.
Departs from it in: the lecture's recipes are stated for supervised networks; L2-SP leaves new layers alone.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.errors import InputError, NameInputError, check_choices, check_names, check_range
from headstart.core.names import map_named, named, within
from headstart.core.types import Key, Knowledge, Learner, Method, Spec, no_loss
from headstart.learners.ppo import PPO
from headstart.nets.encoders import reset_statistics
from headstart.nets.optimizers import l2_sp, scale_by_name

CERTAIN = 1e12  # a statistic that has seen so many rows is moved by no new one


@dataclasses.dataclass(frozen=True)
class Finetune(Method):
    """Learn on in the target from the source's knowledge: how much is kept, how much moves, how boldly it acts."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains
    layers: Literal["all", "last"] = "all"  # what moves in the target: everything, or the last layers only
    reset_head: bool = False  # the last layers (and the policy's spread) start anew
    reset: tuple[str, ...] = ()  # names of what starts anew, such as "value"
    freeze: tuple[str, ...] = ()  # names of what stays as it is, such as "policy.net.layers.0"
    learning_rate_scales: tuple[str, ...] = ()  # "NAME=FACTOR": learning rates relative to the others, >= 0
    l2_sp: float = 0.0  # weight of the pull back to where everything that came along began, >= 0
    optimizer: Literal["fresh", "kept"] = "fresh"  # whether Adam's moments come along
    normalizer: Literal["kept", "fresh", "frozen"] = "kept"  # observation statistics: go on, start anew, stay
    scale_std: float = 1.0  # factor on the policy's standard deviation (or temperature) at the start, > 0

    def __post_init__(self) -> None:
        check_choices(self, "layers", "optimizer", "normalizer")
        check_names(self, "reset", "freeze", "learning_rate_scales")
        check_range(self, "scale_std", 0.0, float("inf"), open_low=True)
        check_range(self, "l2_sp", 0.0, float("inf"))
        for text in self.learning_rate_scales:
            if _rate(text) is None:
                raise InputError(
                    f"Finetune(rates={text!r}) is no name and factor; write such as policy.net.layers=0.1."
                )

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if not target:
            return inner
        if inner.loss is no_loss and (self.freeze or self.learning_rate_scales or self.l2_sp or self.layers == "last"):
            raise InputError(
                f"{self.base!r} learns by no gradients, which could be held; leave freeze, layers, rates and l2_sp out."
            )
        if self.l2_sp and self.optimizer == "kept":
            raise InputError("Finetune ties knowledge to its start by the optimizer, which must be fresh; use l2_sp=0.")
        optimizer = scale_by_name(inner.optimizer, functools.partial(_pace, self))
        return inner._replace(
            init=functools.partial(_init, self, inner),
            optimizer=l2_sp(optimizer, self.l2_sp, functools.partial(_came, self)) if self.l2_sp else optimizer,
            keep_optimizer=self.optimizer == "kept",
        )


def _init(finetune: Finetune, inner: Learner, key: Key, prior: Knowledge | None) -> Knowledge:
    fresh = inner.init(key, None)
    if prior is None:
        return fresh
    rated = [name for name, _ in map(_split, finetune.learning_rate_scales)]
    _check_parts([("freeze", finetune.freeze), ("reset", finetune.reset), ("rate", rated)], fresh)
    knowledge = inner.init(key, prior)
    knowledge = map_named(lambda name, new, old: old if _came(finetune, name) else new, fresh, knowledge)
    if finetune.normalizer == "fresh":
        knowledge = knowledge.replace(features=reset_statistics(knowledge.features, fresh.features))
    certain = (*finetune.freeze, "features") if finetune.normalizer == "frozen" else finetune.freeze
    knowledge = map_named(functools.partial(_stilled, certain), knowledge)
    if finetune.scale_std != 1.0:
        knowledge = knowledge.replace(policy=knowledge.policy.scale_std(finetune.scale_std))
    return knowledge


def _stilled(parts: tuple[str, ...], name: str, x: Array) -> Array:
    """Statistics are moved by experience, not by gradients: it takes another way to keep them."""
    return jnp.full_like(x, CERTAIN) if within(name, parts) and name.endswith("count") else x


def _in_head(name: str) -> bool:
    """The layers that speak: the last of each network, and the spread of a Gaussian."""
    return name.endswith("log_std") or ".last." in name


def _came(finetune: Finetune, name: str) -> bool:
    """-> whether a leaf is the source's, and does not start anew."""
    return not (within(name, finetune.reset) or (finetune.reset_head and _in_head(name)))


def _pace(finetune: Finetune, name: str) -> float:
    """-> the factor on a leaf's learning rate; 0 where it stays."""
    moves = _in_head(name) or within(name, ("extra",))  # helpers, such as a temperature, are no layers
    if within(name, finetune.freeze) or (finetune.layers == "last" and not moves):
        return 0.0
    rates = [(part, rate) for part, rate in map(_split, finetune.learning_rate_scales) if within(name, [part])]
    return max(rates, key=lambda told: len(told[0]))[1] if rates else 1.0  # the most exact name counts


def _split(text: str) -> tuple[str, float]:
    """-> "name=factor" as both."""
    name, _, factor = text.rpartition("=")
    return name, float(factor)


def _rate(text: str) -> float | None:
    """-> the factor, where the text is a name and one that there is."""
    try:
        name, factor = _split(text)
    except ValueError:
        return None
    return factor if name and 0.0 <= factor < float("inf") else None


def _check_parts(asked: Sequence[tuple[str, Sequence[str]]], knowledge: Knowledge) -> None:
    names = list(named(knowledge))
    for what, parts in asked:
        for part in parts:
            if not any(within(name, [part]) for name in names):
                raise NameInputError(
                    f"Finetune cannot {what} {part!r}: this knowledge has no part of that name; "
                    f"its parts are {', '.join(names)}."
                )
