"""The planar arm against MuJoCo's with the same links, against conservation of energy, and by hand."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from numpyro import distributions as dist

import headstart as hs
from headstart.core.errors import InputError
from headstart.core.types import EnvParams
from headstart.tasks.worlds import PlanarReacher
from headstart.tasks.worlds.chain import Chain, accelerations, ends, energy, mass_matrix, solve
from headstart.tasks.worlds.planar_reacher import MAX_SPEED, TORQUE, Arm

mj: Any = mujoco
SIZES = (2, 3, 4, 7)


def random_chain(n: int, rng: np.random.Generator) -> Chain:
    lengths, masses = rng.uniform(0.3, 1.5, (2, n)) / n
    rest = (rng.uniform(0, 1), rng.uniform(0.02, 0.2), rng.uniform(0, 0.5))
    return Chain(*(jnp.asarray(value, jnp.float32) for value in (lengths, masses, *rest)))


def as_mujoco(chain: Chain, timestep: float = 0.002) -> Any:
    """Returns the same arm in MuJoCo, with the inertia of each rod."""
    lengths, masses = np.asarray(chain.lengths, float), np.asarray(chain.masses, float)
    hinge = f'<joint axis="0 0 1" armature="{float(chain.armature)}" damping="{float(chain.damping)}"/>'
    inner = ""
    if chain.payload > 0:
        mass = f'mass="{float(chain.payload)}" diaginertia="1e-12 1e-12 1e-12"'
        inner = f'<body pos="{lengths[-1]} 0 0"><inertial pos="0 0 0" {mass}/></body>'
    for i in reversed(range(len(lengths))):
        about = masses[i] * lengths[i] ** 2 / 12
        rod = f'<inertial pos="{lengths[i] / 2} 0 0" mass="{masses[i]}" diaginertia="{about} {about} {about}"/>'
        inner = f'<body pos="{lengths[i - 1] if i else 0} 0 0">{hinge}{rod}{inner}</body>'
    option = f'<option gravity="0 0 0" integrator="RK4" timestep="{timestep}"/>'
    return mj.MjModel.from_xml_string(f"<mujoco>{option}<worldbody>{inner}</worldbody></mujoco>")


def params_of(env: PlanarReacher, **given: float) -> EnvParams:
    return {name: jnp.float32(value) for name, value in {**env.defaults, **given}.items()}


def as_params(env: PlanarReacher, chain: Chain) -> EnvParams:
    given = {f"link_{i + 1}_length": float(value) for i, value in enumerate(chain.lengths)}
    given |= {f"link_{i + 1}_mass": float(value) for i, value in enumerate(chain.masses)}
    rest = {name: float(getattr(chain, name)) for name in ("payload", "armature", "damping")}
    return params_of(env, **given, **rest)


@functools.cache
def step_of(n: int):
    env = PlanarReacher(n)
    return jax.jit(lambda params, state, action: env.transition(params, state, action, jax.random.key(0)))


@pytest.mark.parametrize("n", SIZES)
def test_accelerations_equal_mujocos(n: int):
    rng, ours = np.random.default_rng(n), jax.jit(accelerations)
    for _ in range(6):
        chain = random_chain(n, rng)
        model = as_mujoco(chain)
        data = mj.MjData(model)
        for _ in range(6):
            angles, speeds, torques = rng.uniform(-3, 3, n), rng.uniform(-5, 5, n), rng.uniform(-2, 2, n)
            data.qpos[:], data.qvel[:], data.qfrc_applied[:] = angles, speeds, torques
            mj.mj_forward(model, data)
            result = ours(chain, *(jnp.asarray(each, jnp.float32) for each in (angles, speeds, torques)))
            np.testing.assert_allclose(result, data.qacc, rtol=1e-4, atol=1e-4 * np.abs(data.qacc).max())


@pytest.mark.parametrize("n", SIZES)
def test_steps_equal_finer_steps_of_mujoco(n: int):
    env, rng = PlanarReacher(n), np.random.default_rng(n)
    chain = random_chain(n, rng)
    params, model = as_params(env, chain), as_mujoco(chain, timestep=0.0005)
    data = mj.MjData(model)
    state = jax.jit(env.initial)(params, jax.random.key(n))
    data.qpos[:] = state.angles
    for _ in range(20):
        action = rng.uniform(-1, 1, n)
        state = step_of(n)(params, state, jnp.asarray(action, jnp.float32))
        data.qfrc_applied[:] = TORQUE * action
        mj.mj_step(model, data, nstep=100)
        np.testing.assert_allclose(state.angles, data.qpos, atol=0.02)
    tip = data.xpos[n] + data.xmat[n].reshape(3, 3)[:, 0] * float(chain.lengths[-1])
    np.testing.assert_allclose(np.asarray(jax.jit(ends)(chain.lengths, state.angles))[-1], tip[:2], atol=0.01)


def test_one_rod_by_hand():
    chain = Chain(jnp.array([0.6]), jnp.array([1.5]), *map(jnp.float32, (0.5, 0.05, 0.4)))
    inertia = 1.5 * 0.36 / 3 + 0.5 * 0.36 + 0.05
    np.testing.assert_allclose(jax.jit(mass_matrix)(chain, jnp.array([0.7])), [[inertia]], rtol=1e-6)
    result = jax.jit(accelerations)(chain, jnp.array([0.7]), jnp.array([3.0]), jnp.array([2.0]))
    np.testing.assert_allclose(result, [(2.0 - 0.4 * 3.0) / inertia], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(energy)(chain, jnp.array([0.7]), jnp.array([3.0])), inertia * 9 / 2, rtol=1e-6)


def test_solves_systems_that_are_not_symmetric():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 5))
    matrix = matrix @ matrix.T + np.eye(5) + (matrix - matrix.T)
    right = rng.normal(size=5)
    result = jax.jit(solve)(jnp.asarray(matrix, jnp.float32), jnp.asarray(right, jnp.float32))
    np.testing.assert_allclose(result, np.linalg.solve(matrix, right), rtol=1e-3, atol=1e-4)


@functools.cache
def energies_of(n: int):
    """Returns a compiled function: the energy after each step, relative to the first, and the highest speed."""
    env = PlanarReacher(n)

    def episode(params, key, power):
        k_start, k_speeds, k_actions = jax.random.split(key, 3)
        start = env.initial(params, k_start).replace(speeds=jax.random.uniform(k_speeds, (n,), minval=-5, maxval=5))
        measure = lambda arm: energy(env._chain(params), arm.angles, arm.speeds)

        def step(arm, action):
            arm = env.transition(params, arm, action, k_start)
            return arm, (measure(arm), jnp.abs(arm.speeds).max())

        actions = power * jax.random.uniform(k_actions, (env.horizon, n), minval=-1, maxval=1)
        _, (result, speeds) = jax.lax.scan(step, start, actions)
        return result / measure(start), speeds.max()

    return jax.jit(jax.vmap(episode, in_axes=(0, 0, None)))


def many(env: PlanarReacher, copies: int, at_bounds: bool) -> EnvParams:
    """Returns parameters of many arms without damping: nominal ones, or each of them at one of its bounds."""
    rng = np.random.default_rng(env.links)
    arms = {p.name: rng.choice([p.low, p.high] if at_bounds else [p.nominal], copies) for p in env.parameters}
    arms["damping"] = np.zeros(copies)
    return {name: jnp.asarray(value, jnp.float32) for name, value in arms.items()}


@pytest.mark.parametrize("n", [2, 7])
def test_energy_stays_without_damping_and_steps_are_stable_at_the_bounds(n: int):
    env, keys = PlanarReacher(n), jax.random.split(jax.random.key(n), 64)
    share, _ = energies_of(n)(many(env, 64, at_bounds=False), keys, 0.0)
    np.testing.assert_allclose(share, 1.0, atol=5e-3)
    share, _ = energies_of(n)(many(env, 64, at_bounds=True), keys, 0.0)
    assert float(share.max()) < 1.3
    share, fastest = energies_of(n)(many(env, 64, at_bounds=True), keys, 1.0)
    assert np.isfinite(share).all()
    assert float(fastest.max()) <= MAX_SPEED * (1 + 1e-6)


def test_strong_damping_stops_an_arm_and_does_not_shake_it():
    env = PlanarReacher(3)
    params = params_of(env, damping=5.0, dt=0.1, armature=0.02, link_1_mass=1 / 12, link_2_mass=1 / 12)
    state = Arm(jnp.array([0.3, -1.0, 2.0]), jnp.array([5.0, -5.0, 5.0]), jnp.zeros(2))
    measure = jax.jit(lambda arm: energy(env._chain(params), arm.angles, arm.speeds))
    before = measure(state)
    for _ in range(3):
        state = step_of(3)(params, state, jnp.zeros(3))
        after = measure(state)
        assert after < before
        before = after
    assert float(before) < 1e-3


def test_a_broken_joint_gives_nothing_and_a_reversed_one_the_opposite():
    env = PlanarReacher(3)
    state = env.initial(params_of(env), jax.random.key(0))
    push = lambda action, **given: step_of(3)(params_of(env, **given), state, jnp.array(action))
    broken = push([1.0, 0.5, -1.0], joint_2_power=0.0)
    np.testing.assert_array_equal(broken.speeds, push([1.0, -1.0, -1.0], joint_2_power=0.0).speeds)
    np.testing.assert_allclose(broken.speeds, push([1.0, 0.0, -1.0]).speeds, rtol=1e-6)
    np.testing.assert_allclose(
        push([0.4, 0.5, 0.1], joint_2_power=-1.0).speeds, push([0.4, -0.5, 0.1]).speeds, rtol=1e-6
    )
    assert np.any(broken.speeds != push([1.0, 0.5, -1.0]).speeds)


@pytest.mark.parametrize("n", SIZES)
def test_every_parameter_matters_but_for_goals_once_they_are_drawn(n: int):
    env, key = PlanarReacher(n), jax.random.key(3)
    state = env.initial(params_of(env), key).replace(speeds=jnp.linspace(1.0, 2.0, n))
    once = step_of(n)(params_of(env), state, jnp.linspace(0.5, 1.0, n))
    for p in env.parameters:
        other = params_of(env, **{p.name: p.low if p.nominal != p.low else p.high})
        if p.name.startswith("goal"):
            assert np.any(env.initial(other, key).goal != env.initial(params_of(env), key).goal)
        else:
            assert np.any(step_of(n)(other, state, jnp.linspace(0.5, 1.0, n)).angles != once.angles)


def test_observation_and_cost_by_hand():
    env = PlanarReacher(2)
    state = Arm(jnp.array([np.pi / 2, -np.pi / 2]), jnp.array([0.1, 0.2]), jnp.array([0.5, 0.1]))
    observation = jax.jit(env.observe)(params_of(env), state)
    np.testing.assert_allclose(observation, [0, 0, 1, -1, 0.1, 0.2, 0.5, 0.1, 0.0, 0.4], atol=1e-6)
    costs = env.cumulants(params_of(env), state, jnp.array([0.5, -1.0]), state)
    np.testing.assert_allclose(costs, [-0.4, -0.125], atol=1e-6)
    assert env.cumulant_names == ("reward_dist", "reward_ctrl")
    assert not env.terminal(params_of(env), state)


def test_goals_lie_in_the_ring_that_the_arm_reaches_or_where_they_are_put():
    env, keys = PlanarReacher(2), jax.random.split(jax.random.key(0), 2000)
    starts = jax.jit(jax.vmap(env.initial, in_axes=(None, 0)))
    goals = lambda **given: np.asarray(starts(params_of(env, **given), keys).goal)
    far = np.linalg.norm(goals(), axis=-1)
    np.testing.assert_allclose([far.min(), far.max()], [0.2, 0.95], atol=0.01)
    np.testing.assert_allclose(np.mean(far < 0.65), (0.65**2 - 0.04) / (0.95**2 - 0.04), atol=0.03)  # evenly by area
    np.testing.assert_allclose(goals().mean(0), 0.0, atol=0.05)
    lame = np.linalg.norm(goals(link_1_length=0.9, link_2_length=0.2), axis=-1)
    assert lame.min() > 0.7
    assert lame.max() < 1.1
    np.testing.assert_allclose(goals(goal_spread=0, goal_x=0.3, goal_y=-0.2), [[0.3, -0.2]] * 2000, rtol=1e-6)
    near = goals(goal_spread=0.1, goal_x=0.5)
    assert np.linalg.norm(near - np.array([[0.5, 0.0]]), axis=-1).max() < 0.1


def test_arms_have_task_strings():
    task = hs.task("PlanarReacher-7", joint_3_power=0, payload=dist.Uniform(0, 1), w={"reward_ctrl": 0.5})
    assert task.w.tolist() == [1.0, 0.5]
    with pytest.raises(InputError, match="no parameter 'joint_8_power'; the nearest"):
        hs.task("PlanarReacher-7", joint_8_power=0)
    with pytest.raises(InputError, match=r"payload=9 is out of bounds; payload lies within 0\.\.2 kg"):
        hs.task("PlanarReacher-7", payload=9)
    with pytest.raises(InputError, match=r"PlanarReacher\(links=0\) is out of range: give 1 or more\.$"):
        PlanarReacher(0)
