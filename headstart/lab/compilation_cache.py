"""Caches compiled programs on disk, and removes them from memory before a process runs out of memory maps."""

import functools
import hashlib
import os
import pathlib
import platform

import jax
import platformdirs

MAX_BYTES = 2**30  # the least recently used programs are deleted first
MIN_COMPILE_SECONDS = 0.1  # programs that compile faster are not cached
MAX_MAP_SHARE = 0.5  # of a process's memory maps


@functools.cache
def enable() -> None:
    """Enables JAX's compilation cache in the user's cache folder.

    JAX_COMPILATION_CACHE_DIR and JAX_ENABLE_COMPILATION_CACHE=0 keep their effect. Nothing is cached if the folder
    cannot be written to.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    folder = platformdirs.user_cache_path("headstart") / f"compiled-{processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)


def processor() -> str:
    """Returns a name for this CPU model: homes are shared, and a program may not run on another model."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else [platform.processor()]
    lines_of_model = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join([platform.machine(), *lines_of_model]).encode()).hexdigest()[:12]


def free_memory(max_share: float = MAX_MAP_SHARE) -> None:
    """Clears the compiled programs of this process if they use more than a share `max_share` of its memory maps.

    JAX keeps every program, each uses hundreds of memory maps, and Linux allows 65 530 of them by default
    (vm.max_map_count). A process that exceeds the limit is aborted without a message.
    """
    limit, maps = pathlib.Path("/proc/sys/vm/max_map_count"), pathlib.Path("/proc/self/maps")
    if limit.exists() and maps.exists():
        with maps.open("rb") as file:
            if sum(1 for _ in file) > max_share * int(limit.read_text(encoding="utf-8")):
                jax.clear_caches()
