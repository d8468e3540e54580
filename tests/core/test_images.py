"""Observations that are images: seen, kept as they are, learned from, saved, and handed to others."""

import json

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import optax
import probes
import pytest

from headstart.core.errors import InputError
from headstart.core.names import named, select_parts
from headstart.core.rollout import evaluate
from headstart.core.spaces import Box, Image
from headstart.core.train import enter_envs, init_loop_state
from headstart.core.types import Method, TrainState, spec
from headstart.lab.checkpoint.recipe import FORMAT
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.save_load import load, save
from headstart.lab.checkpoint.trained import Trained
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.methods.forward.finetune import Finetune
from headstart.protocol.checks import check_spaces
from headstart.protocol.shift import shift
from headstart.tasks.gymnasium import to_gymnasium

BITS, BYTES = Image((4, 6, 2)), Image((3, 4, 1), "uint8")
QUICK = DQN(
    hidden=(),
    num_steps=4,
    update_to_data=0.5,
    target_update_period=20,
    num_envs=8,
    batch_size=32,
    learning_rate=3e-3,
    buffer_size=500,
    learning_starts=64,
)
BRISK = PPO(hidden=(), num_steps=8, num_epochs=4, num_envs=8, batch_size=32, learning_rate=3e-3)


def test_a_space_of_images_is_short_and_compared_by_value():
    assert (BITS.size, BITS.max_value, BYTES.size, BYTES.max_value) == (48, 1, 12, 255)
    assert repr(BYTES) == "Image(shape=(3, 4, 1), dtype='uint8')"
    assert Image((3, 4, 1), "uint8") == BYTES
    assert len({BYTES, Image((3, 4, 1), "uint8"), Image((3, 4, 1))}) == 2
    assert Box((0.0, 1.0), (1.0, 2.0)).shape == (2,)


@pytest.mark.parametrize(("shape", "dtype"), [((4, 4), "bool"), ((4, 0, 1), "bool"), ((4, 4, 1), "float64")])
def test_what_is_no_image_is_refused_in_a_sentence(shape: tuple[int, ...], dtype: str):
    with pytest.raises(InputError, match=r"^Image\(.*\) is (out of range: it needs|unknown: it is) .*\.$"):
        Image(shape, dtype)


@pytest.mark.parametrize(("method", "sight"), [(QUICK, BYTES), (BRISK, BITS)], ids=["DQN", "PPO"])
def test_where_a_pixel_is_says_what_pays(method: Method, sight: Image):
    tasks = probes.task(probes.Pixel(sight))
    learner, last = probes.taught(method, tasks, 30, seeds=2)
    assert (evaluate(learner, last.params, tasks, 50, probes.keys(2)).mean((1, 2)) > 0.95).all()


