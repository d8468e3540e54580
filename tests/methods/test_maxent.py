"""MaxEnt: the temperature in the source, and how it falls in the target."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.types import Info, Params, Spec, spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.methods.forward.finetune import Finetune
from headstart.methods.forward.maxent import MaxEnt

KEY = jax.random.key(0)
SMALL = SAC(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=4)
FEW = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=8, num_epochs=1, entropy_coef=0.3)


def corridor() -> Spec:
    return spec(probes.task(probes.Corridor(discrete=False)))


@pytest.mark.parametrize(
    ("progress", "target", "alpha"),
    [(0.0, False, 1.0), (0.9, False, 1.0), (0.0, True, 1.0), (0.1, True, 0.1), (0.2, True, 0.01), (0.7, True, 0.01)],
)
def test_the_temperature_falls_log_linearly_in_the_target(progress, target, alpha):
    method = MaxEnt(source_temperature=1.0, target_temperature=0.01, anneal_fraction=0.2)
    assert float(method.temperature(progress, target)) == pytest.approx(alpha, rel=1e-5)


def test_sac_trains_at_that_temperature():
    method = MaxEnt(SMALL, source_temperature=0.5, target_temperature=0.02, anneal_fraction=0.5)
    source, target = probes.task(probes.Corridor(discrete=False)), probes.task(probes.Corridor(discrete=False), True)
    learner, here = probes.taught(method, source, 3)
    np.testing.assert_allclose(here.metrics["alpha"], 0.5, rtol=1e-5)
    there = probes.trained(method.learner(spec(target), target=True), target, 8, prior=here.state)
    assert 0.02 < float(there.metrics["alpha"][0]) < 0.2  # the mean since the start, while it falls from 0.5
    assert learner.phases[0].train == SMALL.learner(spec(source)).phases[0].train


def test_the_loss_of_ppo_is_that_of_its_temperature_as_entropy_coef():
    method = MaxEnt(FEW, source_temperature=0.5, target_temperature=0.02, anneal_fraction=0.5)
    annealed = method.learner(corridor(), target=True)
    plain = PPO(hidden=(4,), num_steps=4, num_envs=2, batch_size=8, num_epochs=1, entropy_coef=0.1).learner(corridor())
    params = plain.init(KEY, None)
    extras = {
        name: np.linspace(-1.0, 1.0, 8, dtype=np.float32)[None] for name in ("log_prob", "advantage", "value_target")
    }
    action = np.linspace(-1.0, 1.0, 8, dtype=np.float32)[None, :, None]
    batch = probes.experience(np.ones((1, 8)), action=action, extras=extras)
    info = Info(KEY, progress=0.25)  # halfway: α = √(0.5 · 0.02) = 0.1

    def slope(learner) -> tuple[Params, dict]:
        return jax.grad(lambda params: learner.phases[0].loss(params, batch, info), has_aux=True)(params)

    (ours, metrics), (theirs, _) = slope(annealed), slope(plain)
    assert float(metrics["alpha"]) == pytest.approx(0.1, rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)


def test_finetune_cuts_the_standard_deviation_beside_it():
    """The two stack: MaxEnt is Finetune's base."""
    method = Finetune(MaxEnt(SMALL), scale_std=0.5)
    learner = method.learner(corridor(), target=True)
    prior = MaxEnt(SMALL).learner(corridor()).init(KEY, None)
    started, obs = learner.init(KEY, prior), jnp.zeros(1)
    added = started["policy"].net(obs) - prior["policy"].net(obs)  # to the mean, and to log σ
    np.testing.assert_allclose(added, [0.0, np.log(0.5)], atol=1e-5)


def test_a_base_without_temperature_is_refused():
    with pytest.raises(InputError, match=r"MaxEnt sets the temperature of SAC or PPO.*; use one of them\.$"):
        MaxEnt(DQN()).learner(spec(probes.task(probes.Corridor())))


@pytest.mark.parametrize(
    "fields", [{"source_temperature": 0.0}, {"target_temperature": -1.0}, {"anneal_fraction": 0.0}]
)
def test_values_out_of_range_are_refused(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        MaxEnt(**fields)
