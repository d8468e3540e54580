"""Task strings: what each means, that each is reproduced, and messages for malformed ones."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import headstart
from headstart.core.episode import sample_params
from headstart.core.errors import InputError
from headstart.core.types import Parameter, stack
from headstart.tasks import distributions
from headstart.tasks.disturbances import Disturbed
from headstart.tasks.strings import describe, parse, parse_untrusted, read
from headstart.tasks.worlds import CartPole

HOPPER_TORSO = 3.6651914  # kg


def law(text: str, name: str = "length"):
    return distributions.spec_of(parse(f"CartPole-v1@{name}={text}").params[name])


def test_an_env_alone_is_the_nominal_task():
    task = parse("CartPole-v1")
    assert task.env == CartPole()
    assert task.params == {}
    assert task.w.tolist() == [1.0]
    assert task.context.shape == (0,)
    assert int(task.domain) == 0
    assert int(parse("CartPole-v1", target=True).domain) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.7", 0.7), ("x2", 1.0), ("x0.5", 0.25), ("7e-1", 0.7), (".7", 0.7), ("+0.7", 0.7), (" 0.7 ", 0.7), ("1", 1.0)],
)
def test_numbers_and_multiples_of_nominal(text: str, value: float):
    number = parse(f"CartPole-v1@length={text}").params["length"]
    assert number.dtype == jnp.float32
    assert number.shape == ()
    assert float(number) == pytest.approx(value)


def test_distributions():
    assert law("0.3..0.9") == pytest.approx(("uniform", 0.3, 0.9, np.nan, np.nan), nan_ok=True)
    assert law("x0.5..x2") == pytest.approx(("uniform", 0.25, 1.0, np.nan, np.nan), nan_ok=True)
    assert law("0.3..x2") == pytest.approx(("uniform", 0.3, 1.0, np.nan, np.nan), nan_ok=True)
    assert law("log:0.1..10") == pytest.approx(("log", 0.1, 10.0, np.nan, np.nan), nan_ok=True)
    assert law("log:x0.1..x10") == pytest.approx(("log", 0.05, 5.0, np.nan, np.nan), nan_ok=True)
    assert law("0.6~0.1|0.3..0.9") == pytest.approx(("normal", 0.3, 0.9, 0.6, 0.1))
    assert law("x1~x0.2|x0.5..x2") == pytest.approx(("normal", 0.25, 1.0, 0.5, 0.1))


def test_a_normal_distribution_never_leaves_the_bounds():
    normal = law("0.6~0.1")
    assert normal == pytest.approx(("normal", 0.01, 100.0, 0.6, 0.1))  # the bounds of CartPole's length
    sample = jax.jit(lambda law: law.sample(jax.random.key(0), (20_000,)))
    assert np.min(sample(parse("CartPole-v1@length=0.02~0.5").params["length"])) >= 0.01
    wide = np.asarray(sample(parse("CartPole-v1@length=6~1.5").params["length"]))
    assert wide.mean() == pytest.approx(6, abs=0.05)
    assert wide.std() == pytest.approx(1.5, abs=0.05)


def test_a_multiple_of_a_negative_nominal_is_no_reversed_range():
    gear = Parameter("gear", -10.0, -100.0, 100.0, "N·m", "")
    assert read("x0.5..x2", gear, "")[:3] == ("uniform", -20.0, -5.0)  # pyright: ignore[reportIndexIssue]
    assert read("x1~x0.1", gear, "")[3:] == (-10.0, 1.0)  # pyright: ignore[reportIndexIssue]


def test_several_parameters_and_disturbances():
    task = parse("Pendulum-v1@mass=2, action_delay=0..3,observation_noise=0.1")
    assert isinstance(task.env, Disturbed)
    assert sorted(task.params) == ["action_delay", "mass", "observation_noise"]
    assert task.env.names == ("action_delay", "observation_noise")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("CartPole-v1", "CartPole-v1"),
        ("CartPole-v1@length=x2", "CartPole-v1@length=1"),
        ("CartPole-v1@pole_mass=.1,length=0.70", "CartPole-v1@length=0.7,pole_mass=0.1"),
        ("CartPole-v1@length=x0.5..x2", "CartPole-v1@length=0.25..1"),
        ("CartPole-v1@length=log:0.1..1e1", "CartPole-v1@length=log:0.1..10"),
        ("CartPole-v1@length=6~1.5", "CartPole-v1@length=6~1.5"),
        ("CartPole-v1@length=6~1.5|3..9", "CartPole-v1@length=6~1.5|3..9"),
        ("Pendulum-v1@action_delay=2,observation_noise=0.00001", "Pendulum-v1@action_delay=2,observation_noise=1e-05"),
        ("Hopper-v5@torso_mass=x2", "Hopper-v5@torso_mass=7.330383"),
        ("Hopper-v5@torso_mass=3..9,friction=x0.5..x2", "Hopper-v5@friction=0.5..2,torso_mass=3..9"),
    ],
)
def test_describe_is_canonical_and_comes_back_as_the_same_task(text: str, canonical: str):
    task = parse(text)
    assert describe(task) == canonical
    parsed = parse(canonical)
    assert jax.tree.structure(parsed) == jax.tree.structure(task)
    assert [float(x) for x in jax.tree.leaves(parsed.params)] == [float(x) for x in jax.tree.leaves(task.params)]


def test_strings_and_python_say_the_same():
    given = {
        "0.3..0.9": dist.Uniform(0.3, 0.9),
        "log:0.3..0.9": dist.LogUniform(0.3, 0.9),
        "6~1.5": dist.Normal(6, 1.5),
        "6~1.5|3..9": dist.TruncatedNormal(6, 1.5, low=3, high=9),
        "6~1.5|3..100": dist.TruncatedNormal(6, 1.5, low=3),
        "9": 9,
    }
    for text, value in given.items():
        read, task = parse(f"CartPole-v1@length={text}"), headstart.task("CartPole-v1", length=value)
        assert jax.tree.structure(read) == jax.tree.structure(task)
        assert describe(task) == f"CartPole-v1@length={text}"
    gamma = headstart.task("CartPole-v1", length=dist.Gamma(2.0, 2.0), force=3)
    assert describe(gamma) == "CartPole-v1@force=3,length=Gamma(concentration=2,rate=2)"
    assert jax.tree.structure(parse(describe(gamma))) == jax.tree.structure(gamma)
    either = dist.MixtureGeneral(dist.Categorical(jnp.array([0.5, 0.5])), [dist.Normal(1, 0.1), dist.Normal(2, 0.1)])
    with pytest.raises(InputError, match="length is a MixtureGeneral, which task strings cannot write"):
        describe(headstart.task("CartPole-v1", length=either))
    with pytest.raises(InputError, match="several tasks"):
        describe(stack([parse("CartPole-v1"), parse("CartPole-v1")]))


def test_rewards_are_weighed_by_name():
    backwards = parse("HalfCheetah-v5@w.reward_forward=-0.1", "c")
    assert backwards.w.tolist() == pytest.approx([-0.1, 1.0])
    assert describe(backwards) == "HalfCheetah-v5@w.reward_forward=-0.1"
    task = headstart.task("HalfCheetah-v5", physics="c", w={"reward_forward": -0.1})
    assert describe(task) == describe(headstart.task("HalfCheetah-v5", physics="c", w=[-0.1, 1])) == describe(backwards)
    both = parse("CartPole-v1@length=2,w.reward=3")
    assert describe(both) == "CartPole-v1@length=2,w.reward=3"


@pytest.mark.parametrize(
    ("texts", "ranges"),
    [
        (["3..4", "5..6", "7..9"], [(3, 4), (5, 6), (7, 9)]),
        (["log:0.1..1", "log:2..3", "log:10..90"], [(0.1, 1), (2, 3), (10, 90)]),
        (["3~1|2..4", "6~1.5|5..6", "8~2|7..9"], [(2, 4), (5, 6), (7, 9)]),
        (["3~0.1", "6~0.1", "9~0.1"], [(2.4, 3.6), (5.4, 6.6), (8.4, 9.6)]),
    ],
    ids=["uniform", "log-uniform", "truncated", "normal"],
)
def test_stacked_tasks_each_draw_from_their_own_range_and_compile_once(texts, ranges):
    traces = []

    @jax.jit
    def many(tasks, key):
        traces.append(1)
        keys = jax.random.split(key, 500)
        return jax.vmap(lambda task: jax.vmap(lambda k: sample_params(task, k)["torso_mass"])(keys))(tasks)

    tasks = stack([parse(f"Hopper-v5@torso_mass={text}", "c") for text in texts])
    drawn = np.asarray(many(tasks, jax.random.key(0)))
    for (low, high), expected in zip(ranges, drawn, strict=True):
        assert low * 0.9999 <= expected.min() < expected.max() <= high * 1.0001
        assert expected.max() - expected.min() > 0.4 * (high - low)
    others = stack([parse(f"Hopper-v5@torso_mass={text}", "c") for text in texts[::-1]])
    assert np.all(np.asarray(many(others, jax.random.key(1)))[0] >= ranges[-1][0] * 0.9999)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The task '' names no env; write ENV@name=value"),
        ("@length=1", "names no env"),
        ("CartPole-v1@", "ends after its @; drop it"),
        ("CartPole-v1@length", "has no value for length; write length=VALUE"),
        ("CartPole-v1@length=", "has no value for length"),
        ("CartPole-v1@=3", "a value without a name, '=3'"),
        ("CartPole-v1@length=3,", "a value without a name"),
        ("CartPole-v1@length=abc", "has 'abc' for a number; write one such as 3.5"),
        ("CartPole-v1@length=1@2", "has '1@2' for a number"),
        ("CartPole-v1@length=nan", "has 'nan' for a number"),
        ("CartPole-v1@length=9..3", "length=9..3 runs backwards; write the smaller end first: 3..9"),
        ("CartPole-v1@length=3..3", "is an empty range; write length=3, or two ends that differ"),
        ("CartPole-v1@length=3..", "is malformed at '3..'; write two numbers around .."),
        ("CartPole-v1@length=..3", "is malformed"),
        ("CartPole-v1@length=3...9", "is malformed"),
        ("CartPole-v1@length=log:3", "is malformed at '3'"),
        ("CartPole-v1@length=log:0..3", "is a log range that does not lie above 0; raise its lower end 0"),
        ("CartPole-v1@length=log:-1..3", "does not lie above 0"),
        ("CartPole-v1@length=1,length=2", "has length twice; keep one"),
        ("CartPole-v1@w.reward=2,w.reward=3", "has w.reward twice; keep one"),
        ("CartPole-v1@w.reward=x2", "is not a number, and weighs a reward; write one, such as w.reward=2"),
        ("CartPole-v1@w.reward=inf", "does not weigh its rewards; give 1 finite numbers, one for each of reward"),
        ("CartPole-v1@w.rewards=2", "does not weigh its rewards"),
        ("CartPole-v1@length=6~0", "a standard deviation that is not above 0; write a number (length=6)"),
        ("CartPole-v1@length=6~-1", "a standard deviation that is not above 0"),
        ("CartPole-v1@length=6~1~2", "is malformed"),
        ("CartPole-v1@length=6~1|9..3", "runs backwards"),
        ("CartPole-v1@length=6~1|7..9", "has its centre 6 outside of 7..9; move it inside"),
        ("CartPole-v1@length=3..9|3..9", "truncates something that is not normal"),
        (
            "CartPole-v1@length=Gama(rate=2)",
            "names no distribution of numpyro; write one, such as",
        ),
        ("CartPole-v1@length=os(rate=2)", "names no distribution"),
        ("CartPole-v1@length=Gamma(rat=2)", "is malformed; Gamma takes concentration, rate, such as NAME=3"),
        ("CartPole-v1@length=Gamma(2,2)", "is malformed; Gamma takes"),
        ("CartPole-v1@length=Gamma(rate=2)", "is not a distribution: "),
        (
            "CartPole-v1@length=Gamma(rate=x,concentration=1)",
            "has 'x' instead of a number, or of a row such as [0.2,0.8]",
        ),
        (
            "CartPole-v1@length=Gamma(rate=-2,concentration=1)",
            "is not a distribution: Gamma distribution got invalid rate",
        ),
        (
            "CartPole-v1@length=CategoricalProbs(probs=[0.5,0.2])",
            "is not a distribution: CategoricalProbs distribution got invalid",
        ),
        ("CartPole-v1@length=-3", "length=-3 is out of bounds; length lies within 0.01..100 m"),
        ("CartPole-v1@length=3..900", "length=3..900 is out of bounds"),
        ("CartPole-v1@length=1e99", "length=1e+99 is out of bounds"),
        ("CartPole-v1@length=900~1", "centre 900 outside of"),
        ("CartPole-v1@action_delay=x2", "is a multiple of the nominal action_delay, which is 0; write a plain number"),
        ("CartPole-v1@lenght=3", "CartPole-v1 has no parameter 'lenght'; the nearest is length"),
        (
            "CartPole-v1@action_noise=1",
            "has no parameter 'action_noise'; the nearest are observation_noise",
        ),
        ("CartPole-v1@qqq=1", "headstart.parameters('CartPole-v1') lists its 8"),
        ("Cartpole", "There is no task 'Cartpole'; the nearest are CartPole-v1, CartPoleSwingUp."),
        ("Hopper-v5@torsomass=3", "Hopper-v5 has no parameter 'torsomass'; the nearest are torso_mass"),
        ("Zzz", "There is no task 'Zzz'; `headstart tasks` lists the "),
    ],
)
def test_malformed_strings_are_refused_in_one_sentence(text: str, sentence: str):
    with pytest.raises(InputError) as error:
        parse(text)
    message = str(error.value)
    assert sentence in message
    assert message.endswith(".")
    assert "\n" not in message


def test_hoppers_nominal_mass_is_mujocos():
    assert float(parse("Hopper-v5@torso_mass=x1").params["torso_mass"]) == pytest.approx(HOPPER_TORSO, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("intruder:CartPole-v1", "imports the module 'intruder', which a file may not ask for"),
        (" intruder:Anything-v0@horizon=5", "imports the module 'intruder'"),
        ("gymnasium:intruder:CartPole-v1", "imports the module 'gymnasium:intruder'"),
        ("FrozenLake-v1@map_name=8x8", "gives the env's constructor a map_name"),
        ("FrozenLake-v1@is_slippery=false", "gives the env's constructor a is_slippery"),
        ("gymnasium:CartPole-v1@sutton_barto_reward=true", "gives the env's constructor a sutton_barto_reward"),
    ],
)
def test_a_task_that_could_run_code_is_refused_before_anything_is_imported(text, sentence, tmp_path, monkeypatch):
    (tmp_path / "intruder.py").write_text("raise SystemExit('it was let in')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as error:
        parse_untrusted(text)
    assert sentence in str(error.value)
    assert str(error.value).endswith("if you trust it, name the task yourself, by --target.")


@pytest.mark.parametrize(
    "text", ["CartPole-v1@length=x2", "Hopper-v5", "FrozenLake-v1@horizon=7", "gymnasium:CartPole-v1"]
)
def test_a_task_that_is_known_here_may_be_named_by_a_file(text: str):
    assert describe(parse_untrusted(text, target=True)) == describe(parse(text))
