"""UP-OSI's experiment (arXiv:1702.02453): swing up a pole with one hidden parameter.

The hidden parameter is the offset of the pole's weight (the paper displaces the weight of the lower of two poles, its
experiment A), or the direction and strength of the motor. Four policies train on each ensemble with equal steps: `no
parameters` (randomize), `true parameters` (which receives them everywhere), `UP-OSI` (which receives its identifier's
estimate), and `UP-OSI, truth only`, whose identifier trains only on episodes with the true parameters (round 0 of the
paper). Each is evaluated on a row of fixed parameters, and in episodes whose parameter changes in the middle, by the
mean reward after the policy had time to adapt. There, `true parameters` keeps receiving the first value.

    python benchmarks/uposi.py            # 5 seeds: an hour on 2 cores
    python benchmarks/uposi.py --tiny     # checks that it runs
"""

import argparse
import functools
from typing import Any

import equinox as eqx
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
from headstart.core.types import Env, EnvParams, Info, Key, Learner, Params, Record, Task, stack
from headstart.lab.checkpoint.files import jsonable, write_json
from headstart.lab.report.figures import figure_sweep
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.study.provenance import provenance
from headstart.protocol.statistics import bootstrap
from headstart.tasks.worlds import CartPoleSwingUp

HIDDEN = {"offset": np.linspace(-0.5, 0.5, 11), "force": np.linspace(-40.0, 40.0, 12)}  # m, N
# With a weight of 1, a step in which the pole hangs has a negative reward, so a policy that cannot swing up leaves the
# rail to end the episode. With 1.3, no step has a negative reward, and no policy does that.
WORTH = {"reward_alive": 1.3}
PART = {"offset": 2, "force": 1}  # steps are divided by this
ENDS = {"offset": (-0.4, 0.4), "force": (-30.0, 30.0)}  # between which the parameter changes
EPISODES = 8
BASE = hs.PPO(num_envs=32, num_steps=64, batch_size=256, num_epochs=8, target_kl=0.02)
SWITCH, NOTICED = 250, 23  # steps: when the parameter changes, and after how many that counts (H + 20)


class TimedState(Record):
    """A state, and the number of its step."""

    inner: Any
    time: Array


class Switched(CartPoleSwingUp):
    """The same pole, whose parameter changes in the middle of an episode. The env's parameters are the first ones."""

    later: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def now(self, params: EnvParams, state: TimedState) -> EnvParams:
        """Returns the parameters at this step."""
        changed = {name: jnp.where(state.time < SWITCH, params[name], value) for name, value in self.later}
        return {**params, **changed}

    def initial(self, params: EnvParams, key: Key) -> TimedState:
        return TimedState(super().initial(params, key), jnp.int32(0))

    def observe(self, params: EnvParams, state: TimedState) -> Array:
        return super().observe(self.now(params, state), state.inner)

    def transition(self, params: EnvParams, state: TimedState, action: Array, key: Key) -> TimedState:
        return TimedState(super().transition(self.now(params, state), state.inner, action, key), state.time + 1)

    def cumulants(self, params: EnvParams, state: TimedState, action: Array, next_state: TimedState) -> Array:
        return super().cumulants(self.now(params, state), state.inner, action, next_state.inner)

    def terminal(self, params: EnvParams, state: TimedState) -> Array:
        return super().terminal(self.now(params, state), state.inner)


def ensemble(hidden: str) -> Task:
    """Returns poles with one random parameter, which each episode draws, stacked."""
    return stack([pole(hidden, dist.Uniform(HIDDEN[hidden][0], HIDDEN[hidden][-1]))])


def pole(hidden: str, value: float | dist.Distribution) -> Task:
    return hs.task("CartPoleSwingUp", w=WORTH, **{hidden: value})  # pyright: ignore[reportArgumentType]


def rows(hidden: str, tiny: bool) -> dict[str, Row]:
    """Returns the method of each row; `tiny`: two of them."""
    methods = {
        "no parameters": hs.Randomize(BASE),
        "true parameters": hs.UniversalPolicy(BASE),
        "UP-OSI": hs.UPOSI(BASE),
        "UP-OSI, truth only": hs.UPOSI(BASE, true_parameters_fraction=1.0),
    }
    some = ("true parameters", "UP-OSI") if tiny else methods
    return {f"{hidden}, {name}": Row(methods[name], ensemble(hidden)) for name in some}


