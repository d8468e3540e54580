"""UP-OSI's experiment (arXiv:1702.02453): swing up a pole whose weight sits to its side, nobody tells how far.

Four policies learn the same ensemble, in equal steps: `no parameters` (randomize), `true parameters` (which is told
them everywhere), `UP-OSI` (which is told what it identifies), and `UP-OSI, truth only`, whose identifier has seen
nothing but episodes in which the policy was told the truth (round 0 of the paper). Each is judged on a row of fixed
parameters; and in episodes in whose middle the parameter changes, by what is paid for a step once the policy had time
to notice. There, `true parameters` goes on being told the first one.

The paper displaces the weight of the lower of two poles (its experiment A); here there is one pole, and it hangs.

    python benchmarks/uposi.py            # 5 seeds: half an hour on 2 cores
    python benchmarks/uposi.py --tiny     # does it still run?
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from flags import RUNS, flags, read, sized
from jaxtyping import Array
from pretrained import Row, measure
from rich.table import Table
from side_by_side import line

import headstart as hs
from headstart.core.rollout import rollout, start
from headstart.core.types import Env, Key, Knowledge, Learner, Params, Record, Task, stack
from headstart.lab.files import plain, write_json
from headstart.lab.plots import figure_sweep
from headstart.lab.provenance import provenance
from headstart.lab.tables import interval, show
from headstart.protocol.statistics import bootstrap
from headstart.tasks.worlds import CartPoleSwingUp

OFFSETS = np.linspace(-0.5, 0.5, 11)  # m: from the pole to its weight; the ensemble's range, and what is judged
ENDS = (-0.4, 0.4)  # between which it changes
EPISODES = 8
BASE = hs.PPO(copies=32, length=64, batch=256, epochs=8, target_kl=0.02)
SWITCH, NOTICED = 250, 23  # steps: when the parameter changes, and when that should have been noticed (H + 20)


class Then(Record):
    """A state, and the step that it is in."""

    inner: Any
    time: Array


class Switched(CartPoleSwingUp):
    """The same pole, which in the middle of an episode becomes another; the env's parameters tell the first one's."""

    later: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def now(self, params: Params, state: Then) -> Params:
        """-> the parameters at this step."""
        changed = {name: jnp.where(state.time < SWITCH, params[name], value) for name, value in self.later}
        return {**params, **changed}

    def initial(self, params: Params, key: Key) -> Then:
        return Then(super().initial(params, key), jnp.int32(0))

    def observe(self, params: Params, state: Then) -> Array:
        return super().observe(self.now(params, state), state.inner)

    def transition(self, params: Params, state: Then, action: Array, key: Key) -> Then:
        return Then(super().transition(self.now(params, state), state.inner, action, key), state.time + 1)

    def cumulants(self, params: Params, state: Then, action: Array, next_state: Then) -> Array:
        return super().cumulants(self.now(params, state), state.inner, action, next_state.inner)

    def terminal(self, params: Params, state: Then) -> Array:
        return super().terminal(self.now(params, state), state.inner)


def ensemble() -> Task:
    """-> poles whose weight is anew somewhere else in each episode, stacked."""
    return stack([hs.task("CartPoleSwingUp", offset=dist.Uniform(OFFSETS[0], OFFSETS[-1]))])


def poles() -> Task:
    """-> a pole for each offset."""
    return stack([hs.task("CartPoleSwingUp", offset=float(offset)) for offset in OFFSETS])


def rows(tiny: bool) -> dict[str, Row]:
    """-> what is compared; `tiny`: two of them."""
    methods = {
        "no parameters": hs.Randomize(BASE),
        "true parameters": hs.UniversalPolicy(BASE),
        "UP-OSI": hs.UPOSI(BASE),
        "UP-OSI, truth only": hs.UPOSI(BASE, truth=1.0),
    }
    return {name: Row(methods[name], ensemble()) for name in (("true parameters", "UP-OSI") if tiny else methods)}


def switches() -> list[Task]:
    """-> from one end to the other, and back."""
    tasks = [hs.task("CartPoleSwingUp", offset=end) for end in ENDS]
    changing = [Switched((("offset", end),)) for end in reversed(ENDS)]
    return [stack([task.replace(env=env)]) for task, env in zip(tasks, changing, strict=True)]


@functools.partial(jax.jit, static_argnames="learner")
def paid(learner: Learner, known: Knowledge, tasks: Task, keys: Key) -> Array:
    """-> what a step is paid in the end, once a change has been noticed [seed]; 0 for steps after an episode's end."""

    def one(k: Knowledge, key: Key) -> Array:
        worlds = start(learner, tasks, 8 * EPISODES, key)
        _, fresh = rollout(learner, k, tasks, worlds, key, 0.0, tasks.env.horizon)
        ended = jnp.cumsum(fresh.last, 1) - fresh.last > 0
        return jnp.where(ended, 0.0, fresh.reward)[:, SWITCH + NOTICED :].mean()

    return jax.vmap(one)(known, keys)


def after_switches(learner: Learner, known: Knowledge, keys: Key) -> dict[str, Any]:
    """-> what a step is paid after parameters have changed, and in episodes that have the later ones throughout."""
    changed, always = [], []
    for task in switches():
        env: Env = task.env
        assert isinstance(env, Switched)
        later = {name: jnp.full(1, value, jnp.float32) for name, value in env.later}
        changed.append(np.asarray(paid(learner, known, task, keys)))
        always.append(np.asarray(paid(learner, known, task.replace(params={**task.params, **later}), keys)))
    return {"changed": np.stack(changed, 1), "always": np.stack(always, 1)}


def summarise(found: dict[str, dict]) -> dict[str, dict]:
    """-> of each row: its mean over offsets, that as a share of the truth's, and what a change leaves of a step."""
    mean = {name: np.array(one["returns"]).mean(1) for name, one in found.items()}
    share = lambda a, b: bootstrap(a / b)._asdict()
    return {
        name: {
            "return": bootstrap(mean[name])._asdict(),
            "of true": share(mean[name], mean["true parameters"]),
            "worst": bootstrap(np.array(one["returns"]).min(1))._asdict(),
            "after a change": share(np.array(one["changed"]).mean(1), np.array(one["always"]).mean(1)),
            "seconds": one["seconds"],
            "method": one["method"],
        }
        for name, one in found.items()
    }


def main() -> None:
    """Runs what is not there yet; writes the record and the figure, and prints the table."""
    asked = read(sized(flags(__doc__, RUNS / "uposi"), 3_000_000))
    if asked.tiny:
        asked.steps, asked.seeds = 8_192, 2
    found = measure(rows(asked.tiny), poles(), asked, EPISODES, after_switches)
    record = summarise(found)
    lines = [line(name, OFFSETS, np.array(one["returns"])) for name, one in found.items()]
    title = f"A weight to the side of its pole, nobody tells how far ({asked.seeds} seeds)"
    figure_sweep(lines, asked.out / "uposi.svg", title, "offset, m")
    words = ["python benchmarks/uposi.py", *["--tiny"] * asked.tiny]
    data = {"seeds": asked.seeds, "steps": asked.steps, "rows": record, "found": found}
    write_json(asked.out / "uposi.json", plain({**data, "provenance": provenance(" ".join(words))}))
    names = ("return", "of true", "worst", "after a change")
    table = Table("", "return", "share of true parameters", "of the worst offset", "left after a change")
    for name, one in plain(record).items():
        table.add_row(name, *(interval(one[key]) for key in names))
    show(table)


if __name__ == "__main__":
    jax.config.update("jax_numpy_rank_promotion", "raise")
    main()
