"""Kills `headstart train` and `headstart compare` at random moments, and compares the results bit by bit.

Each trial runs a command in a folder of its own, kills it by SIGKILL at a random moment, runs and kills it again, and
finally lets it finish. The folder must then hold the same bytes as after a run without kills, and no temporary file. In
every second trial of `compare`, a second process shares the folder and is killed as well.

    python benchmarks/kills.py --kills 100

Values that differ between runs (seconds, dates, the report that shows them) are not compared.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from flags import RUNS, flags, read

from headstart.lab import cli
from headstart.lab.checkpoint.files import write_json

LEARNER = "ppo:hidden=8:num_envs=4:num_steps=64:num_epochs=2"
TRAIN = ("train", LEARNER, "--source", "CartPole-v1", "--steps", "3e4", "--save-every", "0.001", "--out")
COMPARE = (
    *("compare", "--source", "CartPole-v1", "--target", "CartPole-v1@force=-10", "--methods", "finetune"),
    *("--source-steps", "250", "--target-steps", "500", "--shots", "0,1,3", "--seeds", "2", "--evals", "2"),
    *("--eval-episodes", "3", "--no-oracle", "--learner", LEARNER, "--out"),
)
COMMANDS = {"train": TRAIN, "compare": COMPARE}
AT_ONCE = 4  # kills in one folder, one after another
VARYING_KEYS = ("seconds", "provenance", "checksum", "cell")  # what is another each time
VARYING_FILES = ("report.html",)  # shows it


def main() -> None:
    """Runs the trials and writes their counts."""
    parser = flags(__doc__, RUNS / "kills")
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS), help="which commands")
    args = read(parser)
    os.environ["XDG_CACHE_HOME"] = str(args.work / "cache")  # what a kill does to it is no one else's
    shutil.rmtree(args.work, ignore_errors=True)
    kills, at_once = (2, 2) if args.tiny else (args.kills, AT_ONCE)
    results = {name: trials(args.work / name, COMMANDS[name], kills, at_once) for name in args.only}
    for name, counts in results.items():
        print(name, counts)
    from headstart.lab.study.provenance import provenance  # which asks JAX for its devices: not before a fork

    command = f"python benchmarks/kills.py --kills {args.kills}" + " --tiny" * args.tiny
    write_json(args.out / "kills.json", {"commands": results, "provenance": provenance(command)})
    sys.exit(any(counts["differ"] or counts["left"] or counts["failed"] for counts in results.values()))


def trials(work: pathlib.Path, arguments: Sequence[str], kills: int, at_once: int) -> dict[str, Any]:
    """Returns the counts of a command that is killed `kills` times, `at_once` of them in one folder."""
    rng = random.Random(0)
    finish(work / "compiled", arguments)  # which fills the cache of compiled programs
    start_time = time.monotonic()
    finish(work / "never", arguments)
    duration, uninterrupted = time.monotonic() - start_time, contents(work / "never")
    counts = {"trials": 0, "kills": 0, "shared": 0, "failed": 0, "differ": 0, "left": 0, "seconds": duration}
    while counts["kills"] < kills:
        out = work / f"trial-{counts['trials']}"
        shared = arguments[0] == "compare" and counts["trials"] % 2 == 1
        for _ in range(at_once):
            running = [start(out, arguments) for _ in range(1 + shared)]
            counts["kills"] += sum(kill(child, rng.uniform(0, duration)) for child in running)
            counts["shared"] += shared
        counts["failed"] += finish(out, arguments) != 0
        results = contents(out)
        counts["differ"] += results != uninterrupted
        counts["left"] += any(path.name.startswith(".") or "params-" in path.name for path in out.rglob("*"))
        counts["trials"] += 1
        if results == uninterrupted:
            shutil.rmtree(out)
    return counts


def start(out: pathlib.Path, arguments: Sequence[str]) -> int:
    """Starts a command in a process of its own. Returns its id."""
    out.parent.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        log = os.open(out.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        cli.main([*arguments, str(out)])
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def kill(child: int, after: float) -> bool:
    """Kills a process after some seconds. Returns whether it was still running."""
    ends = time.monotonic() + after
    while time.monotonic() < ends:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def finish(out: pathlib.Path, arguments: Sequence[str]) -> int:
    """Runs a command to its end. Returns its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(start(out, arguments), 0)[1])


class Content(NamedTuple):
    """The compared content of a file."""

    path: str
    data: Any


def contents(out: pathlib.Path) -> list[Content]:
    """Returns the compared content of each file in a folder."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return [Content(path.relative_to(out).as_posix(), content(path)) for path in files]


def content(path: pathlib.Path) -> Any:
    """Returns the compared content of a file."""
    if path.name in VARYING_FILES:
        return None
    return without_varying(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()


def without_varying(data: Any) -> Any:
    """Returns plain data without the keys that differ between runs."""
    if isinstance(data, dict):
        return {name: without_varying(x) for name, x in data.items() if name not in VARYING_KEYS}
    return [without_varying(x) for x in data] if isinstance(data, list) else data


if __name__ == "__main__":
    main()
