"""Finetuning: start in the target domain from what the source domain taught, and go on learning.

Transfers: policy, value and features (normaliser, or what encodes images).
Assumes: source and target share spaces, and the source's behaviour is a useful place to start.
Fails when: the source policy is too certain to explore, or what it learned is wrong in the target (negative transfer).
Source: CS 285, "Transfer and Multi-Task Learning" (pretraining + finetuning); arXiv:1612.07307 for relearned heads.
Departs from it in: the lecture's recipes are stated for supervised networks; here each is a field.
"""

import dataclasses
import functools
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array

from headstart.core.errors import InputError, check_range
from headstart.core.names import map_named, named, within
from headstart.core.types import Key, Knowledge, Learner, Method, Spec, no_loss
from headstart.learners.ppo import PPO
from headstart.nets.encoders import forget
from headstart.nets.optimizers import hold

CERTAIN = 1e12  # a statistic that has seen so many rows is moved by no new one


@dataclasses.dataclass(frozen=True)
class Finetune(Method):
    """Learn on in the target from the source's knowledge: how much is kept, how much moves, how boldly it acts."""

    base: Method = dataclasses.field(default_factory=PPO)  # learns in both domains
    layers: Literal["all", "last"] = "all"  # what moves in the target: everything, or the last layers only
    reset_head: bool = False  # the last layers (and the policy's spread) start anew
    freeze: tuple[str, ...] = ()  # names of what stays as it is, such as "policy.net.layers.0"
    optimizer: Literal["fresh", "kept"] = "fresh"  # whether Adam's moments come along
    normaliser: Literal["kept", "fresh", "frozen"] = "kept"  # observation statistics: go on, start anew, stay
    cool: float = 1.0  # factor on the policy's standard deviation (or temperature) at the start, > 0

    def __post_init__(self) -> None:
        check_range(self, "cool", 0.0, float("inf"), open_low=True)

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec, target)
        if not target:
            return inner
        if inner.loss is no_loss and (self.freeze or self.layers == "last"):
            raise InputError(f"{self.base!r} learns by no gradients, which could be held; leave freeze and layers out.")
        return inner._replace(
            init=functools.partial(_init, self, inner),
            optimizer=hold(inner.optimizer, functools.partial(_still, self)),
            keep_optimizer=self.optimizer == "kept",
        )


def _init(finetune: Finetune, inner: Learner, key: Key, prior: Knowledge | None) -> Knowledge:
    fresh = inner.init(key, None)
    if prior is None:
        return fresh
    _check_freeze(finetune.freeze, fresh)
    knowledge = inner.init(key, prior)
    if finetune.reset_head:
        knowledge = map_named(lambda name, new, old: new if _in_head(name) else old, fresh, knowledge)
    if finetune.normaliser == "fresh":
        knowledge = knowledge.replace(features=forget(knowledge.features, fresh.features))
    certain = (*finetune.freeze, "features") if finetune.normaliser == "frozen" else finetune.freeze
    knowledge = map_named(functools.partial(_stilled, certain), knowledge)
    if finetune.cool != 1.0:
        knowledge = knowledge.replace(policy=knowledge.policy.cool(finetune.cool))
    return knowledge


def _stilled(parts: tuple[str, ...], name: str, x: Array) -> Array:
    """Statistics are moved by experience, not by gradients: it takes another way to keep them."""
    return jnp.full_like(x, CERTAIN) if within(name, parts) and name.endswith("count") else x


def _in_head(name: str) -> bool:
    """The layers that speak: the last of each network, and the spread of a Gaussian."""
    return name.endswith("log_std") or ".last." in name


def _still(finetune: Finetune, name: str) -> bool:
    moves = _in_head(name) or within(name, ("extra",))  # helpers, such as a temperature, are no layers
    return within(name, finetune.freeze) or (finetune.layers == "last" and not moves)


def _check_freeze(freeze: tuple[str, ...], knowledge: Knowledge) -> None:
    names = list(named(knowledge))
    for part in freeze:
        if not any(within(name, [part]) for name in names):
            raise InputError(
                f"Finetune cannot freeze {part!r}: this knowledge has no part of that name; "
                f"its parts are {', '.join(names)}."
            )
