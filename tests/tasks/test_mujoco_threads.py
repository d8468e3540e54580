"""The threads that step MuJoCo's rows: their memory is valid, and a forked process has threads of its own."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "headstart" / "tasks" / "mujoco"
CC = shutil.which(os.environ.get("CC", "gcc"))


@pytest.mark.parametrize(
    ("words", "flags"), [([], ["-fsanitize=address"]), ([], ["-fsanitize=thread"]), (["fork"], [])], ids=str
)
def test_many_threads_use_valid_memory(words, flags, tmp_path):
    if CC is None:
        pytest.skip("there is no C compiler")
    bare, program = tmp_path / "bare.c", str(tmp_path / "harness")
    bare.write_text("int main(void) { return 0; }\n")
    if subprocess.run([CC, *flags, str(bare), "-o", program], capture_output=True).returncode:
        pytest.skip(f"the C compiler has no {' '.join(flags)}")
    flags = [*flags, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-pthread", f"-I{SOURCE}"]
    subprocess.run([CC, *flags, str(HERE / "rows_harness.c"), "-o", program, "-lm"], check=True)
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_steps_robots_too():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], cwd=ROOT, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr


FORKS = """
import os, signal
import numpy as np
from headstart.tasks.mujoco import physics
robot = physics.physics("Hopper-v5")
def steps():
    state = np.zeros((8, robot.carried + 1))
    state[:, 2] = 1.25
    after, bad, read = np.empty_like(state), np.empty(8, bool), [np.empty((8, n)) for n in robot.sizes] * 2
    robot.step(state, np.zeros((8, 3), np.float32), (), np.zeros((8, 0), np.float32), after, bad, read)
    return after[:, :-1].tobytes()
physics.use_threads(4)
want = steps()
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(steps() != want)
assert os.waitpid(child, 0)[1] == 0
assert steps() == want
"""
