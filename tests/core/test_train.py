"""The loop and the one gradient, by learners of a single number `k` that one can follow on paper."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest
from jaxtyping import Array
from numpyro import distributions as dist
from probes import counter, experience

from headstart.core.compiling import EVERY_CORE, ONE_CORE, is_large
from headstart.core.counting import Count, count_of
from headstart.core.learn import gradient_step, init_train_state, update
from headstart.core.names import select_parts
from headstart.core.run import LoopState, metric_means
from headstart.core.train import enter_envs, init_loop_state, train, train_chunk, train_on_shots
from headstart.core.types import Info, Learner, Metrics, Params, Replay, Task, TrainState, Transition, spec, stack
from headstart.learners.ppo import PPO
from headstart.nets.targets import periodic_polyak, polyak

KEY = jax.random.key(0)
COUNTER = counter()
SMALL = PPO(hidden=(8,), num_steps=8, num_envs=4, batch_size=16, num_epochs=2)
RANDOM = probes.task(probes.Corridor(), push=dist.Uniform(jnp.float32(0.5), jnp.float32(1.5)))


def shown(number, action):
    return number


def levels(*numbers: Any, **how: Any) -> Task:
    """Returns stacked tasks that pay these numbers, whatever one does."""
    return stack([probes.one(probes.Bandit(shown, **how), level=number) for number in numbers])


def k_of(trained: Any) -> list[float]:
    """Returns k, for each seed."""
    return trained.state.params["k"].tolist()


def counts(*numbers: int) -> Count:
    """Returns those counts [seed]."""
    return jax.tree.map(lambda *x: jnp.stack(x), *map(count_of, numbers))


def numbers(count: Count) -> list[float]:
    return count.numbers().tolist()


def first(gradients: Any, losses: Array, key: Array) -> Any:
    return jax.tree.map(lambda x: x[0], gradients), {"apart": losses[1] - losses[0]}


def mean(gradients: Any, losses: Array, key: Array) -> Any:
    return jax.tree.map(lambda x: x.mean(0), gradients), {"apart": losses[1] - losses[0]}


def one_step(learner: Learner, batch: Transition) -> tuple[Params, Metrics]:
    """Returns the initial params after one gradient step of the only phase, and its metrics."""
    (phase,), params = learner.phases, learner.init(KEY, None)
    optimizer = phase.optimizer.init(select_parts(params, phase.train))
    params, _, metrics = gradient_step(phase, params, optimizer, (batch,), (Info(KEY),))
    return params, metrics


# ------------------------------------------------------------------------------------------------ the gradient


@pytest.mark.parametrize(("combine", "k"), [(None, 0.4), (mean, 0.4), (first, 0.2)])
def test_combine_is_given_each_tasks_own_gradient(combine: Any, k: float):
    def loss(params, batch, info):
        error = jnp.square(params["k"] - batch.reward).mean()
        return error, {"loss": error}

    learner = counter(loss=loss, optimizer=optax.sgd(0.1), combine=combine)
    # At k = 0 the tasks' gradients are −2·1 and −2·3, and the joint one is −4; times −0.1.
    params, metrics = one_step(learner, experience([[1, 1], [3, 3]]))
    assert float(params["k"]) == pytest.approx(k)
    assert float(metrics["loss"]) == pytest.approx((1 + 9) / 2)
    assert combine is None or float(metrics["apart"]) == pytest.approx(9 - 1)  # it sees their losses, and adds metrics


def test_ppos_gradients_per_task_have_the_joint_gradient_as_their_mean():
    rng = np.random.default_rng(0)
    batch = experience(
        rng.normal(size=(3, 8)),
        action=jnp.asarray(rng.integers(0, 2, (3, 8)), jnp.int32),
        extras={name: jnp.float32(rng.normal(size=(3, 8))) for name in ("advantage", "value_target", "log_prob")},
    )
    learner = PPO(hidden=(4,), anneal_learning_rate=False).learner(spec(levels(1.0, 2.0, 3.0)))
    phase = learner.phases[0]._replace(optimizer=optax.sgd(1.0))

    @functools.partial(jax.jit, static_argnums=0)
    def moved(learner: Learner) -> Params:
        return one_step(learner, batch)[0]

    joint, apart = (moved(learner._replace(phases=(phase._replace(combine=how),))) for how in (None, mean))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), joint, apart)


def with_target(key: Any, prior: Any) -> Params:
    """Returns k = 0, and a target network that is 8."""
    return {"k": jnp.zeros(()), "target": {"k": jnp.float32(8.0)}}


def test_the_target_network_follows_by_tau_and_the_loss_sees_it():
    def loss(params, batch, info):
        return -params["k"], {"target": params["target"]["k"]}

    learner = counter(init=with_target, loss=loss, after=lambda params, info: polyak(params, "target", ("k",), 0.25))
    state, seen = init_train_state(learner, learner.init(KEY, None)), []
    for _ in range(3):
        state, metrics, *_ = update(learner, None, state, (probes.all_rows(experience([[[0]]])),), 0, Info(KEY))
        seen.append(float(metrics["target"]))
    # k = 1, 2, 3 and the target network = 3/4·8 + 1/4·1, 3/4·6.25 + 1/4·2, …
    assert seen == [8.0, 6.25, 5.1875]
    assert float(state.params["target"]["k"]) == 0.75 * 5.1875 + 0.25 * 3


def test_the_target_network_moves_every_so_many_updates():
    after = lambda params, info: periodic_polyak(params, info, "target", ("k",), 1.0, 3)
    learner = counter(init=with_target, after=after)
    state, lagged = init_train_state(learner, learner.init(KEY, None)), []
    for _ in range(7):
        state, *_ = update(learner, None, state, (probes.all_rows(experience([[[0]]])),), 0, Info(KEY))
        lagged.append(float(state.params["target"]["k"]))
    assert lagged == [8.0, 8.0, 3.0, 3.0, 3.0, 6.0, 6.0]
    assert int(state.updates) == 7


def test_stop_halts_the_rest_of_a_rollouts_updates():
    def kick(params, rollout, info):  # so that the next rollout starts beyond where this one stopped
        return {"k": params["k"] + 1.0}, rollout

    learner = counter(prepare=kick, stop=lambda metrics: jnp.round(metrics["k"]) % 3 == 2)
    points = list(train(learner, levels(1.0), 8, probes.keys(1), num_points=2))
    # Of four steps each: from 1, then none at 2 (nor after it); kicked to 3: from 3 and 4, then none at 5.
    assert [k_of(p) for p in points] == [[2.0], [5.0]]
    assert [p.gradient_steps.tolist() for p in points] == [[1.0], [3.0]]
    assert [p.metrics["k"].tolist() for p in points] == [[1.0], [3.5]]  # means over the steps that were taken


def test_what_was_stopped_does_not_go_on_even_where_later_steps_look_well():
    def loss(params, batch, info):
        return -params["k"], {"row": batch.episode_return.max()}

    learner = counter(loss=loss, stop=lambda metrics: metrics["row"] == 2)
    last = probes.trained(learner, levels(1.0, steps=100), 1, seeds=12)
    # Rows 1 … 4 come in any order, row 2 once: so many steps as it has rows before it.
    assert set(k_of(last)) == set(last.gradient_steps.tolist()) == {0.0, 1.0, 2.0, 3.0}


# ------------------------------------------------------------------------------------------------ the loop


def test_steps_and_episodes_are_counted_over_all_tasks_and_copies():
    replay = Replay(num_steps=6, num_envs=5, batch_size=3)
    points = list(train(counter(replay), levels(1.0, 2.0, steps=3), 150, probes.keys(2), num_points=3))
    assert [p.steps.tolist() for p in points] == [[n] * 2 for n in (60, 120, 180)]  # 150, rounded up to whole rollouts
    assert [p.episodes.tolist() for p in points] == [[n] * 2 for n in (20, 40, 60)]
    assert [p.gradient_steps.tolist() for p in points] == [[n] * 2 for n in (10, 20, 30)]
    assert [p.metrics["return"].tolist() for p in points] == [[4.5] * 2] * 3  # of 3 and of 6


def test_progress_runs_from_0_to_1():
    points = train(COUNTER, levels(1.0, steps=8), 16, probes.keys(1), num_points=4)
    assert [float(p.metrics["progress"][0]) for p in points] == [0.0, 0.25, 0.5, 0.75]


def test_the_return_is_nan_where_no_episode_ended_and_a_mean_over_those_that_did():
    points = list(train(COUNTER, levels(1.0, steps=8), 16, probes.keys(1), num_points=4))
    returns = [float(p.metrics["return"][0]) for p in points]
    assert np.isnan(returns).tolist() == [True, False, True, False]
    assert returns[1] == returns[3] == 8.0
    assert probes.trained(COUNTER, levels(1.0, steps=8), 4).metrics["return"].tolist() == [8.0]


def test_on_policy_learns_from_the_newest_rollout_alone():
    seen = []

    def loss(params, batch, info):
        return jnp.zeros(()), {"oldest": batch.episode_return.min(), "newest": batch.episode_return.max()}

    for point in train(
        counter(Replay(num_steps=4, num_envs=1, batch_size=4), loss=loss), levels(1.0, steps=100), 12, probes.keys(1)
    ):
        seen.append((float(point.metrics["oldest"][0]), float(point.metrics["newest"][0])))
    assert seen == [(1.0, 4.0), (5.0, 8.0), (9.0, 12.0)]


def test_off_policy_the_memory_goes_on_and_the_oldest_give_way():
    def loss(params, batch, info):
        return jnp.zeros(()), {"oldest": batch.episode_return.min(), "newest": batch.episode_return.max()}

    replay = Replay(num_steps=4, num_envs=1, batch_size=200, buffer_size=10, update_to_data=0.5)
    last = None
    for last in train(counter(replay, loss=loss), levels(1.0, steps=100), 16, probes.keys(1), num_points=4):
        assert float(last.gradient_steps[0]) == float(last.steps[0]) / 2
    assert last is not None
    assert (float(last.metrics["oldest"][0]), float(last.metrics["newest"][0])) == (6.0, 15.0)


def test_relabelling_may_add_rows():
    def twice(params, rollout, info):
        return params, jax.tree.map(lambda x: jnp.concatenate([x, x], 2), rollout)

    last = probes.trained(counter(prepare=twice), levels(1.0), 1)
    assert last.gradient_steps.tolist() == [8.0]


def test_seeds_together_learn_what_each_learns_alone():
    learner, together = probes.taught(SMALL, RANDOM, 3, seeds=2)
    *_, alone = train(learner, RANDOM, 3 * 32, probes.keys(2)[1:], num_points=1)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b[0], rtol=1e-3, atol=1e-4), together.params, alone.params
    )


def test_a_seed_that_has_spent_its_budget_is_left_as_it_is():
    learner = SMALL.learner(spec(RANDOM))
    run = enter_envs(learner, RANDOM, init_loop_state(learner, probes.keys(2))).replace(steps=counts(0, 64))
    before = jax.tree.map(np.array, run.state)
    run, tally = train_chunk(learner, RANDOM, run, jnp.int32(2), count_of(64))
    going, spent = (jax.tree.map(lambda x, seed=seed: x[seed], (before, run.state)) for seed in range(2))
    jax.tree.map(np.testing.assert_array_equal, *spent)  # statistics too
    assert probes.different(*going)
    assert (numbers(run.steps), numbers(run.gradient_steps)) == ([64, 64], [8, 0])
    assert np.isnan(metric_means(tally)["return"][1])


@pytest.mark.parametrize("keep", [True, False])
def test_a_prior_outlives_what_starts_from_it_and_its_optimizer_comes_along_if_asked(keep: bool):
    learner = counter(optimizer=optax.trace(0.5))  # whose state is the sum of gradients, each half of the one before
    momentum: Any = {"k": jnp.full(1, 64.0)}
    prior = TrainState({"k": jnp.full(1, 7.0)}, (optax.TraceState(momentum),), jnp.ones(1, jnp.int32))
    learner = learner._replace(keep_optimizer=keep, replay=Replay(num_steps=1, num_envs=1, batch_size=1))
    after = probes.trained(learner, levels(1.0), 1, prior=prior)
    assert k_of(after) == [7.0 + 31.0 if keep else 7.0 - 1.0]
    assert prior.params["k"].tolist() == [7.0]


# ------------------------------------------------------------------------------------------------ shots


def shot(episodes: int, learner: Learner, tasks: Task, seeds: int = 1) -> LoopState:
    """Returns a run that has spent just so many episodes."""
    return train_on_shots(
        learner, tasks, init_loop_state(learner, probes.keys(seeds)), jnp.int32(episodes), count_of(100)
    )[0]


@pytest.mark.parametrize("episodes", [1, 2, 3])
def test_just_so_many_episodes_are_spent_and_their_steps_counted(episodes: int):
    corridor = probes.Corridor(length=3)
    tasks = stack([probes.one(corridor, push=push) for push in (1.0, 0.5)])  # 3 and 6 steps, of at most 9
    run = shot(episodes, counter(Replay(num_steps=corridor.horizon, num_envs=3, batch_size=1)), tasks)
    assert (numbers(run.steps), numbers(run.episodes)) == ([9 * episodes], [2 * episodes])
    assert run.state.updates.tolist() == [6.0 * episodes]  # one for each row of the task that has most
    assert run.env_states is None


@pytest.mark.parametrize("segment", [1, 2])
def test_off_policy_all_that_is_drawn_of_a_shot_has_weight_and_it_is_remembered(segment: int):
    """An episode of 3 steps in a grid of 9 x 3, then two: the first of these follows the one before in its ring."""
    corridor = probes.Corridor(length=3)
    tasks, told = probes.task(corridor), lambda params, batch, info: (-params["k"], {"w": batch.weight.mean()})
    replay = Replay(
        num_steps=corridor.horizon,
        num_envs=3,
        batch_size=64,
        buffer_size=50,
        update_to_data=1.0,
        learning_starts=2,
        sequence_length=segment,
    )
    learner, budget = counter(replay, loss=told), count_of(100)
    run = init_loop_state(learner, probes.keys(2))
    for episodes in (1, 2):
        run, metrics = train_on_shots(learner, tasks, run, jnp.int32(episodes), budget)
        weight = 13 / 14 if (segment, episodes) == (2, 2) else 1.0  # one of seven sequences reaches over a first end
        np.testing.assert_allclose(metrics["w"], weight, atol=0.05 if weight < 1 else 1e-6)
    assert run.state.updates.tolist() == [3.0 + 6.0] * 2
    assert run.memory is not None
    sizes = [[[8, 4, 0]]] * 2  # one episode, then two: each of three steps and a final observation
    assert (run.memory[0].size.tolist(), run.memory[0].stored.tolist()) == (sizes, [[9]] * 2)
    entered = enter_envs(learner, tasks, run).memory  # and goes on being so
    assert entered is not None
    assert (entered[0].size.tolist(), int((entered[0].rows.weight > 0).sum())) == (sizes, 18)


def test_what_was_not_asked_for_has_no_weight():
    def keep_weights(params, rollout, info):
        return {"k": rollout.weight}, rollout

    def loss(params, batch, info):
        return params["k"].sum(), {}

    learner = counter(
        Replay(num_steps=6, num_envs=3, batch_size=1),
        init=lambda key, prior: {"k": jnp.zeros((1, 6, 3))},
        prepare=keep_weights,
        loss=loss,
        optimizer=optax.set_to_zero(),
    )
    weights = shot(2, learner, levels(1.0, steps=4)).state.params["k"][0, 0]
    assert weights.tolist() == [[1, 1, 0]] * 4 + [[0, 0, 0]] * 2


def test_shots_add_up_and_training_goes_on_from_there():
    learner, tasks = counter(Replay(num_steps=4, num_envs=2, batch_size=8)), levels(1.0, steps=4)
    run = shot(2, learner, tasks, seeds=2)
    run, metrics = train_on_shots(learner, tasks, run, jnp.int32(1), count_of(100))
    assert (numbers(run.steps), numbers(run.episodes)) == ([12] * 2, [3] * 2)
    assert metrics["return"].tolist() == [4.0] * 2
    run = enter_envs(learner, tasks, run)
    assert run.env_states is not None
    assert run.env_states[0] is not None
    assert run.env_states[0].episode.time.tolist() == [[[0, 0]]] * 2  # in worlds of its own
    assert (k_of(run), numbers(run.steps)) == ([2.0] * 2, [12] * 2)


def test_products_are_told_how_many_cores_they_are_worth():
    """With another version of JAX, look whether its options are still there, and still needed."""
    x = jnp.ones((256, 256))
    untold, *told = (jax.jit(lambda x: x @ x, compiler_options=options) for options in (None, ONE_CORE, EVERY_CORE))
    assert "ynn" in str(untold.lower(x).compile().as_text())
    for options in told:
        assert "ynn" not in str(options.lower(x).compile().as_text())
    tasks = probes.task(probes.Corridor())
    for width, large in ((64, False), (1024, True)):
        learner = PPO(hidden=(width, width), batch_size=128).learner(spec(tasks))
        run = jax.eval_shape(functools.partial(init_loop_state, learner), probes.keys(2))
        assert is_large(learner, tasks, run) == large


# ------------------------------------------------------------------------------------------------ exact counts


@pytest.mark.parametrize(
    ("updates", "length", "copies", "steps"), [(0.25, 1, 1, 13), (0.5, 3, 1, 21), (0.02, 1, 3, 300), (1.3, 5, 1, 45)]
)
def test_a_part_of_a_gradient_step_is_carried_over_turns_and_points(updates, length, copies, steps):
    replay = Replay(length, copies, batch_size=2, buffer_size=64, update_to_data=updates)
    undrawn = copies if length == 1 else 0  # a first step can be drawn once its next observation is stored
    for point in train(counter(replay), levels(1.0, steps=7), steps, probes.keys(2), num_points=5):
        due = replay.update_rate * (int(point.steps[0]) - undrawn)
        assert point.gradient_steps.tolist() == [float(int(due))] * 2
    assert point.steps.tolist() == [float(steps)] * 2


def test_a_part_of_a_gradient_step_is_carried_over_shots():
    corridor = probes.Corridor(length=3)  # an episode has 3 steps
    replay = Replay(num_steps=corridor.horizon, num_envs=2, batch_size=2, buffer_size=64, update_to_data=0.5)
    learner, tasks, taken = counter(replay), probes.task(corridor), []
    run = init_loop_state(learner, probes.keys(1))
    for _ in range(4):
        run, _ = train_on_shots(learner, tasks, run, jnp.int32(1), count_of(100))
        taken += numbers(run.gradient_steps)
    assert taken == [1, 3, 4, 6]


def test_counting_goes_on_where_float32_stands_still():
    """At 2^24 a float32 is no longer moved by 1: progress, the step size and what is spent would stand still."""
    learner, tasks, begun = counter(Replay(num_steps=1, num_envs=1, batch_size=1)), levels(1.0, steps=1), 2**24
    run = enter_envs(learner, tasks, init_loop_state(learner, probes.keys(2))).replace(
        steps=counts(begun, 10**12 - 3), episodes=counts(begun, 5), gradient_steps=counts(2**31, 2**24)
    )
    run, tally = train_chunk(learner, tasks, run, jnp.int32(5), count_of(10**12))
    assert numbers(run.steps) == [begun + 5, 10**12]  # and the second stops at its budget
    assert numbers(run.episodes) == [begun + 5, 8]
    assert numbers(run.gradient_steps) == [2**31 + 5, 2**24 + 3]
    np.testing.assert_allclose(metric_means(tally)["progress"], [begun / 10**12, 1.0], rtol=1e-5)
