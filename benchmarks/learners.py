"""headstart's learners beside Stable-Baselines3's: SAC and DQN on tasks that everybody knows, 5 seeds, equal steps.

SB3 runs in an environment of its own (`make bench` builds it), one process a seed. What is measured is kept in
`results/learners/`, program by program and seed by seed: the same command goes on where it was stopped.

    python benchmarks/learners.py                              # all of them: hours on 2 cores, most for SAC on Hopper
    python benchmarks/learners.py --only "DQN on CartPole-v1"  # one of them
    python benchmarks/learners.py --tiny                       # do they still run? (without the peer)
"""

import argparse
import pathlib
from typing import NamedTuple

import jax
import numpy as np
from flags import RESULTS, flags, read
from judging import HOW, compared
from side_by_side import EPISODES, Curves, lines, own_curves, peer_curves

import headstart as hs
from headstart.core.types import Method
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.line_chart import Reference
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap

POINTS = 10


class Row(NamedTuple):
    """One learner on one task, ours and theirs."""

    method: Method
    task: str
    steps: int
    bar: float | None  # return that it has to reach; None: what SB3 reaches
    peer: tuple[str, ...]  # SB3's algorithm, and what is set of it; nothing where SB3 is left out


# SB3's own settings where it has good ones for the task, else those of RL Baselines3 Zoo (hyperparams/dqn.yml).
ZOO_CARTPOLE = (
    "learning_rate=2.3e-3",
    "batch_size=64",
    "buffer_size=100000",
    "learning_starts=1000",
    "gamma=0.99",
    "target_update_interval=10",
    "train_freq=256",
    "gradient_steps=128",
    "exploration_fraction=0.16",
    "exploration_final_eps=0.04",
    "policy_kwargs={'net_arch':[256,256]}",
)
# MinAtar's own example (examples/dqn.py) at 1 M frames, one seed: 11.10 +- 2.39 over ten episodes, as logged at
# github.com/aaronwalsman/mechagogue, mechagogue/examples/maxatar/results.md. Its paper, arXiv:1903.03176, has curves.
MINATAR_BREAKOUT = 11.1
# Larger and rarer gradient steps than the paper's (32 rows after each frame), for the sake of time; its network.
BREAKOUT = hs.DQN(
    hidden=(),
    batch_size=64,
    update_to_data=0.25,
    num_steps=1,
    num_envs=8,
    learning_starts=5_000,
    target_update_period=500,
    learning_rate=1e-3,
)
ROWS = {
    "SAC on Pendulum-v1": Row(hs.SAC(), "Pendulum-v1", 10_000, -200.0, ("sac",)),
    "DQN on CartPole-v1": Row(hs.DQN(), "CartPole-v1", 50_000, 475.0, ("dqn", *ZOO_CARTPOLE)),
    "SAC on Hopper-v5": Row(hs.SAC(), "Hopper-v5", 100_000, None, ("sac",)),
    "DQN on Breakout-MinAtar": Row(BREAKOUT, "Breakout-MinAtar", 1_000_000, MINATAR_BREAKOUT, ()),
}


def measure(name: str, row: Row, args: argparse.Namespace) -> Curves:
    """Returns each program's steps [point] and returns [seed, point]."""
    steps, seeds = (2_000, 2) if args.tiny else (row.steps, args.seeds)
    slug = name.lower().replace(" ", "-")
    file = args.work / f"{slug}-headstart-{steps}-{seeds}.json"
    if not file.exists():
        print(f"{name}: {seeds} seeds, {steps} steps", flush=True)
        write_json(file, own_curves(row.method, row.task, steps, seeds, POINTS))
    mine = read_json(file)
    curves = {"headstart": (np.array(mine["steps"]), np.array(mine["returns"]))}
    if row.peer and not (args.tiny or args.alone):
        files = [args.work / f"{slug}-sb3-{steps}-{seed}.json" for seed in range(seeds)]
        each = [peer_curves(row.peer, row.task, steps, i, steps // POINTS, out) for i, out in enumerate(files)]
        curves["SB3"] = np.array(each[0]["steps"], float), np.array([one["returns"] for one in each])
    return curves


def summarise(row: Row, curves: Curves) -> dict:
    """Returns final returns, their difference, and whether the bar is met."""
    finals = {name: returns[:, -1] for name, (_, returns) in curves.items()}
    results = {name: bootstrap(final)._asdict() for name, final in finals.items()}
    record = {"final": results, "bar": row.bar, "steps": row.steps, "method": repr(row.method), "peer": row.peer}
    return {**record, "met": None if row.bar is None else bool(results["headstart"]["iqm"] >= row.bar)}


def against_peer(rows: dict[str, dict]) -> dict[str, dict]:
    """Returns the rows with their differences from SB3, all of them one family.

    A row that has no bar of its own meets it where it is not clearly below SB3.
    """
    finals = {name: {p: np.array(x["returns"])[:, -1] for p, x in row["curves"].items()} for name, row in rows.items()}
    results = compared({name: (x["headstart"], x["SB3"]) for name, x in finals.items() if "SB3" in x})
    record = {name: {"difference": one} for name, one in results.items()}
    for name, one in results.items():
        if rows[name]["bar"] is None and one["verdict"] is not None:
            record[name]["met"] = one["verdict"] != "negative"
    return {name: {**row, **record.get(name, {})} for name, row in rows.items()}


def draw(name: str, row: Row, curves: Curves, out: pathlib.Path) -> None:
    """Writes the figure."""
    bars = [] if row.bar is None else [Reference(f"{row.bar:g}", row.bar)]
    title = f"{name}: IQM of seeds, 95 % interval"
    figure_curves(lines(curves), out, title, "environment steps", "return", bars)


def main() -> None:
    """Measures missing rows, and writes the record and a figure for each row."""
    parser = flags(__doc__, RESULTS / "learners")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), help="just these rows")
    parser.add_argument("--alone", action="store_true", help="leave SB3 out")
    args = read(parser)
    file = args.out / "learners.json"
    rows = read_json(file)["rows"] if file.exists() else {}
    for name in args.only or ROWS:
        curves = measure(name, ROWS[name], args)
        results = summarise(ROWS[name], curves)
        shown = {program: {"steps": at, "returns": returns} for program, (at, returns) in curves.items()}
        words = "".join(f" --{flag}" for flag in ("tiny", "alone") if getattr(args, flag))
        command = f'python benchmarks/learners.py --only "{name}"' + words
        rows = against_peer(jsonable({**rows, name: {**results, "curves": shown}}))
        record = {"seeds": args.seeds, "episodes": EPISODES, "rows": rows, "judged_by": HOW}
        write_json(file, {**record, "provenance": provenance(command)})
        draw(name, ROWS[name], curves, args.out / f"{name.lower().replace(' ', '-')}.svg")
        print(name, {k: rows[name][k] for k in ("final", "met")})


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
