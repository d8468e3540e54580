"""Finetuning: what is kept, trained and initialized again, array by array after one rollout's updates in the target."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.names import named, within
from headstart.core.rollout import reset_envs, rollout
from headstart.core.train import init_loop_state
from headstart.core.types import Info, Method, Params, PyTree, TrainState, Transition, spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.popart import PopArt
from headstart.nets.encoders import encode

BASE = PPO(hidden=(4,), num_steps=8, num_envs=2, batch_size=16, num_epochs=1, learning_rate=1e-2)
ROWS, UPDATES = 16, 1  # of one rollout
SOURCE = probes.task(probes.Corridor(discrete=False))
TARGET = probes.task(probes.Corridor(discrete=False), push=0.5)
HEADS = ["policy.log_std", "policy.net.last", "value.last"]
STATISTICS = ["normalizer", "returns"]  # moved by experience, not by gradients

PLAIN = Finetune(BASE)
LAST = Finetune(BASE, layers="last")
STEADY = Finetune(BASE, normalizer="frozen", optimizer="kept")
FROZEN = Finetune(BASE, freeze=("policy.net.layers.0", "policy.log_std", "value", "returns"), normalizer="fresh")


class Story(NamedTuple):
    """Params by name (and optimizer states): what the source left, the start in the target, after one update there."""

    prior: dict[str, Any]
    began: dict[str, Any]
    after: dict[str, Any]
    optimizers: tuple[Any, Any, Any]


@functools.cache
def source() -> TrainState:
    return probes.taught(BASE, SOURCE, 3)[1].state


@functools.cache
def played() -> Transition:
    """Returns a rollout in the target with the source's params."""
    learner, params = BASE.learner(spec(TARGET)), jax.tree.map(lambda x: x[0], source().params)
    play = lambda params, key: rollout(learner, params, TARGET, reset_envs(learner, TARGET, 2, key), Info(key), 8)[1]
    return jax.jit(play)(params, jax.random.key(0))


@functools.cache
def story(finetune: Finetune) -> Story:
    learner = finetune.learner(spec(TARGET), target=True)
    began = init_loop_state(learner, probes.keys(1), source()).state
    after = jax.vmap(lambda state: probes.lesson(learner, state, played()))(began)
    states = (source(), began, after)
    prior, began, after = (named(state.params) for state in states)
    return Story(prior, began, after, (states[0].optimizers, states[1].optimizers, states[2].optimizers))


def same(a: dict[str, Any], b: dict[str, Any]) -> set[str]:
    """Returns the names of the arrays that are equal."""
    return {name for name in a if np.allclose(a[name], b[name], rtol=1e-6, atol=1e-9)}


def parts(tree: dict[str, Any], of: list[str]) -> set[str]:
    return {name for name in tree if within(name, of)}


def started(finetune: Finetune) -> dict[str, Any]:
    """Returns the params at the start in the target."""
    learner = finetune.learner(spec(TARGET), target=True)
    return named(init_loop_state(learner, probes.keys(1), source()).state.params)


def test_by_default_everything_is_kept_and_trained():
    prior, began, after, _ = story(PLAIN)
    assert same(prior, began) == set(prior)
    assert same(prior, after) == set()


def test_only_the_last_layers_are_trained():
    prior, _, after, _ = story(LAST)
    assert set(prior) - same(prior, after) == parts(prior, [*HEADS, *STATISTICS])


def test_only_a_reset_head_is_initialized_again():
    prior, began = named(source().params), started(Finetune(BASE, reset_head=True))
    assert set(prior) - same(prior, began) == parts(prior, HEADS)
    np.testing.assert_array_equal(began["policy.log_std"], [[0.0]])
    np.testing.assert_array_equal(began["value.last.bias"], [[0.0]])
    assert np.linalg.norm(began["policy.net.last.weight"]) == pytest.approx(0.01, rel=1e-4)


def test_frozen_parts_stay_and_the_others_move():
    prior, _, after, _ = story(FROZEN)
    assert same(prior, after) == parts(prior, list(FROZEN.freeze))


def test_reset_parts_are_initialized_again():
    prior, began, after, _ = story(Finetune(BASE, reset=("value",), l2_sp=0.1))
    assert same(prior, began) == set(prior) - parts(prior, ["value"])
    assert same(began, after).isdisjoint(parts(prior, ["policy.net", "value"]))


@pytest.mark.parametrize("reset", [("value",), ("value.net.last", "value.nets.0")], ids=["whole", "some"])
@pytest.mark.parametrize(
    ("base", "discrete"), [(SAC(hidden=(4,)), False), (DQN(hidden=(4,)), True)], ids=["SAC", "DQN"]
)
def test_the_target_network_of_a_reset_network_is_a_copy_of_it(base: Method, discrete: bool, reset: tuple[str, ...]):
    of = spec(probes.task(probes.Corridor(discrete=discrete)))
    prior = init_loop_state(base.learner(of), probes.keys(1, of=1)).state
    known = [name for name in reset if any(within(leaf, [name]) for leaf in named(prior.params))]
    learner = Finetune(base, reset=tuple(known)).learner(of, target=True)
    began = init_loop_state(learner, probes.keys(1), prior).state.params
    assert probes.different(began["value"], prior.params["value"])
    probes.check_same(began["target"]["value"], began["value"])


