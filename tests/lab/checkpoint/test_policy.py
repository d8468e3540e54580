"""Policies to act by: what they take and give, and that a recipe says how they act, whoever reads it."""

import dataclasses
import json
import pathlib
import runpy
import subprocess
import sys
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.names import map_named
from headstart.core.types import Box, Discrete, Image, Method, Spec, spec, stack
from headstart.lab.checkpoint.policy import Policy
from headstart.lab.checkpoint.save_load import load, save
from headstart.lab.checkpoint.trained import Trained
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.qlearning import QLearning
from headstart.learners.sac import SAC
from headstart.learners.uniform import Uniform
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.popart import PopArt
from headstart.methods.multitask.separate import Separate
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.universal import UniversalPolicy
from headstart.methods.randomization.uposi import UPOSI
from headstart.protocol.history import params_after
from headstart.protocol.prior import Training
from headstart.tasks.strings import describe, parse
from headstart.tasks.worlds import FourRooms

STEPS = 12  # of an episode
READER = pathlib.Path(__file__).parents[3] / "examples" / "numpy_policy.py"
SEEN = Box((-1.0, -1.0, 0.0), (1.0, float("inf"), 5.0))
NUMBERS = Box((-2.0, 0.0, -float("inf"), -float("inf")), (2.0, float("inf"), 3.0, float("inf")))
CONTINUOUS = Spec(SEEN, NUMBERS, num_parameters=2)
DISCRETE = Spec(SEEN, Discrete(3), num_parameters=2)
BOUNDED = CONTINUOUS._replace(action_space=Box((-2.0, 0.5), (2.0, 9.0)))
SMALL: dict[str, Any] = {"hidden": (5, 4)}


def learned(method: Method, of: Spec) -> Trained:
    """Returns what a method might know after a transfer: numbers of any size, so that nothing hides behind zeros."""
    state = params_after((Training(method, of, True),))

    def at(name: str, x: Any) -> Any:
        luck = np.random.default_rng(zlib.crc32(name.encode()))
        numbers = luck.standard_normal(x.shape) * (0.1 if name.endswith("bias") else 0.7)
        if name.endswith("variance"):
            numbers = np.abs(numbers) + 0.3
            numbers[..., :1] = 0.0  # this number never varied
        return jnp.asarray(numbers.astype(x.dtype))

    return Trained(method, of, map_named(at, state), "Corridor", 1, 0, adapted=True)


def observations(of: Spec) -> np.ndarray:
    luck = np.random.default_rng(0)
    if isinstance(of.observation_space, Image):
        return luck.integers(0, of.observation_space.max_value, (STEPS, *of.observation_space.shape), endpoint=True)
    return luck.normal(0.0, 2.0, (STEPS, of.observation_space.size)).astype(np.float32)


CASES: dict[str, tuple[Method, Spec]] = {
    "PPO": (PPO(**SMALL), CONTINUOUS),
    "PPO of choices": (PPO(**SMALL), DISCRETE),
    "PPO by swish": (PPO(**SMALL, activation="swish"), CONTINUOUS),
    "PPO by elu": (PPO(**SMALL, activation="elu"), CONTINUOUS),
    "PPO of bits": (PPO(**SMALL), DISCRETE._replace(observation_space=Image((5, 6, 2)))),
    "PPO of bytes": (PPO(**SMALL), CONTINUOUS._replace(observation_space=Image((16, 17, 1), "uint8"))),
    "SAC": (SAC(**SMALL), BOUNDED),
    "DQN": (DQN(**SMALL), DISCRETE),
    "DQN, dueling": (DQN(**SMALL, dueling=True), DISCRETE),
    "Finetune": (Finetune(SAC(**SMALL), l2_sp=0.1), BOUNDED),
    "Recurrent": (Recurrent(PPO(**SMALL), hidden_size=3), CONTINUOUS),
    "Recurrent of choices": (Recurrent(PPO(**SMALL), hidden_size=3), DISCRETE),
    "Recurrent by SAC": (Recurrent(SAC(**SMALL), hidden_size=3), BOUNDED),
    "Recurrent by DQN": (Recurrent(DQN(**SMALL), hidden_size=3, asymmetric_critic=False), DISCRETE),
    "Recurrent by history": (Recurrent(PPO(**SMALL), memory="history", history_length=2), CONTINUOUS),
    "UPOSI": (UPOSI(PPO(**SMALL), history_length=2, hidden=(4,)), CONTINUOUS),
    "UPOSI of choices": (UPOSI(PPO(**SMALL), history_length=2, hidden=(4,)), DISCRETE),
    "UPOSI by SAC": (UPOSI(SAC(**SMALL), history_length=2, hidden=(4,)), BOUNDED),
    "UPOSI by DQN": (UPOSI(DQN(**SMALL), history_length=2, hidden=(4,)), DISCRETE),
    "Distil": (Distil(PPO(**SMALL)), DISCRETE._replace(context_dim=2)),
    "Separate": (Separate(PPO(**SMALL)), CONTINUOUS._replace(context_dim=2)),
    "PopArt": (PopArt(DQN(**SMALL)), DISCRETE._replace(context_dim=2)),
    "PopArt with a memory": (
        Recurrent(PopArt(DQN(**SMALL)), hidden_size=3, asymmetric_critic=False),
        DISCRETE._replace(context_dim=2),
    ),
}


