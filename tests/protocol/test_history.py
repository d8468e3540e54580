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
from headstart.protocol.history import dry_run, params_after
from headstart.protocol.prior import Training

TINY, OF = tiny.METHOD, spec(tiny.TASK)
THREE = OF._replace(num_tasks=3, context_dim=3)
ADAPTED = OF._replace(context_dim=3)


def names(*stages: Training) -> set[str]:
    """Returns the names of all arrays that these trainings leave."""
    return set(named(params_after(stages)))


def test_what_a_training_leaves_has_the_shapes_of_what_it_left():
    told = {name: (x.shape, x.dtype) for name, x in named(params_after((Training(TINY, OF, False),))).items()}
    one = jax.tree.map(lambda x: x[:1], tiny.learned())
    assert told == {name: (x.shape, x.dtype) for name, x in named(one).items()}


def test_a_pull_back_to_the_start_holds_the_start():
    adapted = names(Training(TINY, OF, False), Training(Finetune(TINY, l2_sp=0.1), OF, True))
    assert {name for name in adapted if name.startswith("optimizers.0.0.policy")}
    assert not {name for name in names(Training(TINY, OF, False)) if name.startswith("optimizers.0.0.policy")}


def test_what_is_known_of_sources_alone_comes_along_or_stays_behind_as_methods_say():
    active, distil = ActiveSampling(TINY), Distil(TINY)
    sampled = Training(active, THREE, False)
    assert "params.task_returns.returns" in names(sampled, Training(active, ADAPTED, True))
    assert "params.task_returns.returns" not in names(sampled, Training(Finetune(TINY), ADAPTED, True))
    student = Training(distil, THREE, False)
    assert any("params.teachers." in name for name in names(student))
    assert not any("params.teachers." in name for name in names(student, Training(distil, ADAPTED, True)))


def test_transfers_follow_one_another():
    identified = (Training(UPOSI(TINY), OF, False), Training(UPOSI(TINY), OF, True))
    again = names(*identified, Training(Finetune(UPOSI(TINY), l2_sp=0.1), OF, True), Training(UPOSI(TINY), OF, True))
    assert again == names(*identified)
    assert names(Training(TINY, OF, True)) == names(Training(TINY, OF, False))  # from nothing
    kept = Training(Finetune(TINY, optimizer="kept"), OF, True)
    assert names(Training(TINY, OF, False), kept, kept) == names(Training(TINY, OF, False))


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ((Training(TINY, OF, True), Training(TINY, OF, False)), "only trainings in a target can"),
        (
            (
                Training(TINY, OF, False),
                Training(Finetune(TINY, l2_sp=0.1), OF, True),
                Training(Finetune(TINY, optimizer="kept"), OF, True),
            ),
            r"Finetune cannot start from what Finetune learned: optimizers",
        ),
    ],
    ids=["back to a source", "moments of another optimizer"],
)
def test_what_cannot_follow_is_told_in_a_sentence(stages: tuple[Training, ...], sentence: str):
    with pytest.raises(InputError, match=sentence):
        params_after(stages)


@pytest.mark.parametrize(
    "method",
    [
        Finetune(TINY, freeze=("policy.nothing",)),
        Finetune(TINY, reset=("policy.nothing",)),
        Finetune(TINY, learning_rate_scales=("policy.nothing=0.1",)),
        EPOpt(Finetune(TINY, freeze=("policy.nothing",))),
    ],
    ids=["freeze", "reset", "rates", "within"],
)
def test_a_name_that_is_not_there_is_found_before_anything_is_run(method: Method):
    with pytest.raises(NameInputError, match=r"cannot .* 'policy\.nothing'.*the names are .*policy\.net\.last\.weight"):
        dry_run(method, OF, source=OF)


def test_names_that_are_there_are_fine():
    dry_run(Finetune(dataclasses.replace(TINY, clip_eps=0.1), freeze=("policy.net",)), OF, source=OF)
