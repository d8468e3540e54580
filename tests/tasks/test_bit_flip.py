"""BitFlip: by hand, and as in the experiment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import headstart as hs
from headstart.core.errors import InputError
from headstart.tasks.worlds import BitFlip
from headstart.tasks.worlds.bit_flip import Bits

SURE = {"slip": jnp.float32(0.0)}


def bits(text: str) -> jax.Array:
    return jnp.array([c == "1" for c in text])


def test_a_step_flips_its_bit_and_costs_one_unless_it_leaves_the_goal():
    env = BitFlip(4)
    state = Bits(bits("0110"), bits("1100"))
    costs = []
    for action in (0, 2, 1):  # 1110, 1100: the goal, 1000: gone again
        after = env.transition(SURE, state, jnp.asarray(action), jax.random.key(0))
        costs.append(env.cumulants(SURE, state, jnp.asarray(action), after).tolist())
        assert not env.terminal(SURE, after)
        state = after
    assert costs == [[-1.0], [0.0], [-1.0]]
    assert env.observe(SURE, state).tolist() == [1, 0, 0, 0, 1, 1, 0, 0]


def test_episodes_last_n_steps_whatever_happens():
    env = hs.to_gymnasium(hs.task("BitFlip-8"))
    observations, _ = env.reset(seed=1)
    total, wrong = 0.0, np.flatnonzero(observations[:8] != observations[8:])
    for t in range(8):
        action = wrong[t] if t < len(wrong) else 0  # then the first bit, to and fro
        _, reward, ended, out_of_time, _ = env.step(int(action))
        total += reward
        assert not ended
        assert out_of_time == (t == 7)
    away = 8 - len(wrong)
    assert 0 < len(wrong) < 8
    assert total == -(len(wrong) - 1) - (away - away // 2)


def test_bits_and_goals_start_anywhere():
    env = BitFlip(15)
    starts = jax.jit(jax.vmap(lambda key: env.initial(SURE, key)))(jax.random.split(jax.random.key(0), 3000))
    np.testing.assert_allclose(starts.bits.mean(0), 0.5, atol=0.04)
    np.testing.assert_allclose(starts.goal.mean(0), 0.5, atol=0.04)
    np.testing.assert_allclose((starts.bits == starts.goal).mean(0), 0.5, atol=0.04)


def test_slips_flip_random_bits():
    env, state = BitFlip(5), Bits(bits("00000"), bits("11111"))
    go = jax.vmap(lambda key: env.transition({"slip": jnp.float32(0.5)}, state, jnp.asarray(3), key).bits)
    flipped = np.asarray(jax.jit(go)(jax.random.split(jax.random.key(0), 4000)))
    assert set(flipped.sum(1)) == {1}
    np.testing.assert_allclose(flipped.mean(0), [0.1, 0.1, 0.1, 0.6, 0.1], atol=0.03)


@pytest.mark.parametrize("n", [8, 15, 25])
def test_sizes(n: int):
    env = hs.task(f"BitFlip-{n}").env
    assert (env.name, env.horizon, env.observation_space.size, env.action_space.size) == (f"BitFlip-{n}", n, 2 * n, n)


def test_size_of_zero_is_refused():
    with pytest.raises(InputError, match=r"BitFlip has no bits with n=0; give 1 or more\.$"):
        BitFlip(0)
