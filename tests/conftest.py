"""How JAX is set for every test."""

import functools
import gc
import os
from typing import Any

import jax
import pytest
from beartype.claw import beartype_package
from generator import GENERATOR
from typecheck import TYPES
from xdist.scheduler import LoadFileScheduling

# Tests compile for long and run for a moment, so XLA takes no pains here: that is a fifth of the time. For the programs
# that users run: XLA_FLAGS="--xla_backend_optimization_level=3 --xla_cpu_use_fusion_emitters=true" make tests
# One thread compiles one program: there is a worker for each core, and threads would only wait for each other.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)


# jaxtyping compares the shapes of a call's arrays with one another, which makes every call slow (pyproject.toml says
# where). In the lab there are next to no arrays, and a report is a hundred thousand calls.
beartype_package("headstart.lab", conf=TYPES)

# What takes longest, the longest first: at the end, all but one of the workers would wait for it.
LONG = (
    "tests/methods/test_methods.py",
    "tests/lab/cli/test_cli.py",
    "tests/lab/study/test_runner.py",
    "tests/methods/test_hidden_dynamics.py",
    "tests/lab/study/test_several_sources.py",
    "tests/tasks/test_extras.py",
    "tests/methods/test_distil.py",
    "tests/methods/test_confusion.py",
    "tests/tasks/test_mujoco.py",
    "tests/learners",
    "tests/lab/checkpoint/test_resume.py",
    "tests/core/test_train.py",
    "tests/methods",
    "tests/tasks/test_mujoco_mjx.py",
    "tests/test_benchmarks.py",
    "tests/core",
    "tests/test_readme.py",
    "tests/lab",
)
# By file, another one that compiles the same: one worker takes both.
LIKE = {
    "tests/lab/study/test_runner.py": "tests/lab/cli/test_cli.py",
    "tests/lab/checkpoint/test_save_load.py": "tests/lab/cli/test_cli.py",
    "tests/lab/checkpoint/test_checkpoint_fuzz.py": "tests/lab/cli/test_cli.py",
}


def pytest_configure(config: pytest.Config) -> None:
    """Strict where silence hides bugs, and compiled programs kept from one run of the tests to the next."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        return  # this process only hands tests to its workers
    os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}"  # the last word is the user's
    # A [3] against a [5, 3] is a forgotten `[None]` more often than a wish.
    jax.config.update("jax_numpy_rank_promotion", "raise")
    # Users run in float32, and so do the tests.
    jax.config.update("jax_enable_x64", False)
    # Users' generators are fast to run; unoptimised, they take half of the time that a small program takes to compile.
    from headstart.protocol import transfer  # not before jaxtyping is there to check it

    patch = pytest.MonkeyPatch()
    patch.setattr(transfer, "GENERATOR", GENERATOR)
    patch.setattr(jax.random, "key", functools.partial(jax.random.key, impl=GENERATOR))
    # NaN is data here: the return of a rollout in which no episode ended, a seed whose training went wrong.
    jax.config.update("jax_debug_nans", False)
    # Most of the tests' time is compilation. Programs with callbacks (Gymnasium's envs) are never kept.
    if hasattr(config, "cache"):  # unless pytest's cache is off
        from headstart.lab.compilation_cache import MAX_BYTES, processor  # not before jaxtyping is there to check it

        kept = {
            "jax_compilation_cache_dir": str(config.cache.mkdir(f"compiled-{processor()}")),
            "jax_compilation_cache_max_size": MAX_BYTES,  # and with it, no two processes write one file
            "jax_persistent_cache_min_compile_time_secs": 0.5,  # less is not worth the time to write it
        }
        for name, value in kept.items():
            jax.config.update(name, value)
            os.environ[name.upper()] = str(value)  # for the programs that tests start


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """A worker that has told all leaves its programs to the system: letting them go one by one takes ten seconds."""
    if hasattr(config, "workerinput"):
        os._exit(0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Where files are handed out whole, those that are LIKE one another go together."""
    return ByFile(config, log) if config.option.dist == "loadfile" else None


class ByFile(LoadFileScheduling):
    """Hands out whole files, and those that are LIKE one another as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return LIKE.get(file, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, and each file's in its order."""
    place = lambda nodeid: next((i for i, start in enumerate(LONG) if nodeid.startswith(start)), len(LONG))
    items.sort(key=lambda item: place(item.nodeid))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tracing makes millions of small objects that soon go by themselves: looking for cycles among them takes long."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(autouse=True, scope="module")
def room():
    """No file's tests are aborted for what those before it compiled."""
    from headstart.lab.compilation_cache import free_memory  # not before jaxtyping is there to check it

    free_memory(max_share=0.8)  # no file compiles more than a tenth, and to let all go takes ten seconds
