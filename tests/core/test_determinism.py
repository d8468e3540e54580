"""The same keys on the same machine come to the same numbers, to the last bit."""

import hashlib
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import probes
import pytest

from headstart.core.train import train
from headstart.core.types import Method, PyTree, spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC

OFF_POLICY = {"hidden": (4,), "num_steps": 2, "num_envs": 2, "batch_size": 8, "buffer_size": 64, "learning_starts": 8}
LEARNERS: dict[str, tuple[Method, bool]] = {  # and whether it chooses
    "ppo": (PPO(hidden=(4,), num_steps=8, num_envs=2, batch_size=8, num_epochs=1), True),
    "sac": (SAC(**OFF_POLICY), False),
    "dqn": (DQN(**OFF_POLICY), True),
}


def learned(name: str, seeds: tuple[int, ...]) -> PyTree:
    """Returns what those seeds come to in a few turns."""
    method, discrete = LEARNERS[name]
    tasks = probes.task(probes.Corridor(discrete=discrete))
    keys = jax.numpy.stack([jax.random.key(seed, impl="threefry2x32") for seed in seeds])
    *_, last = train(method.learner(spec(tasks)), tasks, 96, keys, num_points=2)
    return jax.tree.map(np.asarray, (last.state, last.metrics))


def digest(tree: PyTree) -> str:
    return hashlib.sha256(b"".join(x.tobytes() for x in jax.tree.leaves(tree))).hexdigest()


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_keys_come_to_the_same_bits(name):
    """And each seed's do not depend on which others run beside it, only on how many."""
    once, again, company = (learned(name, seeds) for seeds in ((0, 1, 2), (0, 1, 2), (7, 1, 5)))
    assert digest(again) == digest(once)
    assert digest(jax.tree.map(lambda x: x[1], company)) == digest(jax.tree.map(lambda x: x[1], once))
    assert digest(jax.tree.map(lambda x: x[0], company)) != digest(jax.tree.map(lambda x: x[0], once))


def test_another_process_that_compiles_anew_comes_to_the_same_bits():
    here = pathlib.Path(__file__).parent
    code = 'import test_determinism as t; print(t.digest(t.learned("sac", (0, 1, 2))))'
    paths = os.pathsep.join([str(here), str(here.parent), *sys.path])
    alone = os.environ | {"PYTHONPATH": paths, "JAX_ENABLE_COMPILATION_CACHE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=alone, timeout=600)
    assert done.stdout.strip() == digest(learned("sac", (0, 1, 2))), done.stderr
