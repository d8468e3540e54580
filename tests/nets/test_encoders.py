"""Encoders: shapes and values by hand, and that gradients of losses reach their weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jaxtyping import Array

from headstart.core.errors import InputError
from headstart.core.names import map_named, named, select_parts
from headstart.core.types import ActionSpace, Box, Discrete, Image, Method, Params, Spec
from headstart.learners.dqn import DQN
from headstart.learners.ppo import PPO
from headstart.learners.sac import SAC
from headstart.nets.encoders import Convolutions, convolutions, encode, init_encoder, patches
from headstart.nets.mlp import orthogonal
from headstart.nets.running_statistics import RunningMeanStd, running_mean_std

KEY = jax.random.key(0)
SMALL = Image((4, 4, 1), "uint8")
NONE = jnp.zeros(0)


def test_patches_are_every_square_by_rows_columns_and_channels():
    x = jnp.arange(12.0).reshape(3, 4, 1)
    assert patches(x, 2, 1).shape == (2, 3, 4)
    assert patches(x, 2, 1)[1, 2].tolist() == [6, 7, 10, 11]
    assert patches(x, 2, 2)[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]  # a row that fills no whole square is left out
    assert patches(jnp.stack([x[..., 0], -x[..., 0]], -1), 1, 1)[0, 1].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("image", "filters", "dense"),
    [
        (Image((10, 10, 4)), [(36, 16)], (8 * 8 * 16, 128)),
        (Image((84, 84, 4), "uint8"), [(256, 32), (512, 64), (576, 64)], (7 * 7 * 64, 512)),
        (Image((32, 32, 3), "uint8"), [(108, 16), (144, 32)], (3 * 3 * 32, 128)),
        (Image((16, 35, 1)), [(36, 16), (144, 32)], (1 * 3 * 32, 128)),
        (Image((15, 40, 1)), [(9, 16)], (13 * 38 * 16, 128)),
        (Image((36, 48, 3), "uint8"), [(192, 32), (512, 64), (576, 64)], (2 * 64, 512)),
        (Image((3, 9, 1)), [(9, 16)], (7 * 16, 128)),
    ],
    ids=str,
)
def test_layers_have_the_given_sizes(image: Image, filters: list[tuple[int, int]], dense: tuple[int, int]):
    made = jax.eval_shape(lambda key: convolutions(image, key), KEY)
    assert [layer.weight.shape for layer in made.filters] == filters
    assert made.dense.weight.shape == dense
    widths = []
    jax.eval_shape(lambda key: widths.append(init_encoder(Spec(image, Discrete(2), context_dim=3), key, True)[1]), KEY)
    assert widths == [dense[1] + 3]


def test_outputs_by_hand():
    """One filter sums a square, one is zero; bytes become 0..1, and negative outputs are cut."""
    k = convolutions(SMALL, KEY)
    weight = jnp.zeros((9, 16)).at[:, 0].set(1.0)
    dense = jnp.zeros((64, 128)).at[0, 0].set(2.0).at[0, 1].set(-2.0).at[3 * 16, 2].set(1.0)
    biases = {"filters.0.bias": jnp.zeros(16), "dense.bias": jnp.zeros(128).at[3].set(0.5)}
    leaves = {"filters.0.weight": weight, "dense.weight": dense, **biases}
    k = map_named(lambda name, _: leaves[name], k)
    picture = jnp.zeros((4, 4, 1), jnp.uint8).at[0, 0].set(255).at[3, 3].set(51).at[1, 1].set(51)
    out = k(picture)
    assert out[:5].tolist() == pytest.approx([2 * 1.2, 0.0, 0.4, 0.5, 0.0])  # 1 + 0.2, and 0.2 + 0.2


def test_it_is_the_convolution_that_jax_knows():
    layer, x = orthogonal(3 * 3 * 2, 5, 1.0, KEY), jax.random.normal(KEY, (8, 9, 2))
    kernel, kinds = layer.weight.reshape(3, 3, 2, 5), ("NHWC", "HWIO", "NHWC")
    theirs = jax.lax.conv_general_dilated(x[None], kernel, (2, 2), "VALID", dimension_numbers=kinds)[0]
    np.testing.assert_allclose(jax.vmap(jax.vmap(layer))(patches(x, 3, 2)), theirs, atol=1e-5)


def test_it_starts_orthogonal_by_no_lapack():
    k = convolutions(Image((10, 10, 4)), KEY)
    for layer in (*k.filters, k.dense):
        np.testing.assert_allclose(layer.weight.T @ layer.weight, 2 * np.eye(layer.weight.shape[1]), atol=1e-5)
    program = jax.jit(jax.vmap(lambda key: convolutions(SMALL, key))).lower(jax.random.split(KEY, 2))
    assert "lapack" not in program.as_text()


def test_vectors_are_normalised_or_left_alone():
    box, context = Spec(Box((0.0, 0.0), (1.0, 1.0)), Discrete(2), context_dim=1), jnp.array([7.0])
    assert init_encoder(box, KEY, normalize=False) == ({}, 2 + 1)
    assert encode({}, jnp.array([3.0, 4.0]), context).tolist() == [3, 4, 7]
    seen = running_mean_std(2).update(jnp.array([[0.0, 0.0], [2.0, 4.0]]), jnp.ones(2))
    parts, features = init_encoder(box, KEY, normalize=True)
    assert (list(parts), features) == (["normalizer"], 2 + 1)
    assert isinstance(parts["normalizer"], RunningMeanStd)
    np.testing.assert_allclose(encode({"normalizer": seen}, jnp.array([2.0, 2.0]), context), [1, 0, 7], atol=1e-6)
    parts, _ = init_encoder(Spec(SMALL, Discrete(2)), KEY, normalize=True)
    assert list(parts) == ["encoder"]
    assert isinstance(parts["encoder"], Convolutions)


def gradient(method: Method, action: ActionSpace, parts: tuple[str, ...], **extras: Array) -> dict[str, Any]:
    """Returns, by name, the gradients of the losses of those names on one batch of images."""
    learner = method.learner(Spec(SMALL, action))
    known = probes.known(learner)
    images = jax.random.randint(KEY, (1, 3, 4, 4, 1), 0, 256).astype(jnp.uint8)
    chosen = jnp.zeros((1, 3, 1)) if isinstance(action, Box) else jnp.zeros((1, 3), jnp.int32)
    batch = probes.experience([[1.0, 2.0, 0.0]], obs=images, next_obs=images, action=chosen, extras=extras)

    def loss(trained: Params) -> Array:
        metrics = probes.loss_of(learner, {**known, **trained}, batch, KEY)[1]
        return sum((metrics[part] for part in parts), jnp.zeros(()))

    return named(jax.jit(jax.grad(loss))(select_parts(known, learner.phases[0].train)))


@pytest.mark.parametrize("part", ["policy_loss", "value_loss"])
def test_both_of_ppos_losses_teach_its_encoder(part: str):
    given = {name: jnp.array([[0.5, -1.0, 2.0]]) for name in ("log_prob", "advantage", "value_target")}
    moved = gradient(PPO(hidden=(4,)), Discrete(2), (part,), **given)
    assert all(np.any(moved[f"encoder.{name}"]) for name in ("filters.0.weight", "filters.0.bias", "dense.weight"))


def test_dqns_loss_trains_its_encoder_and_the_target_network_has_its_own():
    moved = gradient(DQN(hidden=()), Discrete(2), ("value_loss",), discount=jnp.ones((1, 3)))
    assert np.any(moved["encoder.filters.0.weight"])
    learner = DQN(hidden=(), discount=0.5).learner(Spec(SMALL, Discrete(2)))
    params = probes.known(learner)
    probes.check_same(params["target"]["encoder"], params["encoder"])
    blind = {**params["target"], "encoder": jax.tree.map(jnp.zeros_like, params["encoder"])}
    image = jnp.full((1, 1, 4, 4, 1), 255, jnp.uint8)
    fields = {"obs": image, "next_obs": image, "action": jnp.zeros((1, 1), jnp.int32)}
    batch = probes.experience([[0.0]], extras={"discount": jnp.full((1, 1), 0.5)}, **fields)
    loss = jax.jit(lambda params: probes.loss_of(learner, params, batch, KEY)[0])
    lost = [float(loss({**params, "target": target})) for target in (params["target"], blind)]
    q = np.asarray(jax.jit(lambda k, image: k["value"](encode(k, image, NONE)))(params, image[0, 0]))
    assert lost[1] == pytest.approx(0.5 * float(q[0]) ** 2, rel=1e-4)  # to a blind target network every value is 0
    assert lost[0] == pytest.approx(0.5 * float(q[0] - 0.5 * q.max()) ** 2, rel=1e-4)


def test_sacs_encoder_is_taught_by_its_critics_alone():
    sac, box = SAC(hidden=(4,)), Box((-1.0,), (1.0,))
    policys, critics = (gradient(sac, box, (part,)) for part in ("policy_loss", "value_loss"))
    assert np.any(critics["encoder.filters.0.weight"])
    assert not any(np.any(x) for name, x in policys.items() if name.startswith("encoder"))
    assert np.any(policys["policy.net.last.weight"])


def test_an_image_of_almost_nothing_is_refused():
    with pytest.raises(InputError, match=r"An image of 2 x 9 is too small to be encoded; it needs at least 3 x 3\.$"):
        DQN().learner(Spec(Image((2, 9, 1)), Discrete(2))).init(KEY, None)
