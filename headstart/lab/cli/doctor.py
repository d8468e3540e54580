"""The command `headstart doctor`: do two tasks differ, in what, and is there anything to gain in the target?"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.table import Table

from headstart.core.interrupts import reraising
from headstart.core.types import Task, spec, stack
from headstart.lab import api
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.files import plain
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.cli import arguments
from headstart.lab.report import advice
from headstart.lab.report.terminal_tables import interval, show
from headstart.lab.watch.progress_bar import console, thin
from headstart.methods.strings import find_learner
from headstart.protocol.checks import check_budget, check_seeds, check_spaces
from headstart.protocol.claims import summary
from headstart.protocol.headroom import learned
from headstart.protocol.shift import Effect, Policy, Shift, random_returns, shift
from headstart.tasks.sampling import nominal
from headstart.tasks.strings import parse
from headstart.tasks.task_ids import with_task_id

RANDOM, OURS, BEST = "random", "source policy", "learned on the target"


class Found(NamedTuple):
    """What the doctor found."""

    shift: Shift
    returns: dict[str, np.ndarray] | None  # on the target [seed], of RANDOM, OURS and BEST; None: nothing was trained
    advice: str
    assumed: tuple[str, ...]  # of the spaces of an environment that is not headstart's


def doctor(asked: arguments.Doctor, words: str) -> None:
    """Shows how far two tasks are apart, by parameter, what there is to gain, and what to do."""
    found = examine(asked)
    if asked.json:
        print(json.dumps(plain(as_data(found)), indent=1))
        return
    show(*tables(asked, found))
    for sentence in found.assumed:
        print(f"assumed: {sentence}")
    print(found.advice)


@reraising()
def examine(asked: arguments.Doctor) -> Found:
    """Returns what the doctor found. Raises InputError where the tasks do not fit, and where an env breaks."""
    source, target = parse(asked.source, asked.physics), parse(asked.target, asked.physics, target=True)
    a, b = source.env, target.env
    check_spaces(
        a.name, (a.observation_space, a.action_space), f"--target {b.name}", (b.observation_space, b.action_space)
    )
    check_budget("--steps", asked.steps, least=0)
    check_seeds("--seeds", asked.seeds)
    key, given = jax.random.key(0), None if asked.checkpoint is None else save_load.load(asked.checkpoint)
    found = shift(source, target, key, None if given is None else policy(given, source))
    if found.same or not asked.steps:
        return Found(found, None, advice.doctor_advice(found, None), a.assumptions)
    trained, returns = _returns(asked, source, nominal(target), given)
    if given is None:
        found = shift(source, target, key, policy(trained, source))
    return Found(found, returns, advice.doctor_advice(found, _gain(returns)), a.assumptions)


def policy(trained: Trained, source: Task) -> Policy:
    """Returns what was trained, to be looked along on the source. Raises InputError where its spaces are others."""
    here = with_task_id(source, trained.sources)
    api.check_fit(trained, stack([here]))
    learner = trained.method.learner(spec(stack([here])), target=True)
    return Policy(learner, jax.tree.map(lambda x: x[0], trained.state.params))


def _returns(
    asked: arguments.Doctor, source: Task, target: Task, given: Trained | None
) -> tuple[Trained, dict[str, np.ndarray]]:
    """Returns the first seed's policy of the source, and returns on the target [seed]."""
    found: dict[str, list[float]] = {RANDOM: [], OURS: [], BEST: []}
    learner, first = find_learner(asked.learner), given
    with console().status("short trainings for the head-room") as status:
        for seed in asked.seeds:
            status.update(f"short trainings for the head-room: seed {seed}")
            ours = given or api.train(learner, source, asked.steps, seed)
            best = api.train(learner, target, asked.steps, seed)
            first = first or ours
            found[RANDOM].append(float(random_returns(target, jax.random.key(seed)).mean()))
            for name, trained in ((OURS, ours), (BEST, best)):
                found[name].append(float(api.evaluate(trained, target, seed=seed).mean()))
    assert first is not None
    return first, {name: np.array(values) for name, values in found.items()}


def _gain(returns: dict[str, np.ndarray]) -> str:
    """Returns what there is to gain, in words."""
    best = BEST if _middle(returns[BEST]) >= _middle(returns[OURS]) else OURS
    rival = "as much training on the target reaches" if best == BEST else "it reaches, more than training on the target"
    if not (any_learned := learned(returns[best], returns[RANDOM])):
        rival = "the best policy scores"
    return advice.gain(_middle(returns[OURS]), _middle(returns[best]), _middle(returns[RANDOM]), any_learned, rival)


def _middle(values: np.ndarray) -> float:
    told = summary(values)
    return float("nan") if told is None else told["iqm"]


def as_data(found: Found) -> dict[str, Any]:
    """Returns what was found as plain data."""
    effects = {name: effect._asdict() for name, effect in _rows(found.shift).items()}
    headroom = None if found.returns is None else {name: summary(x) for name, x in found.returns.items()}
    told = {name: getattr(found.shift, name) for name in ("differs", "same", "along_policy", "constant")}
    return {**told, "effects": effects, "headroom": headroom, "assumed": found.assumed, "advice": found.advice}


def tables(asked: arguments.Doctor, found: Found) -> Iterator[Table]:
    """Returns what was found as tables."""
    kind = "another task" if found.shift.differs else "the same task" if found.shift.same else "no difference found"
    table = Table("what changes", "source", "target", *Effect._fields, title=f"{asked.source} → {asked.target}: {kind}")
    for name, effect in _rows(found.shift).items():
        table.add_row(name, *found.shift.values.get(name, ("", "")), *map(_effect, effect))
    table.caption = "effects in standard deviations (termination: share of steps that end in one of the two); 0 is none"
    yield table
    if found.returns is not None:
        title = f"head-room after {thin(asked.steps)} steps each ({len(asked.seeds)} seeds)"
        table = Table("", "return on the target", title=title)
        for name, values in found.returns.items():
            table.add_row(name, interval(summary(values)))
        yield table


def _rows(found: Shift) -> dict[str, Effect]:
    return {"all together": found.whole, **found.parameters}


def _effect(size: float) -> str:
    """Returns an effect in two decimals; one that is too small for them is not shown as none."""
    return "<0.01" if 0.0 < abs(size) < 0.005 else f"{size:.2f}"
