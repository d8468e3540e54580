"""The shift between tasks: 0 for equal tasks, and the effect of each changed parameter."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.types import Box, Parameter, components
from headstart.protocol.shift import Effect, Policy, Shift, random_returns, shift
from headstart.tasks.registry import task
from headstart.tasks.strings import parse

KEY = jax.random.key(4)
SAME = "Pendulum-v1@mass=1,length=x1"  # the nominal values, written out; tasks that name the same share a compile


@functools.cache
def shift_between(source: str, target: str) -> Shift:
    return shift(parse(source, "c"), parse(target, "c", target=True), KEY)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("CartPole-v1", "CartPole-v1@force=10,gravity=9.8"),
        ("Pendulum-v1", SAME),
        ("Pendulum-v1@mass=1.5", "Pendulum-v1@mass=x1.5,length=1"),
    ],
)
def test_equal_tasks_have_effects_of_exactly_zero(source, target):
    same = shift_between(source, target)
    assert tuple(same.combined) == (0.0,) * 5
    assert same.same
    assert not same.differs
    assert same.parameters == {}
    assert same.values == {}


@pytest.mark.parametrize(
    ("source", "target", "changed", "values"),
    [
        ("Pendulum-v1", "Pendulum-v1@mass=2,length=1", "mass", ("1", "2")),
        ("CartPole-v1", "CartPole-v1@force=-10,gravity=9.8", "force", ("10", "-10")),
    ],
)
def test_changed_parameter_is_detected_and_no_other(source, target, changed, values):
    effect_of = shift_between(source, target)
    assert effect_of.differs
    assert effect_of.values == {changed: values}
    assert list(effect_of.parameters) == [changed]
    assert effect_of.parameters[changed] == effect_of.combined  # as nothing else differs
    assert effect_of.combined.next_state > 0.05
    assert effect_of.combined.initial == 0.0


def test_effect_grows_with_the_change():
    slight, strong = (shift_between(SAME, f"Pendulum-v1@mass={mass},length=1").combined for mass in (1.1, 2))
    assert 0.0 < slight.next_state < strong.next_state


def test_effects_of_several_changes_are_separated():
    """A heavier torso has an effect. Wind has none, since the medium has no density."""
    effect_of = shift_between("Hopper-v5", "Hopper-v5@torso_mass=9,wind=5")
    assert set(effect_of.parameters) == {"torso_mass", "wind"}
    assert effect_of.parameters["torso_mass"].differs
    assert effect_of.parameters["torso_mass"].next_state > 0.01
    assert not effect_of.parameters["wind"].differs
    assert tuple(effect_of.parameters["wind"]) == (0.0,) * 5
    assert effect_of.values["wind"] == ("0", "5")


def test_disturbances_are_detected_as_shifts():
    effect_of = shift_between("Pendulum-v1", "Pendulum-v1@action_delay=2,observation_noise=0.5")
    delay, noise = effect_of.parameters["action_delay"], effect_of.parameters["observation_noise"]
    assert delay.differs
    assert delay.initial == 0.0
    assert delay.next_state > 0.0
    assert noise.initial > 0.1
    assert noise.reward == 0.0  # only what is seen is another
    assert noise.returns == 0.0


def test_changed_reward_is_detected():
    effect_of = shift(parse(SAME), task("Pendulum-v1", target=True, w=[2.0], mass=1, length=1), KEY)
    assert effect_of.differs
    assert effect_of.combined.reward > 0.5
    assert effect_of.combined.returns < -1.0  # it costs twice as much, and the sign says so
    assert effect_of.combined.next_state == effect_of.combined.initial == 0.0
    assert effect_of.parameters == {}


def test_tasks_of_different_envs_are_refused():
    with pytest.raises(InputError, match="different envs"):
        shift(parse("Pendulum-v1"), parse("CartPole-v1"), KEY)


def test_random_policy_has_its_known_returns():
    returns = random_returns(parse("CartPole-v1@force=10,gravity=9.8"), KEY)
    assert returns.shape == (16,)
    assert 12.0 < returns.mean() < 40.0  # about 22
    assert -1600.0 < np.mean(random_returns(parse(SAME), KEY)) < -800.0  # about -1200


class LongCorridor(probes.Corridor):
    """A corridor whose end is 45 steps away. At even places one action moves forward, at odd places the other.

    Neither random actions nor a constant action reach its end.
    """

    length: int = 45

    @property
    def observation_space(self):
        return Box((0.0, 0.0), (1.0, 1.0), components=components("place", "sign"))

    @property
    def parameters(self):
        return tuple(Parameter(name, 1.0, 0.0, 9.0, "", "") for name in ("push", "prize", "ends", "sign"))

    def observe(self, params, state):
        return jnp.stack([state / self.length, params["sign"]])

    def transition(self, params, state, action, key):
        return super().transition(params, state, jnp.where(jnp.round(state) % 2 == action, 1.0, 0.0), key)

    def cumulants(self, params, state, action, next_state):
        return params["prize"] * super().cumulants(params, state, action, next_state)

    def terminal(self, params, state):
        return super().terminal(params, state) & (params["ends"] > 0.5)


def corridor_shift(**params: Any) -> Shift:
    """Returns the shift along random actions, and along those of a policy that moves straight to the end."""
    forward_action = lambda obs: (jnp.round(obs[0] * LongCorridor().length) % 2).astype(jnp.int32)
    return shift(
        probes.one(LongCorridor()), probes.one(LongCorridor(), **params), KEY, Policy(probes.player(forward_action), {})
    )


def test_no_measured_difference_does_not_mean_equal_tasks():
    effect_of = shift(probes.one(LongCorridor()), probes.one(LongCorridor(), prize=5), KEY)
    assert (effect_of.same, effect_of.differs, effect_of.along_policy) == (False, False, False)
    assert effect_of.values == {"prize": ("1", "5")}


def test_trained_policy_reaches_differences_that_random_actions_miss():
    effect_of = corridor_shift(prize=5)
    assert (effect_of.differs, effect_of.along_policy) == (True, True)
    assert effect_of.combined.reward > 0.1
    assert effect_of.combined.termination == 0.0


def test_termination_effect_by_hand():
    effect_of = corridor_shift(ends=0)
    assert effect_of.combined.termination == pytest.approx(0.01)  # of 64 episodes of 50 steps, 32 end once
    assert effect_of.combined == Effect(0.0, 0.0, 0.0, effect_of.combined.termination, 0.0)


def test_component_that_is_constant_in_the_source_is_named():
    assert corridor_shift(sign=1.01).constant == ("sign",)
    assert corridor_shift(push=2).constant == ()


@pytest.mark.parametrize(("returns", "size"), [(-3.0, 3.0), (0.1, 0.2), (float("nan"), float("inf"))])
def test_size_of_an_effect_ignores_the_sign(returns, size):
    assert Effect(0.0, 0.2, 0.0, 0.0, returns).size == size
