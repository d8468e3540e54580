"""Parameters are set when an episode is played, or are refused in a sentence before anything is played."""

import re
from typing import Any

import gymnasium
import numpy as np
import numpyro.distributions as dist
import pytest
import strangers
from gymnasium.wrappers import TimeLimit

import headstart as hs
from headstart.core.errors import InputError
from headstart.core.types import stack
from headstart.tasks.host import host
from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.registry import aligned

ONE = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)


class Falls(gymnasium.Env):
    """A falling weight: it observes its speed. `reset` sets its constants, or makes its model."""

    observation_space, action_space = ONE, gymnasium.spaces.Discrete(1)
    gravity, speed, mass = 10.0, 0.0, 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.constants()
        self.speed = 0.0
        return np.zeros(1, np.float32), {}

    def constants(self) -> None:
        self.gravity = 10.0

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.speed -= 0.1 * self.gravity
        return np.array([self.speed], np.float32), 0.0, False, False, {}


class Stubborn(Falls):
    """An env that sets its constants in each step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.constants()
        return super().step(action)


class IntegerGravity(Falls):
    """An env whose gravity is always an integer, and whose pull changes gravity too."""

    pull = 10

    @property
    def gravity(self) -> float:
        return self.pull

    @gravity.setter
    def gravity(self, value: float) -> None:
        self.pull = int(value)

    def constants(self) -> None:
        pass


class NegativeGravityRefused(Falls):
    """An env whose setter refuses negative gravity."""

    _gravity = 10.0

    @property
    def gravity(self) -> float:
        return self._gravity

    def set_gravity(self, value: float) -> None:
        if value < 0:
            raise ValueError("gravity is not to point upwards.")
        self._gravity = value

    def constants(self) -> None:
        self._gravity = 10.0


class GravityOverwritten(Falls):
    """An env whose `reset` overwrites the constructor's gravity."""

    def __init__(self, gravity: float = 10.0):
        self.gravity = gravity


class ModelRemade(Falls):
    """The same in MuJoCo, with a model that each `reset` makes again."""

    model: Any = None

    def constants(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(
            '<mujoco><option timestep=".1"/><worldbody><body name="b"><joint name="j" type="slide" axis="0 0 1"/>'
            '<geom size=".1" mass="2"/></body></worldbody></mujoco>'
        )
        self.data = mujoco.MjData(self.model)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        mujoco.mj_step(self.model, self.data)
        return self.data.qvel.astype(np.float32), 0.0, False, False, {}


def named(name: str, value: Any) -> Any:
    """Returns a keyword with any name."""
    return {name: value}


def speed(task: Any) -> float:
    env = hs.to_gymnasium(task)
    env.reset(seed=0)
    observations = float(env.step(0 if env.action_space.shape == () else np.zeros(3, np.float32))[0][0])
    env.close()
    return observations


@pytest.mark.parametrize("kind", [Falls, NegativeGravityRefused, ModelRemade])
def test_values_that_reset_overwrites_are_set_again(kind: Any):
    env = host(kind, horizon=5)
    assert speed(hs.task(env, gravity=2.0)) == pytest.approx(-0.2)
    assert speed(hs.task(env)) == pytest.approx(-0.981 if kind is ModelRemade else -1.0)  # and leaves no trace


def test_each_draw_of_a_distribution_reaches_the_env():
    env = hs.to_gymnasium(hs.task(host(Falls, horizon=5), gravity=dist.Uniform(1.0, 3.0)))
    for seed in range(3):
        _, info = env.reset(seed=seed)
        assert env.step(0)[0][0] == pytest.approx(-0.1 * info["params"]["gravity"])
    env.close()


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (Stubborn, 2.0, "Stubborn: gravity=2 is not kept: it is 10 after a step, so it cannot be set."),
        (IntegerGravity, 2.5, "IntegerGravity: gravity=2.5 is not kept: it is 2 after reset, so it cannot be set."),
        (
            NegativeGravityRefused,
            -1.0,
            "NegativeGravityRefused does not take gravity=-1: gravity is not to point upwards.",
        ),
        (
            NegativeGravityRefused,
            dist.Uniform(-1.0, 1.0),
            "NegativeGravityRefused does not take gravity=-1: gravity is not to point upwards.",
        ),
        (
            GravityOverwritten,
            2.0,
            "GravityOverwritten: gravity=2 is not kept: it is 10 after reset, so it cannot be set.",
        ),
    ],
)
def test_values_that_are_not_kept_are_refused_before_training(kind: Any, value: Any, sentence: str):
    env = host(kind, horizon=5)
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        hs.task(env, gravity=value)
    assert env.pool.num_in_use == 0


