"""The ten robots: observations, rewards and healthy states of Gymnasium's v5 environments.

Weights and ranges are the defaults of `gymnasium/envs/mujoco/*_v5.py`. So are the names of the rewards (its `info`),
which include their sign and add up to its reward.
"""

from collections.abc import Callable

from headstart.tasks.mujoco import resets
from headstart.tasks.mujoco.naming import DOUBLE, HUMANOID, REACHER, SPATIAL, bodies, concatenated, joints
from headstart.tasks.mujoco.robot import (
    XP,
    Reading,
    Robot,
    Rows,
    Step,
    along_x,
    always,
    clipped,
    effort,
    flattened,
    forward,
    norm,
    positions_and_velocities,
    survive,
)

# ------------------------------------------------------------------------------------------------ each robot's own


def _hopper_healthy(xp: XP, r: Reading) -> Rows:
    z, angle = r.qpos[..., 1], r.qpos[..., 2]
    state = xp.concatenate([r.qpos[..., 2:], r.qvel], -1)
    return (abs(state) < 100.0).all(-1) & (z > 0.7) & (abs(angle) < 0.2)


def _walker_healthy(xp: XP, r: Reading) -> Rows:
    z, angle = r.qpos[..., 1], r.qpos[..., 2]
    return (z > 0.8) & (z < 2.0) & (abs(angle) < 1.0)


def _ant_observe(xp: XP, r: Reading) -> Rows:
    forces = flattened(clipped(xp, r.derived["cfrc_ext"], 1.0)[..., 1:, :])
    return xp.concatenate([r.qpos[..., 2:], r.qvel, forces], -1)


def _ant_healthy(xp: XP, r: Reading) -> Rows:
    z = r.qpos[..., 2]
    return xp.isfinite(r.qpos).all(-1) & xp.isfinite(r.qvel).all(-1) & (z >= 0.2) & (z <= 1.0)


def _ant_contact(xp: XP, s: Step) -> Rows:
    return -5e-4 * xp.square(clipped(xp, s.now.derived["cfrc_ext"], 1.0)).sum((-2, -1))


def _ant_place(xp: XP, r: Reading) -> Rows:
    return r.derived["xpos"][..., 1, 0]


def _reacher_gap(r: Reading) -> Rows:
    """Returns fingertip (body 3) minus target (body 4)."""
    return r.derived["xpos"][..., 3, :] - r.derived["xpos"][..., 4, :]


def _reacher_observe(xp: XP, r: Reading) -> Rows:
    joints = r.qpos[..., :2]
    gap = _reacher_gap(r)[..., :2]
    return xp.concatenate([xp.cos(joints), xp.sin(joints), r.qpos[..., 2:], r.qvel[..., :2], gap], -1)


TIPS, OBJECT, GOAL = 10, 11, 12  # Pusher's bodies


def _pusher_observe(xp: XP, r: Reading) -> Rows:
    bodies = flattened(r.derived["xpos"][..., TIPS : GOAL + 1, :])
    return xp.concatenate([r.qpos[..., :7], r.qvel[..., :7], bodies], -1)


def _pusher_distance(weight: float, other: int) -> Callable[[XP, Step], Rows]:
    def reward(xp: XP, s: Step) -> Rows:
        bodies = s.now.derived["xpos"]
        return -weight * norm(xp, bodies[..., OBJECT, :] - bodies[..., other, :])

    return reward


def _pendulum_healthy(xp: XP, r: Reading) -> Rows:
    finite = xp.isfinite(r.qpos).all(-1) & xp.isfinite(r.qvel).all(-1)
    return finite & (abs(r.qpos[..., 1]) <= 0.2)


def _double_observe(xp: XP, r: Reading) -> Rows:
    angles, force = r.qpos[..., 1:], r.derived["qfrc_constraint"][..., :1]
    velocity = clipped(xp, r.qvel, 10.0)
    return xp.concatenate([r.qpos[..., :1], xp.sin(angles), xp.cos(angles), velocity, clipped(xp, force, 10.0)], -1)


def _double_distance(xp: XP, s: Step) -> Rows:
    tip = s.now.derived["site_xpos"]
    return -(0.01 * tip[..., 0, 0] ** 2 + (tip[..., 0, 2] - 2.0) ** 2)


def _double_velocity(xp: XP, s: Step) -> Rows:
    return -(1e-3 * s.now.qvel[..., 1] ** 2 + 5e-3 * s.now.qvel[..., 2] ** 2)


