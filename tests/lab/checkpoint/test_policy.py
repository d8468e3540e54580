"""Policies: their inputs and outputs, and the description in recipe.json that other programs run."""

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
OBSERVATION = Box((-1.0, -1.0, 0.0), (1.0, float("inf"), 5.0))
ACTION = Box((-2.0, 0.0, -float("inf"), -float("inf")), (2.0, float("inf"), 3.0, float("inf")))
CONTINUOUS = Spec(OBSERVATION, ACTION, num_parameters=2)
DISCRETE = Spec(OBSERVATION, Discrete(3), num_parameters=2)
BOUNDED = CONTINUOUS._replace(action_space=Box((-2.0, 0.5), (2.0, 9.0)))
SMALL: dict[str, Any] = {"hidden": (5, 4)}


def trained_on_random_params(method: Method, spec: Spec) -> Trained:
    """Returns a trained policy with random params, none of them zero, in the shapes after a transfer."""
    state = params_after((Training(method, spec, True),))

    def random_array(name: str, x: Any) -> Any:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        values = rng.standard_normal(x.shape) * (0.1 if name.endswith("bias") else 0.7)
        if name.endswith("variance"):
            values = np.abs(values) + 0.3
            values[..., :1] = 0.0  # a constant component
        return jnp.asarray(values.astype(x.dtype))

    return Trained(method, spec, map_named(random_array, state), "Corridor", 1, 0, adapted=True)


def observations(spec: Spec) -> np.ndarray:
    rng = np.random.default_rng(0)
    if isinstance(spec.observation_space, Image):
        return rng.integers(0, spec.observation_space.max_value, (STEPS, *spec.observation_space.shape), endpoint=True)
    return rng.normal(0.0, 2.0, (STEPS, spec.observation_space.size)).astype(np.float32)


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


@pytest.mark.parametrize(("method", "spec"), CASES.values(), ids=CASES)
def test_recipe_describes_how_the_policy_acts(method: Method, spec: Spec, tmp_path):
    """The numpy example acts like the policy, in two episodes."""
    folder, context = save(trained_on_random_params(method, spec), tmp_path), np.eye(1, spec.context_dim, 1)[0]
    learner = method.learner(spec, target=True)
    params = jax.tree.map(lambda x: x[0], load(folder).state.params)
    policy = Policy(learner, params, spec, jnp.asarray(context, jnp.float32))
    reader = runpy.run_path(str(READER))["Policy"](folder, context)
    actions = []
    for _ in range(2):
        policy.reset()
        reader.reset()
        actions += [(policy.act(obs), reader.act(obs)) for obs in observations(spec)]
    for expected, actual in actions:
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    expected = np.array([x for x, _ in actions])
    np.testing.assert_array_equal(expected[:STEPS], expected[STEPS:])  # no memory of the first episode
    assert (expected != expected[:1]).any()


