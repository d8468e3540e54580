"""The shift doctor: 0 means the same task, and what is not 0 is put down to the parameter that describes."""

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
def found(source: str, target: str) -> Shift:
    return shift(parse(source, "c"), parse(target, "c", target=True), KEY)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("CartPole-v1", "CartPole-v1@force=10,gravity=9.8"),
        ("Pendulum-v1", SAME),
        ("Pendulum-v1@mass=1.5", "Pendulum-v1@mass=x1.5,length=1"),
    ],
)
def test_the_same_task_is_exactly_0_apart(source, target):
    same = found(source, target)
    assert tuple(same.whole) == (0.0,) * 5
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
def test_a_changed_parameter_is_found_and_no_other(source, target, changed, values):
    apart = found(source, target)
    assert apart.differs
    assert apart.values == {changed: values}
    assert list(apart.parameters) == [changed]
    assert apart.parameters[changed] == apart.whole  # as nothing else differs
    assert apart.whole.next_state > 0.05
    assert apart.whole.initial == 0.0


def test_an_effect_grows_with_what_is_changed():
    slight, strong = (found(SAME, f"Pendulum-v1@mass={mass},length=1").whole for mass in (1.1, 2))
    assert 0.0 < slight.next_state < strong.next_state


def test_each_of_several_changes_is_told_apart():
    """A heavier torso matters; wind in no medium does not, however it blows."""
    apart = found("Hopper-v5", "Hopper-v5@torso_mass=9,wind=5")
    assert set(apart.parameters) == {"torso_mass", "wind"}
    assert apart.parameters["torso_mass"].differs
    assert apart.parameters["torso_mass"].next_state > 0.01
    assert not apart.parameters["wind"].differs
    assert tuple(apart.parameters["wind"]) == (0.0,) * 5
    assert apart.values["wind"] == ("0", "5")


def test_disturbances_are_shifts():
    apart = found("Pendulum-v1", "Pendulum-v1@action_delay=2,observation_noise=0.5")
    late, blurred = apart.parameters["action_delay"], apart.parameters["observation_noise"]
    assert late.differs
    assert late.initial == 0.0
    assert late.next_state > 0.0
    assert blurred.initial > 0.1
    assert blurred.reward == 0.0  # only what is seen is another
    assert blurred.returns == 0.0


def test_another_reward_is_another_task():
    apart = shift(parse(SAME), task("Pendulum-v1", target=True, w=[2.0], mass=1, length=1), KEY)
    assert apart.differs
    assert apart.whole.reward > 0.5
    assert apart.whole.returns < -1.0  # it costs twice as much, and the sign says so
    assert apart.whole.next_state == apart.whole.initial == 0.0
    assert apart.parameters == {}


def test_tasks_of_different_envs_have_no_shift_but_a_sentence():
    with pytest.raises(InputError, match="different envs"):
        shift(parse("Pendulum-v1"), parse("CartPole-v1"), KEY)


def test_the_random_policy_is_as_bad_as_it_is_known_to_be():
    returns = random_returns(parse("CartPole-v1@force=10,gravity=9.8"), KEY)
    assert returns.shape == (16,)
    assert 12.0 < returns.mean() < 40.0  # about 22
    assert -1600.0 < np.mean(random_returns(parse(SAME), KEY)) < -800.0  # about -1200


class Far(probes.Corridor):
    """A corridor whose end is 45 steps away, where the two actions take turns to be the one that goes on.

    Neither random actions nor one that is kept come to its end.
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


def far(**params: Any) -> Shift:
    """Returns what is found along random actions, and along those of a policy that goes straight to the end."""
    goes_on = lambda obs: (jnp.round(obs[0] * Far().length) % 2).astype(jnp.int32)
    return shift(probes.one(Far()), probes.one(Far(), **params), KEY, Policy(probes.player(goes_on), {}))


def test_no_difference_seen_is_not_the_same_task():
    apart = shift(probes.one(Far()), probes.one(Far(), prize=5), KEY)
    assert (apart.same, apart.differs, apart.along_policy) == (False, False, False)
    assert apart.values == {"prize": ("1", "5")}


def test_a_policy_comes_to_what_random_actions_do_not():
    apart = far(prize=5)
    assert (apart.differs, apart.along_policy) == (True, True)
    assert apart.whole.reward > 0.1
    assert apart.whole.termination == 0.0


def test_where_episodes_end_is_part_of_the_task():
    apart = far(ends=0)
    assert apart.whole.termination == pytest.approx(0.01)  # of 64 episodes of 50 steps, 32 end once
    assert apart.whole == Effect(0.0, 0.0, 0.0, apart.whole.termination, 0.0)


def test_a_component_that_never_varies_in_the_source_is_named():
    assert far(sign=1.01).constant == ("sign",)
    assert far(push=2).constant == ()


@pytest.mark.parametrize(("returns", "size"), [(-3.0, 3.0), (0.1, 0.2), (float("nan"), float("inf"))])
def test_the_size_of_an_effect_has_no_sign(returns, size):
    assert Effect(0.0, 0.2, 0.0, 0.0, returns).size == size
