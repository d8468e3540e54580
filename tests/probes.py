"""Small environments with known solutions, and helpers that act and train in them."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from headstart.core import rollout as gathering
from headstart.core.counting import count_of
from headstart.core.learn import update
from headstart.core.memory import from_rollout
from headstart.core.sampling import Sampler
from headstart.core.train import Progress, enter_envs, init_loop_state, train, train_step
from headstart.core.types import (
    ActionSpace,
    Box,
    Discrete,
    Env,
    Image,
    Info,
    Key,
    Learner,
    Method,
    Metrics,
    Parameter,
    Params,
    Phase,
    Replay,
    Task,
    TrainState,
    Transition,
    spec,
    stack,
)

# Each as one program: without it, every operation of theirs is one.
start = jax.jit(gathering.reset_envs, static_argnames=("learner", "num_envs"))
rollout = jax.jit(gathering.rollout, static_argnames=("learner", "num_steps"))
PHASE = ("loss", "train", "optimizer", "every", "times", "after", "combine", "stop")  # fields of a Phase


class Risk(Env):
    """EPOpt's bandit: action 0 pays 1; action 1 pays 20, or −10 in the bad models. One step."""

    @property
    def name(self):
        return "Risk"

    @property
    def horizon(self):
        return 1

    @property
    def observation_space(self):
        return Box((0.0,), (1.0,))

    @property
    def action_space(self):
        return Discrete(2)

    @property
    def parameters(self):
        return (Parameter("bad", 0.0, 0.0, 1.0, "", "whether the risky arm loses in this model, if > 0.5"),)

    def initial(self, params, key):
        return jnp.zeros(1)

    def observe(self, params, state):
        return jnp.zeros(1)

    def transition(self, params, state, action, key):
        return state

    def cumulants(self, params, state, action, next_state):
        risky = jnp.where(params["bad"] > 0.5, -10.0, 20.0)
        return jnp.where(action == 1, risky, 1.0)[None]

    def terminal(self, params, state):
        return jnp.array(True)


class Corridor(Env):
    """A line of cells: right ends well (+1), left does nothing. Continuous or discrete steps; truncated, not ended."""

    length: int = eqx.field(static=True, default=5)
    discrete: bool = eqx.field(static=True, default=True)

    @property
    def name(self):
        return "Corridor"

    @property
    def horizon(self):
        return 3 * self.length

    @property
    def observation_space(self):
        return Box((0.0,), (1.0,))

    @property
    def action_space(self):
        return Discrete(2) if self.discrete else Box((-1.0,), (1.0,))

    @property
    def parameters(self):
        return (Parameter("push", 1.0, 0.1, 3.0, "cells", "how far one step goes"),)

    def initial(self, params, key):
        return jnp.zeros(())

    def observe(self, params, state):
        return (state / self.length)[None]

    def transition(self, params, state, action, key):
        move = 2.0 * action - 1.0 if self.discrete else action[0]
        return jnp.clip(state + params["push"] * move, 0.0, self.length)

    def cumulants(self, params, state, action, next_state):
        return jnp.where(next_state >= self.length, 1.0, 0.0)[None]

    def terminal(self, params, state):
        return state >= self.length


class Bandit(Env):
    """Shows a number for a whole episode and pays `pays(number, action)` at each step; actions change nothing.

    The number is `level`, plus or minus `spread`. An episode has `steps` steps; the last is a truncation, unless
    it `ends`, which it does at the first. `touched` is called whenever a step is traced (never when it runs).
    """

    pays: Callable[[Array, Array], Any] = eqx.field(static=True)
    choices: ActionSpace = eqx.field(static=True, default=Discrete(2))
    steps: int = eqx.field(static=True, default=1)
    touched: Callable[[], object] = eqx.field(static=True, default=lambda: None)

    @property
    def name(self):
        return "Bandit"

    @property
    def horizon(self):
        return self.steps

    @property
    def observation_space(self):
        return Box((-10.0,), (10.0,))

    @property
    def action_space(self):
        return self.choices

    @property
    def parameters(self):
        return (
            Parameter("level", 0.0, -10.0, 10.0, "", "the middle of what is shown"),
            Parameter("spread", 0.0, 0.0, 10.0, "", "how far from it, up or down as a coin falls"),
            Parameter("ends", 0.0, 0.0, 1.0, "", "whether an episode ends at its first step, if > 0.5"),
        )

    def initial(self, params, key):
        return params["level"] + params["spread"] * jax.random.rademacher(key, (), jnp.float32)

    def observe(self, params, state):
        return state[None]

    def transition(self, params, state, action, key):
        self.touched()
        return state

    def cumulants(self, params, state, action, next_state):
        return jnp.asarray(self.pays(state, action), jnp.float32)[None]

    def terminal(self, params, state):
        return params["ends"] > 0.5


