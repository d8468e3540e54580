"""Names of robots' observations and motors."""

import pytest

from headstart.core.spaces import Component
from headstart.tasks.mujoco import NAMES, make
from headstart.tasks.mujoco.callback import c_simulator


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_name_of_its_own(name: str):
    env = make(name, "c")
    assert env.observation_space.size == c_simulator(name).observed
    assert len(set(env.observation_space.names)) == env.observation_space.size  # pyright: ignore[reportAttributeAccessIssue]
    assert len(set(env.action_space.names)) == env.action_space.size
    assert env.dt is not None


def test_names_stand_where_the_numbers_do():
    seen = make("Hopper-v5", "c").observation_space.components  # pyright: ignore[reportAttributeAccessIssue]
    assert seen[0] == Component("rootz_position", "m")
    assert seen[1] == Component("rooty_angle", "rad")
    assert seen[4] == Component("foot_joint_angle", "rad")
    assert seen[5] == Component("rootx_velocity", "m/s")
    assert seen[-1] == Component("foot_joint_velocity", "rad/s")
    assert make("Hopper-v5", "c").dt == pytest.approx(0.008)


def test_a_hopper_s_leg_is_one_of_a_walker_s():
    hopper, walker = make("Hopper-v5", "c"), make("Walker2d-v5", "c")
    for one, other in (
        (hopper.observation_space, walker.observation_space),
        (hopper.action_space, walker.action_space),
    ):
        assert set(one.components) < set(other.components)  # pyright: ignore[reportAttributeAccessIssue]
