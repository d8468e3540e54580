"""EPOpt: which paths are worst, by hand; and its bandit."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array
from numpyro import distributions as dist
from probes import experience

from headstart.core.errors import InputError
from headstart.core.types import Info, Learner, Params, spec
from headstart.learners.ppo import PPO
from headstart.learners.uniform import Uniform
from headstart.methods.randomization.epopt import EPOpt, first_steps, path_returns, worst_paths
from headstart.nets.encoders import encode

KEY = jax.random.key(0)


def test_path_returns_by_hand():
    column = lambda *x: jnp.array(x)[None, :, None]
    fresh = experience(
        [[[1], [2], [3], [4], [5], [6]]],
        last=column(False, True, True, False, True, False),
        discount=column(1.0, 0.0, 1.0, 1.0, 0.0, 1.0),  # ends, is truncated, ends, is cut off by the rollout
        extras={
            "next_value": column(99.0, np.nan, 8.0, 99.0, np.nan, 10.0),  # the first and fourth are not used
            "return_so_far": column(7.0, 7.25, 0.0, 0.0, 4.0, 0.0),  # the first is two steps old, and worth 7 so far
            "discount_so_far": column(0.25, 0.125, 1.0, 1.0, 0.5, 1.0),
        },
    )
    # 7 + 1/4 + 2/8 | 3 + 8/2 | 4 + 5/2 | 6 + 10/2
    assert path_returns(fresh, 0.5).reshape(-1).tolist() == [7.5, 7.5, 7.0, 6.5, 6.5, 11.0]


def test_an_episode_is_one_path_however_many_rollouts_it_takes():
    tasks = probes.task(probes.Bandit(lambda shown, action: shown, steps=3), level=2.0)
    learner = EPOpt(SMALL, num_envs=1, num_steps=2, discount=0.5).learner(spec(tasks))
    params, env_states = probes.known(learner), probes.start(learner, tasks, 1, KEY)
    names, seen = ("return_so_far", "discount_so_far"), []
    for _ in range(2):
        env_states, fresh = probes.rollout(learner, params, tasks, env_states, Info(KEY), 2)
        seen += list(zip(*(fresh.extras[name].reshape(-1).tolist() for name in names), strict=True))
    assert seen == [(0.0, 1.0), (2.0, 0.5), (3.0, 0.25), (0.0, 1.0)]  # the fourth step is of another episode


def test_paths_begin_with_the_rollout_and_after_each_end():
    last = jnp.array([[[False, True], [True, False], [False, False], [True, True]]])
    assert first_steps(last).astype(int).tolist() == [[[1, 1], [0, 1], [1, 0], [0, 0]]]


def kept(returns: list, starts: list, epsilon: float) -> list:
    return jax.jit(worst_paths)(np.array(returns, np.float32), np.array(starts), np.float32(epsilon)).tolist()


def test_each_path_counts_once_however_long_it_is():
    # One environment has one long path of 1; the other has three short ones of 2, 3 and 4.
    returns, starts = [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]], [[True, True], [False, True], [False, True]]
    assert kept(returns, starts, 0.25) == [[1, 0], [1, 0], [1, 0]]
    assert kept(returns, starts, 0.5) == [[1, 1], [1, 0], [1, 0]]
    assert kept(returns, starts, 0.51) == [[1, 1], [1, 1], [1, 0]]  # no less than the share asked for
    assert kept(returns, starts, 1.0) == [[1, 1], [1, 1], [1, 1]]


def test_there_is_always_a_worst_path():
    assert kept([[3.0, 1.0, 2.0]], [[True] * 3], 1e-6) == [[0, 1, 0]]


def test_equals_are_kept_together():
    assert kept([[5.0, 1.0, 1.0, 1.0]], [[True] * 4], 0.25) == [[0, 1, 1, 1]]
    assert kept([[1.0] * 4], [[True] * 4], 0.25) == [[1] * 4]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.6, 0.7, 0.9])
def test_the_share_is_exact_where_it_is_a_whole_number_of_paths(share: float):
    for paths in (10, 50, 200, 1000):
        returns = np.random.default_rng(0).permutation(paths)
        assert sum(kept([returns.tolist()], [[True] * paths], share)[0]) == round(share * paths)


SMALL = PPO(hidden=(4,), num_steps=2, num_envs=4, batch_size=8, discount=0.5, gae_lambda=1.0)


def test_it_keeps_the_baseline_of_all_paths_and_the_advantages_of_the_worst():
    tasks = probes.task(probes.Bandit(lambda shown, action: shown, steps=2))
    learners = [
        method.learner(spec(tasks)) for method in (SMALL, EPOpt(SMALL, num_envs=4, epsilon=0.5, warmup_fraction=0.25))
    ]
    discount = jnp.array([[[1.0] * 4, [0.5] * 4]])
    fresh = experience(
        [[[1, 5, 2, 9], [1, 5, 3, 9]]],
        extras={"return_so_far": jnp.array([[[0.0] * 4, [1.0, 5.0, 2.0, 9.0]]]), "discount_so_far": discount},
        obs=jnp.zeros((1, 2, 4, 1)),
        last=jnp.array([[[False] * 4, [True] * 4]]),
        discount=jnp.array([[[1.0] * 4, [0.0] * 4]]),
    )
    params = probes.known(learners[0])
    (_, all_paths), (_, early), (_, late) = (
        jax.jit(learner.prepare)(params, fresh, Info(KEY, progress))
        for learner, progress in zip([learners[0], *[learners[1]] * 2], (0.5, 0.2, 0.5), strict=True)
    )
    advantage = all_paths.extras["advantage"]
    np.testing.assert_array_equal(early.extras["advantage"], advantage)  # the warm-up: ε = 1
    half = np.array([2.0, 0.0, 2.0, 0.0])  # the worst half of paths, whose mean is over half as many
    np.testing.assert_allclose(late.extras["advantage"], np.asarray(advantage) * half, rtol=1e-6)
    for batch in (early, late):  # the critic learns from all
        assert batch.weight.tolist() == [[[1.0] * 4] * 2]
        np.testing.assert_array_equal(batch.extras["value_target"], all_paths.extras["value_target"])


def test_a_base_without_a_critic_is_refused_in_a_sentence():
    tasks = probes.task(probes.Corridor())
    with pytest.raises(InputError, match=r"needs a learner with a critic and advantages, not Uniform\(\); use PPO\."):
        probes.trained(EPOpt(Uniform()).learner(spec(tasks)), tasks, 1, seeds=1)


def test_in_the_target_the_base_learner_goes_on():
    known = spec(probes.task(probes.Corridor()))
    method = EPOpt(SMALL, num_envs=100, num_steps=7, batch_size=50)
    assert method.learner(known).replay == SMALL.learner(known).replay._replace(
        num_envs=100, num_steps=7, batch_size=50
    )
    assert method.learner(known, target=True) is SMALL.learner(known, target=True)


# ------------------------------------------------------------------------------------------------ the bandit

BANDIT = probes.task(probes.Risk(), bad=dist.Uniform(jnp.float32(-0.2), jnp.float32(0.8)))  # bad, if > 0.5: P = 0.3
BASE = PPO(learning_rate=3e-3, num_epochs=4, entropy_coef=5e-2, anneal_learning_rate=False, hidden=(16,))


def epopt(epsilon: float) -> Learner:
    return EPOpt(BASE, num_envs=200, num_steps=1, batch_size=200, epsilon=epsilon, warmup_fraction=1 / 3).learner(
        spec(BANDIT)
    )


def risky(learner: Learner) -> Array:
    """Returns the probability of the risky arm after 300 iterations, for five seeds."""
    last = probes.trained(learner, BANDIT, 300, seeds=5)

    def of(params: Params) -> Array:
        return jnp.exp(params["policy"](encode(params, jnp.zeros(1), jnp.zeros(0))).log_prob(jnp.int32(1)))

    return jax.jit(jax.vmap(of))(last.params)


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_the_bandits_risky_arm_pays_on_average_and_loses_in_the_tail(epsilon: float):
    """On average it pays 20·0.7 − 10·0.3 = 11 against 1; in the worst tenth of paths it loses."""
    p = risky(epopt(epsilon))
    assert (p <= 0.02).all() if epsilon < 1 else (p >= 0.95).all(), p


def test_centred_over_the_kept_paths_alone_the_tail_would_cancel():
    """The pitfall: with the tail's own mean as its baseline, a policy that always loses gets no negative advantages."""
    right = epopt(0.1)

    def centred_again(params, fresh, info):
        params, batch = right.prepare(params, fresh, info)
        a = batch.extras["advantage"]
        kept = a != 0
        a = jnp.where(kept, a - a.sum() / kept.sum(), 0.0)
        return params, batch.replace(extras={**batch.extras, "advantage": a})

    assert (risky(right._replace(prepare=centred_again)) > 0.4).all()  # about where it started, and chance


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "field",
    [{"epsilon": 0.0}, {"epsilon": 1.5}, {"warmup_fraction": -0.1}, {"discount": 2.0}, {"num_envs": 0}],
    ids=str,
)
def test_what_is_out_of_range_is_said_in_one_sentence(field: dict[str, float]):
    (name,) = field
    with pytest.raises(InputError, match=rf"^EPOpt\({name}=.*\) is out of range: {name} is within .*\.$"):
        EPOpt(**field)  # pyright: ignore[reportArgumentType]
