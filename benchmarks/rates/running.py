"""Runs programs and stores their results, one file for each, so that a run resumes."""

import os
import pathlib
import re
import subprocess
import tempfile
import time

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import read_json, write_json
from headstart.lab.study.provenance import commit
from rates.rows import BENCHMARKS, Program


def slug(name: str) -> str:
    """Returns a name in a form for file names."""
    return re.sub("[^a-z0-9.]+", "-", name.lower()).strip("-")


def run(name: str, program: Program, extra: tuple[str, ...], seed: int, file: pathlib.Path) -> dict:
    """Returns the results of a program, from the file or measured now, and its wall-clock seconds.

    Raises InputError with the end of its output if it fails.
    """
    if not file.exists():
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            words = [{"OUT": str(out), "SEED": str(seed)}.get(word, word) for word in (*program.words, *extra)]
            env = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/compiled", **os.environ}  # nothing is compiled beforehand
            start_time = time.perf_counter()
            done = subprocess.run(words, cwd=BENCHMARKS, capture_output=True, text=True, env=env)
            seconds = time.perf_counter() - start_time
            if done.returncode:
                raise InputError(
                    f"{name} failed; run `{' '.join(words)}` by itself. It ended with: {done.stderr[-800:]}"
                )
            results = read_json(out) if out.is_file() else {}
        write_json(file, {**results, "wall_seconds": seconds, "words": extra, "commit": commit()})
    return read_json(file)


def figure(results: dict, what: str) -> float:
    """Returns steps per second, or seconds: of a curve those at its end, without the evaluations."""
    if what == "wall":
        return results["wall_seconds"]
    seconds = results["seconds"][-1] if isinstance(results["seconds"], list) else results["seconds"]
    return results["steps"] / seconds if what == "rate" else seconds


def faster(figures: list[float], what: str) -> int:
    """Returns the index of the fastest one."""
    best = max(figures) if what == "rate" else min(figures)
    return figures.index(best)


def settle(row: str, name: str, program: Program, what: str, work: pathlib.Path) -> tuple[tuple[str, ...], dict]:
    """Returns the options with which this program is fastest, and the result of each choice; each runs once."""
    if not program.choices:
        return (), {}
    choices = {" ".join(choice) or "as it is": choice for choice in program.choices}
    files = {words: work / f"{slug(row)}-{slug(name)}-choice-{slug(words)}.json" for words in choices}
    tried = {w: figure(run(f"{row}, {name} ({w})", program, choices[w], 0, file), what) for w, file in files.items()}
    return choices[list(tried)[faster(list(tried.values()), what)]], tried
