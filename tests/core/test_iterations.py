"""How many iterations a budget takes, and how many of its steps a target task beside sources takes."""

import jax.numpy as jnp
import probes
import pytest

from headstart.core.iterations import iterations_for, steps_per_iteration, steps_taken
from headstart.core.train import train
from headstart.core.types import Replay, stack

BANDIT = probes.Bandit(lambda number, action: number)
BESIDE = stack([probes.one(BANDIT, target=where) for where in (False, True)])


def learner(length: int, copies: int, spare: int):
    return probes.counter(Replay(num_steps=length, num_envs=copies, batch_size=1, source_steps_per_target_step=spare))


@pytest.mark.parametrize(("length", "copies", "spare"), [(4, 1, 3), (10, 2, 10), (7, 3, 5), (3, 1, 2), (5, 1, 1)])
def test_a_target_plays_every_so_many_th_step_whatever_the_rollouts_length(length: int, copies: int, spare: int):
    how = learner(length, copies, spare)
    for steps in (1, 50, 400):
        turns = iterations_for(how, BESIDE, steps)
        assert steps_taken(how, BESIDE, turns) >= steps > steps_taken(how, BESIDE, turns - 1)
    source = turns * length * copies
    assert steps_taken(how, BESIDE, turns) == source + copies * -(-turns * length // spare)
    assert iterations_for(how, BESIDE, 0) == 0
    assert steps_per_iteration(how, BESIDE) == steps_taken(how, BESIDE, 1)


def test_a_spare_that_does_not_divide_the_rollout_overspends_nothing():
    """Rollouts of 4 steps; the target takes every 3rd one: 1600 steps are 1200 of the source, 400 of the target."""
    played = []

    def prepare(params, rollout, info):
        return {"steps": params["steps"] + rollout.weight.sum((1, 2))}, rollout

    how = learner(4, 1, 3)._replace(init=lambda key, prior: {"steps": jnp.zeros(2)}, prepare=prepare, phases=())
    for point in train(how, BESIDE, 1600, probes.keys(2), num_points=4):
        played.append(point.params["steps"][0].tolist())
    assert played == [[300.0, 100.0], [600.0, 200.0], [900.0, 300.0], [1200.0, 400.0]]
    assert point.steps.tolist() == [1600.0] * 2
