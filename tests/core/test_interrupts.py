"""An interrupt in a callback is raised, unchanged, in the code that ran the program."""

import asyncio
import pathlib
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.errors import JaxRuntimeError

from headstart.core import interrupts
from headstart.core.errors import message
from headstart.core.interrupts import reraising
from headstart.tasks.host.calls import _by_io_callback, _storing_interrupts, on_host
from headstart.tasks.mujoco import foreign

ROOT = pathlib.Path(__file__).parents[2]
NUMBER = (jax.ShapeDtypeStruct((), jnp.int32),)


def program(raised: BaseException, way: Any = on_host) -> Any:
    """Returns a compiled loop that calls a function which raises this."""

    def call(x: Any) -> Any:
        raise raised

    return jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, x: way(call, NUMBER, x)[0] + x, jnp.int32(1)))


@pytest.mark.parametrize("raised", [KeyboardInterrupt("now"), SystemExit(3), asyncio.CancelledError()], ids=repr)
def test_interrupts_arrive_unchanged(raised):
    with pytest.raises(type(raised)) as caught, reraising():
        program(raised)(3).block_until_ready()
    assert caught.value is raised


def test_on_a_gpu_too():
    raised = SystemExit(3)
    with pytest.raises(SystemExit) as caught, reraising():
        program(raised, lambda call, *rest: _by_io_callback(_storing_interrupts(call), *rest))(3).block_until_ready()
    assert caught.value is raised


def test_interrupts_of_mujocos_callback_arrive_too():
    raised = KeyboardInterrupt()

    def fill(given: Any, out: Any) -> None:
        raise raised

    foreign.register("headstart/tests/interrupted", fill)
    like = (jax.ShapeDtypeStruct((1,), jnp.float32),)
    play = jax.jit(lambda x: foreign.call("headstart/tests/interrupted", like, x)[0])
    with pytest.raises(KeyboardInterrupt) as caught, reraising():
        play(jnp.zeros(1)).block_until_ready()
    assert caught.value is raised


def test_an_exception_stays_jaxs_error():
    with pytest.raises(JaxRuntimeError, match="ValueError: no"), reraising():
        program(ValueError("no"))(3).block_until_ready()


def test_ctrl_c_in_jaxs_own_part_of_a_callback_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt), reraising():
        raise JaxRuntimeError('INTERNAL: CpuCallback error\n  File "x.py", line 1, in y\nKeyboardInterrupt: ')
    with pytest.raises(JaxRuntimeError), reraising():
        raise JaxRuntimeError("INTERNAL: ValueError: it says KeyboardInterrupt")


def test_ctrl_c_before_a_handlers_first_line_is_deferred():
    """Python cannot raise it there, and ctypes would report success to XLA."""
    handler, raised, others = next(iter(foreign._handlers or {None})), KeyboardInterrupt(), []
    if handler is None:
        foreign.register("headstart/tests/quiet", lambda given, out: None)
        handler = next(iter(foreign._handlers))
    what = SimpleNamespace(object=handler, exc_value=raised)
    foreign._handle_unraisable(others.append, what)
    with pytest.raises(KeyboardInterrupt) as caught, reraising():
        interrupts.check()
    assert caught.value is raised
    foreign._handle_unraisable(others.append, what)
    with pytest.raises(KeyboardInterrupt), reraising():
        pass
    unheard = SimpleNamespace(object=handler, exc_value=ValueError())
    foreign._handle_unraisable(others.append, unheard)
    assert others == [unheard]
    interrupts.check()


def test_ctrl_c_ends_a_program_that_another_thread_runs():
    calls = []

    def fill(given: Any, out: Any) -> None:
        calls.append(threading.current_thread())
        out[0][:] = given[0]
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT) if calls[0] is threading.main_thread() else _send()

    foreign.register("headstart/tests/long", fill)
    like = (jax.ShapeDtypeStruct((1,), jnp.float32),)
    step = lambda i, x: foreign.call("headstart/tests/long", like, x)[0]
    play = jax.jit(lambda x: jax.lax.fori_loop(0, 10**9, step, x))

    @reraising()
    def run() -> Any:
        result = play(jnp.zeros(1))
        return result.block_until_ready()

    with pytest.raises(KeyboardInterrupt):
        run()
    twice = jax.jit(lambda x: foreign.call("headstart/tests/long", like, x)[0])
    assert twice(jnp.ones(1)).item() == 1  # programs that nobody interrupts are refused nothing afterwards


def _send() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class Shy(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_errors_that_cannot_be_read_have_a_message_all_the_same():
    assert message(Shy()) == "its message cannot be read, because it raises RuntimeError"
    assert message(ValueError("half a pair: \ud800")) == r"half a pair: \ud800"
    assert message(ValueError("as it is")) == "as it is"


@pytest.mark.parametrize("delay", [0.1, 0.25])
def test_ctrl_c_ends_a_process_whose_env_is_stepped_in_another_thread(delay):
    """It neither waits for the training's next point, nor leaves a program that outlives Python."""
    words = [sys.executable, "-W", "ignore", "-c", TRAINS, str(delay)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 130, done.stderr
    steps, lent, more = map(int, done.stdout.split())
    assert steps < 2000  # of the 12 800 up to the first point
    assert (lent, more) == (0, 0)


TRAINS = """
import os, signal, sys, threading, time
import gymnasium, numpy as np
import headstart as hs
class Slow(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)
    steps = 0
    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}
    def step(self, action):
        Slow.steps += 1
        if Slow.steps == 300:
            threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(0.002)
        return np.zeros(2, np.float32), 1.0, Slow.steps % 10 == 0, False, {}
task = hs.task(hs.host(Slow, horizon=20))
try:
    hs.train(hs.PPO(num_steps=32, num_envs=4), task, steps=256_000)
except KeyboardInterrupt:
    before = Slow.steps
    time.sleep(0.5)
    print(before, task.env.pool.num_in_use, Slow.steps - before)
    sys.exit(130)
"""
