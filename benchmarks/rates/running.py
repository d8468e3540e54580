"""Running programs and keeping what they measure: one file for each, so that a run goes on where it was stopped."""

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
    """Returns a name as part of a file's."""
    return re.sub("[^a-z0-9.]+", "-", name.lower()).strip("-")


def run(name: str, program: Program, extra: tuple[str, ...], seed: int, file: pathlib.Path) -> dict:
    """Returns what the program measured, from the file or run now, and how long all of it took.

    Raises InputError with the end of what it said where it fails.
    """
    if not file.exists():
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            words = [{"OUT": str(out), "SEED": str(seed)}.get(word, word) for word in (*program.words, *extra)]
            env = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/compiled", **os.environ}  # nothing is compiled beforehand
            began = time.perf_counter()
            done = subprocess.run(words, cwd=BENCHMARKS, capture_output=True, text=True, env=env)
            seconds = time.perf_counter() - began
            if done.returncode:
                raise InputError(
                    f"{name} failed; run `{' '.join(words)}` by itself. It ended with: {done.stderr[-800:]}"
                )
            found = read_json(out) if out.is_file() else {}
        write_json(file, {**found, "wall_seconds": seconds, "words": extra, "commit": commit()})
    return read_json(file)


def figure(found: dict, what: str) -> float:
    """Returns steps a second, or seconds: of a curve those of its end, without the judgements."""
    if what == "wall":
        return found["wall_seconds"]
    seconds = found["seconds"][-1] if isinstance(found["seconds"], list) else found["seconds"]
    return found["steps"] / seconds if what == "rate" else seconds


def faster(figures: list[float], what: str) -> int:
    """Returns which of them is the fastest."""
    best = max(figures) if what == "rate" else min(figures)
    return figures.index(best)


def settle(row: str, name: str, program: Program, what: str, work: pathlib.Path) -> tuple[tuple[str, ...], dict]:
    """Returns the further words that this program is fastest with, and what each choice gave; each is tried once."""
    if not program.choices:
        return (), {}
    told = {" ".join(choice) or "as it is": choice for choice in program.choices}
    files = {words: work / f"{slug(row)}-{slug(name)}-choice-{slug(words)}.json" for words in told}
    tried = {w: figure(run(f"{row}, {name} ({w})", program, told[w], 0, file), what) for w, file in files.items()}
    return told[list(tried)[faster(list(tried.values()), what)]], tried