def _humanoid_observe(xp: XP, r: Reading) -> Rows:
    d = r.derived
    bodies = [flattened(d["cinert"][..., 1:, :]), flattened(d["cvel"][..., 1:, :])]
    forces = [d["qfrc_actuator"][..., 6:], flattened(d["cfrc_ext"][..., 1:, :])]
    return xp.concatenate([r.qpos[..., 2:], r.qvel, *bodies, *forces], -1)


def _humanoid_healthy(xp: XP, r: Reading) -> Rows:
    return (r.qpos[..., 2] > 1.0) & (r.qpos[..., 2] < 2.0)


def _humanoid_contact(xp: XP, s: Step) -> Rows:
    return -xp.minimum(5e-7 * xp.square(s.now.derived["cfrc_ext"]).sum((-2, -1)), 10.0)


def _humanoid_place(xp: XP, r: Reading) -> Rows:
    mass = r.derived["body_mass"]
    return (mass * r.derived["xipos"][..., 0]).sum(-1) / mass.sum(-1)


# ------------------------------------------------------------------------------------------------ the table

ROBOTS: dict[str, Robot] = {
    "Ant-v5": Robot(
        "ant.xml",
        5,
        resets.ant(),
        _ant_observe,
        concatenated(joints(2), bodies("contact", SPATIAL)),
        _ant_healthy,
        {
            "reward_forward": forward(),
            "reward_ctrl": effort(0.5),
            "reward_contact": _ant_contact,
            "reward_survive": survive(),
        },
        _ant_place,
        ("cfrc_ext", "xpos"),
    ),
    "HalfCheetah-v5": Robot(
        "half_cheetah.xml",
        5,
        resets.spread(0.1, normal=True),
        positions_and_velocities(1),
        joints(1),
        always,
        {"reward_forward": forward(), "reward_ctrl": effort(0.1)},
        along_x,
    ),
    "Hopper-v5": Robot(
        "hopper.xml",
        4,
        resets.spread(5e-3),
        positions_and_velocities(1, 10.0),
        joints(1),
        _hopper_healthy,
        {"reward_forward": forward(), "reward_ctrl": effort(1e-3), "reward_survive": survive()},
        along_x,
    ),
    "Humanoid-v5": Robot(
        "humanoid.xml",
        5,
        resets.spread(1e-2),
        _humanoid_observe,
        HUMANOID,
        _humanoid_healthy,
        {
            "reward_survive": survive(5.0),
            "reward_forward": forward(1.25),
            "reward_ctrl": effort(0.1),
            "reward_contact": _humanoid_contact,
        },
        _humanoid_place,
        ("cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos", "body_mass"),
        starts_in_c=True,
    ),
    "InvertedDoublePendulum-v5": Robot(
        "inverted_double_pendulum.xml",
        5,
        resets.spread(0.1, normal=True),
        _double_observe,
        DOUBLE,
        lambda xp, r: r.derived["site_xpos"][..., 0, 2] > 1.0,
        {
            "reward_survive": survive(10.0),
            "distance_penalty": _double_distance,
            "velocity_penalty": _double_velocity,
        },
        reads=("site_xpos", "qfrc_constraint"),
    ),
    "InvertedPendulum-v5": Robot(
        "inverted_pendulum.xml",
        2,
        resets.spread(0.01),
        positions_and_velocities(0),
        joints(),
        _pendulum_healthy,
        {"reward_survive": survive()},
    ),
    "Pusher-v5": Robot(
        "pusher_v5.xml",
        5,
        resets.pusher(OBJECT, GOAL),
        _pusher_observe,
        concatenated(joints(0, 7, 7), bodies("place", ("x", "y", "z"), TIPS, GOAL + 1, "m")),
        always,
        {
            "reward_dist": _pusher_distance(1.0, GOAL),
            "reward_ctrl": effort(0.1),
            "reward_near": _pusher_distance(0.5, TIPS),
        },
        reads=("xpos",),
    ),
    "Reacher-v5": Robot(
        "reacher.xml",
        2,
        resets.reacher(),
        _reacher_observe,
        REACHER,
        always,
        {"reward_dist": lambda xp, s: -norm(xp, _reacher_gap(s.now)), "reward_ctrl": effort(1.0)},
        reads=("xpos",),
    ),
    "Swimmer-v5": Robot(
        "swimmer.xml",
        4,
        resets.spread(0.1),
        positions_and_velocities(2),
        joints(2),
        always,
        {"reward_forward": forward(), "reward_ctrl": effort(1e-4)},
        along_x,
    ),
    "Walker2d-v5": Robot(
        "walker2d_v5.xml",
        4,
        resets.spread(5e-3),
        positions_and_velocities(1, 10.0),
        joints(1),
        _walker_healthy,
        {"reward_forward": forward(), "reward_ctrl": effort(1e-3), "reward_survive": survive()},
        along_x,
    ),
}