def test_l2_sp_pulls_only_what_was_kept():
    method = Finetune(BASE, reset=("value",), reset_head=True, l2_sp=0.5)
    (phase,) = method.learner(spec(TARGET), target=True).phases
    weights = {name: jax.tree.map(lambda x: x[0], source().params[name]) for name in phase.train}
    optimizer = optax.with_extra_args_support(phase.optimizer)

    @jax.jit
    def changed(weights: PyTree) -> PyTree:
        nothing, moved = jax.tree.map(jnp.zeros_like, weights), jax.tree.map(lambda x: x + 1.0, weights)
        return optimizer.update(nothing, optimizer.init(weights), moved, progress=0.0)[0]

    changes = named(changed(weights))
    pulled = {name for name, x in changes.items() if np.any(np.asarray(x))}
    assert pulled == parts(changes, ["policy.net.layers"])


def test_l2_sp_does_not_pull_statistics():
    """Mean, variance and count of a normalizer must not be pulled back to the source's at every gradient step."""
    free, tied = (story(method)[2] for method in (PLAIN, Finetune(BASE, reset=("value",), l2_sp=0.1)))
    for name in ("normalizer.mean", "normalizer.variance", "normalizer.count", "returns.scale.count"):
        np.testing.assert_array_equal(tied[name], free[name], err_msg=name)


def test_each_part_has_its_own_learning_rate_and_the_most_specific_name_counts():
    scaled = Finetune(BASE, learning_rate_scales=("policy=0", "policy.net.last=0.5"))
    prior, began, after, _ = story(scaled)
    assert same(began, after) >= parts(prior, ["policy.net.layers", "policy.log_std"])
    assert same(began, after).isdisjoint(parts(prior, ["policy.net.last", "value"]))


@pytest.mark.parametrize("rates", ["policy", "policy=fast", "=0.1", "policy=-1"])
def test_a_malformed_learning_rate_scale_is_refused(rates: str):
    with pytest.raises(InputError, match=r"is not NAME=FACTOR; write such as policy\.net=0\.1"):
        Finetune(BASE, learning_rate_scales=(rates,))


def test_an_unknown_name_is_refused_with_the_known_ones():
    learner = Finetune(BASE, freeze=("policy.nett",)).learner(spec(TARGET), target=True)
    with pytest.raises(InputError, match=r"^Finetune cannot freeze 'policy.nett': .* policy.net.last.weight") as raised:
        init_loop_state(learner, probes.keys(1), source())
    assert str(raised.value).endswith(".")


def test_a_kept_normalizer_continues():
    prior, _, after, _ = story(PLAIN)
    assert prior["normalizer.count"].tolist() == [[3 * ROWS]]
    assert after["normalizer.count"].tolist() == [[4 * ROWS]]
    assert "normalizer.mean" not in same(prior, after)


def test_a_fresh_normalizer_restarts():
    prior, began, after, _ = story(FROZEN)
    assert same(prior, began) == set(prior) - parts(prior, ["normalizer"])
    assert (began["normalizer.mean"].tolist(), began["normalizer.variance"].tolist()) == ([[0.0]], [[1.0]])
    assert after["normalizer.count"].tolist() == [[ROWS]]


def test_a_frozen_normalizer_stays():
    prior, _, after, _ = story(STEADY)
    assert parts(prior, ["normalizer"]) <= same(prior, after)
    assert after["returns.scale.count"].tolist() == [4 * ROWS]  # the scale of returns continues
    both = started(STEADY), started(Finetune(BASE, freeze=("normalizer",)))
    assert same(*both) == set(prior)


@pytest.mark.parametrize(
    "finetune",
    [PLAIN, STEADY, Finetune(BASE, freeze=("normalizer", "returns"))],
    ids=["kept", "frozen", "all-frozen"],
)
def test_rows_are_prepared_with_the_statistics_that_the_updates_use(finetune: Finetune):
    """Otherwise the probability ratio does not start at 1, and value targets have other units than the values."""
    learner = finetune.learner(spec(TARGET), target=True)
    params: Params = jax.tree.map(lambda x: x[0], source().params)
    fresh = played()  # other observations and rewards than in the source, and each step ends its episode
    shifted = {"obs": fresh.obs + 1.0, "next_obs": fresh.next_obs + 1.0, "reward": fresh.reward + 100.0}
    fresh = fresh.replace(**shifted, discount=0.0 * fresh.discount, last=jnp.ones_like(fresh.last))

    @jax.jit
    def prepared(params: Params) -> tuple[Params, Transition, Any]:
        after, rows = learner.prepare(params, fresh, Info(jax.random.key(0)))
        flat = jax.tree.map(lambda x: x.reshape(1, ROWS, *x.shape[3:]), rows)
        return after, rows, probes.loss_of(learner, after, flat)[1]["kl"]

    after, rows, kl = prepared(params)
    assert float(kl) == pytest.approx(0.0, abs=1e-6)
    returns = after["returns"].scale.rms * rows.extras["value_target"]
    np.testing.assert_allclose(returns, fresh.reward, rtol=1e-5)


