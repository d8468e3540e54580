"""The command `headstart doctor`: measures how two tasks differ and what there is to gain in the target."""

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
from headstart.lab.checkpoint.files import jsonable
from headstart.lab.checkpoint.trained import Trained
from headstart.lab.cli import arguments
from headstart.lab.report import advice
from headstart.lab.report.terminal_tables import interval_text, print_tables
from headstart.lab.watch.progress_bar import console, short_number
from headstart.methods.strings import find_learner
from headstart.protocol.checks import check_budget, check_seeds, check_spaces
from headstart.protocol.claims import interval_summary
from headstart.protocol.headroom import is_learned
from headstart.protocol.shift import Effect, Policy, Shift, random_returns, shift
from headstart.tasks.sampling import nominal
from headstart.tasks.strings import parse
from headstart.tasks.task_ids import with_task_id

RANDOM, SOURCE, BEST = "random", "source policy", "learned on the target"


class DoctorResult(NamedTuple):
    """The result of the doctor."""

    shift: Shift
    returns: dict[str, np.ndarray] | None  # on the target [seed], of RANDOM, OURS and BEST; None without training
    advice: str
    assumed: tuple[str, ...]  # about the spaces of a host environment


def doctor(args: arguments.Doctor, command_line: str) -> None:
    """Prints the shift of each parameter, the headroom and advice."""
    result = examine(args)
    if args.json:
        print(json.dumps(jsonable(result_data(result)), indent=1))
        return
    print_tables(*result_tables(args, result))
    for sentence in result.assumed:
        print(f"assumed: {sentence}")
    print(result.advice)


@reraising()
def examine(args: arguments.Doctor) -> DoctorResult:
    """Compares the tasks. Raises InputError if their spaces differ, and if an env fails."""
    source, target = parse(args.source, args.physics), parse(args.target, args.physics, target=True)
    a, b = source.env, target.env
    check_spaces(
        a.name, (a.observation_space, a.action_space), f"--target {b.name}", (b.observation_space, b.action_space)
    )
    check_budget("--steps", args.steps, least=0)
    check_seeds("--seeds", args.seeds)
    key, loaded = jax.random.key(0), None if args.checkpoint is None else save_load.load(args.checkpoint)
    measured = shift(source, target, key, None if loaded is None else shift_policy(loaded, source))
    if measured.same or not args.steps:
        return DoctorResult(measured, None, advice.doctor_advice(measured, None), a.assumptions)
    trained, returns = _returns(args, source, nominal(target), loaded)
    if loaded is None:
        measured = shift(source, target, key, shift_policy(trained, source))
    return DoctorResult(measured, returns, advice.doctor_advice(measured, _headroom_sentence(returns)), a.assumptions)


def shift_policy(trained: Trained, source: Task) -> Policy:
    """Returns a policy for `shift` to run on the source. Raises InputError if its spaces differ."""
    source_in_context = with_task_id(source, trained.sources)
    api.check_fit(trained, stack([source_in_context]))
    learner = trained.method.learner(spec(stack([source_in_context])), target=True)
    return Policy(learner, jax.tree.map(lambda x: x[0], trained.state.params))


def _returns(
    args: arguments.Doctor, source: Task, target: Task, loaded: Trained | None
) -> tuple[Trained, dict[str, np.ndarray]]:
    """Trains. Returns the source policy of the first seed, and returns on the target [seed]."""
    returns: dict[str, list[float]] = {RANDOM: [], SOURCE: [], BEST: []}
    learner, first = find_learner(args.learner), loaded
    with console().status("short trainings for the headroom") as status:
        for seed in args.seeds:
            status.update(f"short trainings for the headroom: seed {seed}")
            source_policy = loaded or api.train(learner, source, args.steps, seed)
            best_policy = api.train(learner, target, args.steps, seed)
            first = first or source_policy
            returns[RANDOM].append(float(random_returns(target, jax.random.key(seed)).mean()))
            for name, trained in ((SOURCE, source_policy), (BEST, best_policy)):
                returns[name].append(float(api.evaluate(trained, target, seed=seed).mean()))
    assert first is not None
    return first, {name: np.array(values) for name, values in returns.items()}


def _headroom_sentence(returns: dict[str, np.ndarray]) -> str:
    """Returns a sentence on what there is to gain."""
    best_policy = BEST if _iqm(returns[BEST]) >= _iqm(returns[SOURCE]) else SOURCE
    reference = (
        "as much training on the target reaches"
        if best_policy == BEST
        else "it reaches, more than training on the target"
    )
    if not (any_learned := is_learned(returns[best_policy], returns[RANDOM])):
        reference = "the best policy scores"
    return advice.headroom_sentence(
        _iqm(returns[SOURCE]), _iqm(returns[best_policy]), _iqm(returns[RANDOM]), any_learned, reference
    )


def _iqm(values: np.ndarray) -> float:
    summary = interval_summary(values)
    return float("nan") if summary is None else summary["iqm"]


def result_data(result: DoctorResult) -> dict[str, Any]:
    """Returns the result as data."""
    effects = {name: effect._asdict() for name, effect in _rows(result.shift).items()}
    headroom = None if result.returns is None else {name: interval_summary(x) for name, x in result.returns.items()}
    summary = {name: getattr(result.shift, name) for name in ("differs", "same", "along_policy", "constant")}
    return {**summary, "effects": effects, "headroom": headroom, "assumed": result.assumed, "advice": result.advice}


def result_tables(args: arguments.Doctor, result: DoctorResult) -> Iterator[Table]:
    """Yields the tables of the result."""
    kind = "another task" if result.shift.differs else "the same task" if result.shift.same else "no difference found"
    table = Table("what changes", "source", "target", *Effect._fields, title=f"{args.source} → {args.target}: {kind}")
    for name, effect in _rows(result.shift).items():
        table.add_row(name, *result.shift.values.get(name, ("", "")), *map(_effect, effect))
    table.caption = (
        "effect sizes in standard deviations (termination: share of steps that end the episode in one task only)"
    )
    yield table
    if result.returns is not None:
        title = f"headroom after {short_number(args.steps)} steps each ({len(args.seeds)} seeds)"
        table = Table("", "return on the target", title=title)
        for name, values in result.returns.items():
            table.add_row(name, interval_text(interval_summary(values)))
        yield table


def _rows(shift: Shift) -> dict[str, Effect]:
    return {"all together": shift.combined, **shift.parameters}


def _effect(size: float) -> str:
    """Returns an effect size with two decimals; `<0.01` if it is small but not zero."""
    return "<0.01" if 0.0 < abs(size) < 0.005 else f"{size:.2f}"
