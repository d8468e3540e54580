"""Many rows at once: each with its own parameters, independent of each other, and one compilation for all values."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from probes import floats

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.types import stack
from headstart.tasks.mujoco import NAMES, make, physics, physics_state
from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.mujoco.bits import as_typed, to_double_halves
from headstart.tasks.mujoco.models import Models
from headstart.tasks.mujoco.rows import Rows, _library

HOPPER = make("Hopper-v5", "c")
DERIVED = ("body_subtreemass", "dof_invweight0", "body_invweight0", "dof_M0", "actuator_acc0")


def rolled(params, key, steps=40):
    """Returns the observations of one row over some steps of random actions."""
    k_start, k_play = jax.random.split(key)

    def step(state, key):
        action = jax.random.uniform(key, (3,), minval=-1.0, maxval=1.0)
        state = HOPPER.transition(params, state, action, key)
        return state, state.observation

    return jax.lax.scan(step, HOPPER.initial(params, k_start), jax.random.split(k_play, steps))[1]


def models(names, *rows) -> Any:
    """Returns one row's model, after each of these values in turn."""
    simulator = physics.physics("Hopper-v5")
    held = Models(simulator.model, simulator.table, derive=True)
    for row in rows:
        (model,), _ = held.rows(names, np.array([row], np.float32))
    return model


def numbers(model):
    fields = {name: getattr(model, name) for name in dir(model) if not name.startswith("__")}
    return {name: value.copy() for name, value in fields.items() if isinstance(value, np.ndarray)}


def test_values_never_recompile():
    traces = []

    @jax.jit
    def play(masses, keys):
        traces.append(1)
        return jax.vmap(lambda m, k: rolled({"torso_mass": m}, k))(masses, keys)

    keys = jax.random.split(jax.random.key(0), 9)
    first = play(jnp.linspace(3.0, 9.0, 9), keys)
    second = play(jnp.linspace(2.0, 8.0, 9), keys)
    assert len(traces) == 1
    assert not np.allclose(first, second)


def test_each_row_of_a_nested_batch_is_its_own_single_run():
    masses = jnp.array([[3.0, 6.3, 9.0], [2.0, 4.0, 8.0]])
    keys = jax.random.split(jax.random.key(1), (2, 3))
    together = jax.jit(jax.vmap(jax.vmap(lambda m, k: rolled({"torso_mass": m}, k))))(masses, keys)
    alone = jax.jit(lambda m, k: rolled({"torso_mass": m}, k))
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(together[i, j], alone(masses[i, j], keys[i, j]))


def test_call_sites_with_other_rows_and_names_do_not_disturb_each_other():
    key = jax.random.key(2)
    heavy = jax.jit(lambda: rolled({"torso_mass": jnp.float32(9.0)}, key))
    slippery = jax.jit(lambda: jax.vmap(lambda f: rolled({"friction": f}, key))(jnp.array([0.1, 0.2, 0.3])))
    nominal = jax.jit(lambda: rolled({}, key))
    before = heavy(), slippery(), nominal()
    for _ in range(2):
        for now, was in zip((heavy(), slippery(), nominal()), before, strict=True):
            np.testing.assert_array_equal(now, was)


def test_repeated_changes_do_not_accumulate():
    names = ("mass", "power")
    once, repeated = models(names, (2, 2)), models(names, (2, 2), (3, 1), (2, 2), (2, 2))
    nominal = physics.physics("Hopper-v5").model
    np.testing.assert_array_equal(once.body_mass, 2 * nominal.body_mass)
    np.testing.assert_array_equal(once.body_inertia, 2 * nominal.body_inertia)
    for name, value in numbers(once).items():
        np.testing.assert_array_equal(value, getattr(repeated, name), err_msg=name)


def test_nominal_values_restore_the_model():
    back = models(("damping", "gravity", "torso_mass"), (3, 1, 9), (1, 9.81, 3.6651914291880923))
    for name, value in numbers(physics.physics("Hopper-v5").model).items():
        np.testing.assert_array_equal(value, getattr(back, name), err_msg=name)


def test_derived_constants_are_those_of_a_freshly_compiled_model():
    """Twice the density in the XML is twice the mass and inertia of every body."""
    simulator = physics.physics("Hopper-v5")
    spec = mujoco.MjSpec.from_string(HOPPER_XML)
    compiled = spec.compile()
    changed = models(("mass",), (2,))
    np.testing.assert_allclose(compiled.body_mass, 2 * simulator.model.body_mass, rtol=1e-12)
    for name in DERIVED:
        np.testing.assert_allclose(getattr(changed, name), getattr(compiled, name), rtol=1e-9, err_msg=name)
    assert changed.stat.meaninertia == pytest.approx(compiled.stat.meaninertia, rel=1e-9)
    assert not np.allclose(changed.dof_invweight0, simulator.model.dof_invweight0)


HOPPER_XML = pathlib.Path(physics.ASSETS, "hopper.xml").read_text().replace("<geom con", '<geom density="2000" con', 1)


