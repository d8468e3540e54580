"""Parameters of third-party envs, how they are set, and messages for those that cannot be."""

import re
from typing import Any

import gymnasium
import jax
import numpy as np
import numpyro.distributions as dist
import pytest
import strangers

import headstart as hs
from headstart.core.errors import InputError
from headstart.tasks import registry
from headstart.tasks.host import HostEnv, host
from headstart.tasks.host.parameters import Catalogue
from headstart.tasks.sampling import held_out
from headstart.tasks.strings import describe, parse


def catalogue(env_id: str) -> tuple[Catalogue, Any]:
    """Returns the pool's catalogue, and an env for changes."""
    env = host(env_id)
    return env.pool.catalogue, env.maker.make()


def test_parameters_are_found_with_their_kind():
    known = host(strangers.Clock, horizon=9).pool.catalogue.known
    assert {name: (k.way, k.nominal) for name, k in known.items()} == {
        "gravity": ("keyword", 10.0),
        "ends": ("keyword", 100),
        "power": ("setter", 1.0),
        "level": ("attribute", 2.0),
        "lives": ("attribute", 3),
        "breaks": ("attribute", 100),
    }  # time is its state, and name no number
    parameters = {p.name: p for p in hs.parameters("FrozenLake-v1")}
    assert (parameters["success_rate"].nominal, parameters["success_rate"].high) == (pytest.approx(1 / 3), np.inf)
    slippery = parameters["is_slippery"]
    assert slippery.description == "a keyword of its constructor"
    assert (slippery.nominal, slippery.low, slippery.high) == (1.0, 0.0, 1.0)
    assert list(parameters)[-2:] == ["action_delay", "observation_noise"]


def test_values_reach_the_env_and_can_be_reset():
    pool = host(strangers.Clock, horizon=9).pool
    names = ("breaks", "ends", "gravity", "level", "power")
    row = np.array([[5, 7, 6.3, 1.5, 0.5]], np.float32)
    out = pool.start(names, 1, np.zeros(1, np.int32), row)
    env: Any = pool._in_use[int(out.handle[0])].env
    assert (env.breaks, env._ends, env._gravity, env.level, env._power) == (5, 7, 6.3, 1.5, 0.5)
    assert isinstance(env._ends, int)
    pool.release(1, out.handle)
    out = pool.start(("gravity",), 1, np.zeros(1, np.int32), np.array([[6.3]], np.float32))
    after: Any = pool._in_use[int(out.handle[0])].env
    assert (after.breaks, after._gravity, after.level, after._power) == (100, 6.3, 2.0, 1.0)
    pool.release(1, out.handle)


class EnvOfAllKinds(strangers.Clock):
    """An env with numbers of all kinds."""

    def __init__(self, rooms=3, mass: float = 1, doors: int = 2, lit: bool = True):
        super().__init__()
        self.made_of = rooms, mass, doors, lit
        self.size = 4


def test_integer_parameters_draw_integers():
    env = host(EnvOfAllKinds, horizon=9)
    parameters = {p.name: p.integer for p in env.parameters}
    assert parameters == dict(
        parameters, rooms="from whole ends", mass="never", doors="always", lit="always", size="from whole ends"
    )
    key = jax.random.key(0)
    task = parse("EnvOfAllKinds@rooms=2..4,mass=1..2,doors=log:1..8,lit=0..1,size=1~2")
    drawn = {name: law.sample(key, (300,)) for name, law in task.params.items()}
    assert set(drawn["rooms"].tolist()) == {2, 3, 4}
    assert np.bincount(drawn["rooms"].astype(int))[2:].min() > 70  # each as often
    assert set(drawn["doors"].tolist()) == set(range(1, 9))
    assert set(drawn["lit"].tolist()) == {0, 1}
    assert (drawn["size"] % 1 == 0).all()
    assert (drawn["mass"] % 1 != 0).all()
    assert describe(task) == "EnvOfAllKinds@doors=log:1..8,lit=0..1,mass=1..2,rooms=2..4,size=1~2"
    between = hs.task(env, rooms=dist.Uniform(2.5, 4), size=2.5)  # who says so may mean it
    assert (between.params["rooms"].sample(key, (9,)) % 1 != 0).any()
    out = held_out(parse("EnvOfAllKinds@rooms=2..4,doors=log:2..8"), 50, key).params
    assert set(out["doors"].tolist()) <= {1.0, 9.0, 10.0, 11.0}
    assert (out["rooms"] % 1 == 0).all()
    assert not set(out["rooms"].tolist()) & {2.0, 3.0, 4.0}
    for wrong in (2.5, dist.Uniform(1, 2.5), dist.LogUniform(0.5, 2)):
        with pytest.raises(InputError, match="is no whole number, and doors is always one; write whole numbers"):
            hs.task(env, doors=wrong)
    live = env.pool.start(("doors", "rooms"), 1, np.zeros(1, np.int32), np.array([[3, 2]], np.float32))
    made: Any = env.pool._in_use[int(live.handle[0])].env
    assert [type(x) for x in made.made_of] == [int, int, int, bool]
    env.pool.release(1, live.handle)


