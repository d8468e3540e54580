"""Statistics are moved by experience and by nothing else, whatever the method. Traced only: nothing is computed."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import probes
import pytest
from small import BASES, LEARNT, OTHERWISE, SMALL, small, tasks_for

from headstart.core.learn import gradient_step, init_train_state, split_statistics, with_prepared
from headstart.core.memory import from_rollout, gather, plan_updates
from headstart.core.names import named
from headstart.core.rollout import reset_envs, rollout
from headstart.core.types import Method, Statistics, Task, TrainState, no_loss, spec, stack
from headstart.learners.dqn import DQN
from headstart.learners.sac import SAC
from headstart.methods.adaptation.dann import DANN
from headstart.methods.adaptation.darc import DARC
from headstart.methods.adaptation.mmd import MMD
from headstart.methods.forward.finetune import Finetune
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
STEP: Any = inspect.unwrap(gradient_step)  # as it is traced, without a jit around it
EVERY = [*LEARNT, *(pytest.param(*case, id=name) for name, case in (OTHERWISE | MORE).items())]


def one_turn(method: Method, tasks: Task, target: bool) -> None:
    """Traces a rollout, what is observed of it and a gradient step, and looks which numbers become others."""
    learner = method.learner(spec(tasks), target)

    def turn(key: Any) -> TrainState:
        state = init_train_state(learner, learner.init(key, None))
        worlds = reset_envs(learner, tasks, learner.replay.num_envs, key)
        fresh = rollout(learner, state.knowledge, tasks, worlds, key, 1.0, learner.replay.num_steps)[1]
        knowledge, batch = learner.prepare(state.knowledge, fresh, key, 0.5)
        before, after = (named(split_statistics(k)[0]) for k in (state.knowledge, knowledge))
        moved = {name for name, x in after.items() if x is not before[name]}
        if learner.loss is no_loss:
            return state
        if not isinstance(method, Separate):  # all of its numbers are put back among the others', as they were
            rescaled = {f"value.net.last.{x}" for x in ("weight", "bias")} if "PopArt" in repr(method) else set()
            assert moved <= rescaled, f"{moved} are moved by experience, and are no statistics"

        state = with_prepared(learner, state, knowledge)
        rows = plan_updates(from_rollout(batch), learner.replay, jnp.int32(1), jnp.int32(0), key)[2]
        learned, _ = STEP(learner, state, gather(from_rollout(batch), rows(jnp.int32(0))), key, 0.5)
        weights, known = split_statistics(learned.knowledge)
        assert all(x is named(split_statistics(knowledge)[1])[name] for name, x in named(known).items())
        assert any(x is not named(state.knowledge)[name] for name, x in named(weights).items())
        if learned.target is not None:
            lagged = named(split_statistics(learned.target)[1])
            assert all(x is lagged[name] for name, x in named(known).items())  # networks lag, statistics do not
        held = jax.tree.leaves(learned.optimizer, is_leaf=lambda x: isinstance(x, Statistics))
        assert not jax.tree.leaves([x for x in held if isinstance(x, Statistics)])  # no moments of them either
        return learned

    jax.eval_shape(turn, jax.random.key(0))


@pytest.mark.parametrize(("method", "discrete"), EVERY)
def test_no_gradient_optimizer_penalty_or_lagged_copy_moves_a_statistic(method: Method, discrete: bool):
    source, target = tasks_for(method, discrete)
    if isinstance(method, DARC | DANN | MMD):
        source = jax.tree.map(
            lambda *x: jnp.concatenate(x), source, tasks_for(method, discrete)[0].replace(domain=target.domain)
        )
    for tasks, where in ((source, False), (target, True)):
        one_turn(method, tasks, where)


def test_several_tasks_too():
    each = [probes.one(probes.Corridor(length=3), push=push) for push in (0.5, 1.0)]
    tasks = stack([one.replace(context=name) for one, name in zip(each, jnp.eye(2), strict=True)])
    for method in (Joint(SMALL), PopArt(SMALL), PopArt(BASES[DQN]), Separate(SMALL), Separate(BASES[DQN])):
        one_turn(method, tasks, False)