@pytest.mark.parametrize("how", ["action", "state", "velocity", "parameter"])
def test_unstable_row_is_nan_and_terminal_and_leaves_the_others_unchanged(how, capfd):
    params = {"torso_mass": jnp.full(4, 5.0)}
    state = jax.jit(jax.vmap(HOPPER.initial))(params, jax.random.split(jax.random.key(0), 4))
    action = jnp.zeros((4, 3))
    step = jax.jit(jax.vmap(HOPPER.transition, (0, 0, 0, None)))
    want = step(params, state, action, jax.random.key(0))
    carry = np.asarray(state.carry).copy().view(np.float64)
    if how == "action":
        action = action.at[2].set(jnp.nan)
    if how == "state":
        carry[2, 3] = np.nan
    if how == "velocity":
        carry[2, 9] = 1e15
    if how == "parameter":
        params = {"torso_mass": params["torso_mass"].at[2].set(jnp.nan)}
    got = step(params, state.replace(carry=jnp.asarray(carry.view(np.uint32))), action, jax.random.key(0))
    others = np.array([0, 1, 3])
    assert np.isnan(got.observation[2]).all()
    assert np.isnan(got.cumulants[2]).all()
    assert got.terminal[2]
    for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(np.asarray(ours)[others], np.asarray(theirs)[others])
    assert capfd.readouterr() == ("", "")


def test_values_out_of_bounds_make_a_nan_row(capfd):
    """Only an invalid distribution gets there; MuJoCo never simulates a body without mass."""
    key = jax.random.key(0)
    play = jax.jit(jax.vmap(lambda m, a: rolled({"mass": m, "armature": a}, key, 3)))
    observations = play(jnp.array([0.0, 1.0, -1.0]), jnp.array([0.0, 1.0, 0.0]))
    np.testing.assert_array_equal(observations[1], jax.jit(lambda: rolled({}, key, 3))())
    assert np.isnan(observations[0]).all()
    assert capfd.readouterr() == ("", "")


def test_more_rows_than_models_are_stepped_block_by_block(monkeypatch):
    masses, keys = jnp.linspace(3.0, 9.0, 7), jax.random.split(jax.random.key(3), 7)
    play = jax.jit(lambda: jax.vmap(lambda m, k: rolled({"torso_mass": m}, k, 5))(masses, keys))
    want = play()
    monkeypatch.setattr(physics, "BLOCK", 3)
    np.testing.assert_array_equal(play(), want)


def test_an_evaluated_episode_is_stepped_to_its_end_and_no_further(monkeypatch):
    simulator, stepped = physics.physics("Hopper-v5"), []
    step = simulator.step

    def counted(*args):
        step(*args)
        stepped.append(int((~args[5]).sum()))

    monkeypatch.setattr(simulator, "step", counted)
    pushes = probes.player(lambda obs: jnp.array([1.0, -1.0, 0.5]))
    tasks = stack([probes.one(HOPPER, torso_mass=mass) for mass in (1.0, 3.0, 9.0)])
    evaluate(pushes, {}, tasks, 2, probes.keys(2)).block_until_ready()
    assert stepped == sorted(stepped, reverse=True)
    assert stepped[0] == 12
    assert stepped[-1] > 0
    assert len(set(stepped)) > 2  # they do not fall all at once


def test_any_number_of_threads_gives_the_same():
    play = jax.jit(lambda: jax.vmap(lambda k: rolled({}, k, 20))(jax.random.split(jax.random.key(4), 7)))
    want, threads = play(), physics.threads()
    try:
        for n in (1, 3, 16):
            physics.use_threads(n)
            np.testing.assert_array_equal(play(), want)
        for n in (0, 257):
            with pytest.raises(InputError, match=f"{n} threads"):
                physics.use_threads(n)
    finally:
        physics.use_threads(threads)


def test_an_error_of_mujoco_ends_that_row_alone(capfd):
    """MuJoCo would end the process. Here there is enough memory for Euler's steps, but not for Runge-Kutta's."""
    model = mujoco.MjModel.from_xml_string(FLYING)
    greedy = mujoco.MjModel.from_xml_string(FLYING)
    greedy.opt.integrator = mujoco.mjtIntegrator.mjINT_RK4
    with pytest.raises(mujoco.FatalError, match="out of memory"):
        mujoco.mj_step(greedy, mujoco.MjData(model))
    rows = Rows(model, physics.CARRIED, 2, ())
    state, action = np.zeros((5, rows.carried + 1)), np.zeros((5, 0), np.float32)
    state[:, 1:8] = [0, 0, 5, 1, 0, 0, 0]
    models = np.array([m._address for m in (model, greedy, model, model, greedy)], np.uintp)
    for shares in (1, 2, 4):
        after, bad = np.empty_like(state), np.empty(5, bool)
        rows.step(models, state, action, after, bad, [], [], shares)
        assert bad.tolist() == [False, True, False, False, True]
        np.testing.assert_array_equal(after[[2, 3], :-1], after[[0, 0], :-1])
        assert after[0, 0] == pytest.approx(2 * model.opt.timestep)
    assert capfd.readouterr() == ("", "")


