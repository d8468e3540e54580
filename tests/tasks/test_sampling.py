"""Tasks of fixed numbers from tasks with distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import headstart
from headstart.core.errors import InputError
from headstart.core.types import stack
from headstart.tasks.sampling import held_out, in_range, is_ensemble, nominal, sample_params
from headstart.tasks.strings import parse

KEY = jax.random.key(0)
N = 400


def test_draw_is_complete_float32_and_each_name_has_its_own_stream():
    task = parse("Pendulum-v1@mass=0.5..2,length=0.5..2,gravity=9")
    params = sample_params(task, KEY)
    assert sorted(params) == sorted(task.env.defaults)
    assert {(leaf.dtype, leaf.shape) for leaf in params.values()} == {(jnp.dtype("float32"), ())}
    assert float(params["gravity"]) == 9.0
    assert float(params["dt"]) == pytest.approx(0.05)
    assert float(params["mass"]) != float(params["length"])
    expected = dist.Uniform(0.5, 2.0).sample(jax.random.fold_in(KEY, 1))  # length is second of the sorted names
    assert float(params["length"]) == float(expected)
    assert sample_params(task, KEY) == params


def test_in_range_draws_as_episodes_do_and_keeps_the_rest():
    task = parse("Pendulum-v1@mass=0.5..2,length=log:0.5..2,gravity=9", target=True)
    tasks = in_range(task, N, KEY)
    assert not is_ensemble(tasks)
    assert tasks.w.shape == (N, 1)
    assert tasks.context.shape == (N, 0)
    assert tasks.domain.tolist() == [1] * N
    mass, length = np.asarray(tasks.params["mass"]), np.asarray(tasks.params["length"])
    assert 0.5 <= mass.min() < 0.55 < 1.9 < mass.max() <= 2.0
    assert mass.mean() == pytest.approx(1.25, abs=0.08)
    assert np.log(length).mean() == pytest.approx(0.0, abs=0.08)
    assert abs(np.corrcoef(mass, length)[0, 1]) < 0.15
    np.testing.assert_array_equal(tasks.params["gravity"], 9.0)


@pytest.mark.parametrize(
    ("text", "bands"),
    [
        ("length=2..6", [(1, 2), (6, 7)]),
        ("length=0.2..2.2", [(0.1, 0.2), (2.2, 2.7)]),  # the bound of length is 0.1
        ("mass=98..100", [(97.5, 98)]),
        ("length=log:1..16", [(0.5, 1), (16, 32)]),
        ("mass=6~1.5", [(1.5, 3), (9, 10.5)]),
        ("mass=6~1.5|2..8", [(0.5, 2), (8, 9.5)]),
        ("action_delay=1..4", [(0, 0.5), (4.5, 5.5)]),
        ("action_delay=0..2", [(2.5, 3.5)]),
    ],
)
def test_held_out_lies_in_the_bands_beside_the_distribution(text: str, bands: list[tuple[float, float]]):
    task = parse(f"Pendulum-v1@{text}")
    (name,) = task.params
    drawn = np.asarray(held_out(task, N, KEY).params[name])
    assert drawn.shape == (N,)
    slack = 1e-5
    within = [(drawn >= low - slack) & (drawn <= high + slack) for low, high in bands]
    assert np.any(within, 0).all()
    for (low, high), expected in zip(bands, within, strict=True):
        assert expected.sum() > 0.05 * N
        assert np.ptp(drawn[expected]) > 0.8 * (high - low)


def test_held_out_delays_stay_held_out_once_rounded():
    tasks = held_out(parse("Pendulum-v1@action_delay=1..4"), N, KEY)
    assert set(np.round(np.asarray(tasks.params["action_delay"])).astype(int)) == {0, 5}


def test_held_out_is_outside_in_every_drawn_parameter_at_once_and_keeps_the_rest():
    tasks = held_out(parse("Hopper-v5@torso_mass=3..9,friction=0.5..2,gravity=8", "c"), N, KEY)
    mass, friction = np.asarray(tasks.params["torso_mass"]), np.asarray(tasks.params["friction"])
    assert np.all((mass < 3) | (mass > 9))
    assert np.all((friction < 0.5) | (friction > 2))
    assert len({(m < 3, f < 0.5) for m, f in zip(mass.tolist(), friction.tolist(), strict=True)}) == 4
    np.testing.assert_array_equal(tasks.params["gravity"], 8.0)


def test_held_out_says_where_nothing_is_left_or_no_range_is_known():
    with pytest.raises(InputError, match=r"max_torque=0..2 fills the parameter's whole range, .*; narrow it"):
        held_out(parse("Pendulum-v1@max_torque=0..2"), 2, KEY)
    with pytest.raises(InputError, match=r"Gamma.* has no held-out range"):
        held_out(headstart.task("Pendulum-v1", mass=dist.Gamma(2.0, 2.0)), 2, KEY)
    both = stack([parse("Pendulum-v1@mass=1..2")] * 2)
    for draws in (in_range, held_out):
        with pytest.raises(InputError, match="several tasks"):
            draws(both, 2, KEY)


def test_nominal_and_is_ensemble():
    task = parse("Hopper-v5@torso_mass=3..9,action_delay=0..2,friction=2", "c")
    assert is_ensemble(task)
    plain = nominal(task)
    assert not is_ensemble(plain)
    values = {name: float(value) for name, value in plain.params.items()}
    assert values == pytest.approx({"torso_mass": 3.6651914, "action_delay": 0.0, "friction": 2.0})
    assert nominal(plain).params == plain.params
    assert nominal(stack([task, task])).params["torso_mass"].shape == (2,)
    assert not is_ensemble(parse("CartPole-v1"))
