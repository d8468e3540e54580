"""The cart with a hanging pole: its equations against MuJoCo's, its energy and reward, and that it can be solved."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.worlds.cartpole_swingup import CartPoleSwingUp, accelerations, moments

ENV = CartPoleSwingUp()
MECHANISM = """
<mujoco><compiler autolimits="false"/>
  <option gravity="0 0 -{gravity}" timestep="0.0005" integrator="RK4"/>
  <worldbody><body>
    <joint type="slide" axis="1 0 0" damping="{cart_friction}"/>
    <inertial pos="0 0 0" mass="{cart_mass}" diaginertia="1 1 1"/>
    <body>
      <joint type="hinge" axis="0 1 0" damping="{joint_friction}"/>
      <inertial pos="0 0 {middle}" mass="{pole_mass}" diaginertia="{rod} {rod} 1e-9"/>
      <body pos="{offset} 0 {length}"><inertial pos="0 0 0" mass="{tip_mass}" diaginertia="1e-10 1e-10 1e-10"/></body>
    </body>
  </body></worldbody>
</mujoco>
"""
SOME = {
    "gravity": 7.0,
    "cart_mass": 1.7,
    "pole_mass": 0.3,
    "tip_mass": 0.4,
    "length": 0.7,
    "offset": 0.15,
    "force": 25.0,
    "cart_friction": 1.3,
    "joint_friction": 0.08,
    "rail": 0.5,
    "dt": 0.01,
}


def params(**given: float) -> dict[str, jax.Array]:
    return {k: jnp.float32(v) for k, v in {**ENV.defaults, **given}.items()}


def in_mujoco(given: dict[str, float]) -> tuple[Any, Any]:
    middle, rod = given["length"] / 2, given["pole_mass"] * given["length"] ** 2 / 12
    model = mujoco.MjModel.from_xml_string(MECHANISM.format(middle=middle, rod=rod, **given))
    return model, mujoco.MjData(model)


@jax.jit
def step(given: dict, state: jax.Array, action: jax.Array) -> jax.Array:
    return ENV.transition(given, state, action, jax.random.key(0))


@jax.jit
def roll(given: dict, state: jax.Array, actions: jax.Array) -> jax.Array:
    def on(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        after = ENV.transition(given, state, action, jax.random.key(0))
        return after, after

    return jax.lax.scan(on, state, actions)[1]


def energy(given: dict, state: jax.Array) -> jax.Array:
    _, speed, angle, spin = state
    total, inertia, p, _ = moments(given, angle)
    return total * speed**2 / 2 + p * speed * spin + inertia * spin**2 / 2 + given["gravity"] * p


def test_accelerations_equal_mujocos():
    rng, ours = np.random.default_rng(0), jax.jit(accelerations)
    for _ in range(30):
        given = {p.name: SOME[p.name] * rng.uniform(0.5, 2) for p in ENV.parameters}
        given["offset"] *= rng.choice([-1, 1])
        model, data = in_mujoco(given)
        data.qpos, data.qvel = rng.uniform(-math.pi, math.pi, 2), rng.normal(size=2) * [2, 8]
        force = rng.uniform(-40, 40)
        data.qfrc_applied = [force, 0.0]
        mujoco.mj_forward(model, data)
        friction = np.array([given["cart_friction"], given["joint_friction"]]) * data.qvel
        push, turn = jnp.float32(force - friction[0]), jnp.float32(-friction[1])
        state = jnp.asarray(np.concatenate([data.qpos, data.qvel]), jnp.float32)
        mine = ours({k: jnp.float32(v) for k, v in given.items()}, state, push, turn)
        np.testing.assert_allclose(mine, data.qacc, rtol=1e-4, atol=1e-4 * np.abs(data.qacc).max())


@pytest.mark.parametrize(("friction", "atol"), [(0, 2e-5), (1, 0.006)])
def test_half_a_second_equals_mujocos(friction: int, atol: float):
    """With friction only approximately: ours is of first order in time, for stability."""
    given = {**SOME, "cart_friction": friction * 1.3, "joint_friction": friction * 0.08}
    model, data = in_mujoco(given)
    data.qpos, data.qvel = [0.1, 2.0], [0.5, -3.0]
    forces = np.random.default_rng(1).uniform(-1, 1, (50, 1))
    states = roll(params(**given), jnp.array([0.1, 0.5, 2.0, -3.0]), jnp.asarray(forces, jnp.float32))
    for state, force in zip(np.asarray(states), forces, strict=True):
        data.qfrc_applied = [given["force"] * force[0], 0.0]
        mujoco.mj_step(model, data, 20)
        place, angle = data.qpos
        theirs = [place, data.qvel[0], (angle + math.pi) % (2 * math.pi) - math.pi, data.qvel[1]]
        np.testing.assert_allclose(state, theirs, atol=atol)


@pytest.mark.parametrize("given", [{}, {"offset": 0.3}, {"tip_mass": 1.0, "length": 0.2, "cart_mass": 2.0}])
def test_energy_is_conserved_without_friction_and_lost_by_it(given: dict[str, float]):
    start, rest = jnp.array([0.0, 0.3, 1.0, 4.0]), jnp.zeros((2000, 1))
    first = float(energy(params(**given), start))
    swing = float(energy(params(**given), jnp.array([0.0, 0.0, 0.0, 4.0])))
    small = {**given, "dt": 0.005}
    energies = jax.vmap(energy, (None, 0))(params(**small), roll(params(**small), start, rest))
    np.testing.assert_allclose(energies, first, atol=1e-3 * swing)
    damped = {**small, "cart_friction": 0.5, "joint_friction": 0.1}
    left = jax.vmap(energy, (None, 0))(params(**damped), roll(params(**damped), start, rest))
    assert float(jnp.diff(left).max()) < 1e-4
    lowest = -9.81 * math.hypot(*lever(given))
    assert float(left[-1]) == pytest.approx(lowest, abs=0.05)


def lever(given: dict[str, float]) -> tuple[float, float]:
    """Returns the first moments of mass, along the pole and to its side (kg·m)."""
    full = {**ENV.defaults, **given}
    return (full["pole_mass"] / 2 + full["tip_mass"]) * full["length"], full["tip_mass"] * full["offset"]


def test_a_hand_worked_start_from_the_horizontal():
    """Without force and speed: P = 0, so that only gravity acts, on the pole alone: a'' = g Q / J."""
    given = params(pole_mass=0.3, tip_mass=0.2, length=0.5)
    up = accelerations(given, jnp.array([0.0, math.pi / 2, 0.0, 0.0]), jnp.zeros(()), jnp.zeros(()))
    np.testing.assert_allclose(up, [0.0, 9.81 * 0.175 / 0.075], rtol=1e-5, atol=1e-5)


def test_stays_finite_within_all_bounds():
    rng, rows = np.random.default_rng(0), 300
    ends = {p.name: rng.choice([p.low, p.nominal, p.high], rows) for p in ENV.parameters}
    drawn = {k: jnp.asarray(v, jnp.float32) for k, v in {**ends, "rail": np.full(rows, 3.0)}.items()}
    actions = jnp.asarray(np.sign(rng.normal(size=(rows, 300, 1))), jnp.float32)
    starts = jax.vmap(ENV.initial)(drawn, jax.random.split(jax.random.key(0), rows))

    @jax.jit
    @jax.vmap
    def until_the_end(given, state, actions):
        def on(state, action):
            after = ENV.transition(given, state, action, jax.random.key(0))
            state = jnp.where(ENV.terminal(given, state), state, after)
            return state, state

        return jax.lax.scan(on, state, actions)[1]

    assert np.isfinite(until_the_end(drawn, starts, actions)).all()


def test_reward_is_up_osis_and_bounded():
    reward = lambda *state: ENV.cumulants(params(), jnp.zeros(4), jnp.zeros(1), jnp.array(state))
    assert ENV.cumulant_names == ("reward_alive", "reward_upright", "reward_centre")
    np.testing.assert_allclose(reward(0.0, 1.0, 0.0, 2.0), [10, -math.log(0.1), 0.0], rtol=1e-6)
    np.testing.assert_allclose(reward(-2.0, 1.0, 1.5, 2.0), [10, -2.25 - math.log(2.35), -0.4], rtol=1e-6)
    hanging = reward(3.0, 0.0, math.pi, 0.0).sum()
    assert float(hanging) == pytest.approx(-2.17 - 0.6, abs=0.01)
    assert 1.3 * 10 + float(hanging - 10) > 0  # as the docstring says, of a weight of 1.3 for being alive


def test_starts_hanging_and_ends_where_the_rail_ends():
    starts = jax.vmap(ENV.initial, (None, 0))(params(), jax.random.split(jax.random.key(0), 1000))
    hanging = np.asarray(starts) - np.array([0, 0, math.pi, 0]) * np.sign(np.asarray(starts)[:, 2:3])
    assert np.abs(hanging).max() <= 0.0501
    assert np.abs(hanging).max(0).min() > 0.045
    assert set(np.sign(starts[:, 2]).tolist()) == {-1.0, 1.0}
    assert not ENV.terminal(params(rail=2.0), jnp.array([1.99, 9.0, 3.0, 9.0]))
    assert ENV.terminal(params(rail=2.0), jnp.array([-2.01, 0.0, 0.0, 0.0]))
    states = ENV.observe(params(), jnp.array([1.0, 2.0, math.pi / 2, 3.0]))
    np.testing.assert_allclose(states, [1, 2, 0, 1, 3], atol=1e-6)


def test_every_parameter_matters_and_none_but_its_end_needs_the_rail():
    state, action = jnp.array([0.6, 1.0, 2.0, 3.0]), jnp.array([0.5])
    assert set(SOME) == set(ENV.defaults)
    nominal = {"cart_friction": 0.2, "joint_friction": 0.02, "offset": 0.05}
    for p in ENV.parameters:
        assert p.low <= SOME[p.name] <= p.high
        other = params(**{**nominal, p.name: SOME[p.name]})
        if p.name == "rail":
            assert bool(ENV.terminal(other, state)) != bool(ENV.terminal(params(), state))
        else:
            assert np.any(step(params(**nominal), state, action) != step(other, state, action)), p.name


def test_mirrored_states_have_mirrored_motion():
    state, action = jnp.array([0.3, 1.0, 2.0, 3.0]), jnp.array([0.5])
    np.testing.assert_allclose(
        step(params(offset=-0.1), -state, -action), -step(params(offset=0.1), state, action), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(step(params(force=-40), state, -action), step(params(), state, action))


def test_a_hand_made_controller_swings_it_up_and_keeps_it_there():
    """First energy until the pole can reach the top, then state feedback: within a metre of rail and a second."""
    given, state, upright = params(), ENV.initial(params(), jax.random.key(1)), 0
    (along, _), inertia = lever({}), float(moments(params(), jnp.zeros(()))[1])
    for _ in range(ENV.horizon):
        place, speed, angle, spin = map(float, state)
        if abs(angle) < 0.5 and abs(spin) < 6:
            push = 0.35 * place + 0.4 * speed + 2.4 * angle + 0.45 * spin
        else:
            missing = inertia * spin**2 / 2 + 9.81 * along * (math.cos(angle) - 1)
            push = 0.5 * missing * spin * math.cos(angle) - 0.3 * (place + speed)
        state = step(given, state, jnp.clip(jnp.array([push]), -1, 1))
        assert not ENV.terminal(given, state)
        upright += abs(float(state[2])) < 0.2
    assert upright > 400
