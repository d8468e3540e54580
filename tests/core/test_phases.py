"""Phases: what an update changes, by a learner of two numbers, `a` and `b`, that one can follow on paper."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core.learn import init_train_state, run_updates, update
from headstart.core.memory import from_rollout
from headstart.core.train import train
from headstart.core.types import Info, Learner, Metrics, Params, Phase, Replay, TrainState, Transition, stack

KEY = jax.random.key(0)
ON_POLICY = Replay(num_steps=4, num_envs=1, batch_size=1)
POWERS = [10.0**i for i in range(6)]  # rewards of a rollout whose sums say how often each was added


def rise(part: str, rate: float = 1.0, **fields: Any) -> Phase:
    """Returns a phase that adds `rate` to a part in each gradient step, and reports what the part was before."""
    loss = lambda params, batch, info: (-params[part], {part: params[part]})
    return Phase(loss, (part,), optax.sgd(rate))._replace(**fields)


def two_numbers(*phases: Phase, replay: Replay = ON_POLICY, **fields: Any) -> Learner:
    """Returns a learner whose params are a = 0, b = 0 and the count of its rollouts, which no phase trains."""
    init = lambda key, prior: {"a": jnp.zeros(()), "b": jnp.zeros(()), "rollouts": jnp.zeros(())}
    return probes.player(probes.right, replay)._replace(init=init, phases=phases, **fields)


def initial(learner: Learner) -> TrainState:
    return init_train_state(learner, learner.init(KEY, None))


def updated(
    learner: Learner, state: TrainState | None = None, batch: Transition | None = None
) -> tuple[TrainState, Metrics, dict[str, bool], bool]:
    """Returns what one update leads to, with the same batch for all phases."""
    start, batch = state or initial(learner), batch or experience([[0.0]])
    sampler = probes.all_rows(jax.tree.map(lambda x: x[:, :, None], batch))
    after, metrics, reported, stop = update(learner, None, start, (sampler,), 0, Info(KEY))
    return after, metrics, {name: bool(reported.get(name, True)) for name in metrics}, bool(stop)


def after_rollout(learner: Learner, *rewards: float, state: TrainState | None = None) -> tuple[TrainState, Metrics]:
    """Returns the state after the updates on a rollout of these rewards, and the mean metrics that were reported."""
    start, memory = state or initial(learner), from_rollout(experience(np.reshape(rewards, (1, -1, 1))))
    gathered, none = jnp.int32(len(rewards)), jnp.int32(0)
    run = jax.jit(run_updates, static_argnums=0)
    after, _, metrics, reported = run(learner, None, start, (memory,), gathered, none, Info(KEY), jnp.array(True))
    return after, {name: x for name, x in metrics.items() if reported[name]}


def numbers(params: Params) -> dict[str, float]:
    return {name: float(x) for name, x in params.items()}


# ------------------------------------------------------------------------------------------------ what moves


def test_each_phase_moves_its_own_part_by_its_own_optimizer():
    learner = two_numbers(
        rise("a", optimizer=optax.sgd(0.5)),  # + 0.5 each
        rise("b", optimizer=optax.chain(optax.trace(0.5), optax.scale(-1.0))),  # + 1, + 1 + 1/2, + 1 + 1/2 + 1/4
    )
    state, seen = initial(learner), []
    for _ in range(3):
        state, metrics, reported, _ = updated(learner, state)
        seen.append((float(metrics["a"]), float(metrics["b"])))
        assert reported == {"a": True, "b": True}
    assert seen == [(0.0, 0.0), (0.5, 1.0), (1.0, 2.5)]
    assert numbers(state.params) == {"a": 1.5, "b": 4.25, "rollouts": 0.0}
    assert int(state.updates) == 3
    assert len(state.optimizers) == 2
    assert [float(x) for x in jax.tree.leaves(state.optimizers)] == [-1.75]  # momentum of b's phase; sgd has no state


def test_phases_run_in_order_and_a_later_one_sees_what_an_earlier_one_changed():
    copy = lambda params, batch, info: (jnp.square(params["b"] - params["a"]) / 2, {"a_seen": params["a"]})
    state, metrics, *_ = updated(two_numbers(rise("a", 3.0), Phase(copy, ("b",), optax.sgd(1.0))))
    assert (float(metrics["a"]), float(metrics["a_seen"])) == (0.0, 3.0)
    assert numbers(state.params) == {"a": 3.0, "b": 3.0, "rollouts": 0.0}


def test_a_loss_may_use_a_part_that_another_phase_trains_and_does_not_move_it():
    product = lambda params, batch, info: ((params["a"] + 2.0) * (params["b"] - 1.0), {})  # by a: −1; by b: 2
    state, *_ = updated(two_numbers(Phase(product, ("a",), optax.sgd(1.0))))
    assert numbers(state.params) == {"a": 1.0, "b": 0.0, "rollouts": 0.0}
    state, *_ = updated(two_numbers(Phase(product, ("b",), optax.sgd(1.0))))
    assert numbers(state.params) == {"a": 0.0, "b": -2.0, "rollouts": 0.0}
    state, *_ = updated(two_numbers(Phase(product, ("a", "b"), optax.sgd(1.0))))
    assert numbers(state.params) == {"a": 1.0, "b": -2.0, "rollouts": 0.0}


@pytest.mark.parametrize(
    "optimizer",
    [optax.adam(0.1), optax.adamw(0.1, weight_decay=0.5), optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1))],
    ids=["adam", "adamw", "decay"],
)
def test_a_part_that_no_phase_trains_is_not_changed_by_an_update(optimizer: optax.GradientTransformation):
    """Neither by its gradient, which is not 0 here, nor by an optimizer that decays all weights."""
    everything = lambda params, batch, info: (sum(params.values(), jnp.zeros(())), {})
    learner = two_numbers(Phase(everything, ("a",), optimizer))
    start = initial(learner)
    start = start.replace(params={"a": jnp.float32(5.0), "b": jnp.float32(7.0), "rollouts": jnp.float32(9.0)})
    state = start
    for _ in range(3):
        state, *_ = updated(learner, state)
    after = numbers(state.params)
    assert after.pop("a") < 5.0
    assert after == {"b": 7.0, "rollouts": 9.0}
    alone = optimizer.init({"a": jnp.zeros(())})
    assert jax.tree.structure(start.optimizers) == jax.tree.structure((alone,))


def test_statistics_change_in_prepare_alone():
    prepare = lambda params, rollout, info: ({**params, "rollouts": params["rollouts"] + 1.0}, rollout)
    learner = two_numbers(rise("a"), rise("b", 0.5), prepare=prepare)
    tasks = stack([probes.one(probes.Bandit(lambda number, action: number))])
    points = list(train(learner, tasks, 8, probes.keys(1), num_points=2))
    assert [{name: x.tolist() for name, x in point.params.items()} for point in points] == [
        {"a": [4.0], "b": [2.0], "rollouts": [1.0]},
        {"a": [8.0], "b": [4.0], "rollouts": [2.0]},
    ]
    assert [point.gradient_steps.tolist() for point in points] == [[4.0], [8.0]]  # updates, however many phases


# ------------------------------------------------------------------------------------------------ when


def test_a_phase_with_every_2_takes_a_step_in_updates_0_2_4():
    learner = two_numbers(rise("a"), rise("b", every=2))
    state, seen = initial(learner), []
    for i in range(5):
        state, metrics, reported, _ = updated(learner, state)
        assert float(metrics["a"]) == i
        seen.append((float(state.params["a"]), float(state.params["b"]), reported["a"], reported["b"]))
    assert seen == [
        (1.0, 1.0, True, True),
        (2.0, 1.0, True, False),
        (3.0, 2.0, True, True),
        (4.0, 2.0, True, False),
        (5.0, 3.0, True, True),
    ]


def test_the_optimizer_of_a_phase_that_takes_no_step_stays_as_it_is():
    learner = two_numbers(rise("a"), rise("b", optimizer=optax.chain(optax.trace(0.5), optax.scale(-1.0)), every=2))
    first, *_ = updated(learner)
    second, *_ = updated(learner, first)
    probes.check_same(second.optimizers[1], first.optimizers[1])
    third, *_ = updated(learner, second)
    assert [float(state.params["b"]) for state in (first, second, third)] == [1.0, 1.0, 2.5]  # + 1, + 1 + 1/2


@pytest.mark.parametrize(("every", "steps", "mean"), [(1, 5, 2.0), (2, 3, 1.0), (3, 2, 0.5), (5, 1, 0.0), (9, 1, 0.0)])
def test_metrics_are_averaged_over_the_updates_that_reported_them(every: int, steps: int, mean: float):
    """Of 5 updates: `a` is 0, 1, 2, 3 and 4 before them, and `b` is 0, 1, … before those in which it moves."""
    state, metrics = after_rollout(two_numbers(rise("a"), rise("b", every=every)), *range(5))
    assert numbers(state.params) == {"a": 5.0, "b": float(steps), "rollouts": 0.0}
    assert {name: float(x) for name, x in metrics.items()} == {"a": 2.0, "b": mean}


def test_updates_are_counted_over_rollouts():
    """With one update after each rollout, a phase with `every=2` takes a step after every other rollout."""
    off_policy = Replay(num_steps=1, num_envs=1, batch_size=1, buffer_size=8, update_to_data=1.0)
    learner = two_numbers(rise("a"), rise("b", every=2), replay=off_policy)
    tasks = stack([probes.one(probes.Bandit(lambda number, action: number))])
    points = list(train(learner, tasks, 6, probes.keys(1), num_points=6))
    assert [(float(point.params["a"][0]), float(point.params["b"][0])) for point in points] == [
        *[(1.0, 1.0), (2.0, 1.0), (3.0, 2.0), (4.0, 2.0), (5.0, 3.0), (6.0, 3.0)]
    ]


def test_seeds_that_train_together_skip_the_same_updates():
    """Of two rollouts of 4 updates each, `b` moves in updates 0 and 2."""
    learner = two_numbers(rise("a"), rise("b", every=2))
    tasks = stack([probes.one(probes.Bandit(lambda number, action: number))])
    points = list(train(learner, tasks, 8, probes.keys(2), num_points=2))
    assert [(point.params["a"].tolist(), point.params["b"].tolist()) for point in points] == [
        ([4.0] * 2, [2.0] * 2),
        ([8.0] * 2, [4.0] * 2),
    ]
    assert [(point.metrics["a"].tolist(), point.metrics["b"].tolist()) for point in points] == [
        ([1.5] * 2, [0.5] * 2),  # means of 0, 1, 2, 3 and of 0, 1
        ([5.5] * 2, [2.5] * 2),
    ]


def test_a_phase_with_every_2_takes_the_batches_one_after_another():
    """Its n-th step is on the n-th batch: of two epochs of 6 updates each, its 6 steps are the first epoch."""
    add = lambda params, batch, info: (-params["a"] * batch.reward.sum(), {})
    learners = [
        two_numbers(Phase(add, ("a",), optax.sgd(1.0), every=every), replay=ON_POLICY._replace(num_epochs=2))
        for every in (1, 2)
    ]
    every, half = (after_rollout(learner, *POWERS)[0].params["a"] for learner in learners)
    assert (float(every), float(half)) == (222222.0, 111111.0)


# ------------------------------------------------------------------------------------------------ how often


def test_a_phase_with_times_3_takes_three_gradient_steps_each_on_its_own_batch():
    """b moves halfway to the reward of its batch: with 8, 4 and 2 in that order, by 4, 0 and −1."""
    halfway = lambda params, batch, info: (jnp.square(params["b"] - batch.reward.mean()) / 2, {"b": params["b"]})
    learner = two_numbers(rise("a"), Phase(halfway, ("b",), optax.sgd(0.5), times=3))

    class InOrder(probes.AllRows):
        """The n-th batch is the n-th row."""

        def rows(self, n: Array) -> Array:
            return jnp.full((1, 1), n)

    sampler = InOrder(from_rollout(experience([[[8.0], [4.0], [2.0]]])), None, ON_POLICY)
    state, metrics, reported, _ = update(learner, None, initial(learner), (sampler,), 0, Info(KEY))
    assert numbers(state.params) == {"a": 1.0, "b": 3.0, "rollouts": 0.0}
    assert float(metrics["b"]) == pytest.approx((0 + 4 + 4) / 3)  # a mean over the gradient steps
    assert reported == {}  # nothing skips a step
    assert int(state.updates) == 1


@pytest.mark.parametrize(("updates", "sums"), [(2, 111111.0), (6, 333333.0)])
def test_a_phase_with_times_3_takes_the_batches_one_after_another(updates: int, sums: float):
    """Of 6 rows, it sees each once in two updates, and three times in all 6."""
    add = lambda params, batch, info: (-params["b"] * batch.reward.sum(), {})
    first = rise("a", stop=lambda metrics: metrics["a"] == updates)
    state, _ = after_rollout(two_numbers(first, Phase(add, ("b",), optax.sgd(1.0), times=3)), *POWERS)
    assert numbers(state.params) == {"a": float(updates), "b": sums, "rollouts": 0.0}


def test_off_policy_each_gradient_step_has_a_batch_and_a_key_of_its_own():
    replay = Replay(num_steps=16, num_envs=1, batch_size=4, buffer_size=16, update_to_data=1 / 16)
    seen = []

    def loss(params: Params, batch: Transition, info: Info) -> tuple[Array, Metrics]:
        jax.debug.callback(lambda *x: seen.append(x), batch.reward, jax.random.key_data(info.key))
        return jnp.zeros(()), {}

    learner = two_numbers(Phase(loss, (), optax.identity(), times=3), replay=replay)
    state, _ = after_rollout(learner, *range(16))
    jax.effects_barrier()
    assert int(state.updates) == 1
    for drawn in zip(*seen, strict=True):
        assert len({tuple(np.ravel(x)) for x in drawn}) == 3


# ------------------------------------------------------------------------------------------------ after


@pytest.mark.parametrize("times", [1, 3])
def test_after_runs_after_each_gradient_step_of_its_phase(times: int):
    """b becomes 10 b + a after each step of a: 1, 12, 123."""
    append = lambda params, info: {**params, "b": 10 * params["b"] + params["a"]}
    learner = two_numbers(rise("a", times=times, after=append))
    state, *_ = updated(learner)
    assert numbers(state.params) == {"a": float(times), "b": {1: 1.0, 3: 123.0}[times], "rollouts": 0.0}


def test_after_does_not_run_in_updates_in_which_its_phase_takes_no_step():
    append = lambda params, info: {**params, "b": 10 * params["b"] + params["a"]}
    learner = two_numbers(rise("a"), rise("rollouts", every=2, after=append))
    state, _ = after_rollout(learner, *range(4))
    assert numbers(state.params) == {"a": 4.0, "b": 13.0, "rollouts": 2.0}  # after updates 0 and 2, where a is 1 and 3


def test_after_is_told_how_many_updates_were_made_before():
    record = lambda params, info: {**params, "b": 10 * params["b"] + info.updates}
    learner = two_numbers(rise("a", after=record))
    state, _ = after_rollout(learner, *range(3))
    assert float(state.params["b"]) == 12.0  # 0, 1, 2
    state, _ = after_rollout(learner, *range(2), state=state)
    assert float(state.params["b"]) == 1234.0


# ------------------------------------------------------------------------------------------------ combine


def test_combine_is_given_each_tasks_gradients_of_the_trained_parts_alone():
    """Loss (a + 1)(b + r) of tasks with r = 1 and r = 3: by a, the gradients are 1 and 3; by b, they would be 1."""
    seen = []

    def combine(gradients: Params, losses: Array, key: Array) -> tuple[Params, Metrics]:
        seen.append((sorted(gradients), jax.tree.map(np.asarray, gradients), losses.tolist()))
        return jax.tree.map(lambda x: 10 * x[1] - x[0], gradients), {"more": losses.sum()}

    def loss(params: Params, batch: Transition, info: Info) -> tuple[Array, Metrics]:
        value = (params["a"] + 1.0) * (params["b"] + batch.reward.mean())
        return value, {"loss": value}

    learner = two_numbers(Phase(loss, ("a",), optax.sgd(0.5), combine=combine))
    with jax.disable_jit():
        state, metrics, *_ = updated(learner, batch=experience([[1.0, 1.0], [2.0, 4.0]]))
    ((names, gradients, losses),) = seen
    assert names == ["a"]
    assert gradients["a"].tolist() == [1.0, 3.0]
    assert losses == [1.0, 3.0]
    assert numbers(state.params) == {"a": -0.5 * (30 - 1), "b": 0.0, "rollouts": 0.0}
    assert {name: float(x) for name, x in metrics.items()} == {"loss": 2.0, "more": 4.0}


def test_each_phase_has_a_combine_of_its_own():
    pull = lambda part: lambda params, batch, info: (-params[part] * batch.reward.mean(), {})
    pick = lambda i: lambda gradients, losses, key: (jax.tree.map(lambda x: x[i], gradients), {})
    phases = (
        Phase(pull("a"), ("a",), optax.sgd(1.0), combine=pick(0)),
        Phase(pull("b"), ("b",), optax.sgd(1.0), combine=pick(1)),
        Phase(pull("rollouts"), ("rollouts",), optax.sgd(1.0)),
    )
    state, *_ = updated(two_numbers(*phases), batch=experience([[1.0, 1.0], [2.0, 4.0]]))
    assert numbers(state.params) == {"a": 1.0, "b": 3.0, "rollouts": 2.0}


# ------------------------------------------------------------------------------------------------ stop


@pytest.mark.parametrize("stopping", ["a", "b"])
def test_stop_undoes_the_update_of_all_phases_and_skips_the_rollouts_rest(stopping: str):
    """Both numbers are 0, 1, 2, … before the updates; the third, in which one is 2, says to stop."""
    stop = lambda metrics: metrics[stopping] >= 2
    phases = {part: rise(part, stop=stop if part == stopping else None) for part in ("a", "b")}
    learner = two_numbers(*phases.values())
    state, metrics = after_rollout(learner, *range(5))
    assert numbers(state.params) == {"a": 2.0, "b": 2.0, "rollouts": 0.0}
    assert int(state.updates) == 2
    assert {name: float(x) for name, x in metrics.items()} == {"a": 0.5, "b": 0.5}  # of the updates that were kept


def test_stop_undoes_optimizers_and_after_too():
    append = lambda params, info: {**params, "b": 10 * params["b"] + params["a"]}
    momentum = optax.chain(optax.trace(0.5), optax.scale(-1.0))
    stopping = rise("a", optimizer=momentum, after=append, stop=lambda metrics: metrics["a"] > 1)
    state, _ = after_rollout(two_numbers(stopping), *range(5))
    # a: 1, then 1 + 1.5 = 2.5, and the third step is undone; b: 1, then 10 + 2.5.
    assert numbers(state.params) == {"a": 2.5, "b": 12.5, "rollouts": 0.0}
    assert [float(x) for x in jax.tree.leaves(state.optimizers)] == [-1.5]


def test_stop_of_a_phase_is_asked_only_where_it_takes_a_step():
    """Metrics of a phase that takes no step are zeros, which would say to stop."""
    learner = two_numbers(rise("a"), rise("b", every=2, stop=lambda metrics: metrics["b"] == 0))
    state, metrics = after_rollout(
        learner,
        *range(5),
        state=initial(learner).replace(params={"a": jnp.zeros(()), "b": jnp.ones(()), "rollouts": jnp.zeros(())}),
    )
    assert numbers(state.params) == {"a": 5.0, "b": 4.0, "rollouts": 0.0}
    assert {name: float(x) for name, x in metrics.items()} == {"a": 2.0, "b": 2.0}  # b: 1, 2, 3


def test_the_next_rollout_updates_again_after_a_stop():
    learner = two_numbers(rise("a", stop=lambda metrics: metrics["a"] == 2), rise("b", every=2))
    state, _ = after_rollout(learner, *range(5))
    assert numbers(state.params) == {"a": 2.0, "b": 1.0, "rollouts": 0.0}
    state = state.replace(params={**state.params, "a": jnp.float32(3.0)})
    state, _ = after_rollout(learner, *range(3), state=state)
    assert numbers(state.params) == {"a": 6.0, "b": 3.0, "rollouts": 0.0}
    assert int(state.updates) == 5


def test_a_stop_in_the_first_update_reports_nothing():
    state, metrics = after_rollout(two_numbers(rise("a", stop=lambda metrics: metrics["a"] == 0)), *range(3))
    assert numbers(state.params) == {"a": 0.0, "b": 0.0, "rollouts": 0.0}
    assert int(state.updates) == 0
    assert metrics == {}


# ------------------------------------------------------------------------------------------------ the rest


def test_phases_draw_independent_randomness():
    draw = lambda part: lambda params, batch, info: (-params[part] * jax.random.normal(info.key), {})
    learner = two_numbers(*(Phase(draw(part), (part,), optax.sgd(1.0)) for part in ("a", "b")))
    params = numbers(updated(learner)[0].params)
    assert params["a"] != params["b"]


def test_with_batch_changes_what_the_loss_is_given():
    pull = lambda params, batch, info: (-params["a"] * batch.reward.mean(), {})
    double = lambda params, batch, info: batch.replace(reward=2 * batch.reward + params["b"])
    phase = Phase(pull, ("a",), optax.sgd(1.0)).with_batch(double)
    start = initial(two_numbers(phase)).replace(
        params={"a": jnp.zeros(()), "b": jnp.float32(1.0), "rollouts": jnp.zeros(())}
    )
    state, *_ = updated(two_numbers(phase), start, experience([[1.0, 3.0]]))
    assert float(state.params["a"]) == 5.0


def test_without_phases_nothing_is_learned_but_what_prepare_learns():
    prepare = lambda params, rollout, info: ({**params, "rollouts": params["rollouts"] + 1.0}, rollout)
    tasks = stack([probes.one(probes.Bandit(lambda number, action: number))])
    *_, last = train(two_numbers(prepare=prepare), tasks, 12, probes.keys(1), num_points=1)
    assert {name: x.tolist() for name, x in last.params.items()} == {"a": [0.0], "b": [0.0], "rollouts": [3.0]}
    assert (last.state.optimizers, last.gradient_steps.tolist()) == ((), [0.0])
