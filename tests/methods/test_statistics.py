"""Which parts of params a rollout changes and which an update changes, for every method.

Experience changes statistics, in `prepare`; gradients change trained parts; `after` changes target networks. The tests
only trace: an array that is the same object before and after is unchanged to the last bit.
"""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import probes
import pytest
from small import BASES, LEARNT, OTHERWISE, SMALL, small, tasks_for

from headstart.core.learn import init_train_state, update
from headstart.core.memory import from_rollout
from headstart.core.names import named, within
from headstart.core.rollout import reset_envs, rollout
from headstart.core.sampling import plan_updates
from headstart.core.types import Info, Learner, Method, Params, PyTree, Statistics, Task, TrainState, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.sac import SAC
from headstart.methods.adaptation.dann import DANN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.adaptation.mmd import MMD
from headstart.methods.forward.finetune import Finetune
from headstart.methods.multitask.active import ActiveSampling
from headstart.methods.multitask.distil import Distil
from headstart.methods.multitask.joint import Joint
from headstart.methods.multitask.popart import PopArt
from headstart.methods.multitask.separate import Separate
from headstart.methods.randomization.recurrent import Recurrent
from headstart.methods.randomization.uposi import UPOSI

TIED: dict[str, Any] = {"l2_sp": 1.0}
MORE: dict[str, tuple[Method, bool]] = {
    "Finetune-l2-PPO": (Finetune(SMALL, **TIED), True),
    "Finetune-l2-SAC": (Finetune(BASES[SAC], **TIED), False),
    "Finetune-l2-DQN": (Finetune(BASES[DQN], **TIED), True),
    "Finetune-l2-PopArt": (Finetune(PopArt(BASES[DQN]), **TIED), True),
    "Finetune-l2-Recurrent": (Finetune(small(Recurrent), **TIED), False),
    "Joint-cagrad": (Joint(SMALL, "cagrad"), True),
    "UPOSI-SAC": (UPOSI(BASES[SAC]), False),
}
UPDATE: Any = inspect.unwrap(update)  # without its jit, through which no array is the same object
EVERY = [*LEARNT, *(pytest.param(*case, id=name) for name, case in (OTHERWISE | MORE).items())]


def is_statistics(x: Any) -> bool:
    return isinstance(x, Statistics)


def statistics(tree: PyTree) -> list[Statistics]:
    """Returns all statistics in a tree."""
    return [x for x in jax.tree.leaves(tree, is_leaf=is_statistics) if is_statistics(x)]


def names_of_statistics(params: Params) -> set[str]:
    """Returns the names of the arrays in statistics."""
    marked = jax.tree.map(lambda x: jax.tree.map(lambda _: is_statistics(x), x), params, is_leaf=is_statistics)
    return {name for name, marked in named(marked).items() if marked}


def changed(before: PyTree, after: PyTree) -> set[str]:
    """Returns the names of the arrays that are not the same object."""
    assert jax.tree.structure(before) == jax.tree.structure(after)
    was = named(before)
    return {name for name, x in named(after).items() if x is not was[name]}


def check_trained_parts(learner: Learner, params: Params) -> None:
    """Fails where a phase trains what has no gradient."""
    for phase in learner.phases:
        assert len(set(phase.train)) == len(phase.train)
        assert set(phase.train) <= set(params)
        trained = {name: params[name] for name in phase.train}
        assert not statistics(trained)
        assert {name for name, x in named(trained).items() if not jnp.issubdtype(x.dtype, jnp.floating)} == set()
        assert "target" not in phase.train
    assert not statistics(params.get("target"))  # networks lag, statistics do not


def check_prepare(method: Method, learner: Learner, before: Params, after: Params) -> None:
    """Fails where a rollout changes more than statistics."""
    if not learner.phases or isinstance(method, Separate):  # Separate puts all arrays back, as they were
        return
    rescaled = (
        [f"{part}.last" for part in ("value", "value.net", "target.value.net")] if "PopArt" in repr(method) else []
    )
    moved = {name for name in changed(before, after) if not within(name, rescaled)} - names_of_statistics(before)
    assert not moved, f"{moved} are changed by a rollout, and are no statistics"


def check_update(learner: Learner, before: TrainState, after: TrainState, target_moves: bool) -> None:
    """Fails where an update changes more than what is trained, and the target network where it may."""
    trained = [name for phase in learner.phases for name in phase.train]
    moved = changed(before.params, after.params)
    assert any(within(name, trained) for name in moved)
    assert {name for name in moved if not within(name, [*trained, *(["target"] if target_moves else [])])} == set()
    assert not moved & names_of_statistics(before.params)
    assert not statistics(after.optimizers)  # no moments of them either


def check_turn(method: Method, tasks: Task, target: bool, prior: Params | None = None) -> Params:
    """Traces a rollout, `prepare` and an update, and checks what each of them changes. Returns the params' shapes."""
    learner = method.learner(spec(tasks), target)
    still = learner._replace(
        phases=tuple(phase._replace(after=lambda params, info: params) for phase in learner.phases)
    )

    def turn(key: Any, prior: Params | None) -> Params:
        state = init_train_state(learner, learner.init(key, prior))
        check_trained_parts(learner, state.params)
        envs = reset_envs(learner, tasks, learner.replay.num_envs, key)
        fresh = rollout(learner, state.params, tasks, envs, Info(key), learner.replay.num_steps)[1]
        params, rows = learner.prepare(state.params, fresh, Info(key, 0.5))
        check_trained_parts(learner, params)
        check_prepare(method, learner, state.params, params)
        if not learner.phases:
            return params
        state, memory = state.replace(params=params), from_rollout(rows)
        samplers = plan_updates((memory,), learner.replay, jnp.int32(1), jnp.int32(0), key)[2]
        info = Info(key, 0.5)
        check_update(learner, state, UPDATE(still, tasks, state, samplers, 0, info)[0], target_moves=False)
        after = UPDATE(learner, tasks, state, samplers, 0, info)[0]
        check_update(learner, state, after, target_moves=True)
        if any(name in params.get("target", {}) for phase in learner.phases for name in phase.train):
            whole = {f"target.{name}" for name in named(params["target"])}  # `after` moves all of it
            assert {name for name in changed(state.params, after.params) if within(name, ["target"])} == whole
        return after.params

    return jax.eval_shape(turn, jax.random.key(0), prior)


@pytest.mark.parametrize(("method", "discrete"), EVERY)
def test_rollouts_change_statistics_and_updates_change_trained_parts(method: Method, discrete: bool):
    source, target = tasks_for(method, discrete)
    if isinstance(method, DARC | DANN | MMD):
        source = jax.tree.map(
            lambda *x: jnp.concatenate(x), source, tasks_for(method, discrete)[0].replace(domain=target.domain)
        )
    learned = check_turn(method, source, False)
    check_turn(method, target, True)
    check_turn(method, target, True, learned)


def test_with_several_tasks_too():
    each = [probes.one(probes.Corridor(length=3), push=push) for push in (0.5, 1.0)]
    tasks = stack([one.replace(context=name) for one, name in zip(each, jnp.eye(2), strict=True)])
    bases: list[Method] = [SMALL, BASES[DQN]]
    for base in bases:
        for method in (Joint(base), PopArt(base), Separate(base), ActiveSampling(base), Separate(PopArt(base))):
            check_turn(method, tasks, False)
    for method in (Distil(SMALL, feature_coef=0.1), PopArt(UPOSI(SMALL)), Separate(UPOSI(SMALL))):
        check_turn(method, tasks, False)
