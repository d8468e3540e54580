"""Finetuning: what is kept, what moves and what starts anew, leaf by leaf after one rollout's updates in the target."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.learn import split_statistics
from headstart.core.names import named, within
from headstart.core.rollout import reset_envs, rollout
from headstart.core.train import init_loop_state
from headstart.core.types import PyTree, TrainState, Transition, spec
from headstart.learners.ppo import PPO
from headstart.methods.forward.finetune import Finetune
from headstart.nets.encoders import encode

BASE = PPO(hidden=(4,), num_steps=8, num_envs=2, batch_size=16, num_epochs=1, learning_rate=1e-2)
ROWS, UPDATES = 16, 1  # of one rollout
SOURCE = probes.task(probes.Corridor(discrete=False))
TARGET = probes.task(probes.Corridor(discrete=False), push=0.5)
HEADS = ["policy.log_std", "policy.net.last", "value.net.last"]
STATISTICS = ["features", "value.scale"]  # moved by experience, not by gradients


PLAIN = Finetune(BASE)
LAST = Finetune(BASE, layers="last")
STEADY = Finetune(BASE, normalizer="frozen", optimizer="kept")
FROZEN = Finetune(BASE, freeze=("policy.net.layers.0", "policy.log_std", "value"), normalizer="fresh")


class Story(NamedTuple):
    """Knowledge by name (and the optimizer's state): what the source left, where the target began, after one update."""

    prior: dict[str, Any]
    began: dict[str, Any]
    after: dict[str, Any]
    optimizers: tuple[Any, Any, Any]


@functools.cache
def source() -> TrainState:
    return probes.taught(BASE, SOURCE, 3)[1].state


@functools.cache
def played() -> Transition:
    """-> a rollout in the target, by what the source left."""
    learner, known = BASE.learner(spec(TARGET)), jax.tree.map(lambda x: x[0], source().knowledge)
    play = lambda k, key: rollout(learner, k, TARGET, reset_envs(learner, TARGET, 2, key), key, 1.0, 8)[1]
    return jax.jit(play)(known, jax.random.key(0))


@functools.cache
def story(finetune: Finetune) -> Story:
    learner = finetune.learner(spec(TARGET), target=True)
    began = init_loop_state(learner, probes.keys(1), source()).state
    after = jax.vmap(lambda state: probes.lesson(learner, state, played()))(began)
    states = (source(), began, after)
    prior, began, after = (named(state.knowledge) for state in states)
    return Story(prior, began, after, (states[0].optimizer, states[1].optimizer, states[2].optimizer))


def same(a: dict[str, Any], b: dict[str, Any]) -> set[str]:
    """-> the names of the leaves that are the same."""
    return {name for name in a if np.allclose(a[name], b[name], rtol=1e-6, atol=1e-9)}


def parts(tree: dict[str, Any], of: list[str]) -> set[str]:
    return {name for name in tree if within(name, of)}


def started(finetune: Finetune) -> dict[str, Any]:
    """-> knowledge at the target's beginning."""
    learner = finetune.learner(spec(TARGET), target=True)
    return named(init_loop_state(learner, probes.keys(1), source()).state.knowledge)


def test_as_it_is_all_is_kept_and_all_moves():
    prior, began, after, _ = story(PLAIN)
    assert same(prior, began) == set(prior)
    assert same(prior, after) == set()


def test_last_layers_only():
    prior, _, after, _ = story(LAST)
    assert set(prior) - same(prior, after) == parts(prior, [*HEADS, *STATISTICS])


def test_a_reset_head_starts_anew_and_the_rest_does_not():
    prior, began = named(source().knowledge), started(Finetune(BASE, reset_head=True))
    assert set(prior) - same(prior, began) == parts(prior, HEADS)
    np.testing.assert_array_equal(began["policy.log_std"], [[0.0]])
    np.testing.assert_array_equal(began["value.net.last.bias"], [[0.0]])
    assert np.linalg.norm(began["policy.net.last.weight"]) == pytest.approx(0.01, rel=1e-4)


def test_what_is_frozen_stays_and_the_rest_moves():
    prior, _, after, _ = story(FROZEN)
    assert same(prior, after) == parts(prior, list(FROZEN.freeze)) - {"value.scale.count"}


def test_what_is_reset_starts_anew():
    prior, began, after, _ = story(Finetune(BASE, reset=("value.net",), l2_sp=0.1))
    assert same(prior, began) == set(prior) - parts(prior, ["value.net"])
    assert same(began, after).isdisjoint(parts(prior, ["policy.net", "value.net"]))


def test_only_what_came_along_is_tied():
    tied = Finetune(BASE, reset=("value",), reset_head=True, l2_sp=0.5).learner(spec(TARGET), target=True)
    k, _ = split_statistics(jax.tree.map(lambda x: x[0], source().knowledge))
    optimizer = optax.with_extra_args_support(tied.optimizer)

    @jax.jit
    def changed(k: PyTree) -> PyTree:
        nothing, moved = jax.tree.map(jnp.zeros_like, k), jax.tree.map(lambda x: x + 1.0, k)
        return optimizer.update(nothing, optimizer.init(k), moved, progress=0.0)[0]

    changes = named(changed(k))
    pulled = {name for name, x in changes.items() if np.any(np.asarray(x))}
    assert pulled == parts(changes, ["policy.net.layers"])


def test_a_tether_holds_weights_and_no_statistic():
    """Tied, the mean, variance and count of a normaliser were pulled back to the source's at every gradient step."""
    free, tied = (story(how)[2] for how in (PLAIN, Finetune(BASE, reset=("value.net",), l2_sp=0.1)))
    for name in ("features.mean", "features.variance", "features.count", "value.scale.count"):
        np.testing.assert_array_equal(tied[name], free[name], err_msg=name)


def test_each_part_has_its_own_rate_and_the_most_exact_name_counts():
    paced = Finetune(BASE, learning_rate_scales=("policy=0", "policy.net.last=0.5"))
    prior, began, after, _ = story(paced)
    assert same(began, after) >= parts(prior, ["policy.net.layers", "policy.log_std"])
    assert same(began, after).isdisjoint(parts(prior, ["policy.net.last", "value.net"]))


@pytest.mark.parametrize("rates", ["policy", "policy=fast", "=0.1", "policy=-1"])
def test_a_rate_that_is_none_is_refused(rates: str):
    with pytest.raises(InputError, match=r"is no name and factor; write such as policy\.net\.layers=0\.1"):
        Finetune(BASE, learning_rate_scales=(rates,))


def test_an_unknown_name_is_told_the_known_ones():
    learner = Finetune(BASE, freeze=("policy.nett",)).learner(spec(TARGET), target=True)
    with pytest.raises(InputError, match=r"^Finetune cannot freeze 'policy.nett': .* policy.net.last.weight") as raised:
        init_loop_state(learner, probes.keys(1), source())
    assert str(raised.value).endswith(".")


def test_a_kept_normaliser_goes_on():
    prior, _, after, _ = story(PLAIN)
    assert prior["features.count"].tolist() == [[3 * ROWS]]
    assert after["features.count"].tolist() == [[4 * ROWS]]
    assert "features.mean" not in same(prior, after)


def test_a_fresh_normaliser_starts_anew():
    prior, began, after, _ = story(FROZEN)
    assert same(prior, began) == set(prior) - parts(prior, ["features", "value.scale.count"])
    assert (began["features.mean"].tolist(), began["features.variance"].tolist()) == ([[0.0]], [[1.0]])
    assert after["features.count"].tolist() == [[ROWS]]


def test_a_frozen_normaliser_stays():
    prior, _, after, _ = story(STEADY)
    assert {"features.mean", "features.variance"} <= same(prior, after)
    assert after["value.scale.count"].tolist() == [4 * ROWS]  # the returns' scale goes on
    both = started(STEADY), started(Finetune(BASE, freeze=("features",)))
    assert same(*both) == set(prior)


@pytest.mark.parametrize(("finetune", "count"), [(PLAIN, UPDATES), (STEADY, 3 + UPDATES)], ids=["fresh", "kept"])
def test_the_optimizer_is_fresh_or_kept(finetune: Finetune, count: int):
    def adam(state: Any) -> Any:
        return next(x for x in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "mu")) if hasattr(x, "mu"))

    prior, began, after = map(adam, story(finetune).optimizers)
    assert (prior.count.tolist(), after.count.tolist()) == ([3], [count])
    left, brought = (np.array(x.mu) for x in (prior, began))
    assert left.any()
    np.testing.assert_array_equal(brought, left if finetune is STEADY else 0.0 * left)