def test_the_temperature_of_sac_is_no_head_but_is_trained_with_it():
    base = SAC(hidden=(4,))
    of = spec(TARGET)
    prior = init_loop_state(base.learner(of), probes.keys(1)).state
    prior = prior.replace(params={**prior.params, "log_alpha": jnp.full(1, -2.0)})
    method = Finetune(base, reset_head=True, layers="last")
    learner = method.learner(of, target=True)
    began = init_loop_state(learner, probes.keys(1), prior).state
    assert began.params["log_alpha"].tolist() == [-2.0]
    batch = probes.experience(np.ones((1, 1, 2)), action=jnp.full((1, 1, 2, 1), 0.3))
    after = jax.vmap(lambda state: probes.lesson(learner, state, batch))(began)
    assert after.params["log_alpha"].tolist() != [-2.0]
    same_names = same(named(began.params), named(after.params))
    assert parts(named(began.params), ["policy.net.layers", "value.nets.0.layers"]) <= same_names
    assert parts(named(began.params), ["policy.net.last", "value.nets.0.last"]).isdisjoint(same_names)


@pytest.mark.parametrize("base", [BASE, PopArt(BASE)], ids=["PPO", "PopArt"])
@pytest.mark.parametrize("freeze", [("value",), ("value", "returns")], ids="-".join)
def test_a_frozen_critic_keeps_its_values(base: Method, freeze: tuple[str, ...]):
    """They are the network's outputs in units of statistics that a rollout may change."""
    learner = Finetune(base, freeze=freeze).learner(spec(TARGET), target=True)
    before = probes.known(learner)
    fresh = played().replace(reward=played().reward + 100.0)

    def values(params: Params) -> list[float]:
        outputs = [params["value"](encode(params, jnp.array([x]), jnp.zeros(0))) for x in (0.0, 0.5, 1.0)]
        return [float(params["returns"].value(x, jnp.zeros(0))) for x in outputs]

    for _ in range(2):
        after, _ = jax.jit(learner.prepare)(before, fresh, Info(jax.random.key(0)))
        after["normalizer"] = before["normalizer"]
        assert values(after) == pytest.approx(values(before), rel=1e-3, abs=1e-4)
        before = after


@pytest.mark.parametrize(("finetune", "count"), [(PLAIN, UPDATES), (STEADY, 3 + UPDATES)], ids=["fresh", "kept"])
def test_the_optimizer_is_fresh_or_kept(finetune: Finetune, count: int):
    def adam(state: Any) -> Any:
        return next(x for x in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "mu")) if hasattr(x, "mu"))

    prior, began, after = map(adam, story(finetune).optimizers)
    assert (prior.count.tolist(), after.count.tolist()) == ([3], [count])
    left, brought = (np.array(x.mu) for x in (prior, began))
    assert left.any()
    np.testing.assert_array_equal(brought, left if finetune is STEADY else 0.0 * left)


def test_scale_std_changes_the_standard_deviation_and_nothing_else():
    prior, began = named(source().params), started(Finetune(BASE, scale_std=0.5))
    np.testing.assert_allclose(began["policy.log_std"], prior["policy.log_std"] + np.log(0.5), rtol=1e-5)
    assert set(prior) - same(prior, began) == {"policy.log_std"}


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scale_std_scales_the_temperature_of_a_softmax(factor: float):
    known = spec(probes.task(probes.Corridor()))
    prior = init_loop_state(BASE.learner(known), probes.keys(1)).state
    sharp = prior.params["policy"].scale_std(0.01)  # a new policy is almost uniform
    prior = prior.replace(params={**prior.params, "policy": sharp})
    began = init_loop_state(Finetune(BASE, scale_std=factor).learner(known, target=True), probes.keys(1), prior).state

    def entropy(state: TrainState) -> float:
        params = jax.tree.map(lambda x: x[0], state.params)
        return float(params["policy"](encode(params, jnp.ones(1), jnp.zeros(0))).entropy())

    assert (entropy(began) > entropy(prior)) == (factor > 1)


def test_without_a_prior_it_starts_as_its_base():
    learner = Finetune(BASE, reset_head=True, normalizer="frozen", scale_std=0.1).learner(spec(TARGET), target=True)
    began = init_loop_state(learner, probes.keys(1)).state.params
    fresh = init_loop_state(BASE.learner(spec(TARGET)), probes.keys(1)).state.params
    jax.tree.map(np.testing.assert_array_equal, began, fresh)


def test_in_the_source_it_is_its_base():
    assert Finetune(BASE, layers="last").learner(spec(SOURCE)) is BASE.learner(spec(SOURCE))


@pytest.mark.parametrize("scale_std", [0.0, -1.0, float("nan")])
def test_a_value_out_of_range_is_refused(scale_std: float):
    with pytest.raises(
        InputError, match=r"^Finetune\(scale_std=.*\) is out of range: scale_std is within \(0, inf\]\.$"
    ):
        Finetune(scale_std=scale_std)
