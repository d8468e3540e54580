"""Speed beside every peer, and beside the limit: PPO and SAC on Hopper, PPO on CartPole, stepping, a study.

Each program runs in a process of its own, and programs take turns (headstart, a peer, another, headstart again …).
Their hyper-parameters are equal (`rates/settings.py`). Each measures by its own clock what follows a warm-up, which
separates training from compiling and starting. Programs of a row take equal steps, so they are at the same stage of
training. On CartPole, programs that are one JAX program take more steps, because they are about 60 times as fast. Where
a peer has a choice (torch's threads, processes or none), each choice runs once, and the fastest is measured.

The peers run in an environment of their own (`make bench` builds it). Results are stored in `results/speed/`, program
by program: the same command resumes. Run it on an idle machine.

    python benchmarks/speed.py                              # 5 repetitions: about two hours on 2 cores
    python benchmarks/speed.py --only "SAC on Hopper-v5"    # one row
    python benchmarks/speed.py --gpu                        # rows for a GPU: thousands of environments, dozens of seeds
    python benchmarks/speed.py --tiny                       # checks that it runs (without the peers)
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


def measure(name: str, row: Row, args: argparse.Namespace) -> tuple[dict[str, list[dict]], list[dict], dict]:
    """Returns the results of each program [repetition] and the limit, and the results of the peers' choices."""
    programs = {
        program_name: program
        for program_name, program in row.programs.items()
        if program_name == OURS or not args.alone
    }
    words, tried = {}, {}
    for program_name, program in programs.items():
        words[program_name], tried[program_name] = settle(name, program_name, program, row.what, args.work)
    results: dict[str, list[dict]] = {program_name: [] for program_name in programs}
    limits, short = [], ("--seconds", "0.1") if args.tiny else ()
    for i in range(args.seeds):
        if row.limit:
            file = args.work / f"{slug(name)}-limit-{i}.json"
            limits.append(run(f"{name}, the limit", row.limit, short, i, file))
        for program_name, program in programs.items():
            file = args.work / f"{slug(name)}-{slug(program_name)}-{i}.json"
            results[program_name].append(run(f"{name}, {program_name}", program, words[program_name], i, file))
        parts = (f"{program_name} {figure(each[-1], row.what):.4g}" for program_name, each in results.items())
        print(f"  {name}: {'   '.join(parts)}", flush=True)
    return results, limits, {program_name: each for program_name, each in tried.items() if each}


def arguments() -> argparse.Namespace:
    """Returns the arguments. Raises InputError if the peers are needed and missing."""
    parser = flags(__doc__, RESULTS / "speed")
    parser.add_argument("--seeds", type=int, default=5, help="repetitions, each with a seed of its own")
    parser.add_argument("--gpu", action="store_true", help="the rows for a GPU; without it, JAX is kept to the CPU")
    parser.add_argument("--only", nargs="+", help="just these rows")
    parser.add_argument("--alone", action="store_true", help="leave the peers out")
    parser.add_argument("--peers", action="store_true", help="with --tiny: the peers too")
    args = read(parser)
    if args.tiny:
        args.seeds, args.alone = 1, not args.peers
    args.rows = (gpu_rows if args.gpu else rows)(args.tiny)
    if unknown := set(args.only or ()) - set(args.rows):
        parser.error(f"there is no row {unknown.pop()!r}; there are {'; '.join(args.rows)}")
    if not (args.alone or PEER.exists()):
        raise InputError(
            f"The peers are not installed: there is no {PEER}; `make bench` installs them, or use --alone."
        )
    return args


def main() -> None:
    """Measures missing values; writes the record and the figure, and prints the table."""
    args = arguments()
    os.environ.setdefault("JAX_PLATFORMS", "cuda,cpu" if args.gpu and not args.tiny else "cpu")  # of the programs
    records = {}
    for name in args.only or args.rows:
        results, limits, tried = measure(name, args.rows[name], args)
        records[name] = {**summarise(args.rows[name], results, limits), "choices": tried}
    words = [f"--{flag}" for flag in ("tiny", "alone", "peers", "gpu") if getattr(args, flag)]
    words += ["--only", *(f'"{name}"' for name in args.only)] if args.only else []
    record = {
        "seeds": args.seeds,
        "rows": records,
        "equal_settings": {name: settings._asdict() for name, settings in EQUAL.items() if name in args.rows},
        "machine": machine(),
        "provenance": provenance(" ".join(["python benchmarks/speed.py", *words])),
    }
    file = args.out / ("speed-gpu" if args.gpu else "speed")
    write_json(file.with_suffix(".json"), record)
    figure_bars(records, file.with_suffix(".svg"), f"How many times as fast headstart is: median of {args.seeds}")
    print_tables(show_rows(records, args.tiny))


if __name__ == "__main__":
    main()
