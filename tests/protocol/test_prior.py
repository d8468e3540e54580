"""What a method may begin from: what it learned itself, what another did if that is of the same form, or a sentence."""

import dataclasses

import jax
import pytest
import tiny

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.types import Knowledge, Method, TrainState, spec
from headstart.learners.dqn import DQN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.distil import Distil
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.protocol.prior import Training, moved
from headstart.protocol.transfer import keys

TINY, OF = tiny.METHOD, spec(tiny.TASK)


def begun(how: Method, state: TrainState | None = None, known: Method = TINY) -> TrainState:
    """-> what `how` may begin from of what `known` left, where nothing is seen or done otherwise."""
    state = tiny.learned() if state is None else state
    return moved(
        Training(known, OF, False), state, space_matching.plan(known, OF, OF), how, OF, keys(tiny.SEEDS).target
    )


def left(known: Method) -> TrainState:
    """-> what it knows before it has learned anything."""
    knowledge = space_matching.init_knowledge(known, OF, keys(tiny.SEEDS).target)
    return TrainState(knowledge, None, None, tiny.learned().gradient_steps)


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
        (DQN(), r"DQN cannot begin from what PPO learned: value.* is of shape \(1, 4\) there, and of shape \(1, 128\)"),
        (
            dataclasses.replace(TINY, hidden=(5,)),
            r"policy\.net.* is of shape \(1, 4\) there, and of shape \(1, 5\) here",
        ),
        (dataclasses.replace(TINY, activation="relu"), r"policy are of the same shapes, but used otherwise"),
        (UniversalPolicy(TINY), r"\(1, 4\) there, and of shape \(2, 4\) here\. Go on by the method that learned it"),
        (UPOSI(TINY), r"UPOSI cannot begin"),
        (Recurrent(TINY), r"policy\.inner\.net.* is missing there"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Method) else "",
)
def test_what_is_of_another_form_is_refused(how: Method, sentence: str):
    with pytest.raises(InputError, match=sentence):
        begun(how)


def test_a_model_that_is_of_no_use_stays_behind_and_one_that_is_missing_is_made():
    dqn = DQN(hidden=(4,))
    plain, told = left(dqn), left(DARC(dqn))
    assert told.knowledge.model is not None
    assert begun(Finetune(dqn), told, known=DARC(dqn)).knowledge == told.knowledge.replace(model=None)
    assert begun(DARC(dqn), plain, known=dqn) == plain
    assert begun(DARC(dqn), told, known=DARC(dqn)) == told


def test_moments_of_another_optimizer_are_refused():
    how = Finetune(dataclasses.replace(TINY, clip_eps=0.1), optimizer="kept")
    assert begun(how) == tiny.learned()
    with pytest.raises(InputError, match=r"optimizer.* is missing there"):
        begun(how, tiny.learned().replace(optimizer=None))


def test_a_model_is_not_overwritten():
    mine = Knowledge(model=jax.numpy.zeros(3))
    with pytest.raises(InputError, match="DARC keeps a model, and what it builds on keeps another in its place"):
        mine.with_model("DARC", jax.numpy.ones(2))
    assert Knowledge().with_model("DARC", 1).model == 1
