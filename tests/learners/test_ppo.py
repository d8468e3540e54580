"""PPO: what it computes from a rollout and its loss, by hand, and environments whose solution is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array
from probes import experience

from headstart.core.errors import InputError
from headstart.core.rollout import evaluate
from headstart.core.train import init_loop_state
from headstart.core.types import Box, Discrete, Info, Learner, Params, Spec
from headstart.learners.ppo import PPO
from headstart.nets.encoders import encode
from headstart.nets.returns import ReturnScale
from headstart.nets.running_statistics import RunningRMS

KEY = jax.random.key(0)
SPEC = Spec(Box((-1.0,), (1.0,)), Discrete(2))


def certain(learner: Learner, value: float, probabilities: tuple[float, float] = (0.5, 0.5)) -> Params:
    """Returns params by which every state has that value (in units of the returns' scale) and those probabilities."""
    params = probes.known(learner)

    def constant(net: Any, bias: Array) -> Any:
        weight = jnp.zeros_like(net.last.weight)
        return net.replace(last=jax.tree.map(lambda x: weight if x.ndim == 2 else bias, net.last))

    policy = params["policy"].replace(net=constant(params["policy"].net, jnp.log(jnp.array(probabilities))))
    return {**params, "policy": policy, "value": constant(params["value"], jnp.array([value]))}


# ------------------------------------------------------------------------------------------------ by hand


def a_rollout(**fields: Any) -> Any:
    """Returns [task 1, time 3, env 2]: one terminates at its second step, in the other only the first has weight."""
    reward, weight = [[[1, 3], [2, 1000], [4, -1000]]], [[[1, 1], [1, 0], [1, 0]]]
    given = {
        "discount": jnp.array([[[1, 1], [0, 1], [1, 1]]], jnp.float32),
        "last": jnp.array([[[False, True], [True, False], [False, True]]]),  # the other env is truncated there
        "obs": jnp.array([[[1, 2], [3, np.nan], [6, 99]]], jnp.float32)[..., None],
        **fields,
    }
    return experience(reward, weight, **given)


@pytest.fixture(scope="module")
def prepared() -> tuple[Params, Any]:
    learner = PPO(discount=0.5, gae_lambda=0.5).learner(SPEC)
    returns = ReturnScale(RunningRMS(jnp.float32(4.0), jnp.float32(4.0)))  # so that values are 2
    params = {**certain(learner, 1.0, (0.25, 0.75)), "returns": returns}
    return jax.jit(learner.prepare)(params, a_rollout(), Info(KEY))


def test_advantages_are_standardized_over_what_has_weight(prepared: tuple[Params, Any]):
    _, batch = prepared
    # v = 2, γ = λ = 1/2. First env: 1 + 1 − 2, 2 − 2 (terminated), 4 + 1 − 2; the other: 3 + 1 − 2 (truncated)
    raw = np.array([0.0, 0.0, 3.0, 2.0])
    expected = (raw - 1.25) / np.sqrt(np.mean((raw - 1.25) ** 2))
    seen = np.array(batch.extras["advantage"])[0]
    np.testing.assert_allclose(seen[[0, 1, 2, 0], [0, 0, 0, 1]], expected, rtol=1e-5)


def test_value_targets_are_returns_in_units_of_the_new_scale(prepared: tuple[Params, Any]):
    params, batch = prepared
    returns = np.array([2.0, 2.0, 5.0, 4.0])
    square = (4 * 4.0 + np.sum(returns**2)) / 8  # four earlier ones, of mean square 4
    scale = params["returns"].scale
    assert (float(scale.square), float(scale.count)) == (pytest.approx(square), 8.0)
    seen = np.array(batch.extras["value_target"])[0]
    np.testing.assert_allclose(seen[[0, 1, 2, 0], [0, 0, 0, 1]], returns / np.sqrt(square), rtol=1e-5)


def test_observations_with_weight_update_the_normalizer(prepared: tuple[Params, Any]):
    params, _ = prepared
    normalizer = params["normalizer"]
    assert (float(normalizer.mean[0]), float(normalizer.count[0])) == (3.0, 4.0)
    assert float(normalizer.variance[0]) == pytest.approx(np.var([1, 3, 6, 2]))


def test_log_probabilities_and_next_values_are_stored(prepared: tuple[Params, Any]):
    _, batch = prepared
    np.testing.assert_allclose(batch.extras["log_prob"][0, :, 0], np.log(0.25), rtol=1e-5)  # action 0 throughout
    np.testing.assert_allclose(batch.extras["next_value"][0, :, 0], 2.0, rtol=1e-5)


def test_log_probabilities_are_taken_under_the_statistics_that_updates_will_use():
    learner = PPO(hidden=(4,)).learner(SPEC)
    fresh = experience(np.arange(6.0).reshape(1, 3, 2))
    params, batch = jax.jit(learner.prepare)(probes.known(learner), fresh, Info(KEY))
    flat = jax.tree.map(lambda x: x.reshape(1, 6, *x.shape[3:]), batch)
    _, metrics = jax.jit(lambda params: probes.loss_of(learner, params, flat))(params)
    assert float(metrics["kl"]) == pytest.approx(0.0, abs=1e-6)


def one_transition(weight: float = 1.0) -> Any:
    """Returns an action that became half as likely again (¾ after ½), and another of weight 0."""
    extras = {"log_prob": np.log([[0.5, 0.9]]), "advantage": [[2.0, 50.0]], "value_target": [[3.0, -50.0]]}
    return experience(
        [[0, 0]],
        [[weight, 0.0]],
        action=jnp.ones((1, 2), jnp.int32),
        extras={name: jnp.array(x, jnp.float32) for name, x in extras.items()},
    )


def test_the_loss_of_one_transition_by_hand():
    learner = PPO(entropy_coef=0.1, value_coef=0.5, clip_eps=0.2).learner(SPEC)
    of = jax.jit(lambda params: probes.loss_of(learner, params, one_transition(3.0)))
    loss, metrics = of(certain(learner, 1.0, (0.25, 0.75)))
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    expected = {
        "policy_loss": -1.2 * 2,
        "value_loss": (1 - 3) ** 2,
        "entropy": entropy,
        "kl": 0.5 - np.log(1.5),
        "clipped": 1,
    }
    assert {name: float(x) for name, x in metrics.items()} == pytest.approx(expected, rel=1e-5)
    assert float(loss) == pytest.approx(-2.4 + 0.5 * 4 - 0.1 * entropy, rel=1e-5)


def test_statistics_are_not_trained_and_the_networks_are():
    learner = PPO(entropy_coef=0.1, clip_eps=0.9, hidden=(4,)).learner(SPEC)
    params = probes.known(learner)
    assert set(params) == {"normalizer", "policy", "value", "returns"}
    gradient = probes.gradient(learner, params, one_transition())
    assert set(gradient) == {"policy", "value"}
    assert gradient["policy"].net.last.bias.any()
    assert gradient["value"].last.bias.any()


def test_updates_stop_at_one_and_a_half_times_the_target_kl():
    stop = PPO(target_kl=0.02).learner(SPEC).phases[0].stop
    assert stop is not None
    assert [bool(stop({"kl": jnp.float32(kl)})) for kl in (0.029, 0.031)] == [False, True]
    assert PPO().learner(SPEC).phases[0].stop is None


def test_the_context_is_appended_to_the_observation():
    learner = PPO(hidden=(4,)).learner(SPEC._replace(context_dim=2))
    params = probes.known(learner)
    assert encode(params, jnp.array([0.5]), jnp.array([1.0, 2.0])).tolist() == [0.5, 1.0, 2.0]
    action, _, _ = learner.act(params, (), jnp.array([0.5]), jnp.array([1.0, 2.0]), Info(KEY))
    assert action.shape == ()


# ------------------------------------------------------------------------------------------------ known solutions

QUICK = PPO(hidden=(16,), num_envs=32, num_steps=16, batch_size=128, num_epochs=4, learning_rate=1e-2, discount=0.9)


@jax.jit
def chosen(params: Params, shown: float, seed: int) -> Array:
    """Returns the probability of action 1 at that observation."""
    alone = jax.tree.map(lambda x: x[seed], params)
    return jnp.exp(alone["policy"](encode(alone, jnp.array([shown]), jnp.zeros(0))).log_prob(jnp.int32(1)))


@pytest.mark.parametrize("discrete", [True, False])
def test_it_finds_the_end_of_a_corridor(discrete: bool):
    tasks = probes.task(probes.Corridor(discrete=discrete))
    learner, last = probes.taught(QUICK, tasks, 25, seeds=3)
    assert evaluate(learner, last.params, tasks, 2, probes.keys(3)).tolist() == [[[1.0, 1.0]]] * 3


def takes_1(shown, action):
    return action


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e-4, -1.0])
def test_it_learns_rewards_of_any_scale(scale: float):
    tasks = probes.task(probes.Bandit(takes_1)).replace(w=jnp.array([[scale]]))
    _, last = probes.taught(QUICK, tasks, 20, seeds=3)
    for seed in range(3):
        taken = chosen(last.params, 0.0, seed)
        assert taken > 0.95 if scale > 0 else taken < 0.05


