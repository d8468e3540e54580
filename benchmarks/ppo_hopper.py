"""headstart's PPO beside Stable-Baselines3's on Hopper-v5, each with its own defaults: return at equal steps, speed.

SB3 runs in an environment of its own (`make bench` builds it), with VecNormalize, one process a seed. Each curve is
kept as soon as it is there: the same command goes on where it was stopped. Speeds are measured last, in turns, one
program at a time; run that part on a machine with nothing else to do.

    python benchmarks/ppo_hopper.py            # 5 seeds, 1 M steps each: about an hour on 2 cores
    python benchmarks/ppo_hopper.py --tiny     # checks that it runs (without the peer, unless it is installed)
"""

import pathlib
import time

import jax
import numpy as np
from flags import RUNS, flags, read, sized
from judging import HOW, compared
from side_by_side import EPISODES, PEER, Curves, lines, own_curves, peer_curves

import headstart as hs
from headstart.core.train import train
from headstart.core.types import spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.line_chart import Reference
from headstart.lab.study.provenance import provenance
from headstart.protocol.metrics import time_to_threshold
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import keys

TASK = "Hopper-v5"
SOLVED = 2000.0  # return
ROUNDS = 5  # of the speed's turns


def our_speed(steps: int, seeds: int) -> float:
    """Returns environment steps of all seeds together a second, without compilation."""
    tasks = stack([hs.task(TASK)])
    points = train(hs.PPO().learner(spec(tasks)), tasks, 2 * steps, keys(range(seeds)).source, num_points=2)
    before = jax.block_until_ready(next(points)).steps
    start_time = time.perf_counter()
    after = jax.block_until_ready(next(points)).steps
    return float((after - before).sum()) / (time.perf_counter() - start_time)


def speeds(steps: int, seeds: int, rounds: int, work: pathlib.Path, with_peer: bool) -> dict[str, list[float]]:
    """Returns steps a second of each program, in turns: [round]."""
    results: dict[str, list[float]] = {}
    for i in range(rounds):
        turn = {"headstart, 1 seed": our_speed(steps, 1), f"headstart, {seeds} seeds": our_speed(steps, seeds)}
        if with_peer:
            file = work / "speed.json"
            file.unlink(missing_ok=True)
            turn["SB3"] = peer_curves(("ppo",), TASK, steps, i, 10 * steps, file, show=False)["steps_per_second"]
        for name, speed in turn.items():
            results.setdefault(name, []).append(speed)
        print("  " + "   ".join(f"{name} {speed:.0f} steps/s" for name, speed in turn.items()), flush=True)
    return results


def difference(curves: Curves) -> dict:
    """Returns how far headstart's final returns are from SB3's."""
    ends = [curves[name][1][:, -1] for name in ("headstart", "SB3")]
    return compared({"final": (ends[0], ends[1])})["final"]


def summarise(curves: Curves, rates: dict[str, list[float]], seeds: int) -> dict:
    """Returns final returns, steps and seconds to the threshold of each program."""
    rows = {}
    for name, (steps, returns) in curves.items():
        reached = [time_to_threshold(steps, one, SOLVED) for one in returns]
        counted = np.array([steps[-1] if t is None else t for t in reached])
        alone = np.median(rates["SB3" if name == "SB3" else "headstart, 1 seed"])
        rows[name] = {
            "final": bootstrap(returns[:, -1])._asdict(),
            "steps_to_2000": {**bootstrap(counted)._asdict(), "never": sum(t is None for t in reached)},
            "seconds_to_2000_one_seed": float(bootstrap(counted).iqm / alone),
        }
    if "SB3" in curves:
        rows["SB3"]["seconds_to_2000_all_seeds"] = rows["SB3"]["seconds_to_2000_one_seed"] * seeds
        rows["final_difference"] = difference(curves)
    together = np.median(rates[f"headstart, {seeds} seeds"])
    rows["headstart"]["seconds_to_2000_all_seeds"] = float(seeds * rows["headstart"]["steps_to_2000"]["iqm"] / together)
    return rows


def main() -> None:
    """Measures missing policies, and writes the summary and the figure."""
    args = read(sized(flags(__doc__, RUNS / "ppo_hopper"), steps=1_000_000))
    steps, seeds = (4_096, 2) if args.tiny else (args.steps, args.seeds)
    each: list[dict] = []
    with_peer, points = PEER.exists() or not args.tiny, 2 if args.tiny else 20
    work = args.work / "tiny" if args.tiny else args.work
    file = work / "headstart.json"
    if not file.exists():
        write_json(file, own_curves(hs.PPO(), TASK, steps, seeds, points))
    mine = read_json(file)
    curves = {"headstart": (np.array(mine["steps"]), np.array(mine["returns"]))}
    if with_peer:
        files = [work / f"sb3-{seed}.json" for seed in range(seeds)]
        each = [peer_curves(("ppo",), TASK, steps, i, steps // points, out) for i, out in enumerate(files)]
        curves["SB3"] = np.array(each[0]["steps"], float), np.array([one["returns"] for one in each])
    rates = speeds(2_048 if args.tiny else 40_960, seeds, 2 if args.tiny else ROUNDS, work, with_peer)
    rows = summarise(curves, rates, seeds)
    write_json(
        args.out / "ppo_hopper.json",
        {
            "steps": steps,
            "seeds": seeds,
            "episodes": EPISODES,
            "rows": rows,
            "judged_by": HOW,
            "steps_per_second": {n: {"median": np.median(r), "min": min(r), "max": max(r)} for n, r in rates.items()},
            "curves": {name: {"steps": at, "returns": returns} for name, (at, returns) in curves.items()},
            "settings": {"headstart": mine["settings"], "SB3": each[0]["settings"] if with_peer else None},
            "versions_of_the_peer": each[0]["versions"] if with_peer else None,
            "provenance": provenance("python benchmarks/ppo_hopper.py" + (" --tiny" if args.tiny else "")),
        },
    )
    title = f"PPO on Hopper-v5: IQM of {seeds} seeds, 95 % interval"
    figure_curves(
        lines(curves), args.out / "ppo_hopper.svg", title, "environment steps", "return", [Reference("2 000", SOLVED)]
    )
    for name, row in rows.items():
        print(name, jsonable(row))


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
