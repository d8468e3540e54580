"""Compiled programs are kept on disk, so that a second run starts at once, and in memory as long as there is room."""

import functools
import hashlib
import os
import pathlib
import platform

import jax
import platformdirs

MOST = 2**30  # bytes; what was not used for longest gives way
LEAST = 0.1  # s of compiling; what takes less is not worth a file
FULL = 0.5  # share of a process's memory maps


@functools.cache
def keep() -> None:
    """Has JAX keep what it compiles in the user's cache folder.

    Who gives JAX a place of their own (JAX_COMPILATION_CACHE_DIR) is left with it, and JAX_ENABLE_COMPILATION_CACHE=0
    keeps nothing, as ever; nor is anything kept where the user has no folder to write to.
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
        jax.config.update("jax_compilation_cache_max_size", MOST)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST)


def processor() -> str:
    """-> a name for this kind of CPU: a program compiled for another may not run on it, and homes are shared."""
    about = pathlib.Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else [platform.processor()]
    same = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join([platform.machine(), *same]).encode()).hexdigest()[:12]


def make_room(full: float = FULL) -> None:
    """Lets compiled programs go once they fill that share of what a process may hold; those needed again are read back.

    JAX keeps every program, each takes hundreds of memory maps, and Linux gives a process 65 530 of them by default
    (vm.max_map_count): whoever asks for more is aborted without a word that says so.
    """
    limit, maps = pathlib.Path("/proc/sys/vm/max_map_count"), pathlib.Path("/proc/self/maps")
    if limit.exists() and maps.exists():
        with maps.open("rb") as held:
            if sum(1 for _ in held) > full * int(limit.read_text(encoding="utf-8")):
                jax.clear_caches()