def test_it_finds_actions_without_bounds():
    sides = Box((-np.inf, 5.0, -np.inf), (np.inf, np.inf, -2.0))
    wanted = jnp.array([3.0, 8.0, -5.0])
    tasks = probes.task(probes.Bandit(lambda shown, action: -jnp.square(action - wanted).sum(), sides))
    learner, last = probes.taught(QUICK, tasks, 40, seeds=3)
    assert (np.asarray(evaluate(learner, last.params, tasks, 1, probes.keys(3))) > -0.5).all()


def test_a_reward_that_depends_on_action_and_observation():
    tasks = probes.task(probes.Bandit(lambda shown, action: (action == 1) == (shown > 0)), spread=3.0)
    _, last = probes.taught(QUICK, tasks, 20, seeds=3)
    for seed in range(3):
        assert chosen(last.params, 3.0, seed) > 0.95
        assert chosen(last.params, -3.0, seed) < 0.05


def test_it_bootstraps_at_a_truncation():
    """A reward of 1 at each step is worth 1/(1 − γ) = 10, though episodes are truncated after four steps."""
    tasks = probes.task(probes.Bandit(lambda shown, action: 1.0, steps=4))
    _, last = probes.taught(QUICK, tasks, 40, seeds=3)
    for seed in range(3):
        params = jax.tree.map(lambda x, seed=seed: x[seed], last.params)
        outputs = params["value"](encode(params, jnp.zeros(1), jnp.zeros(0)))
        value = params["returns"].value(outputs, jnp.zeros(0))
        assert float(value) == pytest.approx(10.0, rel=0.15)


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "field",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"clip_eps": -0.1},
        {"value_coef": 0.0},
        {"max_grad_norm": 0.0},
        {"target_kl": 0.0},
        {"discount": 1.01},
        {"gae_lambda": -0.1},
        {"num_steps": 0},
        {"num_envs": -1},
        {"num_epochs": 0},
        {"batch_size": 0},
        {"entropy_coef": -1e-3},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"^PPO\({name}=.*\) is out of range: {name} is within .*\.$"):
        PPO(**field)  # pyright: ignore[reportArgumentType]


def test_an_unknown_activation_is_refused():
    with pytest.raises(InputError, match=r"^PPO\(activation='sin'\) is unknown: .* tanh, relu, swish, elu\.$"):
        PPO(activation="sin")


@pytest.mark.parametrize("hidden", [(0,), (64, -1)])
def test_a_layer_has_at_least_one_unit(hidden: tuple[int, ...]):
    with pytest.raises(InputError, match=r"^PPO\(hidden=.*\) .*at least 1.*\.$"):
        PPO(hidden=hidden)


def test_statistics_of_a_constant_observation_restart_in_the_target():
    learner = PPO(hidden=(4,)).learner(SPEC)
    prior = init_loop_state(learner, probes.keys(1)).state

    def count_after(variance: float) -> list[list[float]]:
        normalizer = prior.params["normalizer"].replace(
            variance=jnp.full((1, 1), variance), count=jnp.full((1, 1), 9.0)
        )
        known = prior.replace(params={**prior.params, "normalizer": normalizer})
        return init_loop_state(learner, probes.keys(1), known).state.params["normalizer"].count.tolist()

    assert count_after(0.0) == [[0.0]]
    assert count_after(1.0) == [[9.0]]
