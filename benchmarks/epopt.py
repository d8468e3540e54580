"""EPOpt's experiment (arXiv:1610.01283): Hopper with a torso of 3 to 9 kg, policies of one mass against an ensemble's.

Trains policies at a single mass (3, 6, 9), on the ensemble (randomize), and on the ensemble's worst paths (EPOpt, with
ε = 1 of the same rollouts as its control), then runs each over the whole sweep of masses. Each policy's returns are
kept in `results/epopt/` as soon as it is judged: the same command goes on where it was stopped.

    python benchmarks/epopt.py            # 5 seeds, 2 M steps each: one to three hours on 2 cores
    python benchmarks/epopt.py --tiny     # checks that it runs
"""

import re
import time
from typing import NamedTuple

import jax
import numpy as np
import numpyro.distributions as dist
from flags import RESULTS, flags, read, sized
from judging import HOW, compared, shown

import headstart as hs
from headstart.core.rollout import evaluate
from headstart.core.train import train
from headstart.core.types import Method, Task, spec, stack
from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.lab.report.figures import figure_sweep
from headstart.lab.report.line_chart import Series
from headstart.lab.study.provenance import commit, provenance
from headstart.protocol.statistics import bootstrap
from headstart.protocol.transfer import keys

MASSES = np.arange(3.0, 9.01, 0.5)
EPISODES = 10  # for each seed and mass


class Arm(NamedTuple):
    """A policy of the experiment."""

    method: Method
    task: Task  # trained on
    control: str  # the policy that its returns are held against


def arms() -> dict[str, Arm]:
    """Returns the policies by name."""
    ensemble = hs.task("Hopper-v5", torso_mass=dist.Uniform(3.0, 9.0))
    alone = {f"mass {m}": Arm(hs.PPO(), hs.task("Hopper-v5", torso_mass=float(m)), "randomize") for m in (3, 6, 9)}
    return {
        **alone,
        "randomize": Arm(hs.Randomize(), ensemble, "randomize"),
        "EPOpt ε = 0.1": Arm(hs.EPOpt(epsilon=0.1), ensemble, "EPOpt ε = 1"),
        "EPOpt ε = 1": Arm(hs.EPOpt(epsilon=1.0), ensemble, "randomize"),
    }


def run(method: Method, task: Task, steps: int, seeds: int) -> dict:
    """Returns returns of the trained policies over the sweep [seed, mass, episode], and how training went."""
    key, tasks, start_time = keys(range(seeds)), stack([task]), time.perf_counter()
    learner, history, point = method.learner(spec(tasks)), [], None
    for point in train(learner, tasks, steps, key.source):
        history.append([np.asarray(point.steps).mean(), np.asarray(point.metrics["return"])])
        print(f"  {history[-1][0]:>9.0f} steps  {history[-1][1].round()}", flush=True)
    assert point is not None
    seconds = time.perf_counter() - start_time
    sweep = stack([hs.task("Hopper-v5", torso_mass=float(m)) for m in MASSES])
    returns = evaluate(learner, point.params, sweep, EPISODES, key.evaluation)
    metadata = {"seconds": seconds, "method": repr(method), "commit": commit()}
    return jsonable({"returns": np.asarray(returns), "history": history, **metadata})


def summarise(policies: dict[str, Arm], results: dict[str, dict]) -> dict[str, dict]:
    """Returns for each policy, its return at each mass, and mean and worst decile over the ensemble, with intervals.

    `standing` is the share of episodes with a return of about 1000, which is what Hopper is paid for standing still;
    `falling` of those below 600.
    """
    control = {name: policies[name].control for name in results}
    returns = {name: np.array(result["returns"], float) for name, result in results.items()}
    tail = {name: np.quantile(r.reshape(len(r), -1), 0.1, axis=1) for name, r in returns.items()}
    mean = {name: r.mean((1, 2)) for name, r in returns.items()}
    differs = [name for name in results if control[name] != name]
    means = compared({name: (mean[name], mean[control[name]]) for name in differs})
    tails = compared({name: (tail[name], tail[control[name]]) for name in differs})
    still = {name: ((r > 900) & (r < 1100)).mean((1, 2)) for name, r in returns.items()}
    return {
        name: {
            "sweep": [bootstrap(r[:, i].mean(1))._asdict() for i in range(len(MASSES))],
            "mean": bootstrap(mean[name])._asdict(),
            "p10": bootstrap(tail[name])._asdict(),
            "standing": bootstrap(still[name])._asdict(),
            "falling": bootstrap((r < 600).mean((1, 2)))._asdict(),
            "control": control[name],
            "mean_over_control": means.get(name),
            "p10_over_control": tails.get(name),
            "seconds": results[name]["seconds"],
            "method": results[name]["method"],
            "commit": results[name]["commit"],
        }
        for name, r in returns.items()
    }


def main() -> None:
    """Measures missing policies, and writes the summary and the figure."""
    policies, results = arms(), {}
    parser = sized(flags(__doc__, RESULTS / "epopt"), steps=2_000_000)
    parser.add_argument(
        "--only", nargs="+", choices=list(policies), help="train these, and leave the summary for later"
    )
    args = read(parser)
    steps, seeds = (4_000, 2) if args.tiny else (args.steps, args.seeds)
    for name in args.only or (("randomize", "EPOpt ε = 1") if args.tiny else policies):
        file = args.work / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}-{steps}-{seeds}.json"
        if not file.exists():
            print(f"{name}: {seeds} seeds, {steps} steps", flush=True)
            write_json(file, run(policies[name].method, policies[name].task, steps, seeds))
        results[name] = read_json(file)
    if args.only:
        return
    rows = summarise(policies, results)
    record = {
        "steps": steps,
        "seeds": seeds,
        "masses": MASSES,
        "episodes": EPISODES,
        "policies": rows,
        "judged_by": HOW,
    }
    command = "python benchmarks/epopt.py" + (" --tiny" if args.tiny else f" --steps {steps} --seeds {seeds}")
    write_json(args.out / "epopt.json", {**record, "provenance": provenance(command)})
    lines = []
    for name, row in rows.items():
        iqm, low, high = (np.array([at[key] for at in row["sweep"]]) for key in ("iqm", "low", "high"))
        lines.append(Series(name, MASSES, iqm, low, high))
    title, axes = "Hopper: one policy over the range of torso masses", ("torso mass, kg", "return (IQM of seeds)")
    figure_sweep(lines, args.out / "epopt.svg", title, *axes)
    for name, row in rows.items():
        print(f"{name:<20} mean {interval_words(row['mean'])}   worst decile {interval_words(row['p10'])}")
        print(f"  over {row['control']}: {shown(row['mean_over_control'])}   {shown(row['p10_over_control'])}")


def interval_words(interval: dict[str, float]) -> str:
    """Returns an estimate and its interval as text."""
    return f"{interval['iqm']:.0f} [{interval['low']:.0f}, {interval['high']:.0f}]"


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
