"""The same robots in MJX: close to C MuJoCo, in single precision, with the same parameters."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.core.errors import InputError
from headstart.core.types import EnvParams
from headstart.tasks.mujoco import env, make, physics, physics_state
from headstart.tasks.mujoco.env import State

pytest.importorskip("mujoco.mjx")


def played(simulator: Literal["c", "mjx"], params: EnvParams) -> tuple[State, list[State]]:
    """Returns each row's first state and the 20 states that follow. A Python loop, because tracing a scan is slow."""
    robot, keys = make("InvertedPendulum-v5", simulator), jax.random.split(jax.random.key(0), 2)
    start = jax.jit(jax.vmap(robot.initial, (0, None)))(params, keys[0])
    step = jax.jit(jax.vmap(robot.transition, (0, 0, None, None)))
    states = [start]
    for action in np.asarray(jax.random.uniform(keys[1], (20, 1), minval=-0.3, maxval=0.3)):
        states.append(step(params, states[-1], action, keys[1]))
    return start, states[1:]


def test_a_pendulum_in_mjx_is_near_c():
    params = {"pole_mass": jnp.array([5.0, 9.0]), "power": jnp.array([1.0, 0.5])}
    results = []
    for simulator in ("c", "mjx"):
        start, states = played(simulator, params)
        first = jax.tree.map(lambda x: np.asarray(x)[0], start)
        observations = [(state.observation, state.cumulants, state.terminal) for state in states]
        results.append((physics_state(make("InvertedPendulum-v5", simulator), first), observations))
    for ours, theirs in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_mjx_recomputes_quantities_derived_from_mass():
    """Like C's `mj_setConst`."""
    from headstart.tasks.mujoco.mjx import mjx_simulator

    simulator = physics.physics("Hopper-v5")
    names, values = ("armature", "foot_mass", "mass"), np.array([[1.5, 7.0, 1.2]], np.float32)
    want: Any = simulator._stepping.rows(names, values)[0][0]
    fields: Any = jax.jit(mjx_simulator("Hopper-v5").with_parameters)(dict(zip(names, values[0], strict=True)))
    for name in ("body_mass", "body_inertia", "dof_armature", "body_subtreemass", "dof_invweight0", "body_invweight0"):
        np.testing.assert_allclose(getattr(fields, name), getattr(want, name), rtol=1e-3, atol=1e-7, err_msg=name)
    assert float(fields.stat.meaninertia) == pytest.approx(want.stat.meaninertia, rel=1e-4)


def test_a_robot_that_mjx_cannot_run_says_so():
    with pytest.raises(InputError, match="Humanoid-v5 does not run in MJX"):
        make("Humanoid-v5", "mjx")


def test_without_mjx_the_sentence_names_the_extra(monkeypatch):
    monkeypatch.setattr(env.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"headstart\[mjx\]"):
        make("Hopper-v5", "mjx")
    assert make("Hopper-v5", "auto") == make("Hopper-v5", "c")


def test_auto_is_mjx_only_on_an_accelerator(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert make("InvertedPendulum-v5") == make("InvertedPendulum-v5", "c")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert make("InvertedPendulum-v5") == make("InvertedPendulum-v5", "mjx")
    assert make("Humanoid-v5") == make("Humanoid-v5", "c")


def test_a_medium_that_mjx_cannot_compute_says_so():
    from headstart.tasks.mujoco.mjx import mjx_simulator, why_not

    if why_not("Hopper-v5", True) is None:
        assert mjx_simulator("Hopper-v5").with_parameters({"density": jnp.float32(1.2)}).opt.has_fluid_params
    else:
        with pytest.raises(InputError, match="density needs a medium"):
            mjx_simulator("Hopper-v5").with_parameters({"density": jnp.float32(1.2)})