def switches(hidden: str) -> list[Task]:
    """Returns changes from one end of the range to the other, and back."""
    tasks = [pole(hidden, end) for end in ENDS[hidden]]
    changing = [Switched(((hidden, end),)) for end in reversed(ENDS[hidden])]
    return [stack([task.replace(env=env)]) for task, env in zip(tasks, changing, strict=True)]


@functools.partial(jax.jit, static_argnames="learner")
def rewards_after_switch(learner: Learner, params: Params, tasks: Task, keys: Key) -> Array:
    """Returns the mean reward of the last steps after a change [seed]; 0 for steps after an episode's end."""

    def one(params: Params, key: Key) -> Array:
        env_states = reset_envs(learner, tasks, 8 * EPISODES, key)
        _, fresh = rollout(learner, params, tasks, env_states, Info(key, explore=0.0), tasks.env.horizon)
        ended = jnp.cumsum(fresh.last, 1) - fresh.last > 0
        return jnp.where(ended, 0.0, fresh.reward)[:, SWITCH + NOTICED :].mean()

    return jax.vmap(one)(params, keys)


def after_switches(hidden: str, learner: Learner, params: Params, keys: Key) -> dict[str, Any]:
    """Returns the mean reward after a change of parameters, and in episodes with the later ones throughout."""
    changed, always = [], []
    for task in switches(hidden):
        env: Env = task.env
        assert isinstance(env, Switched)
        later = {name: jnp.full(1, value, jnp.float32) for name, value in env.later}
        changed.append(np.asarray(rewards_after_switch(learner, params, task, keys)))
        always.append(
            np.asarray(rewards_after_switch(learner, params, task.replace(params={**task.params, **later}), keys))
        )
    return {"changed": np.stack(changed, 1), "always": np.stack(always, 1)}


def summarise(results: dict[str, dict]) -> dict[str, dict]:
    """Returns each row's mean over the hidden parameters, its gain over no parameters, and the rest after a change."""
    mean = {name: np.array(one["returns"]).mean(1) for name, one in results.items()}
    hidden = {name: name.split(", ")[0] for name in results}
    control = {name: f"{hidden[name]}, no parameters" for name in results}
    names = [name for name in results if control[name] in results and control[name] != name]
    above = compared({name: (mean[name], mean[control[name]]) for name in names})
    return {
        name: {
            "return": bootstrap(mean[name])._asdict(),
            "of true": bootstrap(mean[name] / mean[f"{hidden[name]}, true parameters"])._asdict(),
            "above none": above.get(name),
            "paid after a change": bootstrap(np.array(one["changed"]).mean(1))._asdict(),
            "paid without": bootstrap(np.array(one["always"]).mean(1))._asdict(),
            "seconds": one["seconds"],
            "method": one["method"],
        }
        for name, one in results.items()
    }


def main() -> None:
    """Measures missing rows; writes the record and the figure, and prints the table."""
    args = read(sized(flags(__doc__, RUNS / "uposi"), 3_000_000))
    if args.tiny:
        args.steps, args.seeds = 8_192, 2
    results = {}
    for hidden in ("offset",) if args.tiny else HIDDEN:
        poles = stack([pole(hidden, float(value)) for value in HIDDEN[hidden]])
        further = functools.partial(after_switches, hidden)
        less = argparse.Namespace(**{**vars(args), "steps": args.steps // PART[hidden]})
        results |= measure(rows(hidden, args.tiny), poles, less, EPISODES, further)
    record = summarise(results)
    names = [name for name in results if name.startswith("offset")]
    lines = [line(name.split(", ", 1)[1], HIDDEN["offset"], np.array(results[name]["returns"])) for name in names]
    title = f"A weight beside its pole ({args.seeds} seeds)"
    figure_sweep(lines, args.out / "uposi.svg", title, "offset, m")
    words = ["python benchmarks/uposi.py", *["--tiny"] * args.tiny]
    data = {"seeds": args.seeds, "steps": args.steps, "rows": record, "judged_by": HOW, "found": results}
    write_json(args.out / "uposi.json", jsonable({**data, "provenance": provenance(" ".join(words))}))
    names = ("return", "of true", "above none", "paid after a change", "paid without")
    table = Table("", "return", "share of true", "above no parameters", "a step after a change", "without")
    for name, one in jsonable(record).items():
        table.add_row(name, *(shown(one[key]) if key == "above none" else interval_text(one[key]) for key in names))
    print_tables(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
