"""Kill `headstart train` and `headstart compare` at random moments: does the same command come to the same bits?

Each trial runs a command in a folder of its own, kills it by SIGKILL at a random moment, runs it again, kills it again,
and in the end lets it finish. The folder must then hold what a run without kills has left, byte for byte, and no
temporary file. In every second trial of `compare` a second process shares the folder, and is killed as well.

    python benchmarks/kills.py --kills 100

What is new each time (seconds, dates, the report that shows them) is not compared.
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
NEW = ("seconds", "provenance", "checksum", "cell")  # what is another each time
UNLIKE = ("report.html",)  # shows it


def main() -> None:
    """Run the trials, and write down what came of them."""
    parser = flags(__doc__, RUNS / "kills")
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS), help="which commands")
    asked = read(parser)
    os.environ["XDG_CACHE_HOME"] = str(asked.work / "cache")  # what a kill does to it is no one else's
    shutil.rmtree(asked.work, ignore_errors=True)
    kills, at_once = (2, 2) if asked.tiny else (asked.kills, AT_ONCE)
    found = {name: trials(asked.work / name, COMMANDS[name], kills, at_once) for name in asked.only}
    for name, counts in found.items():
        print(name, counts)
    from headstart.lab.study.provenance import provenance  # which asks JAX for its devices: not before a fork

    told = f"python benchmarks/kills.py --kills {asked.kills}" + " --tiny" * asked.tiny
    write_json(asked.out / "kills.json", {"commands": found, "provenance": provenance(told)})
    sys.exit(any(counts["differ"] or counts["left"] or counts["failed"] for counts in found.values()))


def trials(work: pathlib.Path, words: Sequence[str], kills: int, at_once: int) -> dict[str, Any]:
    """Returns what came of a command that was killed so many times, `at_once` of them in one folder."""
    luck = random.Random(0)
    finish(work / "compiled", words)  # which fills the cache of compiled programs
    began = time.monotonic()
    finish(work / "never", words)
    whole, never = time.monotonic() - began, contents(work / "never")
    counts = {"trials": 0, "kills": 0, "shared": 0, "failed": 0, "differ": 0, "left": 0, "seconds": whole}
    while counts["kills"] < kills:
        out = work / f"trial-{counts['trials']}"
        shared = words[0] == "compare" and counts["trials"] % 2 == 1
        for _ in range(at_once):
            running = [start(out, words) for _ in range(1 + shared)]
            counts["kills"] += sum(kill(child, luck.uniform(0, whole)) for child in running)
            counts["shared"] += shared
        counts["failed"] += finish(out, words) != 0
        found = contents(out)
        counts["differ"] += found != never
        counts["left"] += any(path.name.startswith(".") or "params-" in path.name for path in out.rglob("*"))
        counts["trials"] += 1
        if found == never:
            shutil.rmtree(out)
    return counts


def start(out: pathlib.Path, words: Sequence[str]) -> int:
    """Starts a command in a process of its own; returns its id."""
    out.parent.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        log = os.open(out.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        cli.main([*words, str(out)])
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def kill(child: int, after: float) -> bool:
    """Kills a process after so many seconds; returns whether it was still running."""
    ends = time.monotonic() + after
    while time.monotonic() < ends:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def finish(out: pathlib.Path, words: Sequence[str]) -> int:
    """Runs a command to its end; returns its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(start(out, words), 0)[1])


class Content(NamedTuple):
    """What counts of a file."""

    path: str
    data: Any


def contents(out: pathlib.Path) -> list[Content]:
    """Returns what counts of each file in a folder."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return [Content(path.relative_to(out).as_posix(), content(path)) for path in files]


def content(path: pathlib.Path) -> Any:
    """Returns what counts of a file."""
    if path.name in UNLIKE:
        return None
    return lasting(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()


def lasting(data: Any) -> Any:
    """Returns plain data without what is another each time."""
    if isinstance(data, dict):
        return {name: lasting(x) for name, x in data.items() if name not in NEW}
    return [lasting(x) for x in data] if isinstance(data, list) else data


if __name__ == "__main__":
    main()
