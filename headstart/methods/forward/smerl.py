"""SMERL: several ways to solve the source's task, one for each skill; in the target, the best is found by trial.

Transfers: a policy that is given a skill, which stands for a way to solve the task.
Assumes: the source's task has several nearly optimal solutions, and one of them works in the target.
Fails when: only one solution is good enough, or what changes in the target stops all of them.
Source: arXiv:2010.14484, algorithm 1; constants of github.com/szk9876/SMERL.
Departs from it in: SAC with twin critics and without a value network, or DQN for it; where the optimal return is not
given, it is the highest return of an episode so far; before the first trial, the skill with the highest source return.
"""

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from headstart.core.draw import Draw
from headstart.core.errors import InputError, check_range
from headstart.core.types import (
    Box,
    Info,
    Key,
    Learner,
    Method,
    Params,
    Phase,
    Replay,
    Spec,
    Statistics,
    Transition,
)
from headstart.learners.sac import SAC
from headstart.losses.weighted import weighted_mean
from headstart.nets.mlp import check_network, mlp

RATE = 0.1  # step of a skill's mean return in the source towards the return of an episode
UNDECIDED = -1  # instead of a skill, before an episode's first action in the target


@dataclasses.dataclass(frozen=True)
class SMERL(Method):
    """The base learner with a skill for each episode, and a bonus for skills that differ in nearly optimal episodes."""

    base: Method = dataclasses.field(default_factory=SAC)  # the learner: SAC or DQN
    num_skills: int = 5  # skills, >= 1
    bonus_coef: float = 10.0  # α, weight of the bonus, >= 0
    optimal_return: float | None = None  # R*, undiscounted; None: the highest return of an episode so far
    tolerance: float = 0.1  # ε: episodes with a return of at least R* − ε |R*| have the bonus, >= 0
    episodes_per_skill: int = 1  # trials of each skill in the target, >= 1
    learning_rate: float = 3e-4  # Adam's step size for the discriminator, > 0
    hidden: tuple[int, ...] = (256, 256)  # widths of the discriminator's hidden layers

    def __post_init__(self) -> None:
        for name in ("num_skills", "episodes_per_skill"):
            check_range(self, name, 1, float("inf"))
        for name in ("bonus_coef", "tolerance"):
            check_range(self, name, 0.0, float("inf"))
        check_range(self, "optimal_return", float("-inf"), float("inf"))
        check_range(self, "learning_rate", 0.0, float("inf"), open_low=True)
        check_network(type(self).__name__, self.hidden, "relu")

    def build(self, spec: Spec, target: bool) -> Learner:
        inner = self.base.learner(spec.with_encoded_context(self.num_skills), target)
        inner.replay.check_single_transitions("SMERL", self.base)
        if not isinstance(spec.observation_space, Box):
            raise InputError("SMERL tells skills apart by vectors, and this task has images; use another method.")
        size = spec.observation_space.size

        def init(key, prior):
            if prior is not None:
                return inner.init(key, prior)
            net = mlp((size, *self.hidden, self.num_skills), 0.1, "relu", jax.random.fold_in(key, ord("s")))
            return {"discriminator": net, "skill_returns": skill_returns(self.num_skills), **inner.init(key, None)}

        def init_carry(parameters, info):
            return jnp.int32(UNDECIDED) if target else jax.random.randint(info.key, (), 0, self.num_skills)

        def act(params, carry, obs, context, info):
            if target:  # trials are of the deterministic policy
                chosen = params["skill_returns"].choose(self.episodes_per_skill, info.explore, info.key)
                carry, info = jnp.where(carry == UNDECIDED, chosen, carry), info._replace(explore=0.0)
            action, _, extras = inner.act(params, (), obs, with_skill(context, carry, self.num_skills), info)
            return action, carry, {**extras, "skill": carry}

        def prepare(params, rollout, info):
            returns = params["skill_returns"].update(rollout, target)
            params = {**params, "skill_returns": returns}
            return (params, rollout) if target else inner.prepare(params, rollout, info)

        def classify(params, batch, info):
            """Trains the discriminator to tell the skill from the next observation."""

            one = lambda t: {"discriminator_loss": -skill_log_prob(params, t)}
            mean = weighted_mean(jax.vmap(jax.vmap(one))(batch), batch.weight)
            return mean["discriminator_loss"], mean

        def with_bonus(phase: Phase) -> Phase:
            def sample(params: Params, draw: Draw, info: Info) -> Transition:
                t = phase.sample(params, draw, info)
                good = nearly_optimal(draw, self.optimal_return, self.tolerance, params["skill_returns"])
                bonus = jax.vmap(jax.vmap(lambda t: skill_log_prob(params, t)))(t) + jnp.log(self.num_skills)
                skill = t.extras["skill"]
                next_context = with_skill(t.next_context, skill, self.num_skills)
                return t.replace(
                    reward=t.reward + jnp.where(good, self.bonus_coef * bonus, 0.0),
                    context=with_skill(t.context, skill, self.num_skills),
                    extras={**t.extras, "next_context": next_context, "has_bonus": good.astype(jnp.float32)},
                )

            def loss(params: Params, batch: Transition, info: Info):
                total, metrics = phase.loss(params, batch, info)
                return total, {**metrics, **weighted_mean({"bonus_share": batch.extras["has_bonus"]}, batch.weight)}

            return phase._replace(loss=loss, sample=sample)

        learner = inner._replace(
            init=init, init_carry=init_carry, act=act, prepare=prepare, policy_contract=lambda params: None
        )
        if target:  # it only chooses among skills
            return learner._replace(phases=(), replay=Replay(num_steps=1, num_envs=1, batch_size=1))
        discriminator = Phase(classify, ("discriminator",), optax.adam(self.learning_rate))
        return learner._replace(phases=(discriminator, *map(with_bonus, inner.phases)))