def test_documentation_shows_the_written_contract(tmp_path):
    page = (READER.parents[1] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("```json\n")
    method, spec = PPO(hidden=(4,)), CONTINUOUS._replace(action_space=Box((-2.0,), (2.0,)))
    recipe = json.loads((save(trained_on_random_params(method, spec), tmp_path) / "recipe.json").read_text())
    assert json.loads(rest.partition("```")[0]) == recipe["policy"]


def test_numpy_reader_needs_neither_jax_nor_headstart(tmp_path):
    folder = save(trained_on_random_params(PPO(**SMALL), CONTINUOUS), tmp_path)
    code = f"import sys, runpy; policy = runpy.run_path({str(READER)!r})['Policy']({str(folder)!r})"
    code += "; policy.act([1.0, 2.0, 3.0]); assert not {'jax', 'headstart'} & set(sys.modules)"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_policy_that_reads_parameters_requires_them(tmp_path):
    env = probes.Corridor()
    trained = trained_on_random_params(UniversalPolicy(PPO(**SMALL)), spec(probes.task(env)))
    with pytest.raises(InputError, match=r"^UniversalPolicy reads the parameters of its task; name .*policy\('Corr"):
        trained.policy()
    folder, near_task, far_task = save(trained, tmp_path), probes.one(env, push=0.3), probes.one(env, push=2.9)
    reader = runpy.run_path(str(READER))["Policy"]
    with pytest.raises(ValueError, match="is given the parameters"):
        reader(folder)
    actions = []
    for task, push in ((near_task, 0.3), (far_task, 2.9)):
        policy, other = trained.policy(task), reader(folder, parameters=[push])
        for x in np.linspace(-2.0, 2.0, 5, dtype=np.float32):
            actions.append(int(policy.act(x[None])))
            assert other.act(x[None]) == actions[-1]
    assert len(set(actions)) == 2


def test_policy_of_several_sources_reads_its_context():
    tasks = [parse(f"CartPole-v1@length={length}") for length in (0.5, 0.8)]
    sources, of = tuple(map(describe, tasks)), spec(stack(tasks[:1]))._replace(context_dim=2)
    trained = dataclasses.replace(trained_on_random_params(Separate(PPO(**SMALL)), of), sources=sources)
    actions_of = lambda policy: [int(policy.act(obs)) for obs in np.random.default_rng(0).normal(0.0, 2.0, (STEPS, 4))]
    first, second, none = (actions_of(trained.policy(task)) for task in (tasks[0], sources[1], None))
    assert first != second
    assert none == first == actions_of(trained.policy("CartPole-v1@length=3"))  # the task is none of them
    with pytest.raises(InputError, match="have unequal observation spaces"):
        trained.policy("Acrobot-v1")


def test_policy_without_a_contract_is_reported(tmp_path):
    rooms = spec(stack([probes.one(FourRooms())]))
    for method, of in ((Uniform(), DISCRETE), (QLearning(), rooms)):
        folder = save(trained_on_random_params(method, of), tmp_path / type(method).__name__)
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
    *((DISCRETE, observation, SHAPE) for observation in (np.zeros((2, 3)), np.zeros(2), 1.0, np.zeros((1, 3)), None)),
    *(
        (DISCRETE, observation, NUMBERS_ONLY)
        for observation in ("abc", {}, ["a", "b", "c"], [[1], [2, 3], [4]], np.ones(3) * 1j)
    ),
    *((DISCRETE, [0.0, x, 0.0], FINITE) for x in (np.nan, np.inf, -np.inf, 1e200, None)),
    *((IMAGE, [[[0, x]]], SCALED) for x in (0.5, 256, -1)),
]


@pytest.mark.parametrize(("spec", "observation", "sentence"), REFUSED)
def test_policy_refuses_invalid_observations(spec: Spec, observation: Any, sentence: str):
    policy = Policy(probes.player(lambda obs: jnp.int32(1)), {}, spec)
    with pytest.raises(InputError, match=sentence):
        policy.act(observation)


def test_policy_takes_observations_of_any_dtype():
    policy = Policy(probes.player(lambda obs: jnp.int32(1)), {}, IMAGE)
    assert [int(policy.act(np.full((1, 1, 2), 255, kind))) for kind in (np.uint8, np.int64, np.float64)] == [1, 1, 1]
    policy = Policy(probes.player(lambda obs: jnp.int32(1)), {}, DISCRETE)
    with pytest.raises(
        InputError, match=r"^The parameters have shape \[3\], but the policy takes \[2\]; give one number for each"
    ):
        policy.reset([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"^The parameters must be an array of real numbers, of shape \[2\]"):
        policy.reset("ab")


def test_policy_is_compiled_once():
    observations = []

    def act(obs: Any) -> Any:
        observations.append(obs)
        return jnp.array([0.5, 0.5])

    learner = probes.player(act)
    for _ in range(2):
        policy = Policy(learner, {}, BOUNDED)
        for obs in ([1.0, 2.0, 3.0], np.ones(3), np.ones(3, np.float32), np.ones(3, int)):
            action = policy.act(obs)
            assert isinstance(action, np.ndarray)
            np.testing.assert_allclose(action, [1.0, 6.875])
        policy.reset()
    assert len(observations) == 1
