"""Transfer between spaces: components with the same name are copied, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import floats

from headstart.core import space_matching
from headstart.core.errors import InputError
from headstart.core.names import named
from headstart.core.spaces import Box, Discrete, Image, components
from headstart.core.types import Info, Method, Params, Spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.values.deep_successor import DeepSuccessorFeatures

KEYS = jax.random.split(jax.random.key(0), 2)
GREEDY = Info(KEYS[0], explore=0.0)


def box(*names: str) -> Box:
    return Box((-1.0,) * len(names), (1.0,) * len(names), components=components(*names))


KNOWN = Spec(box("x m", "y m", "speed m/s"), box("left", "right"), context_dim=2)
TURNED = Spec(box("speed m/s", "x m", "y m"), box("right", "left"), context_dim=2)
OTHER = Spec(box("y m", "angle rad", "x m"), box("right", "middle", "left"), context_dim=2)
NAMELESS = Spec(Box((-1.0,) * 2, (1.0,) * 2), Box((-1.0,) * 2, (1.0,) * 2))
SMALL = {"hidden": (4,), "num_steps": 2, "num_envs": 2}


def moved(method: Method, known: Spec, wanted: Spec, **renamed: str) -> tuple[space_matching.Plan, Params, Params]:
    """Returns the plan, the old params (every statistic and bias has a value of its own), and the new ones."""
    plan = space_matching.plan(method, known, wanted, renamed)
    numbered = lambda x: jax.device_put(np.asarray(x) + np.arange(x.size, dtype=x.dtype).reshape(x.shape))
    old = jax.tree.map(numbered, space_matching.init_params(method, known, KEYS))
    return (
        plan,
        old,
        space_matching.move_params(
            plan, old, space_matching.init_params(method, space_matching.with_spaces_of(known, wanted), KEYS)
        ),
    )


def one(params: Params) -> Params:
    return jax.tree.map(lambda x: np.asarray(x)[1], params)


def test_in_another_order_a_policy_and_its_critic_say_the_same():
    seen, done, context = (floats(x) for x in ([0.3, -0.5, 0.8], [0.1, -0.7], [1.0, 2.0]))
    turned = seen[np.array([2, 0, 1])]
    for method in (PPO(**SMALL), SAC(**SMALL)):
        plan, old, new = moved(method, KNOWN, TURNED)
        assert not plan.same
        act = jax.jit(method.learner(KNOWN).act)
        before = act(one(old), (), seen, context, GREEDY)[0]
        after = act(one(new), (), turned, context, GREEDY)[0]
        np.testing.assert_allclose(after, before[::-1], rtol=1e-5)
        came = space_matching.count_transferred(plan, old, new)
        assert all(c.new == c.dropped == 0 for c in came.values())
    x_old, x_new = (np.concatenate(x) for x in ((seen, context), (turned, context)))
    value = jax.jit(lambda params, *of: params["value"](*of))
    np.testing.assert_allclose(value(one(new), x_new, done[::-1]), value(one(old), x_old, done), rtol=1e-5)


def test_in_another_order_successor_features_are_those_of_the_same_choices():
    known = Spec(box("x m", "y m"), Discrete(3, components("left", "stay", "right")), context_dim=2, num_cumulants=2)
    turned = known._replace(
        observation_space=box("y m", "x m"), action_space=Discrete(3, components("right", "left", "stay"))
    )
    _, old, new = moved(DeepSuccessorFeatures(**SMALL), known, turned)
    psi, seen = jax.jit(lambda params, x: params["successors"](x, known.num_cumulants)), floats([0.3, -0.5])
    np.testing.assert_allclose(psi(one(new), seen[::-1]), psi(one(old), seen)[:, [2, 0, 1]], rtol=1e-5)


def test_components_without_a_match_are_initialised():
    plan, old, new = moved(PPO(**SMALL), KNOWN, OTHER)
    assert (plan.observation.copied, plan.observation.new, plan.observation.dropped) == (
        ("x", "y"),
        ("angle",),
        ("speed",),
    )
    weight = new["policy"].net.layers[0].weight
    np.testing.assert_array_equal(weight[:, [2, 0, 3, 4]], old["policy"].net.layers[0].weight[:, [0, 1, 3, 4]])
    fresh = space_matching.init_params(PPO(**SMALL), OTHER, KEYS)
    np.testing.assert_array_equal(weight[:, 1], fresh["policy"].net.layers[0].weight[:, 1])
    np.testing.assert_array_equal(new["policy"].log_std[:, [2, 0]], old["policy"].log_std)
    np.testing.assert_array_equal(new["policy"].log_std[:, 1], 0.0)
    came = space_matching.count_transferred(plan, old, new)
    assert came["policy.net.layers.0.weight"] == (4 * 4, 4, 4)
    assert came["value.last.weight"] == (4, 0, 0)


def test_a_new_component_has_fresh_statistics():
    _, old, new = moved(PPO(**SMALL), KNOWN, OTHER)
    kept = old["normalizer"].replace(count=jnp.full((2, 3), 100.0), mean=jnp.full((2, 3), 5.0))
    plan = space_matching.plan(PPO(**SMALL), KNOWN, OTHER)
    new = space_matching.move_params(
        plan, {**old, "normalizer": kept}, space_matching.init_params(PPO(**SMALL), OTHER, KEYS)
    )
    assert new["normalizer"].count[0].tolist() == [100, 0, 100]
    include = jax.jit(lambda seen, x: seen.update(x, jnp.ones(100)))
    after = include(one(new)["normalizer"], np.full((100, 3), 7.0, np.float32))
    np.testing.assert_allclose(after.mean, [6.0, 7.0, 6.0], rtol=1e-6)  # the new one is not held back by the old


def test_choices_move_by_name_and_images_only_where_they_are_the_same():
    known = Spec(box("x"), Discrete(2, components("left", "right")))
    plan, old, new = moved(
        DQN(**SMALL), known, known._replace(action_space=Discrete(3, components("right", "jump", "left")))
    )
    assert plan.observation.same
    np.testing.assert_array_equal(new["value"].net.last.bias[:, [2, 0]], old["value"].net.last.bias)
    picture = known._replace(observation_space=Image((6, 6, 1)))
    more = space_matching.plan(
        DQN(**SMALL), picture, picture._replace(action_space=Discrete(3, components("right", "up", "left")))
    )
    assert more.action.copied == ("left", "right")
    with pytest.raises(InputError, match="observation spaces are images and numbers"):
        space_matching.plan(DQN(**SMALL), picture, known)


def test_a_recurrent_memory_is_copied_by_name_and_a_history_is_not():
    gru = Recurrent(PPO(**SMALL), hidden_size=3, asymmetric_critic=False)
    plan, old, new = moved(gru, KNOWN, OTHER)
    np.testing.assert_array_equal(new["recurrent"].weight_ih[..., [2, 0]], old["recurrent"].weight_ih[..., [0, 1]])
    np.testing.assert_array_equal(new["recurrent"].weight_hh, old["recurrent"].weight_hh)
    plan = space_matching.plan(Recurrent(PPO(**SMALL), memory="history", asymmetric_critic=False), KNOWN, OTHER)
    assert [name for name, pairs in plan.arrays.items() if pairs is None] == [
        "policy.net.layers.0.weight",
        "value.layers.0.weight",
    ]


def test_renaming_matches_components_with_different_names():
    plan, *_ = moved(PPO(**SMALL), KNOWN, OTHER, speed="angle_speed", left="middle")
    assert plan.action.copied == ("middle", "right")
    plan = space_matching.plan(PPO(**SMALL), NAMELESS, KNOWN, {"observation.0": "speed", "action.1": "left"})
    assert (plan.observation.copied, plan.action.copied) == (("speed",), ("left",))
    nameless = KNOWN._replace(observation_space=Box((-1.0,) * 2, (1.0,) * 2))
    plan, *_ = moved(PPO(**SMALL), KNOWN, nameless, x="1")
    assert (plan.observation.copied, plan.observation.new) == (("1",), ("0",))


def test_the_same_spaces_move_nothing():
    plan = space_matching.plan(PPO(**SMALL), KNOWN, KNOWN)
    assert plan.same
    nameless = KNOWN._replace(observation_space=Box((-1.0,) * 3, (1.0,) * 3))
    assert space_matching.plan(PPO(**SMALL), KNOWN, nameless).same  # by their places, since nobody says otherwise
    params = space_matching.init_params(PPO(**SMALL), KNOWN, KEYS)
    rest = {name: part for name, part in params.items() if name != "value"}
    came = space_matching.count_transferred(plan, params, rest)
    assert came["policy.log_std"] == (2, 0, 0)
    assert came["value.last.bias"] == (0, 0, 1)
    assert sum(c.copied for c in came.values()) == sum(x[0].size for x in named(rest).values())


@pytest.mark.parametrize(
    ("wanted", "renamed", "sentence"),
    [
        (KNOWN._replace(action_space=Discrete(2)), {}, "action spaces are numbers and choices; choose tasks"),
        (
            KNOWN._replace(observation_space=box("x cm", "y m")),
            {},
            "'x' is in m where it was learned, and in cm here; rename",
        ),
        (
            KNOWN._replace(observation_space=Box((0.0,), (1.0,))),
            {},
            "one of them has no names for its components; match them by renaming",
        ),
        (KNOWN._replace(observation_space=Box((0.0,) * 4, (1.0,) * 4, (4,))), {}, "spaces encode states"),
        (OTHER, {"z": "x"}, "There is no 'z' to rename; there are x, y, speed, left, right"),
        (NAMELESS, {"0": "x"}, "'0' is both observed and an action; write observation.0 or action.0"),
        (OTHER, {"y": "x"}, "Two observation components have the same name once renamed"),
    ],
)
def test_impossible_transfers_are_refused(wanted: Spec, renamed: dict[str, str], sentence: str):
    with pytest.raises(InputError, match=sentence):
        space_matching.plan(PPO(**SMALL), NAMELESS if wanted is NAMELESS else KNOWN, wanted, renamed)