def test_cooling_halves_the_deviation_and_moves_nothing_else():
    prior, began = named(source().knowledge), started(Finetune(BASE, scale_std=0.5))
    np.testing.assert_allclose(began["policy.log_std"], prior["policy.log_std"] + np.log(0.5), rtol=1e-5)
    assert set(prior) - same(prior, began) == {"policy.log_std"}


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_warmer_softmax_is_less_certain(factor: float):
    known = spec(probes.task(probes.Corridor()))
    prior = init_loop_state(BASE.learner(known), probes.keys(1)).state
    sharp = prior.knowledge.policy.scale_std(0.01)  # a fresh policy is hardly certain of anything
    prior = prior.replace(knowledge=prior.knowledge.replace(policy=sharp))
    began = init_loop_state(Finetune(BASE, scale_std=factor).learner(known, target=True), probes.keys(1), prior).state

    def entropy(state: TrainState) -> float:
        k = jax.tree.map(lambda x: x[0], state.knowledge)
        return float(k.policy(encode(k, jnp.ones(1), jnp.zeros(0))).entropy())

    assert (entropy(began) > entropy(prior)) == (factor > 1)


def test_without_a_prior_it_learns_from_nothing():
    learner = Finetune(BASE, reset_head=True, normalizer="frozen", scale_std=0.1).learner(spec(TARGET), target=True)
    began = init_loop_state(learner, probes.keys(1)).state.knowledge
    fresh = init_loop_state(BASE.learner(spec(TARGET)), probes.keys(1)).state.knowledge
    jax.tree.map(np.testing.assert_array_equal, began, fresh)


def test_in_the_source_the_base_learner_learns():
    assert Finetune(BASE, layers="last").learner(spec(SOURCE)) is BASE.learner(spec(SOURCE))


@pytest.mark.parametrize("cool", [0.0, -1.0, float("nan")])
def test_what_is_out_of_range_is_said_in_one_sentence(cool: float):
    with pytest.raises(
        InputError, match=r"^Finetune\(scale_std=.*\) is out of range: scale_std is within \(0, inf\]\.$"
    ):
        Finetune(scale_std=cool)