class Hint(Env):
    """Shows a parameter at the first step of an episode, then nothing; a choice pays 1 at each step if it is its sign.

    Whoever remembers comes to `steps`; nobody else to more than 1 + (steps - 1) / 2. It ends of itself: where an
    episode is merely cut off, learners ask their critic about a step that none of them ever sees, and learn what it
    makes up.
    """

    steps: int = eqx.field(static=True, default=4)
    hidden: bool = eqx.field(static=True, default=False)  # not shown at all: one has to be told

    @property
    def name(self):
        return "Hint"

    @property
    def horizon(self):
        return self.steps + 1

    @property
    def observation_space(self):
        return Box((-1.0, 0.0), (1.0, 1.0))

    @property
    def action_space(self):
        return Discrete(2)

    @property
    def parameters(self):
        return (
            Parameter("scale", 1.0, 0.0, 10.0, "", "does nothing, and never varies"),
            Parameter("side", 1.0, -1.0, 1.0, "", "which choice is right: 1 where it is above 0, 0 below"),
        )

    def initial(self, params, key):
        return jnp.zeros(())

    def observe(self, params, state):
        shown = (state == 0) & (not self.hidden)
        return jnp.stack([jnp.where(shown, params["side"], 0.0), shown.astype(jnp.float32)])

    def transition(self, params, state, action, key):
        return state + 1.0

    def cumulants(self, params, state, action, next_state):
        return ((action == 1) == (params["side"] > 0)).astype(jnp.float32)[None]

    def terminal(self, params, state):
        return state >= self.steps


