"""Several tasks of one env: their ids as contexts."""

import pytest

import headstart as hs
from headstart.core.errors import InputError
from headstart.tasks.strings import parse
from headstart.tasks.task_ids import stack_tasks, with_task_id

SOURCES = ("CartPole-v1", "CartPole-v1@force=-10", "CartPole-v1@pole_mass=0.5")


def test_several_tasks_have_ids_and_a_single_one_none():
    tasks = stack_tasks([parse(text) for text in SOURCES])
    assert tasks.context.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert tasks.params["force"].tolist() == [10.0, -10.0, 10.0]  # what one leaves unsaid is nominal
    assert stack_tasks([parse(SOURCES[0])]).context.shape == (1, 0)


def test_a_target_has_the_id_of_a_source_or_none():
    assert with_task_id(parse("CartPole-v1@force=-10"), SOURCES).context.tolist() == [0, 1, 0]
    assert with_task_id(parse("CartPole-v1@force=3"), SOURCES).context.tolist() == [0, 0, 0]
    assert with_task_id(parse("CartPole-v1"), ()).context.shape == (0,)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ("Pendulum-v1", "different envs"),
        ("CartPole-v1@force=5..15", "one draws what another fixes"),
    ],
)
def test_tasks_that_cannot_be_learned_together_are_refused(other: str, sentence: str):
    with pytest.raises(InputError, match=sentence):
        stack_tasks([parse("CartPole-v1@force=10"), parse(other)])


@pytest.mark.parametrize(
    ("tasks", "sentence"),
    [
        ([], "There is no task to train on; give one or several"),
        (["CartPole-v1", "CartPole-v1"], "give one or several, each only once"),
    ],
    ids=["none", "twice"],
)
def test_duplicate_tasks_are_refused(tasks: list[str], sentence: str):
    with pytest.raises(InputError, match=sentence):
        hs.train(hs.PPO(), tasks, 100)