class SkillReturns(Statistics):
    """Returns of each skill's episodes: in the source, and in the trials of the target."""

    highest: Float[Array, "*seed"]  # of an episode in the source; -inf: none ended
    source: Float[Array, "*seed skill"]  # moving mean in the source; -inf: none ended
    total: Float[Array, "*seed skill"]  # summed over the target's trials
    trials: Float[Array, "*seed skill"]  # episodes in the target

    def update(self, rollout: Transition, target: bool) -> Self:
        """Returns the statistics with the episodes that ended in a rollout [task, time, env]."""
        ended = rollout.last & (rollout.weight > 0)
        returns = jnp.where(ended, rollout.episode_return, 0.0)
        of_skill = jax.nn.one_hot(rollout.extras["skill"], self.source.shape[-1]) * ended[..., None]
        episodes, total = of_skill.sum((0, 1, 2)), (of_skill * returns[..., None]).sum((0, 1, 2))
        if target:
            return self.replace(total=self.total + total, trials=self.trials + episodes)
        mean = total / jnp.maximum(episodes, 1.0)
        before = jnp.where(jnp.isneginf(self.source), mean, self.source)  # it starts at the first returns
        source = before + (1.0 - (1.0 - RATE) ** episodes) * (mean - before)
        highest = jnp.where(ended, rollout.episode_return, -jnp.inf).max()
        return self.replace(
            highest=jnp.maximum(self.highest, highest), source=jnp.where(episodes > 0, source, self.source)
        )

    def choose(self, episodes: int, explore: Array | float, key: Key) -> Int[Array, ""]:
        """Returns the skill of an episode in the target.

        In training, it is one of those tried least, until each has had so many `episodes`. After that, and in
        evaluation, it is the one with the highest mean return in the target; before any trial, in the source.
        """
        mean = jnp.where(self.trials > 0, self.total / jnp.maximum(self.trials, 1.0), -jnp.inf)
        best = jnp.where(self.trials.sum() > 0, jnp.argmax(mean), jnp.argmax(self.source))
        least = self.trials == self.trials.min()
        untried = jnp.argmax(jnp.where(least, jax.random.uniform(key, least.shape), -1.0))
        return jnp.where((explore > 0) & (self.trials.min() < episodes), untried, best)

    def for_new_training(self) -> Self:
        """Returns the statistics before any trial."""
        zeros = jnp.zeros_like(self.trials)
        return self.replace(total=zeros, trials=zeros)


def skill_returns(num_skills: int) -> SkillReturns:
    """Returns the statistics before any episode."""
    zeros = jnp.zeros(num_skills)
    return SkillReturns(jnp.float32(-jnp.inf), jnp.full(num_skills, -jnp.inf), zeros, zeros)


def with_skill(context: Float[Array, "*n c"], skill: Int[Array, "*n"], num_skills: int) -> Float[Array, "*n d"]:
    """Returns the context with the skill's one-hot vector after it."""
    return jnp.concatenate([context, jax.nn.one_hot(skill, num_skills)], axis=-1)


def skill_log_prob(params: Params, t: Transition) -> Float[Array, ""]:
    """Returns log q(z|s') of a transition: how well the discriminator tells its skill from its next observation."""
    return jax.nn.log_softmax(params["discriminator"](t.next_obs))[t.extras["skill"]]


def nearly_optimal(
    draw: Draw, optimal_return: float | None, tolerance: float, returns: SkillReturns
) -> Bool[Array, "task batch"]:
    """Returns which rows of the draw are of an episode that ended with a return of at least R* − ε |R*|."""
    left, ended = draw.steps_left(draw.rows)
    episode_return = draw.take(draw.later(draw.rows, left)).episode_return
    best = returns.highest if optimal_return is None else jnp.float32(optimal_return)
    return ended & (episode_return >= best - tolerance * jnp.abs(best))