@pytest.mark.parametrize("sight", [BITS, BYTES], ids=["bits", "bytes"])
def test_memory_keeps_images_as_they_are(sight: Image):
    tasks = probes.task(probes.Pixel(sight))
    learner = QUICK.learner(spec(tasks))
    run = jax.eval_shape(lambda: enter_envs(learner, tasks, init_loop_state(learner, probes.keys(3))))
    rows, num_envs = run.memory[0].rows, learner.replay.num_envs
    assert rows.obs.dtype == jnp.dtype(sight.dtype)
    assert rows.obs.shape == (3, 1, (500 // num_envs + 1) * num_envs, *sight.shape)
    assert not hasattr(rows, "next_obs")  # each image is stored once


def known(method: Method) -> TrainState:
    """Returns a method's initial state for images [seed]."""
    return init_loop_state(method.learner(spec(probes.task(probes.Pixel(BYTES)))), probes.keys(1)).state


@pytest.mark.parametrize("method", [QUICK, BRISK], ids=["DQN", "PPO"])
def test_a_checkpoint_of_images_is_read_as_it_was_written(method: Method, tmp_path):
    trained = Trained(method, spec(probes.task(probes.Pixel(BYTES))), known(method), "Pixel", 0, 0)
    again = load(save(trained, tmp_path))
    assert again.spec == trained.spec
    jax.tree.map(np.testing.assert_array_equal, again.state, trained.state)
    assert '"kind": "image"' in (tmp_path / "recipe.json").read_text()


def test_a_recipe_of_no_image_is_damaged(tmp_path):
    folder = save(Trained(QUICK, spec(probes.task(probes.Pixel(BYTES))), known(QUICK), "Pixel", 0, 0), tmp_path)
    written = json.loads((folder / "recipe.json").read_text())
    for old, new, why in (("uint8", "float64", "is unknown: it is one of bool, uint8"), ("image", "sound", "damaged")):
        edited = json.loads(json.dumps(written).replace(f'"{old}"', f'"{new}"'))
        write_record(folder / "recipe.json", FORMAT, edited)
        with pytest.raises(InputError, match=why):
            load(folder)


@pytest.mark.parametrize(
    ("how", "still"),
    [
        ({"normalizer": "fresh"}, "encoder.filters.0.weight"),
        ({"normalizer": "frozen", "reset_head": True}, "encoder.dense.weight"),
    ],
    ids=str,
)
def test_normalisers_and_heads_that_start_anew_leave_the_encoder_alone(how, still: str):
    prior = known(BRISK)
    prior = prior.replace(params=jax.tree.map(lambda x: jax.device_put(np.asarray(x) + 1), prior.params))
    learner = Finetune(BRISK, **how).learner(spec(probes.task(probes.Pixel(BYTES))), target=True)
    began = named(init_loop_state(learner, probes.keys(1), prior).state.params)
    np.testing.assert_array_equal(began[still], named(prior.params)[still])


@pytest.mark.parametrize("how", [{"freeze": ("encoder",)}, {"layers": "last"}], ids=str)
def test_a_frozen_encoder_stays(how):
    learner = Finetune(BRISK, **how).learner(spec(probes.task(probes.Pixel(BYTES))), target=True)
    (phase,) = learner.phases
    trained = select_parts(jax.tree.map(lambda x: x[0], known(BRISK).params), phase.train)
    assert "encoder" in trained
    optimizer = optax.with_extra_args_support(phase.optimizer)
    steep = lambda k: optimizer.update(jax.tree.map(jnp.ones_like, k), optimizer.init(k), k, progress=0.0)[0]
    moved = {name: bool(np.any(x)) for name, x in named(jax.jit(steep)(trained)).items()}
    assert not any(moves for name, moves in moved.items() if name.startswith("encoder"))
    assert moved["policy.net.last.weight"]


def test_an_image_behind_gymnasiums_face():
    space = to_gymnasium(probes.one(probes.Pixel(BYTES))).observation_space
    assert space == gymnasium.spaces.Box(0, 255, (3, 4, 1), np.uint8)
    env = to_gymnasium(probes.one(probes.Pixel(BITS)))
    space = env.observation_space
    assert (space.shape, space.dtype) == ((4, 6, 2), np.bool_)
    seen, _ = env.reset(seed=0)
    assert (seen.dtype, seen.sum()) == (np.bool_, 1)
    assert space.contains(seen)


def test_unequal_images_are_told():
    action = Box((-1.0,), (1.0,))
    with pytest.raises(InputError, match=r"\(4 x 6 x 2 bits and 3 x 4 x 1 bytes\)"):
        check_spaces("A", (BITS, action), "B", (BYTES, action))
    with pytest.raises(InputError, match=r"\(4 x 6 x 2 bits and 1 numbers\)"):
        check_spaces("A", (BITS, action), "B", (action, action))


def test_the_shift_doctor_looks_at_images():
    here, there = (probes.one(probes.Pixel(BITS), swap=swap) for swap in (0, 1))
    assert not shift(here, here, jax.random.key(0)).differs
    found = shift(here, there, jax.random.key(0)).combined
    assert (found.initial, found.next_state) == (0.0, 0.0)
    assert found.reward > 0.5
