"""Shapes of the state after a sequence of trainings, and errors that a dry run raises before any training."""

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

TINY, SPEC = tiny.METHOD, spec(tiny.TASK)
THREE_TASKS = SPEC._replace(num_tasks=3, context_dim=3)
ADAPTED_SPEC = SPEC._replace(context_dim=3)


def names(*stages: Training) -> set[str]:
    """Returns the names of all arrays of the state after these trainings."""
    return set(named(params_after(stages)))


def test_derived_shapes_equal_those_of_a_training():
    derived = {name: (x.shape, x.dtype) for name, x in named(params_after((Training(TINY, SPEC, False),))).items()}
    expected = jax.tree.map(lambda x: x[:1], tiny.learned())
    assert derived == {name: (x.shape, x.dtype) for name, x in named(expected).items()}


def test_l2_sp_keeps_the_initial_params_in_the_optimizer_state():
    adapted = names(Training(TINY, SPEC, False), Training(Finetune(TINY, l2_sp=0.1), SPEC, True))
    assert {name for name in adapted if name.startswith("optimizers.0.0.policy")}
    assert not {name for name in names(Training(TINY, SPEC, False)) if name.startswith("optimizers.0.0.policy")}


def test_parts_of_the_sources_are_kept_or_dropped_by_the_method():
    active, distil = ActiveSampling(TINY), Distil(TINY)
    sampled = Training(active, THREE_TASKS, False)
    assert "params.task_returns.returns" in names(sampled, Training(active, ADAPTED_SPEC, True))
    assert "params.task_returns.returns" not in names(sampled, Training(Finetune(TINY), ADAPTED_SPEC, True))
    student = Training(distil, THREE_TASKS, False)
    assert any("params.teachers." in name for name in names(student))
    assert not any("params.teachers." in name for name in names(student, Training(distil, ADAPTED_SPEC, True)))


def test_transfers_can_follow_each_other():
    identified = (Training(UPOSI(TINY), SPEC, False), Training(UPOSI(TINY), SPEC, True))
    repeated = names(
        *identified, Training(Finetune(UPOSI(TINY), l2_sp=0.1), SPEC, True), Training(UPOSI(TINY), SPEC, True)
    )
    assert repeated == names(*identified)
    assert names(Training(TINY, SPEC, True)) == names(Training(TINY, SPEC, False))  # from nothing
    with_kept_optimizer = Training(Finetune(TINY, optimizer="kept"), SPEC, True)
    assert names(Training(TINY, SPEC, False), with_kept_optimizer, with_kept_optimizer) == names(
        Training(TINY, SPEC, False)
    )


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ((Training(TINY, SPEC, True), Training(TINY, SPEC, False)), "only trainings in a target can"),
        (
            (
                Training(TINY, SPEC, False),
                Training(Finetune(TINY, l2_sp=0.1), SPEC, True),
                Training(Finetune(TINY, optimizer="kept"), SPEC, True),
            ),
            r"Finetune cannot start from what Finetune learned: optimizers",
        ),
    ],
    ids=["back to a source", "moments of another optimizer"],
)
def test_trainings_that_cannot_follow_are_refused(stages: tuple[Training, ...], sentence: str):
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
def test_dry_run_refuses_unknown_parameter_names(method: Method):
    with pytest.raises(NameInputError, match=r"cannot .* 'policy\.nothing'.*the names are .*policy\.net\.last\.weight"):
        dry_run(method, SPEC, source=SPEC)


def test_dry_run_accepts_known_parameter_names():
    dry_run(Finetune(dataclasses.replace(TINY, clip_eps=0.1), freeze=("policy.net",)), SPEC, source=SPEC)
