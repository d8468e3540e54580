"""Wrappers: what they delegate, and a frozen network that rides in a task's params as data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from numpyro.distributions import Uniform

import headstart as hs
from headstart.core.env import Env, EnvParams
from headstart.core.episode import observe, reset, sample_params, step
from headstart.core.errors import InputError
from headstart.core.types import Box, Key, PyTree, Task, stack
from headstart.core.wrapper import Wrapper
from headstart.nets.mlp import MLP, mlp
from headstart.tasks import describe, disturb, registry, sampling, stack_tasks, to_gymnasium
from headstart.tasks.worlds import BitFlip, CartPole, Pendulum

FEATURES = 4


class Encoded(Wrapper):
    """An env whose observation goes through a network, which tasks hold as `encoder`."""

    @property
    def own_params(self) -> tuple[str, ...]:
        return ("encoder",)

    @property
    def data_names(self) -> tuple[str, ...]:
        return (*self.env.data_names, "encoder")

    @property
    def observation_space(self) -> Box:
        return Box((-jnp.inf,) * FEATURES, (jnp.inf,) * FEATURES)

    def observe(self, params: EnvParams, state: PyTree) -> Float[Array, " feature"]:
        return params["encoder"](super().observe(params, state))


def network(seed: int) -> MLP:
    return mlp((3, 8, FEATURES), 1.0, "tanh", jax.random.key(seed))


def encoded_task(seed: int, **params: Any) -> Task:
    return hs.task(Encoded(Pendulum()), encoder=network(seed), **params)


def play(env: Env, params: EnvParams, key: Key) -> list[PyTree]:
    """Returns what each function of an env gives over a few steps."""
    state, outputs = env.initial(params, key), []
    for t in range(5):
        action = jnp.array([0.5 * t - 1.0])
        after = env.transition(params, state, action, jax.random.fold_in(key, t))
        outputs += [after, env.observe(params, after), env.cumulants(params, state, action, after)]
        outputs += [env.terminal(params, after), env.truncated(params, after), env.draw(params, after)]
        state = env.reset_next(params, after, jnp.array(True), key) if t == 2 else after
    return [*outputs, env.initial_where(params, jnp.array(True), key), env.idle(state), env.unwrapped_state(state)]


def test_a_wrapper_that_changes_nothing_equals_its_env():
    env, wrapper = Pendulum(), Wrapper(Wrapper(Pendulum()))
    params = {name: jnp.float32(value) for name, value in env.defaults.items()}
    with jax.disable_jit():
        jax.tree.map(
            np.testing.assert_array_equal,
            play(wrapper, params, jax.random.key(0)),
            play(env, params, jax.random.key(0)),
        )
    for name in ("name", "horizon", "observation_space", "action_space", "parameters", "dt", "assumptions"):
        assert getattr(wrapper, name) == getattr(env, name)
    for name in ("cumulant_names", "defaults", "data_names", "drawable", "stateful", "bounded_observations"):
        assert getattr(wrapper, name) == getattr(env, name)
    assert wrapper.unwrapped == env
    assert wrapper.goal is None
    assert wrapper.reward_of is not None
    assert Wrapper(BitFlip(3)).goal is not None
    assert wrapper.with_parameters({"mass": 2.0}) == wrapper.merged_with(wrapper) == wrapper.rendered() == wrapper


def test_a_wrapper_delegates_every_member_of_env():
    members = {name for name in vars(Env) if not name.startswith("_")}
    assert members <= set(vars(Wrapper))


def test_a_wrapper_that_changes_observations_has_no_goal_and_no_reward_of_the_inner_env():
    env = Encoded(Pendulum())
    assert (env.goal, env.reward_of) == (None, None)
    assert disturb(Pendulum(), ["action_delay"]).reward_of is None
    assert disturb(BitFlip(3), ["action_delay"]).goal is not None
    assert disturb(BitFlip(3), ["observation_noise"]).goal is None


def test_changing_the_numbers_of_a_network_in_a_task_does_not_trace_again():
    traces = []

    @jax.jit
    def run(task: Task, key: Key) -> Array:
        traces.append(1)
        episode = reset(task, key)
        for _ in range(3):
            episode, transition = step(task, episode, jnp.ones(1), key)
        return transition.next_obs

    key = jax.random.key(0)
    ours = [run(encoded_task(seed), key) for seed in (1, 2)]
    assert len(traces) == 1
    episode, bare = reset(hs.task("Pendulum-v1"), key), hs.task("Pendulum-v1")
    for _ in range(3):
        episode, transition = step(bare, episode, jnp.ones(1), key)
    for seed, output in zip((1, 2), ours, strict=True):
        np.testing.assert_allclose(output, network(seed)(transition.next_obs), rtol=1e-5, atol=1e-6)


def test_tasks_with_data_are_stacked_and_sampled():
    task = encoded_task(1, mass=Uniform(0.5, 2.0))
    tasks = stack([task, encoded_task(2, mass=Uniform(1.0, 3.0))])
    results = jax.jit(jax.vmap(lambda task: observe(task, reset(task, jax.random.key(0)))))(tasks)
    assert results.shape == (2, FEATURES)
    assert np.abs(results[0] - results[1]).max() > 1e-3
    params = sample_params(task, jax.random.key(0))
    assert params["encoder"] == network(1)
    assert 0.5 <= params["mass"] <= 2.0
    drawn = sampling.in_range(task, 3, jax.random.key(0))
    assert drawn.params["mass"].shape == (3,)
    assert drawn.params["encoder"].last.bias.shape == (3, FEATURES)
    assert sampling.nominal(task).params["encoder"] == network(1)
    both = stack_tasks([task, encoded_task(2, mass=Uniform(1.0, 3.0))])
    assert both.params["encoder"].last.bias.shape == (2, FEATURES)


def test_disturbances_go_around_a_wrapper_and_are_not_doubled():
    task = encoded_task(1, action_delay=2)
    assert task.env == disturb(Encoded(Pendulum()), ["action_delay"])
    assert task.env.unwrapped == Pendulum()
    assert observe(task, reset(task, jax.random.key(0))).shape == (FEATURES,)
    inside = Wrapper(disturb(CartPole(), ["action_delay"]))
    assert disturb(inside, ["action_delay"]) == inside
    assert [p.name for p in registry.parameters(inside)].count("action_delay") == 1


def test_task_strings_refuse_data_in_a_sentence():
    with pytest.raises(InputError, match=r"encoder is a tree of arrays, which no task string can hold; keep the task"):
        describe(encoded_task(1))
    with pytest.raises(InputError, match=r"needs data that is not given; call task\(\.\.\., encoder=…\) with it\.$"):
        hs.task(Encoded(Pendulum()))


def test_gymnasium_lists_only_numbers_of_a_task_with_data():
    env = to_gymnasium(encoded_task(1, mass=1.5))
    obs, info = env.reset(seed=0)
    assert obs.shape == (FEATURES,)
    assert info["params"]["mass"] == 1.5
    assert "encoder" not in info["params"]