def test_any_mujoco_env_has_our_robots_parameters_and_single_numbers():
    known, env = catalogue("Hopper-v4")
    model = env.unwrapped.model
    mass, subtree = float(model.body("torso").mass[0]), float(model.body_subtreemass[0])
    assert known.find("torso_mass") == registry.parameter(registry.make("Hopper-v5", "c"), "torso_mass")
    parameters = known.find("geom_friction[foot_geom][0]")
    assert parameters is not None
    assert parameters.nominal == 2.0
    one = known.find("body_pos[foot][2]")
    assert one is not None
    dof = known.find("dof_damping[leg_joint]")
    assert dof is not None
    values = known.convert(
        ("torso_mass", "body_pos[foot][2]", "dof_damping[leg_joint]"), np.array([9, 0.25, 3], np.float32)
    )
    known.set_values(env, values, {})
    assert model.body("torso").mass[0] == 9.0
    assert model.body_subtreemass[0] == pytest.approx(subtree - mass + 9.0)  # what MuJoCo derives is derived again
    assert model.body("foot").pos[2] == 0.25
    assert model.joint("leg_joint").damping[0] == 3.0
    known.set_values(env, {}, values)
    assert model.body("torso").mass[0] == mass
    assert model.body("foot").pos[2] == one.nominal
    for name in ("body_mass[tors]", "body_mass[99]", "body_mass[torso][1]", "body_pos[foot]", "nq[0]", "opt[0]"):
        assert known.find(name) is None


def test_tasks_are_made_and_described_by_strings():
    task = parse("MountainCar-v0")
    assert not isinstance(task.env, HostEnv)  # ours come first
    text = "Hopper-v4@body_mass[foot]=x2,ctrl_cost_weight=0.5,torso_mass=3..9"
    task = parse(text)
    assert isinstance(task.env, HostEnv)
    assert task.env.horizon == 1000
    assert describe(task).startswith("Hopper-v4@body_mass[foot]=10.63114")
    assert parse(describe(task)).params.keys() == task.params.keys()
    bell = parse("FrozenLake-v1@success_rate=0.5~0.1")
    assert describe(bell) == "FrozenLake-v1@success_rate=0.5~0.1"
    drawn = np.asarray(jax.jit(lambda law: law.sample(jax.random.key(0), (500,)))(bell.params["success_rate"]))
    assert (drawn.mean(), drawn.std()) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.1, abs=0.01))


