"""The cache of compiled programs."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import ShapeDtypeStruct, monitoring

from headstart.lab import compilation_cache
from headstart.tasks.mujoco import foreign

HITS = "/jax/compilation_cache/cache_hits"


def cache_folder(**env: str) -> str:
    """Returns the cache folder of a program that imports headstart."""
    code = "import headstart as hs, jax; hs.task; print(jax.config.jax_compilation_cache_dir)"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **env}, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_programs_are_cached_in_the_users_cache_folder(tmp_path):
    folder = cache_folder(XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))
    assert folder.startswith(str(tmp_path))
    assert folder.endswith(compilation_cache.processor())


def test_cache_folder_of_jax_settings_is_kept(tmp_path):
    assert cache_folder(JAX_COMPILATION_CACHE_DIR=str(tmp_path)) == str(tmp_path)


def test_nothing_is_cached_without_a_writable_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(compilation_cache.platformdirs, "user_cache_path", lambda name: tmp_path / "file")
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        compilation_cache.enable.__wrapped__()
        assert jax.config.values["jax_compilation_cache_dir"] is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_programs_are_cleared_when_memory_maps_run_short():
    traced: list[int] = []
    twice = jax.jit(lambda x: (traced.append(1), 2 * x)[1])
    for max_share, times in (
        (compilation_cache.MAX_MAP_SHARE, 1),
        (0.0, 2 if pathlib.Path("/proc/self/maps").exists() else 1),
    ):
        twice(1.0)
        compilation_cache.free_memory(max_share)
        twice(1.0)
        assert len(traced) == times


@pytest.fixture
def hits():
    """Returns a list with an event for each program that is read from the cache."""
    events: list[str] = []
    count_hit = lambda event, **_: events.append(event) if event == HITS else None
    monitoring.register_event_listener(count_hit)
    before = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield events
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before)
    monitoring.unregister_event_listener(count_hit)


def test_program_that_calls_numpy_is_cached(hits):
    def fill(given: list[np.ndarray], out: list[np.ndarray]) -> None:
        (x, nothing), (twice, positive) = given, out
        assert nothing.shape == (*x.shape[:-1], 0)
        twice[...], positive[...] = 2 * x, (x > 0).all(-1)

    foreign.register("test/twice", fill)
    shapes = ShapeDtypeStruct((3,), jnp.float32), ShapeDtypeStruct((), jnp.bool_)
    x = jnp.arange(-6.0, 12.0).reshape(2, 3, 3)
    row_function = lambda x: foreign.call("test/twice", shapes, x, jnp.zeros(0))
    for _ in range(2):
        jax.clear_caches()
        twice, positive = jax.jit(jax.vmap(jax.vmap(row_function)))(x)
        np.testing.assert_array_equal(twice, 2 * x)
        assert positive.tolist() == [[False, False, False], [True, True, True]]
    assert HITS in hits


def test_error_of_a_numpy_function_is_reported():
    def fill(given: list[np.ndarray], out: list[np.ndarray]) -> None:
        raise ValueError("no such thing")

    foreign.register("test/broken", fill)
    with pytest.raises(jax.errors.JaxRuntimeError, match="ValueError: no such thing"):
        jax.block_until_ready(foreign.call("test/broken", (ShapeDtypeStruct((), jnp.float32),), jnp.zeros(())))
