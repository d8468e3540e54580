"""Dynamics randomization (arXiv:1710.06537): push a puck of unknown mass, friction and drag, with delayed actions.

All policies train for equally many steps: on the nominal puck alone (`no randomization`); on an ensemble without memory
(`feed-forward`), with the last eight steps (`history of 8`), with the parameters as input (`told the parameters`), and
with a recurrent unit (`recurrent`). Two more recurrent rows train without the ensemble's delays, and with critics that
do not see the parameters. Each is then evaluated with a longer delay than the ensemble draws, by the share of episodes
that end with the puck in the goal.

    python benchmarks/recurrent.py                         # 5 seeds: an hour on 2 cores
    python benchmarks/recurrent.py --sooner                # a third of the steps, four rows: a quarter of an hour
    python benchmarks/recurrent.py --critics --seeds 15    # critics with and without the parameters: an hour
    python benchmarks/recurrent.py --tiny                  # checks that it runs
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from flags import RUNS, flags, read, sized
from jaxtyping import Array
from judging import HOW, compared, shown
from pretrained import Row, measure
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.rollout import reset_envs, rollout
from headstart.core.types import Info, Key, Learner, Params, Task, stack
from headstart.lab.checkpoint.files import jsonable, write_json
from headstart.lab.report.figures import figure_curves
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap

SOONER = ("feed-forward", "history of 8", "told the parameters", "recurrent")
EPISODES = 128  # each of which draws the puck anew
BASE = hs.PPO(num_envs=64, num_steps=100, batch_size=640, discount=0.97)
LAWS = {
    "puck_mass": dist.LogUniform(0.1, 0.4),
    "puck_friction": dist.LogUniform(0.05, 0.5),
    "puck_damping": dist.LogUniform(0.01, 0.2),
    "hand_force": dist.LogUniform(2.0, 8.0),
}
DELAYS, LATER = dist.Uniform(0.0, 3.0), 4.0  # steps, rounded: drawn, and judged


def ensemble(delays: bool = True) -> Task:
    """Returns the tasks of an ensemble, whose parameters each episode draws, stacked."""
    return stack([hs.task("PlanarPusher", **LAWS, action_delay=DELAYS if delays else 0.0)])


def deployed() -> Task:
    """Returns the ensemble's tasks with a delay that it does not draw."""
    return stack([hs.task("PlanarPusher", **LAWS, action_delay=LATER).replace(domain=jnp.int32(1))])


def rows() -> dict[str, Row]:
    """Returns the method of each row."""
    nominal = stack([hs.task("PlanarPusher", action_delay=0.0)])
    return {
        "no randomization": Row(BASE, nominal),
        "feed-forward": Row(hs.Randomize(BASE), ensemble()),
        "history of 8": Row(hs.Recurrent(BASE, memory="history"), ensemble()),
        "told the parameters": Row(hs.UniversalPolicy(BASE), ensemble()),
        "recurrent": Row(hs.Recurrent(BASE), ensemble()),
        "recurrent, no delays": Row(hs.Recurrent(BASE), ensemble(delays=False)),
        "recurrent, critics not told": Row(hs.Recurrent(BASE, asymmetric_critic=False), ensemble()),
    }


@functools.partial(jax.jit, static_argnames="learner")
def in_goal(learner: Learner, params: Params, tasks: Task, keys: Key) -> Array:
    """Returns whether the puck lies in the goal at an episode's end [seed, task, episode]."""
    place = tasks.env.cumulant_names.index("reward_goal")

    def one(params: Params, key: Key) -> Array:
        env_states = reset_envs(learner, tasks, EPISODES, key)
        _, fresh = rollout(learner, params, tasks, env_states, Info(key, explore=0.0), tasks.env.horizon)
        return fresh.cumulants[:, -1, :, place]

    return jax.vmap(one)(params, keys)


def successes(learner: Learner, params: Params, keys: Key) -> dict[str, Any]:
    """Returns the share of episodes that end with the puck in the goal [seed]: held out, and in range."""
    inside = ensemble().replace(domain=deployed().domain)
    return {
        "held out": np.asarray(in_goal(learner, params, deployed(), keys)).mean((1, 2)),
        "in range": np.asarray(in_goal(learner, params, inside, keys)).mean((1, 2)),
    }


def summarise(results: dict[str, dict], control: str) -> dict[str, dict]:
    """Returns the successes of each row held out and in range, and their differences from the control's."""
    others = [name for name in results if name != control]
    above = {
        where: compared({name: (results[name][where], results[control][where]) for name in others})
        for where in ("held out", "in range")
    }
    return {
        name: {
            "held out": bootstrap(np.array(one["held out"]))._asdict(),
            "in range": bootstrap(np.array(one["in range"]))._asdict(),
            f"held out, above {control}": above["held out"].get(name),
            f"in range, above {control}": above["in range"].get(name),
            "numbers": one["numbers"],
            "seconds": one["seconds"],
            "method": one["method"],
        }
        for name, one in results.items()
    }


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    parser = sized(flags(__doc__, RUNS / "recurrent"), 3_000_000)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--sooner", action="store_true", help="only: does a memory pay with a third of the steps?")
    instead.add_argument("--critics", action="store_true", help="only: are the recurrent policy's critics better told?")
    args = read(parser)
    compared, control, name = rows(), "feed-forward", "recurrent"
    if args.critics:
        control, name = "recurrent, critics not told", "recurrent_critics"
    if args.sooner:
        args.steps, name, compared = args.steps // 3, "recurrent_sooner", {row: compared[row] for row in SOONER}
    if args.tiny:
        args.steps, args.seeds = 8_192, 2
    if args.critics or args.tiny:
        compared = {row: compared[row] for row in (control, "recurrent")}

    results = measure(compared, deployed(), args, EPISODES, successes)
    record, lines = summarise(results, control), []
    for row, one in results.items():
        at = np.array([steps for steps, _ in one["history"]])
        lines.append(line(row, at, np.array([returns for _, returns in one["history"]], float).T))
    title = f"A puck that nobody describes: while learning ({args.seeds} seeds)"
    figure_curves(lines, args.out / f"{name}.svg", title, "source steps", "return, exploring")
    words = ["python benchmarks/recurrent.py", *["--tiny"] * args.tiny, *["--sooner"] * args.sooner]
    words += [f"--critics --seeds {args.seeds}"] * args.critics
    data = {"seeds": args.seeds, "steps": args.steps, "rows": record, "judged_by": HOW, "found": results}
    write_json(args.out / f"{name}.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    columns = ("held out", "in range", f"held out, above {control}", f"in range, above {control}")
    table = Table("in the goal", *columns)
    for row, one in jsonable(record).items():
        table.add_row(row, *(interval_text(one[key]) for key in columns[:2]), *(shown(one[key]) for key in columns[2:]))
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
