"""MJX, MuJoCo in JAX, for robots on an accelerator: the same two functions as C MuJoCo's, in float32.

What depends on masses and armatures is recomputed at every step, as `mj_setConst` would: the masses of subtrees, the
inverse inertias of degrees of freedom and bodies that soften constraints, and the solver's mean inertia; not
`actuator_acc0` and `dof_M0`, which the dynamics do not read. MJX is a different simulator from C's: in free motion it
stays within 1e-5 of C over a few steps. Once robots touch the ground, single precision and another contact solver let
them diverge (Ant's clipped contact forces differ by up to 1 at the first touch).
"""

import copy
import functools
import importlib.metadata
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from mujoco import mjx

from headstart.core.errors import InputError
from headstart.core.types import EnvParams
from headstart.tasks.mujoco.bindings import mujoco
from headstart.tasks.mujoco.physics import physics
from headstart.tasks.mujoco.robot import Reading, outcome

Carry = Float[Array, " carried"]
FLUID = {"density", "wind"}
HEAVY = {"mass", "armature"}


def _allow_rank_promotion(call: Callable[..., Any]) -> Callable[..., Any]:
    """Allows MJX to add vectors to matrices, even if JAX's rank promotion is set to raise."""

    @functools.wraps(call)
    def call_with_promotion(*args: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return call(*args)

    return call_with_promotion


class MjxSimulator:
    """One robot in MJX. Its carry is that of C MuJoCo (time, qpos, qvel, warm start, place), in float32."""

    def __init__(self, name: str):
        self.name = name
        self.physics = physics(name)
        self.robot = self.physics.robot
        model = copy.copy(self.physics.model)
        model.opt.disableflags = 0  # MJX has no automatic reset
        self.model = mjx.put_model(model)
        # C's Runge-Kutta leaves quantities of the last stage, near the end of a step; MJX's leaves those of its start.
        self.stale = bool(self.robot.reads) and model.opt.integrator == int(mujoco.mjtIntegrator.mjINT_RK4)

    def start(
        self, params: EnvParams, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
    ) -> tuple[Carry, Float[Array, " observation"]]:
        """Returns the carry and the observation at the start of an episode."""
        reading = Reading(qpos, qvel, self.robot.reset.derive(qpos, self.physics.rest.derived))
        place = self.robot.place(jnp, reading) if self.robot.place else jnp.zeros(())
        carry = jnp.concatenate([jnp.zeros(1), qpos, qvel, jnp.zeros(qvel.size), place[None]])
        return carry, self.robot.observe(jnp, reading).astype(jnp.float32)

    @_allow_rank_promotion
    def step(
        self, params: EnvParams, carry: Carry, action: Float[Array, " nu"]
    ) -> tuple[Carry, Float[Array, " observation"], Float[Array, " reward"], Bool[Array, ""]]:
        """Returns the result of one environment step; NaN and terminal if the simulation is unstable."""
        model, nq, nv = self.with_parameters(params), self.physics.model.nq, self.physics.model.nv
        time, qpos, qvel, warm_start, previous_place = jnp.split(carry, np.cumsum([1, nq, nv, nv]))
        data = mjx.make_data(self.model).replace(
            time=time[0], qpos=qpos, qvel=qvel, qacc_warmstart=warm_start, ctrl=action
        )
        data = jax.lax.fori_loop(0, self.robot.frame_skip, lambda _, d: mjx.step(model, d), data)
        read_data = mjx.forward(model, data) if self.stale else data
        if "cfrc_ext" in self.robot.reads:
            read_data = mjx.rne_postconstraint(model, read_data)
        reading = Reading(data.qpos, data.qvel, {name: getattr(read_data, name) for name in self.robot.reads})
        result = outcome(jnp, self.robot, reading, previous_place[0], action, self.physics.dt)
        place = jnp.asarray(result.place, jnp.float32)[None]
        carry = jnp.concatenate([data.time[None], data.qpos, data.qvel, data.qacc_warmstart, place])
        return carry, result.observation, result.rewards, ~result.healthy | ~jnp.isfinite(carry).all()

    @_allow_rank_promotion
    def with_parameters(self, params: EnvParams) -> mjx.Model:
        """Returns the model with these parameters, and what is derived from them."""
        if not params:
            return self.model
        fluid = sorted(FLUID.intersection(params))
        if fluid and (reason := why_not(self.name, True)):
            raise InputError(f'{fluid[0]} needs a medium, which MJX cannot run here ({reason}); use physics="c".')
        fields = self.physics.table.fields(jnp, params)
        float32_fields = {name: jnp.asarray(value, jnp.float32) for name, value in fields.items()}
        option = self.model.opt.replace(
            gravity=float32_fields["gravity"],
            wind=float32_fields["wind"],
            density=float32_fields["density"],
            has_fluid_params=self.model.opt.has_fluid_params or bool(fluid),
        )
        model = self.model.replace(
            opt=option,
            body_mass=float32_fields["body_mass"],
            body_inertia=float32_fields["body_inertia"],
            geom_friction=self.model.geom_friction.at[:, 0].set(float32_fields["geom_friction"]),
            dof_damping=float32_fields["dof_damping"],
            dof_armature=float32_fields["dof_armature"],
            actuator_gear=float32_fields["actuator_gear"],
        )
        return self._derived(model) if any(name.split("_")[-1] in HEAVY for name in params) else model

    def _derived(self, model: mjx.Model) -> mjx.Model:
        """Derives what `mj_setConst` derives from masses and armatures, at the model's reference pose."""
        c = self.physics.model
        is_within = np.array([[_is_under(c.body_parentid, b, root) for b in range(c.nbody)] for root in range(c.nbody)])
        model = model.replace(body_subtreemass=is_within.astype(np.float32) @ model.body_mass)
        data = mjx.make_data(self.model).replace(qpos=jnp.asarray(c.qpos0, jnp.float32))
        data = mjx.crb(model, mjx.com_pos(model, mjx.kinematics(model, data)))
        inertia = mjx.full_m(model, mjx.factor_m(model, data))
        inverse = jnp.linalg.inv(inertia)
        inverse_inertia = jnp.diagonal(inverse)
        free = np.flatnonzero(c.jnt_type == 0)
        for start in c.jnt_dofadr[free]:  # a free joint has one number for its translations, and one for its rotations
            for part in (slice(start, start + 3), slice(start + 3, start + 6)):
                inverse_inertia = inverse_inertia.at[part].set(inverse_inertia[part].mean())
        bodies = [self._body_ease(model, data, inverse, i) for i in range(c.nbody)]
        mean = jnp.diagonal(inertia).mean()
        stat = model.stat.replace(meaninertia=mean)
        return model.replace(dof_invweight0=inverse_inertia, body_invweight0=jnp.stack(bodies), stat=stat)

    def _body_ease(self, model: mjx.Model, data: mjx.Data, inverse: Array, body: int) -> Float[Array, " 2"]:
        """Returns a body's inverse inertia for translation and for rotation: means over three axes."""
        if self.physics.model.body_weldid[body] == 0:
            return jnp.zeros(2)
        jacobians = mjx.jac(model, data, data.xipos[body], jnp.asarray(body))
        return jnp.stack([jnp.einsum("di,de,ei->", j, inverse, j) / 3.0 for j in jacobians])


def _is_under(parents: np.ndarray, body: int, root: int) -> bool:
    while body > root:
        body = int(parents[body])
    return body == root


@functools.cache
def mjx_simulator(name: str) -> MjxSimulator:
    """Returns the robot of this name in MJX."""
    return MjxSimulator(name)


@functools.cache
@_allow_rank_promotion
def why_not(name: str, fluid: bool = False) -> str | None:
    """Returns why the installed MJX cannot run this robot (or not in a fluid); None if it can."""
    try:
        model = mjx_simulator(name).model
        if fluid:
            model = model.replace(opt=model.opt.replace(has_fluid_params=True))
        jax.eval_shape(lambda: mjx.step(model, mjx.make_data(model)))
    except (NotImplementedError, TypeError) as reason:
        versions = " and ".join(f"{p} {importlib.metadata.version(p)}" for p in ("mujoco-mjx", "jax"))
        return f"{versions} say: {reason}"
    return None
