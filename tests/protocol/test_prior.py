"""What a method may begin from: what it learned itself, what another did if that is of the same form, or a sentence."""

import dataclasses

import jax
import pytest
import tiny

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.types import Method, TrainState, spec
from headstart.learners.dqn import DQN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.active import ActiveSampling
from headstart.methods.multitask.distil import Distil
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.protocol.prior import Training, move_to_spaces
from headstart.protocol.transfer import keys

TINY, OF = tiny.METHOD, spec(tiny.TASK)


def begun(how: Method, state: TrainState | None = None, known: Method = TINY) -> TrainState:
    """Returns what `how` may begin from of what `known` left, where nothing is seen or done otherwise."""
    state = tiny.learned() if state is None else state
    return move_to_spaces(
        Training(known, OF, False), state, space_matching.plan(known, OF, OF), how, OF, keys(tiny.SEEDS).target
    )


def left(known: Method) -> TrainState:
    """Returns a method's state before its first update."""
    return TrainState(space_matching.init_params(known, OF, keys(tiny.SEEDS).target), (), tiny.learned().updates)


@pytest.mark.parametrize(
    "how",
    [TINY, Finetune(TINY, optimizer="kept"), EPOpt(TINY), dataclasses.replace(TINY, clip_eps=0.1), Distil(TINY)],
    ids=lambda how: type(how).__name__,
)
def test_what_is_of_the_same_form_is_begun_with_as_it_is(how: Method):
    assert begun(how) == tiny.learned()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (DQN(), r"DQN cannot start from what PPO learned: value\.net.* is missing there, and of shape .* here"),
        (
            dataclasses.replace(TINY, hidden=(5,)),
            r"policy\.net.* is of shape \(1, 4\) there, and of shape \(1, 5\) here",
        ),
        (
            dataclasses.replace(TINY, activation="relu"),
            r"arrays of its policy have the same shapes, but another use \(such as another activation\)",
        ),
        (
            UniversalPolicy(TINY),
            r"\(1, 4\) there, and of shape \(2, 4\) here\. Continue with the method that learned it",
        ),
        (UPOSI(TINY), r"UPOSI cannot start"),
        (Recurrent(TINY), r"policy\.inner\.net.* is missing there"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Method) else "",
)
def test_what_is_of_another_form_is_refused(how: Method, sentence: str):
    with pytest.raises(InputError, match=sentence):
        begun(how)


def test_parts_that_are_not_used_are_dropped_and_those_that_are_added_may_be_missing():
    dqn = DQN(hidden=(4,))
    plain, told = left(dqn), left(DARC(dqn))
    own = {"darc", "darc_state", "darc_change"}
    assert told.params.keys() == plain.params.keys() | own
    rest = {name: part for name, part in told.params.items() if name not in own}
    assert begun(Finetune(dqn), told, known=DARC(dqn)).params == rest
    assert begun(DARC(dqn), plain, known=dqn) == plain
    assert begun(DARC(dqn), told, known=DARC(dqn)) == told


def test_moments_of_another_optimizer_are_refused():
    how = Finetune(dataclasses.replace(TINY, clip_eps=0.1), optimizer="kept")
    assert begun(how) == tiny.learned()
    with pytest.raises(InputError, match=r"optimizers\.0.* is missing there"):
        begun(how, tiny.learned().replace(optimizers=()))


def test_methods_that_are_stacked_keep_the_parts_of_each():
    of = OF._replace(num_tasks=2)
    parts = lambda method: jax.eval_shape(method.learner(of).init, jax.random.key(0), None).keys()
    plain = {"normalizer", "policy", "value", "returns"}
    assert parts(TINY) == plain
    assert parts(UniversalPolicy(TINY)) == {*plain, "parameter_scale"}
    assert parts(ActiveSampling(TINY)) == {*plain, "task_returns"}
    assert parts(ActiveSampling(UniversalPolicy(TINY))) == {*plain, "parameter_scale", "task_returns"}
    assert parts(UniversalPolicy(ActiveSampling(TINY))) == {*plain, "parameter_scale", "task_returns"}
    dqn = DQN(hidden=(4,))
    assert parts(DARC(Recurrent(dqn, asymmetric_critic=False))) == {
        *("value", "target", "epsilon", "recurrent", "recurrent_scale", "darc", "darc_state", "darc_change")
    }
