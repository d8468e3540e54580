"""Speed beside every peer, and beside the limit: PPO and SAC on Hopper, PPO on CartPole, stepping, a study.

Each program runs in a process of its own and in turns (ours, a peer, another, ours again …), with equal
hyper-parameters (`rates/settings.py`), and measures by its own clock what comes after a warm-up, so that compiling and
starting are told apart. Programs of a row take equal steps, and so are at the same stage of learning; on CartPole those
that are one JAX program take more, since a second of them is a minute of the other. The peers run with what suits them
best here: where there is a choice (torch's threads, processes or none), each is tried once, and the fastest measured.

The peers run in an environment of their own (`make bench` builds it). What is measured is kept in `results/speed/`,
program by program: the same command goes on where it was stopped. Run it on a machine with nothing else to do.

    python benchmarks/speed.py                              # 5 repetitions: about two hours on 2 cores
    python benchmarks/speed.py --only "SAC on Hopper-v5"    # one row
    python benchmarks/speed.py --gpu                        # what a GPU is for: thousands of worlds, dozens of seeds
    python benchmarks/speed.py --tiny                       # does it still run? (without the peers)
"""

import argparse
import os

from flags import RESULTS, flags, read
from rates.bars import figure_bars
from rates.rows import OURS, PEER, Row, gpu_rows, rows
from rates.running import figure, run, settle, slug
from rates.settings import CARTPOLE_PPO, HOPPER_PPO, HOPPER_SAC, MANY_CARTPOLES, MANY_HOPPERS
from rates.table import machine, show_rows, summarise

from headstart.core.errors import InputError
from headstart.lab.checkpoint.files import write_json
from headstart.lab.report.terminal_tables import print_tables
from headstart.lab.study.provenance import provenance

EQUAL = {
    "PPO on Hopper-v5": HOPPER_PPO,
    "SAC on Hopper-v5": HOPPER_SAC,
    "PPO on CartPole-v1": CARTPOLE_PPO,
    "PPO on many CartPoles": MANY_CARTPOLES,
    "PPO on many Hoppers": MANY_HOPPERS,
}


def measure(name: str, row: Row, asked: argparse.Namespace) -> tuple[dict[str, list[dict]], list[dict], dict]:
    """Returns what each program found [repetition], in turns, with the limit; and what the peers' choices gave."""
    programs = {who: program for who, program in row.programs.items() if who == OURS or not asked.alone}
    words, tried = {}, {}
    for who, program in programs.items():
        words[who], tried[who] = settle(name, who, program, row.what, asked.work)
    found: dict[str, list[dict]] = {who: [] for who in programs}
    limits, short = [], ("--seconds", "0.1") if asked.tiny else ()
    for i in range(asked.seeds):
        if row.limit:
            file = asked.work / f"{slug(name)}-limit-{i}.json"
            limits.append(run(f"{name}, the limit", row.limit, short, i, file))
        for who, program in programs.items():
            file = asked.work / f"{slug(name)}-{slug(who)}-{i}.json"
            found[who].append(run(f"{name}, {who}", program, words[who], i, file))
        told = (f"{who} {figure(each[-1], row.what):.4g}" for who, each in found.items())
        print(f"  {name}: {'   '.join(told)}", flush=True)
    return found, limits, {who: each for who, each in tried.items() if each}


def arguments() -> argparse.Namespace:
    """Returns what was asked for. Raises InputError where the peers are wanted and not there."""
    parser = flags(__doc__, RESULTS / "speed")
    parser.add_argument("--seeds", type=int, default=5, help="repetitions, each with a seed of its own")
    parser.add_argument("--gpu", action="store_true", help="the rows for a GPU; without it, JAX is kept to the CPU")
    parser.add_argument("--only", nargs="+", help="just these rows")
    parser.add_argument("--alone", action="store_true", help="leave the peers out")
    parser.add_argument("--peers", action="store_true", help="with --tiny: the peers too")
    asked = read(parser)
    if asked.tiny:
        asked.seeds, asked.alone = 1, not asked.peers
    asked.rows = (gpu_rows if asked.gpu else rows)(asked.tiny)
    if unknown := set(asked.only or ()) - set(asked.rows):
        parser.error(f"there is no row {unknown.pop()!r}; there are {'; '.join(asked.rows)}")
    if not (asked.alone or PEER.exists()):
        raise InputError(
            f"The peers are not installed: there is no {PEER}; `make bench` installs them, or use --alone."
        )
    return asked


def main() -> None:
    """Measures what is not there yet; writes the record and the figure, and prints the table."""
    asked = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cuda,cpu" if asked.gpu and not asked.tiny else "cpu")  # of the programs
    records = {}
    for name in asked.only or asked.rows:
        found, limits, tried = measure(name, asked.rows[name], asked)
        records[name] = {**summarise(asked.rows[name], found, limits), "choices": tried}
    words = [f"--{flag}" for flag in ("tiny", "alone", "peers", "gpu") if getattr(asked, flag)]
    words += ["--only", *(f'"{name}"' for name in asked.only)] if asked.only else []
    record = {
        "seeds": asked.seeds,
        "rows": records,
        "equal_settings": {name: settings._asdict() for name, settings in EQUAL.items() if name in asked.rows},
        "machine": machine(),
        "provenance": provenance(" ".join(["python benchmarks/speed.py", *words])),
    }
    file = asked.out / ("speed-gpu" if asked.gpu else "speed")
    write_json(file.with_suffix(".json"), record)
    figure_bars(records, file.with_suffix(".svg"), f"How many times as fast headstart is: median of {asked.seeds}")
    print_tables(show_rows(records, asked.tiny))


if __name__ == "__main__":
    main()
