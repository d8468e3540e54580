"""The registry: the table of tasks, and tasks by name."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import headstart
from headstart.core.errors import InputError
from headstart.core.types import Discrete, Image, Task, stack
from headstart.tasks import registry
from headstart.tasks.disturbances import Disturbed
from headstart.tasks.strings import describe, parse
from headstart.tasks.worlds import WORLDS, CartPole, Pendulum


def test_the_table_has_every_task_once_with_a_description():
    rows = registry.tasks()
    assert [row.id for row in rows][:2] == ["CartPole-v1", "Pendulum-v1"]
    assert sorted(row.id for row in rows) == sorted(registry.DESCRIPTIONS)
    by_id = {row.id: row for row in rows}
    assert by_id["CartPole-v1"][1:5] == ("world", 4, "2 choices", 500)
    assert by_id["Pendulum-v1"][1:5] == ("world", 3, "1 number", 200)
    assert by_id["PlanarReacher-3"][1:5] == ("world", 13, "3 numbers", 50)
    assert by_id["PlanarPusher"][1:5] == ("world", 14, "2 numbers", 100)
    assert by_id["FourRooms"][1:5] == ("world", 38, "4 choices", 200)
    assert by_id["Breakout-MinAtar"][1:5] == ("world", 400, "3 choices", 1000)
    assert by_id["Freeway-MinAtar"][1:5] == ("world", 700, "3 choices", 2500)
    assert by_id["RenderedReach"][1:5] == ("world", 3072, "5 choices", 30)
    assert by_id["Hopper-v5"][1:5] == ("mujoco", 11, "3 numbers", 1000)
    assert by_id["GoalPointMass"][1:5] == ("world", 6, "2 numbers", 50)
    assert by_id["PointMass-4goals"][1:5] == ("world", 4, "2 numbers", 100)
    assert len(rows) == len(WORLDS) + 10


@pytest.mark.parametrize("env_id", registry.DESCRIPTIONS)
def test_every_parameter_has_a_full_description(env_id: str):
    listed = headstart.parameters(env_id)
    assert len({p.name for p in listed}) == len(listed)
    for p in listed:
        assert p.low <= p.nominal <= p.high
        assert p.unit
        assert len(p.description) > 8
    extra = ["action_delay", "action_noise", "observation_noise"]
    env = registry.make(env_id, "c")
    if isinstance(env.action_space, Discrete):
        extra.remove("action_noise")
    if isinstance(env.observation_space, Image):
        extra.remove("observation_noise")
    assert [p.name for p in listed][-len(extra) :] == extra


def test_make_finds_envs_and_robots_or_offers_the_nearest():
    assert registry.make("CartPole-v1") == CartPole()
    assert registry.make("Hopper-v5", "c").name == "Hopper-v5"
    with pytest.raises(InputError, match="no task 'hopper'; the nearest is Hopper-v5"):
        registry.make("hopper")
    with pytest.raises(InputError, match="no physics='bullet'; choose one of auto, c, mjx"):
        registry.make("Hopper-v5", "bullet")


def test_a_task_holds_float32_and_only_given_parameters():
    task = headstart.task("Pendulum-v1", target=True, mass=2, length=np.float64(0.7), gravity=dist.Uniform(5, 15))
    assert isinstance(task, Task)
    assert task.env == Pendulum()
    assert sorted(task.params) == ["gravity", "length", "mass"]
    assert {leaf.dtype for leaf in jax.tree.leaves(task.params)} == {jnp.dtype("float32")}
    assert int(task.domain) == 1
    assert task.w.tolist() == [1.0]
    assert headstart.task(Pendulum(), mass=2).env == Pendulum()


def test_weights_are_one_for_each_part_of_the_reward():
    task = headstart.task("Hopper-v5", physics="c", w=[1, 0.5, 0])
    assert task.w.tolist() == [1.0, 0.5, 0.0]
    with pytest.raises(InputError, match=r"w=\[1.0\] does not weigh its rewards; give 3 finite numbers, one for each"):
        headstart.task("Hopper-v5", physics="c", w=[1.0])
    with pytest.raises(InputError, match="does not weigh"):
        headstart.task("Pendulum-v1", w=[float("nan")])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (-1, "mass=-1 is out of bounds; mass lies within 0.01..100 kg"),
        (float("nan"), "mass=nan is not finite"),
        (float("inf"), "mass=inf is not finite"),
        ("heavy", "mass=heavy has 'heavy' for a number; write one such as 3.5"),
        (None, "is neither one number"),
        ([1.0, 2.0], "is neither one number"),
        (dist.Uniform(1, 200), "mass=1..200 is out of bounds"),
        (dist.Uniform(2, 1), "mass=2..1 runs backwards"),
        (dist.Uniform(2, 2), "is an empty range"),
        (dist.TruncatedNormal(1, 1, low=-5, high=2), r"mass=1~1\|-5..2 is out of bounds"),
        (dist.Uniform(1, float("inf")), "not finite"),
        (dist.Beta(2.0, 2.0), "Beta.* is out of bounds"),
        (dist.Uniform(jnp.ones(2), 3 * jnp.ones(2)), "is a Uniform of many numbers"),
        (dist.DiscreteUniform(0, 4), r"DiscreteUniform\(low=0,high=4\) is out of bounds"),
    ],
)
def test_invalid_values_are_refused(value, sentence: str):
    with pytest.raises(InputError, match=sentence):
        headstart.task("Pendulum-v1", mass=value)


def test_distributions_without_a_short_form_are_accepted():
    task = headstart.task("Pendulum-v1", mass=dist.LogNormal(0.0, 0.2))
    drawn = task.params["mass"].sample(jax.random.key(0), (1000,))
    assert float(jnp.log(drawn).std()) == pytest.approx(0.2, abs=0.02)
    assert registry.value_of(task, "mass") == "LogNormal(loc=0,scale=0.2)"


@pytest.mark.parametrize(
    ("law", "text", "values"),
    [
        (dist.DiscreteUniform(1, 4), "DiscreteUniform(low=1,high=4)", {1, 2, 3, 4}),
        (dist.Categorical(jnp.array([0.0, 0.5, 0.5])), "CategoricalProbs(probs=[0,0.5,0.5])", {1, 2}),
        (dist.Bernoulli(0.5), "BernoulliProbs(probs=0.5)", {0, 1}),
        (dist.Binomial(2, 0.5), "BinomialProbs(probs=0.5,total_count=2)", {0, 1, 2}),
        (dist.Poisson(60.0), "Poisson(rate=60)", {10}),  # no delay is longer than that
        (dist.Geometric(0.9), "GeometricProbs(probs=0.9)", {0, 1, 2}),
    ],
    ids=lambda x: type(x).__name__,
)
def test_discrete_distributions_are_drawn_within_bounds_and_have_task_strings(
    law: dist.Distribution, text: str, values: set[int]
):
    name = "gravity" if 4 in values else "action_delay"
    task = headstart.task("Pendulum-v1", **{name: law})  # pyright: ignore[reportArgumentType]
    drawn = jax.jit(lambda law, key: law.sample(key, (200,)))(task.params[name], jax.random.key(0))
    assert (set(drawn.tolist()), drawn.dtype) == (values, jnp.float32)
    assert describe(task) == f"Pendulum-v1@{name}={text}"
    again = parse(describe(task))
    assert jax.tree.structure(again) == jax.tree.structure(task)
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(task), strict=True):
        np.testing.assert_array_equal(one, other)


def test_value_of_is_the_tasks_value_or_nominal():
    task = headstart.task("Pendulum-v1", mass=dist.Uniform(0.5, 2.0), length=0.7)
    assert registry.value_of(task, "mass") == "0.5..2"
    assert registry.value_of(task, "length") == "0.7"
    assert registry.value_of(task, "gravity") == "10"
    assert registry.value_of(task, "action_delay") == "0"


def test_aligned_tasks_say_the_same_names_on_one_env_and_stack():
    light = headstart.task("Pendulum-v1", mass=0.5)
    late = headstart.task("Pendulum-v1", target=True, length=0.7, action_delay=2)
    one, two = registry.aligned([light, late])
    assert one.env == two.env
    assert isinstance(one.env, Disturbed)
    assert {k: float(v) for k, v in one.params.items()} == {"mass": 0.5, "length": 1.0, "action_delay": 0.0}
    assert {k: float(v) for k, v in two.params.items()} == pytest.approx({"mass": 1, "length": 0.7, "action_delay": 2})
    both = stack([one, two])
    assert both.domain.tolist() == [0, 1]
    with pytest.raises(InputError, match="Pendulum-v1 and CartPole-v1 are different envs"):
        registry.aligned([light, headstart.task("CartPole-v1")])


def test_aligning_does_not_undo_a_group():
    heavy = headstart.task("Hopper-v5", physics="c", mass=1.2)
    named = headstart.task("Hopper-v5", physics="c", torso_mass=9)
    one, two = registry.aligned([heavy, named])
    assert float(one.params["torso_mass"]) == pytest.approx(1.2 * 3.6651914, rel=1e-6)
    assert float(two.params["mass"]) == 1.0
    drawn = headstart.task("Hopper-v5", physics="c", mass=dist.Uniform(0.5, 2))
    with pytest.raises(InputError, match="the default of torso_mass depends on mass, which is drawn"):
        registry.aligned([drawn, named])


def test_the_time_step_is_the_tasks():
    assert registry.interval(registry.task("Pendulum-v1")) == pytest.approx(0.05)
    assert registry.interval(registry.task("Pendulum-v1", dt=0.1)) == pytest.approx(0.1)
    assert registry.interval(registry.task("Pendulum-v1", dt=dist.Uniform(0.01, 0.1))) is None
    assert (
        registry.interval(stack([registry.task("Pendulum-v1", dt=0.1), registry.task("Pendulum-v1", dt=0.02)])) is None
    )
    assert registry.interval(stack([registry.task("Pendulum-v1", dt=0.1)])) == pytest.approx(0.1)
    assert registry.interval(registry.task("GridWall")) is None
