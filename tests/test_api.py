"""What `import headstart` offers."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

import headstart as hs
from headstart.core.train import Progress
from headstart.core.types import spec
from headstart.lab import api
from headstart.protocol.transfer import Evaluation

CORRIDOR = jax.tree.map(lambda x: x[0], tiny.TASK)


@pytest.fixture(scope="module")
def trained() -> hs.Trained:
    """Returns what one seed learned of a corridor: one number is seen, and two choices are there."""
    state = jax.tree.map(lambda x: x[:1], tiny.learned())
    return hs.Trained(tiny.METHOD, spec(tiny.TASK), state, "Corridor", 16, tiny.SEEDS[0])


def test_every_public_name_is_there():
    assert sorted(hs.__all__) == sorted(hs._HOME)
    assert dir(hs) == sorted(hs.__all__)
    for name in hs.__all__:
        assert getattr(hs, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'DreamerV3'"):
        hs.DreamerV3  # noqa: B018


def test_what_is_trained_is_judged_by_its_returns(trained):
    returns = hs.evaluate(trained, CORRIDOR, episodes=4)
    assert returns.shape == (4,)
    np.testing.assert_array_equal(returns, hs.evaluate(trained, CORRIDOR, episodes=4))


def test_knowledge_stays_within_its_spaces(trained):
    with pytest.raises(
        hs.InputError, match=r"trained on Corridor and CartPole-v1 have unequal observation .*\(1 and 4"
    ):
        hs.evaluate(trained, "CartPole-v1")
    with pytest.raises(
        hs.InputError, match=r"The observation spaces differ .1 and 3 components., and one of them has no names"
    ):
        hs.transfer(trained, hs.task("Pendulum-v1"), steps=100)
    other_spec = trained.spec._replace(observation_space=hs.task("Pendulum-v1").env.observation_space)
    with pytest.raises(hs.InputError, match="unequal action spaces"):
        hs.evaluate(hs.Trained(tiny.METHOD, other_spec, trained.state, "Corridor", 16, 0), "Pendulum-v1")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda trained: hs.train(hs.PPO(), "CartPole-v1", steps=0), "steps is 0, but a budget is at least 1"),
        (lambda trained: hs.train(hs.PPO(), "CartPole-v1", steps=10, seed=-1), "a seed is a whole number from 0"),
        (lambda trained: hs.train(hs.PPO(), "CartPol", steps=10), "the nearest"),
        (lambda trained: hs.evaluate(trained, CORRIDOR, episodes=0), "episodes is 0"),
        (lambda trained: hs.transfer(trained, CORRIDOR, steps=-2), "steps is -2"),
        (lambda trained: hs.transfer(trained, CORRIDOR, steps=2, shots=[0, -1]), "shots has -1"),
        (lambda trained: hs.transfer(trained, CORRIDOR, steps=2, eval_episodes=0), "eval_episodes is 0"),
        (lambda trained: hs.compare("naiv", "CartPole-v1", "CartPole-v1@force=5", "out"), "There is no method 'naiv'"),
    ],
)
def test_invalid_arguments_are_refused(trained, call, sentence):
    with pytest.raises(hs.InputError, match=sentence):
        call(trained)


def test_a_name_that_is_not_there_is_found_before_the_first_step(tmp_path):
    method = hs.Finetune(tiny.METHOD, freeze=("value.nett",))
    with pytest.raises(hs.InputError, match=r"cannot freeze 'value\.nett'.*the names are .*value\.last\.bias"):
        hs.train(method, CORRIDOR, steps=16, keep=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_learning_that_went_wrong_is_no_result(trained, monkeypatch):
    broken = jax.tree.map(lambda x: x * jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else x, trained.state)
    none, zero = np.zeros(1), np.zeros(1, np.float32)

    def points(*args: Any, **how: Any) -> Iterator[Progress]:
        yield Progress(broken, none, none, none, {})

    def judgements(*args: Any) -> Iterator[Evaluation]:
        yield Evaluation(zero, zero, zero, zero, np.full((1, 2), np.nan, np.float32), 0, broken, {})

    monkeypatch.setattr(api, "learn_source", points)
    monkeypatch.setattr(api.protocol, "adapt", judgements)
    with pytest.raises(hs.InputError, match=r"The training on CartPole-v1 diverged.*Lower learning_rate"):
        hs.train(hs.PPO(), "CartPole-v1", steps=10)
    with pytest.raises(hs.InputError, match=r"The training on Corridor diverged.*Lower learning_rate"):
        hs.transfer(trained, CORRIDOR, steps=10)


def test_a_watcher_sees_the_way(trained, monkeypatch):
    none = np.zeros(1)
    made = [Progress(trained.state, none + 8.0 * i, none, none + i, {}) for i in (1, 2)]
    monkeypatch.setattr(api, "learn_source", lambda *args, **how: iter(made))
    seen = []
    after = hs.train(tiny.METHOD, CORRIDOR, steps=16, seed=5, watch=seen.append)
    assert seen == made
    assert (after.steps, after.gradient_steps, after.seed, after.trained_on) == (16, 2, 5, "Corridor")
