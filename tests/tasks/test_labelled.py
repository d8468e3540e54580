"""Labels: cumulants of weight 0, and a supervised loss that reads them in the same loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest
from jaxtyping import Array

from headstart.core.errors import InputError
from headstart.core.rollout import reset_envs, rollout
from headstart.core.train import train
from headstart.core.types import Info, Metrics, Params, Phase, Replay, Transition, stack
from headstart.tasks.labelled import Labelled
from headstart.tasks.registry import task
from headstart.tasks.worlds.planar_reacher import PlanarReacher

KEY = jax.random.key(0)
ARM = PlanarReacher(2)


def tip_of(params, state) -> Array:
    """Returns the tip's distance to the goal along both axes, which the observation ends with."""
    return ARM.observe(params, state)[-2:]


LABELLED = Labelled(ARM, ("label_x", "label_y"), tip_of)


def labels(batch: Transition) -> Array:
    return batch.cumulants[..., len(ARM.cumulant_names) :]


def test_labels_have_weight_0_and_do_not_change_rewards():
    tasks, plain = stack([task(LABELLED)]), stack([task(ARM)])
    assert tasks.w[0].tolist() == [*plain.w[0].tolist(), 0.0, 0.0]
    learner = probes.player(lambda obs: jnp.array([0.3, -0.2]))

    @jax.jit
    def played(key: Array) -> tuple[Transition, Transition]:
        each = [rollout(learner, {}, x, reset_envs(learner, x, 2, key), Info(key), 5)[1] for x in (tasks, plain)]
        return each[0], each[1]

    with_labels, without = played(KEY)
    np.testing.assert_array_equal(with_labels.reward, without.reward)
    np.testing.assert_array_equal(with_labels.obs, without.obs)
    np.testing.assert_allclose(labels(with_labels), with_labels.obs[..., -2:], rtol=1e-6)  # of the state that obs shows


def test_a_task_may_weigh_a_label():
    assert task(LABELLED, w={"label_x": 2.0}).w.tolist()[-2:] == [2.0, 0.0]
    with pytest.raises(InputError, match=r"one for each of .*label_x, label_y"):
        task(LABELLED, w={"label_z": 2.0})


def test_a_supervised_loss_learns_from_labels_in_the_loop():
    """A linear map from the observation finds the labels, which are two numbers of it."""

    def loss(params: Params, batch: Transition, info: Info) -> tuple[Array, Metrics]:
        error = jnp.square(batch.obs @ params["map"] - labels(batch)).mean()
        return error, {"error": error}

    size = ARM.observation_space.size
    learner = probes.player(
        lambda obs: jnp.sin(7.0 * obs[:2]), Replay(num_steps=10, num_envs=8, batch_size=80, num_epochs=40)
    )._replace(init=lambda key, prior: {"map": jnp.zeros((size, 2))}, phases=(Phase(loss, ("map",), optax.adam(0.02)),))
    first, *_, last = train(learner, stack([task(LABELLED)]), 1_600, probes.keys(1), num_points=4)
    assert float(last.metrics["error"][0]) < 1e-3
    assert float(first.metrics["error"][0]) > 1e-2