FLYING = """<mujoco><size memory="832"/>
<worldbody><body><freejoint/><geom type="box" size="1 1 1"/></body></worldbody></mujoco>"""


def test_more_threads_than_can_be_had_are_refused():
    simulator = physics.physics("Hopper-v5")
    rows = Rows(simulator.model, physics.CARRIED, 1, ())
    state, models = np.zeros((300, rows.carried + 1)), np.zeros(300, np.uintp)
    action, bad = np.zeros((300, 3), np.float32), np.empty(300, bool)
    with pytest.raises(InputError, match="300 threads"):
        rows.step(models, state, action, np.empty_like(state), bad, [], [], 300)


def test_missing_c_library_is_reported(monkeypatch):
    monkeypatch.setattr("headstart.tasks.mujoco.rows.find_spec", lambda name: None)
    monkeypatch.setattr("headstart.tasks.mujoco.rows._library", _library.__wrapped__)
    with pytest.raises(InputError, match="C compiler"):
        Rows(physics.physics("Hopper-v5").model, physics.CARRIED, 1, ())


def test_widen_is_exact():
    x = np.array([0.0, -0.0, 1.0, -1.25, 3e38, 1.2e-38, np.pi, -np.inf, np.inf, 1e-40], np.float32)
    want = x.astype(np.float64)
    want[-1] = 0.0  # a denormal
    wide = lambda x: np.asarray(jax.jit(to_double_halves)(x)).view(np.float64)
    np.testing.assert_array_equal(wide(x), want)
    assert np.isnan(wide(floats([np.nan]))).all()


@pytest.mark.parametrize(
    ("typed", "nominal", "meant"),
    [
        (9.0, 3.6651914291880923, 9.0),
        (6.3, 3.6651914291880923, 6.3),
        (3.6651914291880923, 3.6651914291880923, 3.6651914291880923),
        (1.1 * 3.6651914291880923, 3.6651914291880923, 1.1 * 3.6651914291880923),
        (-9.81, 0.0, -9.81),
        (1e-3, 1.0, 1e-3),
        (0.123456789, 1.0, float(np.float32(0.123456789))),
    ],
)
def test_numbers_arrive_as_they_were_typed(typed, nominal, meant):
    assert as_typed(np.float32(typed), nominal) == meant


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_described_and_within_their_bounds(name):
    parameters = {p.name: p for p in make(name, "c").parameters}
    model = physics.physics(name).model
    for p in parameters.values():
        assert p.low <= p.nominal <= p.high
        assert p.low < p.high
        assert p.unit
        assert p.description
    groups = {"mass", "friction", "damping", "armature", "power", "gravity", "density", "wind"}
    # A factor of zeros changes nothing, so such a group is not offered.
    zeros = {name for name in ("damping", "armature") if not getattr(model, f"dof_{name}").any()}
    bodies = (model.body_mass[1:] > 0).sum()
    assert groups & set(parameters) == groups - zeros
    groups -= zeros
    assert len(parameters) == len(groups) + bodies + model.ngeom + 2 * model.njnt + model.nu


def test_parameters_go_by_the_names_of_the_xml():
    parameters = {p.name: p for p in HOPPER.parameters}
    assert parameters["torso_mass"].nominal == pytest.approx(3.6651914)
    assert parameters["foot_geom_friction"].nominal == 2.0
    assert parameters["thigh_joint_damping"].nominal == 1.0
    assert parameters["thigh_joint_gear"].nominal == 200.0
    assert parameters["gravity"].nominal == 9.81
    assert "body4_mass" in {p.name for p in make("Ant-v5", "c").parameters}
    assert "geom1_friction" in {p.name for p in make("Swimmer-v5", "c").parameters}
    assert "slide_gear" in {p.name for p in make("InvertedPendulum-v5", "c").parameters}


def test_envs_are_equal_by_value_and_hashable():
    assert make("Hopper-v5", "c") == HOPPER
    assert hash(make("Hopper-v5", "c")) == hash(HOPPER)
    assert make("Ant-v5", "c") != HOPPER
    assert jax.tree.leaves(HOPPER) == []
    assert dict(HOPPER.defaults) == {}


def test_physics_state_is_the_simulators():
    state = HOPPER.initial({}, jax.random.key(0))  # compiled as a whole, it is rounded elsewhere
    qpos, qvel = physics_state(HOPPER, state)
    assert qpos.dtype == qvel.dtype == np.float64
    np.testing.assert_array_equal(np.float32(np.concatenate([qpos[1:], qvel])), state.observation)


def test_invalid_names_are_refused():
    with pytest.raises(InputError, match="no parameter 'torso_mas'; the nearest are torso_mass"):
        HOPPER.initial({"torso_mas": jnp.float32(1.0)}, jax.random.key(0))
    with pytest.raises(InputError, match="no MuJoCo robot 'Hoper-v5'"):
        make("Hoper-v5")