def test_two_parameters_of_one_number_are_refused():
    env = host(IntegerGravity, horizon=5)
    with pytest.raises(InputError, match=r"^IntegerGravity: (pull=3|gravity=2) is not kept"):
        hs.task(env, gravity=2.0, pull=3.0)
    hopper = host("Hopper-v4")
    with pytest.raises(InputError, match=r"set the same number; give one of them\.$"):
        hs.task(hopper, torso_mass=5.0, **named("body_mass[torso]", 6.0))
    hs.task(hopper, mass=2.0, **named("body_mass[torso]", 6.0))  # a number comes after its group


def test_an_unset_parameter_follows_from_those_that_the_task_sets():
    hopper = host("Hopper-v4")
    torso = next(p.nominal for p in hopper.parameters if p.name == "torso_mass")
    one, other = aligned([hs.task(hopper, mass=2.0), hs.task(hopper, torso_mass=9.0)])
    assert (float(one.params["torso_mass"]), float(other.params["mass"])) == (pytest.approx(2 * torso), 1.0)
    by_name, by_field = hs.task(hopper, torso_mass=5.0), hs.task(hopper, **named("body_mass[torso]", 6.0))
    one, other = aligned([by_name, by_field])
    assert (float(one.params["body_mass[torso]"]), float(other.params["torso_mass"])) == (5.0, 6.0)
    one, _ = aligned([hs.task(hopper, power=3.0), hs.task(hopper, **named("actuator_gear[0][0]", 100.0))])
    assert float(one.params["actuator_gear[0][0]"]) == 600.0
    speed(other)  # and the two names of one number agree
    with pytest.raises(InputError, match=r"the default of body_mass\[torso\] depends on mass, which is drawn"):
        aligned([hs.task(hopper, mass=dist.Uniform(1.0, 2.0)), by_field])


def test_failure_of_an_env_is_raised_through_gymnasium_too():
    env = hs.to_gymnasium(hs.task(host(strangers.broken(1, strangers.raises), horizon=9)))
    env.reset(seed=0)
    env.step(0)
    env.step(0)
    with pytest.raises(InputError, match="failed in step: RuntimeError: the gripper fell off"):
        env.step(0)


class Limited(strangers.Clock):
    """An env that truncates episodes by itself."""

    def __init__(self, max_steps: int = 4):
        super().__init__()
        self.max_steps = self.breaks = max_steps


def limited(max_steps: int = 4) -> gymnasium.Env:
    return Limited(max_steps)


def wrapped(steps: int = 4) -> gymnasium.Env:
    return TimeLimit(strangers.Clock(), steps)


def length(task: Any) -> int:
    env = hs.to_gymnasium(task)
    env.reset(seed=0)
    steps = next(i for i in range(1, 100) if any(env.step(0)[2:4]))
    env.close()
    return steps


@pytest.mark.parametrize(("env", "name"), [(limited, "max_steps"), (wrapped, "steps")])
def test_length_of_an_episode_is_that_of_the_constructed_env(env: Any, name: str):
    assert host(env).horizon == 4
    assert host(env, **named(name, 7)).horizon == 7
    for steps in (2, 4, 9):
        task = hs.task(host(env), **named(name, steps))
        assert (task.env.horizon, length(task)) == (steps, steps)
    assert hs.task(host(env), **named(name, dist.Uniform(3.0, 6.0))).env.horizon == 6
    assert hs.task(host(env, horizon=5), **named(name, 9)).env.horizon == 5  # who says how long is believed
    short, long = aligned([hs.task(host(env)), hs.task(host(env), **named(name, 9))])
    assert short.env == long.env
    assert stack([short, long]).env.horizon == 9
    assert (length(short), length(long)) == (4, 9)  # the env itself ends the first
