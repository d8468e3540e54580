"""Our robots against Gymnasium's: the same actions give the same observations, rewards and terminations."""

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from headstart.tasks.mujoco import NAMES, make, physics_state
from headstart.tasks.mujoco.bindings import mujoco

STEPS = {"Humanoid-v5": 200, "Ant-v5": 200}


@functools.cache
def player(name: str, names: tuple[str, ...], steps: int) -> Callable:
    """Returns a function of (params, key): the first state, then actions, observations, rewards, ends of all steps."""
    env = make(name, "c")

    @jax.jit
    def play(params, key):
        k_start, k_play = jax.random.split(key)
        start = env.initial(params, k_start)

        def step(state, key):
            action = env.action_space.rescale(
                jax.random.uniform(key, (env.action_space.size,), minval=-1.0, maxval=1.0)
            )
            after = env.transition(params, state, action, key)
            steps = env.observe(params, after), env.cumulants(params, state, action, after).sum()
            return after, (action, *steps, env.terminal(params, after))

        return start, jax.lax.scan(step, start, jax.random.split(k_play, steps))[1]

    return play


def agree(name: str, params: dict[str, float], change: Callable[[Any], None], seed: int = 0) -> int:
    """Plays one whole episode in both and returns its length."""
    env = make(name, "c")
    steps = min(env.horizon, STEPS.get(name, 1000))
    values = {k: jnp.float32(v) for k, v in params.items()}
    start, played = player(name, tuple(sorted(params)), steps)(values, jax.random.key(seed))
    theirs: Any = gymnasium.make(name).unwrapped
    change(theirs.model)
    theirs.reset()
    mujoco.mj_resetData(theirs.model, theirs.data)
    theirs.set_state(*physics_state(env, start))
    np.testing.assert_allclose(env.observe(values, start), theirs._get_obs(), rtol=1e-6, atol=1e-6)
    actions, *ours = map(np.asarray, played)
    length = int(np.argmax(ours[-1])) + 1 if ours[-1].any() else steps
    stepped = [theirs.step(action)[:3] for action in actions[:length]]
    for name, mine, others in zip(("observation", "reward", "end"), ours, zip(*stepped, strict=True), strict=True):
        np.testing.assert_allclose(mine[:length], np.array(others), rtol=1e-6, atol=1e-6, err_msg=name)
    return length


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_equals_gymnasiums(name):
    lengths = [agree(name, {}, lambda model: None, seed) for seed in range(2)]
    if name in ("HalfCheetah-v5", "Swimmer-v5"):
        assert lengths == [1000, 1000]


def heavy_torso(model):
    nominal = model.body_mass[1]
    model.body_mass[1] = 9.0
    model.body_inertia[1] *= 9.0 / nominal


def all_heavier(model):
    model.body_mass[:] *= 1.3
    model.body_inertia[:] *= 1.3


def slippery(model):
    model.geom_friction[:, 0] *= 0.5


def one_joint(model):
    joint = model.joint(3)
    model.dof_damping[joint.dofadr] = 2.5
    model.dof_armature[joint.dofadr] = 0.3


def stronger(model):
    model.actuator_gear[:, 0] *= 1.1
    model.actuator_gear[0, 0] = 77


def lighter_world(model):
    model.opt.gravity[2] = -3.7


def windy(model):
    model.opt.density = 1.2
    model.opt.wind[0] = -6.3


def slightly_heavier_torso(model):
    model.body_mass[1] *= 1.1
    model.body_inertia[1] *= 1.1


FIRST_JOINT = {"Hopper-v5": "thigh_joint", "HalfCheetah-v5": "bthigh"}
CHANGES = {
    "heavy torso": ({"torso_mass": 9.0}, heavy_torso),
    "torso x1.1": ({"torso_mass": "x1.1"}, slightly_heavier_torso),
    "mass": ({"mass": 1.3}, all_heavier),
    "friction": ({"friction": 0.5}, slippery),
    "joint": ({"{joint}_damping": 2.5, "{joint}_armature": 0.3}, one_joint),
    "power, then one gear": ({"power": 1.1, "{joint}_gear": 77.0}, stronger),
    "gravity": ({"gravity": 3.7}, lighter_world),
    "wind": ({"density": 1.2, "wind": -6.3}, windy),
}