def test_an_id_may_name_the_module_that_registers_it(tmp_path, monkeypatch):
    line = "gymnasium.register('Away-v0', strangers.Clock, max_episode_steps=4)"
    (tmp_path / "elsewhere.py").write_text(f"import gymnasium, strangers\n{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        env = parse("elsewhere:Away-v0@gravity=3").env
        assert (env.name, env.horizon) == ("elsewhere:Away-v0", 4)
    finally:
        gymnasium.registry.pop("Away-v0", None)


def no_env() -> Any:
    return 3


def endless() -> gymnasium.Env:
    return strangers.Clock()


def no_more() -> gymnasium.Env:
    raise OSError("the simulator is not running.\nStart it.")


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (lambda: host(endless), "endless has no limit of an episode's steps; write headstart.host(endless, horizon="),
        (
            lambda: host("Blackjack-v1"),
            "write Blackjack-v1@horizon=1000, or headstart.host('Blackjack-v1', horizon=1000).",
        ),
        (lambda: host(endless, horizon=0), "endless has horizon=0; give a whole number of steps, 1 or more, up"),
        (lambda: host(no_env, horizon=5), "no_env makes a int; let it make a gymnasium.Env."),
        (lambda: host(no_more, horizon=5), "no_more cannot be made: OSError: the simulator is not running."),
        (lambda: host("CartPole-v1", wheels=[4]), "CartPole-v1(wheels=[4]) has a keyword that cannot be hashed"),
        (lambda: host("CartPole-v1", wheels=4), "CartPole-v1(wheels=4) cannot be made: TypeError"),
        (lambda: hs.task("FrozenLak-v1"), "There is no task 'FrozenLak-v1'; the nearest"),
        (lambda: hs.task("Taxi-v77"), "the nearest"),
        (lambda: hs.task("nowhere_at_all:Env-v0"), "The task 'nowhere_at_all:Env-v0' cannot be looked up: ModuleNot"),
        (lambda: hs.task("xyzzy"), "There is no task 'xyzzy'; `headstart tasks` lists the "),
        (
            lambda: hs.task("FrozenLake-v1", succes_rate=1),
            "has no parameter 'succes_rate'; the nearest is success_rate",
        ),
        (lambda: parse("FrozenLake-v1@success_rate=fast"), "has 'fast' for a number"),
        (lambda: parse("FrozenLake-v1@horizon=2.5"), "FrozenLake-v1: horizon=2.5 is no whole number of steps; write"),
        (lambda: parse("FrozenLake-v1@map=8x8"), "FrozenLake-v1@map=8x8 cannot be made: TypeError"),
        (lambda: parse("CartPole-v1@horizon=9"), "CartPole-v1 has no parameter 'horizon'"),
    ],
)
def test_impossible_values_are_refused(env: Any, sentence: str):
    with pytest.raises(InputError, match=re.escape(sentence)):
        env()


def test_other_keywords_of_one_id_are_other_envs():
    small, large = host("FrozenLake-v1", map_name="4x4"), host("FrozenLake-v1", map_name="8x8")
    assert small != large
    assert small == host("FrozenLake-v1", map_name="4x4")
    assert hash(small.maker) == hash(host("FrozenLake-v1", map_name="4x4").maker)
    assert (small.observation_space.size, large.observation_space.size) == (16, 64)
    assert small.name == "FrozenLake-v1@map_name=4x4"
    with pytest.raises(InputError, match="There is no task"):
        parse(describe(hs.task(host("FrozenLake-v1", success_rate=0.5))))  # a parameter in disguise


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ("FrozenLake-v1@map_name=8x8,horizon=30,success_rate=0.5", {"map_name": "8x8", "horizon": 30}),
        ("FrozenLake-v1@is_slippery=false", {"is_slippery": False}),
        ("Blackjack-v1@horizon=2e1,natural=1", {"horizon": 20}),
        ("gymnasium:CartPole-v1@horizon=30,gravity=9", {"horizon": 30}),
    ],
)
def test_task_strings_identify_the_env(text: str, keywords: dict[str, Any]):
    task = parse(text)
    inner: Any = task.env
    assert inner == host(text.partition("@")[0], **keywords)
    assert (inner.maker.steps, dict(inner.maker.keywords).items() <= keywords.items()) == (
        keywords.get("horizon"),
        True,
    )
    repeated = parse(describe(task))
    assert (repeated.env, repeated.params) == (task.env, task.params)


def test_gymnasiums_env_of_a_name_that_we_have_too_is_distinguished():
    parameters = describe(hs.task(host("CartPole-v1", horizon=7), gravity=3.0))
    assert parameters == "gymnasium:CartPole-v1@horizon=7,gravity=3"
    assert isinstance(parse(parameters).env, HostEnv)


def lately_made() -> gymnasium.Env:
    return strangers.Clock()


def test_an_env_of_a_function_is_found_by_name_in_this_process():
    env = host(lately_made, horizon=5)
    assert describe(hs.task(env, level=3)) == "lately_made@level=3"
    assert parse("lately_made@level=3").env == env
    host(lately_made, horizon=6)
    with pytest.raises(InputError, match="several envs 'lately_made' in this process"):
        parse("lately_made")
