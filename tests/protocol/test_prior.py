"""The state that a method can start from: its own, another method's of the same structure, or an error."""

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

TINY, SPEC = tiny.METHOD, spec(tiny.TASK)


def prior_for(method_after: Method, state: TrainState | None = None, method_before: Method = TINY) -> TrainState:
    """Returns the prior of `method_after` from a state of `method_before`, in equal spaces."""
    state = tiny.learned() if state is None else state
    return move_to_spaces(
        Training(method_before, SPEC, False),
        state,
        space_matching.plan(method_before, SPEC, SPEC),
        method_after,
        SPEC,
        keys(tiny.SEEDS).target,
    )


def initial_state(method_before: Method) -> TrainState:
    """Returns a method's state before its first update."""
    return TrainState(
        space_matching.init_params(method_before, SPEC, keys(tiny.SEEDS).target), (), tiny.learned().updates
    )


@pytest.mark.parametrize(
    "method_after",
    [TINY, Finetune(TINY, optimizer="kept"), EPOpt(TINY), dataclasses.replace(TINY, clip_eps=0.1), Distil(TINY)],
    ids=lambda method_after: type(method_after).__name__,
)
def test_state_of_the_same_structure_is_used_unchanged(method_after: Method):
    assert prior_for(method_after) == tiny.learned()


@pytest.mark.parametrize(
    ("method_after", "sentence"),
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
def test_state_of_another_structure_is_refused(method_after: Method, sentence: str):
    with pytest.raises(InputError, match=sentence):
        prior_for(method_after)


def test_unused_parts_are_dropped_and_added_parts_may_be_missing():
    dqn = DQN(hidden=(4,))
    plain, with_darc = initial_state(dqn), initial_state(DARC(dqn))
    darc_parts = {"darc", "darc_state", "darc_change"}
    assert with_darc.params.keys() == plain.params.keys() | darc_parts
    without_darc = {name: part for name, part in with_darc.params.items() if name not in darc_parts}
    assert prior_for(Finetune(dqn), with_darc, method_before=DARC(dqn)).params == without_darc
    assert prior_for(DARC(dqn), plain, method_before=dqn) == plain
    assert prior_for(DARC(dqn), with_darc, method_before=DARC(dqn)) == with_darc


def test_state_of_another_optimizer_is_refused():
    method_after = Finetune(dataclasses.replace(TINY, clip_eps=0.1), optimizer="kept")
    assert prior_for(method_after) == tiny.learned()
    with pytest.raises(InputError, match=r"optimizers\.0.* is missing there"):
        prior_for(method_after, tiny.learned().replace(optimizers=()))


def test_stacked_methods_keep_the_parts_of_each():
    two_tasks = SPEC._replace(num_tasks=2)
    parts = lambda method: jax.eval_shape(method.learner(two_tasks).init, jax.random.key(0), None).keys()
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
