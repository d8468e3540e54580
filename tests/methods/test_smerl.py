"""SMERL: which steps have a bonus, how large it is, and which skill is tried next."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from probes import experience

from headstart.core import memory
from headstart.core.draw import Draw
from headstart.core.errors import InputError
from headstart.core.types import Info, Replay, Transition, spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.methods.forward.smerl import SMERL, SkillReturns, nearly_optimal, skill_returns, with_skill
from headstart.methods.randomization.recurrent import Recurrent
from headstart.protocol.transfer import adapt
from headstart.protocol.transfer import keys as seed_keys

KEY = jax.random.key(0)
SMALL = SAC(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=4)
DISCRETE = DQN(hidden=(4,), num_steps=4, num_envs=2, batch_size=4, buffer_size=64, learning_starts=4)


def three_episodes() -> memory.Memory:
    """Returns a memory of episodes with return −10 (2 steps) and −12 (3 steps), and one that goes on."""
    last = np.zeros((1, 8, 1), bool)
    last[0, [1, 4], 0] = True
    so_far = np.array([-6.0, -10.0, -3.0, -7.0, -12.0, -1.0, -2.0, -3.0]).reshape(1, 8, 1)
    skill = np.array([0, 0, 1, 1, 1, 0, 0, 0]).reshape(1, 8, 1)
    fields = {"last": last, "episode_return": so_far.astype(np.float32), "extras": {"skill": skill}}
    fresh = experience(np.arange(1.0, 9.0).reshape(1, 8, 1), **fields)
    return jax.jit(lambda x: memory.add(memory.empty(x, Replay(1, 1, 1, buffer_size=20)), x))(fresh)


@pytest.mark.parametrize(
    ("optimal", "tolerance", "rewards"),
    [
        (-10.0, 0.0, {1, 2}),
        (-10.0, 0.2, {1, 2, 3, 4, 5}),  # −12 is just within 20 % of |−10| below it
        (-5.0, 0.2, set()),
        (None, 0.1, {1, 2}),  # the highest return so far is −10
        (-10.0, float("inf"), {1, 2, 3, 4, 5}),  # an episode that goes on never counts
    ],
)
def test_steps_of_nearly_optimal_episodes_are_found(optimal, tolerance, rewards):
    held, returns = three_episodes(), skill_returns(2).replace(highest=jnp.float32(-10.0))

    def found(held: memory.Memory):
        draw = Draw(jnp.arange(20)[None], held)
        t = draw.batch()
        return t.reward, t.weight, nearly_optimal(draw, optimal, tolerance, returns)

    reward, weight, good = map(np.asarray, jax.jit(found)(held))
    assert set(reward[good & (weight > 0)]) == rewards


def test_the_bonus_by_hand():
    """The discriminator gives skill 0 a probability of ¾, and the bonus is α (log q + log 2)."""
    learner = SMERL(SMALL, 2, 10.0, -10.0, tolerance=0.2, hidden=(4,)).learner(
        spec(probes.task(probes.Corridor(discrete=False)))
    )
    params = learner.init(KEY, None)
    net = jax.tree.map(jnp.zeros_like, params["discriminator"])
    head = net.last.replace(bias=jnp.log(jnp.array([0.75, 0.25])))
    params["discriminator"] = net.replace(last=head)

    def both(held: memory.Memory) -> tuple[Transition, Transition]:
        draw = Draw(jnp.arange(20)[None], held)
        return draw.batch(), learner.phases[1].sample(params, draw, Info(KEY))

    plain, new = jax.jit(both)(three_episodes())
    counts = np.asarray(plain.weight[0]) > 0
    added = (np.asarray(new.reward) - np.asarray(plain.reward))[0][counts]
    sure, unsure = 10 * np.log(1.5), 10 * np.log(0.5)
    reward = np.asarray(plain.reward)[0][counts]
    expected = np.select([reward <= 2, reward <= 5], [sure, unsure], 0.0)
    np.testing.assert_allclose(added, expected, rtol=1e-5)
    one_hot = np.eye(2)[np.asarray(plain.extras["skill"])[0][counts]]
    np.testing.assert_array_equal(np.asarray(new.context)[0][counts], one_hot)
    np.testing.assert_array_equal(np.asarray(new.next_context)[0][counts], one_hot)


def test_the_discriminator_learns_skills_from_next_observations_alone():
    """Its loss is the cross-entropy, and no other part has a gradient."""
    learner = SMERL(SMALL, 2, hidden=(4,)).learner(spec(probes.task(probes.Corridor(discrete=False))))
    params = learner.init(KEY, None)
    batch = experience(np.ones((1, 6)), extras={"skill": np.array([[0, 1, 1, 0, 1, 1]])})
    loss, metrics = learner.phases[0].loss(params, batch, Info(KEY))
    log_q = jax.nn.log_softmax(params["discriminator"](jnp.ones(1)))
    assert float(loss) == pytest.approx(float(-(2 * log_q[0] + 4 * log_q[1]) / 6), rel=1e-5)
    assert metrics.keys() == {"discriminator_loss"}
    assert learner.phases[0].train == ("discriminator",)


def rollout(skills: list[int], returns: list[float]) -> Transition:
    """Returns a rollout of one-step episodes of these skills, with these returns."""
    shape = (1, 1, len(skills))
    fields = {"last": np.ones(shape, bool), "extras": {"skill": np.array(skills).reshape(shape)}}
    return experience(np.array(returns).reshape(shape), **fields)


def test_returns_of_skills_by_hand():
    """In the source, the mean starts at the first returns and moves by 0.1 an episode; the target's are summed."""
    source = skill_returns(3).update(rollout([0, 2, 2], [10.0, 1.0, 3.0]), target=False)
    assert source.source.tolist() == [10.0, -np.inf, 2.0]  # a skill that was never played is not the best one
    later = source.update(rollout([2, 2, 1], [-4.0, -8.0, -7.0]), target=False)
    np.testing.assert_allclose(later.source, [10.0, -7.0, 2.0 - (1 - 0.9**2) * 8.0], rtol=1e-5)
    assert float(source.highest) == 10.0
    there = source.update(rollout([1, 1, 0], [4.0, 6.0, -1.0]), target=True)
    assert (there.total.tolist(), there.trials.tolist()) == ([-1.0, 10.0, 0.0], [1.0, 2.0, 0.0])
    assert there.source.tolist() == source.source.tolist()
    assert there.for_new_training().trials.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("total", "trials", "explore", "skills"),
    [
        ([0.0, 0.0, 0.0], [0, 0, 0], 1.0, {0, 1, 2}),
        ([0.0, 0.0, 0.0], [0, 0, 0], 0.0, {2}),  # the best one in the source
        ([5.0, 0.0, 0.0], [1, 0, 0], 1.0, {1, 2}),
        ([-5.0, 0.0, 0.0], [1, 0, 0], 0.0, {0}),  # the only one with a return in the target
        ([6.0, 0.0, 4.0], [2, 1, 1], 1.0, {1, 2}),
        ([6.0, 0.0, 5.0], [2, 2, 2], 1.0, {0}),
        ([6.0, 0.0, 5.0], [2, 1, 1], 0.0, {2}),
    ],
)
def test_the_skill_tried_least_comes_next_and_then_the_best(total, trials, explore, skills):
    source, numbers = jnp.array([0.0, 1.0, 2.0]), (jnp.array(total), jnp.array(trials, float))
    returns = SkillReturns(jnp.float32(0.0), source, *numbers)
    choose = jax.jit(jax.vmap(lambda key: returns.choose(2, explore, key)))
    assert set(choose(jax.random.split(KEY, 60)).tolist()) == skills