@pytest.mark.parametrize("name", ["Hopper-v5", "HalfCheetah-v5"])
@pytest.mark.parametrize("changed", CHANGES)
def test_an_episode_with_changed_parameters_equals_gymnasiums(name, changed):
    params, change = CHANGES[changed]
    nominal = {p.name: p.nominal for p in make(name, "c").parameters}
    params = {k.format(joint=FIRST_JOINT[name]): v for k, v in params.items()}
    params = {k: nominal[k] * float(v[1:]) if isinstance(v, str) else v for k, v in params.items()}

    def changed_by_hand(model):
        change(model)
        mujoco.mj_setConst(model, mujoco.MjData(model))

    assert agree(name, params, changed_by_hand) > 5


@pytest.mark.parametrize("name", ["Ant-v5", "Humanoid-v5"])
def test_heavier_bodies_show_where_the_robot_sees_its_own_inertia(name):
    """Humanoid observes inertias from the first state on, and its speed is that of its centre of mass."""

    def one_body_heavier(model):
        model.body_mass[3] = 6.3
        model.body_inertia[3] *= 6.3 / nominal[3]
        mujoco.mj_setConst(model, mujoco.MjData(model))

    theirs: Any = gymnasium.make(name).unwrapped
    nominal = theirs.model.body_mass.copy()
    assert agree(name, {f"{theirs.model.body(3).name}_mass": 6.3}, one_body_heavier) > 5


def test_a_changed_parameter_changes_the_episode():
    play = player("HalfCheetah-v5", ("torso_mass",), 1000)
    light, heavy = (play({"torso_mass": jnp.float32(m)}, jax.random.key(0))[1][1] for m in (5.0, 9.0))
    assert abs(light - heavy).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_spaces_horizon_and_rewards_equal_gymnasiums(name):
    env: Any = make(name, "c")
    theirs: Any = gymnasium.make(name)
    assert env.name == name
    assert env.observation_space.size == theirs.observation_space.shape[0]
    assert np.array_equal(np.float32(env.action_space.low), theirs.action_space.low)
    assert np.array_equal(np.float32(env.action_space.high), theirs.action_space.high)
    assert env.horizon == theirs.spec.max_episode_steps
    theirs.reset(seed=0)
    info = theirs.step(theirs.action_space.sample())[4]
    assert sorted(env.cumulant_names) == sorted(k for k in info if k.startswith("reward") or k.endswith("penalty"))


@pytest.mark.parametrize("name", NAMES)
def test_initial_states_have_gymnasiums_distribution(name):
    """Each coordinate has the same mean and deviation, and stays in the range of Gymnasium's."""
    env, n = make(name, "c"), 2000
    starts = jax.jit(jax.vmap(lambda key: env.initial({}, key).carry))(jax.random.split(jax.random.key(0), n))
    theirs: Any = gymnasium.make(name).unwrapped
    theirs.np_random = np.random.default_rng(0)
    theirs.set_state = lambda qpos, qvel: drawn.append(np.concatenate([qpos, qvel]))
    drawn: list[np.ndarray] = []
    for _ in range(n):
        theirs.reset_model()
    want = np.array(drawn)
    got = np.asarray(starts).view(np.float64)[:, 1 : 1 + want.shape[1]]
    deviation = want.std(0)
    assert np.all(got.std(0)[deviation == 0] == 0)
    assert np.all(abs(got.mean(0) - want.mean(0)) <= 5 * deviation * np.sqrt(2 / n) + 1e-7)
    np.testing.assert_allclose(got.std(0), deviation, rtol=0.12, atol=1e-9)
    for q in (0.0, 0.1, 0.5, 0.9, 1.0):  # extremes of a normal law differ by more than its middle
        slack = 0.4 * deviation if q in (0.1, 0.5, 0.9) else 1.5 * deviation
        assert np.all(abs(np.quantile(got, q, 0) - np.quantile(want, q, 0)) <= slack + 1e-7)
    if name == "Reacher-v5":
        assert np.hypot(*got[:, 2:4].T).max() < 0.2
    if name == "Pusher-v5":
        assert np.hypot(*got[:, 7:9].T).min() > 0.17