class Pixel(Env):
    """Shows an image with one bright pixel; the action pays 1 that says whether it is in the right half. One step."""

    sight: Image = eqx.field(static=True, default=Image((4, 4, 1), "uint8"))
    choices: ActionSpace = eqx.field(static=True, default=Discrete(2))

    @property
    def name(self):
        return "Pixel"

    @property
    def horizon(self):
        return 1

    @property
    def observation_space(self):
        return self.sight

    @property
    def action_space(self):
        return self.choices

    @property
    def parameters(self):
        return (Parameter("swap", 0.0, 0.0, 1.0, "", "whether it is the left half that it says, if > 0.5"),)

    def initial(self, params, key):
        return jax.random.randint(key, (2,), 0, jnp.array(self.sight.shape[:2]))

    def observe(self, params, state):
        image = jnp.zeros(self.sight.shape, self.sight.dtype)
        return image.at[state[0], state[1], 0].set(jnp.asarray(self.sight.max_value, image.dtype))

    def transition(self, params, state, action, key):
        return state

    def cumulants(self, params, state, action, next_state):
        right = (state[1] >= self.sight.shape[1] // 2) ^ (params["swap"] > 0.5)
        chosen = action[0] > 0 if isinstance(self.choices, Box) else action == 1
        return jnp.where(chosen == right, 1.0, 0.0)[None]

    def terminal(self, params, state):
        return jnp.array(True)


def one(env: Env, target: bool = False, **params: Any) -> Task:
    """Returns one task of a probe, as users hold it. A parameter is a number or a distribution."""
    held = {name: jnp.float32(x) if isinstance(x, int | float) else x for name, x in params.items()}
    return Task(env, held, jnp.ones(len(env.cumulant_names)), jnp.zeros(0), jnp.int32(target))


def task(env: Env, target: bool = False, **params: Any) -> Task:
    """Returns one task of a probe, stacked (a leading task axis of length 1)."""
    return stack([one(env, target, **params)])


def known(learner: Learner, prior: Params | None = None) -> Params:
    """Returns the initial params, by one small program."""
    return jax.jit(learner.init)(jax.random.key(0), prior)


def floats(numbers: Any) -> np.ndarray:
    """Returns numbers as JAX has them, for what nothing has to be compiled."""
    return np.asarray(numbers, np.float32)


def keys(seeds: int, of: int = 0) -> Array:
    """Returns keys with a leading seed axis."""
    return jax.random.split(jax.random.key(of), seeds)


def trained(learner: Learner, tasks: Task, turns: int, seeds: int = 1, **how: Any) -> Progress:
    """Returns where so many turns of the loop lead."""
    steps = turns * learner.replay.num_steps * learner.replay.num_envs * tasks.w.shape[0]
    *_, last = train(learner, tasks, steps, keys(seeds), **{"num_points": 1, **how})
    return last


def taught(method: Method, tasks: Task, turns: int, seeds: int = 1) -> tuple[Learner, Progress]:
    """Returns the method's learner, and where so many turns of the loop lead it."""
    learner = method.learner(spec(tasks))
    return learner, trained(learner, tasks, turns, seeds)


@functools.partial(jax.jit, static_argnames="learner")
def lesson(learner: Learner, state: TrainState, fresh: Transition, progress: float = 0.0) -> TrainState:
    """Returns the state after `prepare` has processed a rollout, and one update on all of it."""
    key = jax.random.key(0)
    params, rows = learner.prepare(state.params, fresh, Info(key, progress))
    return update(learner, None, state.replace(params=params), (all_rows(rows),), 0, Info(key, progress))[0]


class AllRows(Sampler):
    """Each batch is all rows of the memory."""

    def rows(self, n: Array) -> Array:
        return jnp.broadcast_to(jnp.arange(self.memory.rows.weight.shape[1]), self.memory.rows.weight.shape)


def all_rows(fresh: Transition) -> AllRows:
    """Returns a sampler whose batches are all of this rollout [task, time, env]."""
    return AllRows(from_rollout(fresh), None, Replay(num_steps=1, num_envs=1, batch_size=1))


def loss_of(
    learner: Learner, params: Params, batch: Transition, key: Key | None = None, progress: Any = 0.0, phase: int = 0
) -> tuple[Array, Metrics]:
    """Returns the loss of one of the learner's phases, and its metrics."""
    info = Info(jax.random.key(0) if key is None else key, progress)
    return learner.phases[phase].loss(params, batch, info)


def gradient(
    learner: Learner, params: Params, batch: Transition, key: Key | None = None, progress: Any = 0.0, phase: int = 0
) -> Params:
    """Returns the gradient of one phase's loss by the parts that it trains."""
    trained = {name: params[name] for name in learner.phases[phase].train}

    def loss(trained: Params) -> Array:
        return loss_of(learner, {**params, **trained}, batch, key, progress, phase)[0]

    return jax.jit(jax.grad(loss))(trained)


def check_fits(method: Method, source: Task, target: Task) -> None:
    """Traces a turn in the source and one in the target, from what was learned, and runs neither: that all fits."""
    prior: TrainState | None = None
    for tasks, where in ((source, False), (target, True)):
        learner = method.learner(spec(tasks), where)

        def turn(prior: TrainState | None, learner: Learner = learner, tasks: Task = tasks) -> TrainState:
            run = enter_envs(learner, tasks, init_loop_state(learner, keys(2), prior))
            return jax.vmap(lambda run: train_step(learner, tasks, run, count_of(1)))(run)[0].state

        prior = jax.eval_shape(turn, prior)


def player(act: Callable[[Array], Array], replay: Replay = Replay(num_steps=4, num_envs=2, batch_size=4)) -> Learner:
    """Returns a learner that acts by `act(obs)` and whose updates change nothing."""
    return Learner(
        init=lambda key, prior: {},
        act=lambda params, carry, obs, context, info: (act(obs), carry, {}),
        phases=(Phase(lambda params, batch, info: (jnp.zeros(()), {}), (), optax.identity()),),
        replay=replay,
    )


def counter(replay: Replay = Replay(num_steps=4, num_envs=1, batch_size=1), **fields: Any) -> Learner:
    """Returns a learner of one number k, which grows by 1 with every update (loss −k, gradient descent at rate 1).

    `fields` are those of the learner, or of its phase.
    """

    def init(key, prior):
        return {"k": jnp.zeros(())} if prior is None else prior

    def loss(params, batch, info):
        return -params["k"], {"k": params["k"], "progress": info.progress}

    phase = Phase(loss, ("k",), optax.sgd(1.0))._replace(**{name: x for name, x in fields.items() if name in PHASE})
    own = {name: x for name, x in fields.items() if name not in PHASE}
    return player(right, replay)._replace(**{"init": init, "phases": (phase,), **own})


def experience(reward: Any, weight: Any = None, **fields: Any) -> Transition:
    """Returns transitions that differ in their reward, with those weights or 1; other fields may be given too."""
    r = np.asarray(reward, np.float32)
    w = np.ones_like(r) if weight is None else np.asarray(weight, np.float32)
    none, seen = np.zeros(r.shape, np.int32), r[..., None]
    like = {
        "obs": seen,
        "action": none,
        "reward": r,
        "discount": np.ones_like(r),
        "last": none > 0,
        "next_obs": seen,
        "cumulants": seen,
        "context": np.zeros((*r.shape, 0), np.float32),
        "domain": none,
        "weight": w,
        "episode_return": r,
        "extras": {},
    }
    return Transition(**jax.device_put({**like, **fields}))  # nothing has to be compiled


def left(obs: Array) -> Array:
    return jnp.int32(0)


def right(obs: Array) -> Array:
    return jnp.int32(1)


def different(a: Any, b: Any) -> bool:
    """Returns whether any leaf of the two trees differs."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return any(np.any(np.asarray(x) != np.asarray(y)) for x, y in pairs)


def check_same(a: Any, b: Any) -> None:
    """Fails where two trees differ in anything: what they are made of, and their numbers' types and values."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)