def test_each_skill_is_tried_once_in_the_target_and_the_best_one_stays():
    source, target = (probes.task(probes.Corridor(length=3, discrete=False), target=there) for there in (False, True))
    method = SMERL(SMALL, num_skills=3, hidden=(4,))
    _, last = probes.taught(method, source, 2)
    points = list(adapt(method, last.state, target, 0, (0, 1, 2, 3, 4), seed_keys([0])))
    trials = np.array([np.asarray(point.state.params["skill_returns"].trials[0]) for point in points])
    assert trials.sum(1).tolist() == [0, 1, 2, 3, 4]
    assert trials[3].tolist() == [1, 1, 1]
    final = points[-1].state.params["skill_returns"]
    assert trials[4].argmax() == np.asarray(final.total / final.trials)[0].argmax()
    probes.check_same(points[0].state.params["policy"], points[-1].state.params["policy"])


def test_the_skill_follows_the_context():
    context = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    assert with_skill(context, jnp.array([1, 0]), 2).tolist() == [[1.0, 2.0, 0.0, 1.0], [3.0, 4.0, 1.0, 0.0]]


@pytest.mark.parametrize("base", [PPO(), Recurrent(DISCRETE, asymmetric_critic=False)])
def test_a_base_without_single_replayed_transitions_is_refused(base):
    with pytest.raises(InputError, match=r"SMERL needs a learner that replays single transitions.*use SAC or DQN\.$"):
        SMERL(base).learner(spec(probes.task(probes.Corridor())))


def test_n_step_rewards_and_images_are_refused():
    with pytest.raises(InputError, match="SMERL needs each step's next observation"):
        SMERL(DQN(n_step=2)).learner(spec(probes.task(probes.Corridor())))
    with pytest.raises(InputError, match="SMERL tells skills apart by vectors, and this task has images"):
        SMERL(DISCRETE).learner(spec(probes.task(probes.Pixel())))


@pytest.mark.parametrize(
    "fields", [{"num_skills": 0}, {"bonus_coef": -1.0}, {"tolerance": -0.1}, {"episodes_per_skill": 0}]
)
def test_values_out_of_range_are_refused(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        SMERL(**fields)