@pytest.mark.parametrize(("method", "of"), CASES.values(), ids=CASES)
def test_a_recipe_says_how_a_policy_acts(method: Method, of: Spec, tmp_path):
    """The reader that users copy acts like the policy, in two episodes."""
    folder, context = save(learned(method, of), tmp_path), np.eye(1, of.context_dim, 1)[0]
    learner = method.learner(of, target=True)
    known = jax.tree.map(lambda x: x[0], load(folder).state.params)
    policy = Policy(learner, known, of, jnp.asarray(context, jnp.float32))
    reader = runpy.run_path(str(READER))["Policy"](folder, context)
    acted = []
    for _ in range(2):
        policy.reset()
        reader.reset()
        acted += [(policy.act(obs), reader.act(obs)) for obs in observations(of)]
    for ours, theirs in acted:
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    ours = np.array([x for x, _ in acted])
    np.testing.assert_array_equal(ours[:STEPS], ours[STEPS:])  # nothing is remembered of the first episode
    assert (ours != ours[:1]).any()


def test_the_contract_that_the_docs_show_is_the_one_that_is_written(tmp_path):
    shown = (READER.parents[1] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    _, _, after = shown.partition("```json\n")
    method, of = PPO(hidden=(4,)), CONTINUOUS._replace(action_space=Box((-2.0,), (2.0,)))
    recipe = json.loads((save(learned(method, of), tmp_path) / "recipe.json").read_text())
    assert json.loads(after.partition("```")[0]) == recipe["policy"]


def test_the_reader_needs_neither_jax_nor_headstart(tmp_path):
    folder = save(learned(PPO(**SMALL), CONTINUOUS), tmp_path)
    words = f"import sys, runpy; policy = runpy.run_path({str(READER)!r})['Policy']({str(folder)!r})"
    words += "; policy.act([1.0, 2.0, 3.0]); assert not {'jax', 'headstart'} & set(sys.modules)"
    subprocess.run([sys.executable, "-I", "-c", words], check=True)


def test_who_is_told_parameters_has_to_be_told_them(tmp_path):
    env = probes.Corridor()
    trained = learned(UniversalPolicy(PPO(**SMALL)), spec(probes.task(env)))
    with pytest.raises(InputError, match=r"^UniversalPolicy reads the parameters of its task; name .*policy\('Corr"):
        trained.policy()
    folder, near, far = save(trained, tmp_path), probes.one(env, push=0.3), probes.one(env, push=2.9)
    reader = runpy.run_path(str(READER))["Policy"]
    with pytest.raises(ValueError, match="is given the parameters"):
        reader(folder)
    acted = []
    for task, push in ((near, 0.3), (far, 2.9)):
        policy, other = trained.policy(task), reader(folder, parameters=[push])
        for x in np.linspace(-2.0, 2.0, 5, dtype=np.float32):
            acted.append(int(policy.act(x[None])))
            assert other.act(x[None]) == acted[-1]
    assert len(set(acted)) == 2


def test_a_policy_of_several_sources_is_told_which_one_it_is_in():
    tasks = [parse(f"CartPole-v1@length={length}") for length in (0.5, 0.8)]
    sources, of = tuple(map(describe, tasks)), spec(stack(tasks[:1]))._replace(context_dim=2)
    trained = dataclasses.replace(learned(Separate(PPO(**SMALL)), of), sources=sources)
    acts = lambda policy: [int(policy.act(obs)) for obs in np.random.default_rng(0).normal(0.0, 2.0, (STEPS, 4))]
    first, second, none = (acts(trained.policy(task)) for task in (tasks[0], sources[1], None))
    assert first != second
    assert none == first == acts(trained.policy("CartPole-v1@length=3"))  # where it is none of them
    with pytest.raises(InputError, match="have unequal observation spaces"):
        trained.policy("Acrobot-v1")


def test_what_knows_no_contract_says_so(tmp_path):
    rooms = spec(stack([probes.one(FourRooms())]))
    for method, of in ((Uniform(), DISCRETE), (QLearning(), rooms)):
        folder = save(learned(method, of), tmp_path / type(method).__name__)
        assert json.loads((folder / "recipe.json").read_text())["policy"] is None
        with pytest.raises(ValueError, match=f"does not say how {type(method).__name__} acts"):
            runpy.run_path(str(READER))["Policy"](folder)
        assert int(load(folder).policy().act(np.zeros(of.observation_space.shape))) in range(of.action_space.size)


IMAGE = DISCRETE._replace(observation_space=Image((1, 1, 2), "uint8"))
SHAPE = r"^The observation has shape \[.*\], but the policy takes \[3\]; give one observation at a time"
NUMBERS_ONLY = r"^The observation must be an array of real numbers, of shape \[3\]"
FINITE = r"^The observation holds .* at \[1\]; every number must be finite"
SCALED = r"^The observation is not an image of uint8: it needs whole numbers from 0 to 255; give it as the env does"
REFUSED: list[tuple[Spec, Any, str]] = [
    *((DISCRETE, given, SHAPE) for given in (np.zeros((2, 3)), np.zeros(2), 1.0, np.zeros((1, 3)), None)),
    *((DISCRETE, given, NUMBERS_ONLY) for given in ("abc", {}, ["a", "b", "c"], [[1], [2, 3], [4]], np.ones(3) * 1j)),
    *((DISCRETE, [0.0, x, 0.0], FINITE) for x in (np.nan, np.inf, -np.inf, 1e200, None)),
    *((IMAGE, [[[0, x]]], SCALED) for x in (0.5, 256, -1)),
]


@pytest.mark.parametrize(("of", "given", "sentence"), REFUSED)
def test_a_policy_refuses_what_is_no_observation(of: Spec, given: Any, sentence: str):
    policy = Policy(probes.player(lambda obs: jnp.int32(1)), {}, of)
    with pytest.raises(InputError, match=sentence):
        policy.act(given)


def test_a_policy_takes_an_observation_in_any_type_that_holds_it():
    policy = Policy(probes.player(lambda obs: jnp.int32(1)), {}, IMAGE)
    assert [int(policy.act(np.full((1, 1, 2), 255, kind))) for kind in (np.uint8, np.int64, np.float64)] == [1, 1, 1]
    policy = Policy(probes.player(lambda obs: jnp.int32(1)), {}, DISCRETE)
    with pytest.raises(
        InputError, match=r"^The parameters have shape \[3\], but the policy takes \[2\]; give one number for each"
    ):
        policy.reset([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"^The parameters must be an array of real numbers, of shape \[2\]"):
        policy.reset("ab")


def test_a_policy_is_compiled_once():
    traced = []

    def act(obs: Any) -> Any:
        traced.append(obs)
        return jnp.array([0.5, 0.5])

    learner = probes.player(act)
    for _ in range(2):
        policy = Policy(learner, {}, BOUNDED)
        for obs in ([1.0, 2.0, 3.0], np.ones(3), np.ones(3, np.float32), np.ones(3, int)):
            command = policy.act(obs)
            assert isinstance(command, np.ndarray)
            np.testing.assert_allclose(command, [1.0, 6.875])
        policy.reset()
    assert len(traced) == 1
