"""How many turns a budget takes, and what a target beside sources spends of it."""

import jax.numpy as jnp
import probes
import pytest

from headstart.core.train import train
from headstart.core.turns import per_turn, spent, turns_for
from headstart.core.types import Knowledge, Replay, no_loss, stack

BANDIT = probes.Bandit(lambda number, action: number)
BESIDE = stack([probes.one(BANDIT, target=where) for where in (False, True)])


def learner(length: int, copies: int, spare: int):
    return probes.counter(Replay(length=length, copies=copies, batch=1, spare=spare))


@pytest.mark.parametrize(("length", "copies", "spare"), [(4, 1, 3), (10, 2, 10), (7, 3, 5), (3, 1, 2), (5, 1, 1)])
def test_a_target_plays_every_so_many_th_step_whatever_the_rollouts_length(length: int, copies: int, spare: int):
    how = learner(length, copies, spare)
    for steps in (1, 50, 400):
        turns = turns_for(how, BESIDE, steps)
        assert spent(how, BESIDE, turns) >= steps > spent(how, BESIDE, turns - 1)
    source = turns * length * copies
    assert spent(how, BESIDE, turns) == source + copies * -(-turns * length // spare)
    assert turns_for(how, BESIDE, 0) == 0
    assert per_turn(how, BESIDE) == spent(how, BESIDE, 1)


def test_a_spare_that_does_not_divide_the_rollout_overspends_nothing():
    """Rollouts of 4 in which the target plays every 3rd step: 1600 steps are 1200 of the source, 400 of the target."""
    played = []

    def observe(k, fresh, key, progress):
        return k.replace(policy=k.policy + fresh.weight.sum((1, 2))), fresh

    how = learner(4, 1, 3)._replace(
        init=lambda key, prior: Knowledge(policy=jnp.zeros(2)), observe=observe, loss=no_loss
    )
    for point in train(how, BESIDE, 1600, probes.keys(2), points=4):
        played.append(point.knowledge.policy[0].tolist())
    assert played == [[300.0, 100.0], [600.0, 200.0], [900.0, 300.0], [1200.0, 400.0]]
    assert point.steps.tolist() == [1600.0] * 2
