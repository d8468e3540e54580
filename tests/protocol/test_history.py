"""What trainings leave, told by replay: chains of them, and names that do not fit, found before anything is learned."""

import dataclasses

import jax
import pytest
import tiny

from headstart.core.errors import InputError, NameInputError
from headstart.core.names import named
from headstart.core.types import Method, spec
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.active import ActiveSampling
from headstart.methods.multitask.distil import Distil
from headstart.methods.randomization.epopt import EPOpt
from headstart.methods.randomization.uposi import UPOSI
from headstart.protocol.history import left, rehearse
from headstart.protocol.prior import Stage

TINY, OF = tiny.METHOD, spec(tiny.TASK)
THREE = OF._replace(tasks=3, context=3)
ADAPTED = OF._replace(context=3)


def names(*stages: Stage) -> set[str]:
    """Returns the names of all arrays that these trainings leave."""
    return set(named(left(stages)))


def test_what_a_training_leaves_has_the_shapes_of_what_it_left():
    told = {name: (x.shape, x.dtype) for name, x in named(left((Stage(TINY, OF, False),))).items()}
    one = jax.tree.map(lambda x: x[:1], tiny.learned())
    assert told == {name: (x.shape, x.dtype) for name, x in named(one).items()}


def test_a_pull_back_to_the_start_holds_the_start():
    adapted = names(Stage(TINY, OF, False), Stage(Finetune(TINY, l2_sp=0.1), OF, True))
    assert {name for name in adapted if name.startswith("optimizer.0.policy")}
    assert not {name for name in names(Stage(TINY, OF, False)) if name.startswith("optimizer.0.policy")}


def test_what_is_known_of_sources_alone_comes_along_or_stays_behind_as_methods_say():
    active, distil = ActiveSampling(TINY), Distil(TINY)
    sampled = Stage(active, THREE, False)
    assert "knowledge.model.returns" in names(sampled, Stage(active, ADAPTED, True))
    assert "knowledge.model.returns" not in names(sampled, Stage(Finetune(TINY), ADAPTED, True))
    student = Stage(distil, THREE, False)
    assert any(".experts." in name for name in names(student))
    assert not any(".experts." in name for name in names(student, Stage(distil, ADAPTED, True)))


def test_transfers_follow_one_another():
    identified = (Stage(UPOSI(TINY), OF, False), Stage(UPOSI(TINY), OF, True))
    again = names(*identified, Stage(Finetune(UPOSI(TINY), l2_sp=0.1), OF, True), Stage(UPOSI(TINY), OF, True))
    assert again == names(*identified)
    assert names(Stage(TINY, OF, True)) == names(Stage(TINY, OF, False))  # from nothing
    kept = Stage(Finetune(TINY, optimizer="kept"), OF, True)
    assert names(Stage(TINY, OF, False), kept, kept) == names(Stage(TINY, OF, False))


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ((Stage(TINY, OF, True), Stage(TINY, OF, False)), "only those in a target can"),
        (
            (
                Stage(TINY, OF, False),
                Stage(Finetune(TINY, l2_sp=0.1), OF, True),
                Stage(Finetune(TINY, optimizer="kept"), OF, True),
            ),
            r"Finetune cannot begin from what Finetune learned: optimizer",
        ),
    ],
    ids=["back to a source", "moments of another optimizer"],
)
def test_what_cannot_follow_is_told_in_a_sentence(stages: tuple[Stage, ...], sentence: str):
    with pytest.raises(InputError, match=sentence):
        left(stages)


@pytest.mark.parametrize(
    "method",
    [
        Finetune(TINY, freeze=("policy.nothing",)),
        Finetune(TINY, reset=("policy.nothing",)),
        Finetune(TINY, rates=("policy.nothing=0.1",)),
        EPOpt(Finetune(TINY, freeze=("policy.nothing",))),
    ],
    ids=["freeze", "reset", "rates", "within"],
)
def test_a_name_that_is_not_there_is_found_before_anything_is_run(method: Method):
    with pytest.raises(NameInputError, match=r"cannot .* 'policy\.nothing'.*its parts are .*policy\.net\.last\.weight"):
        rehearse(method, OF, source=OF)


def test_names_that_are_there_are_fine():
    rehearse(Finetune(dataclasses.replace(TINY, clip=0.1), freeze=("policy.net",)), OF, source=OF)
