"""A program that calls public functions with valid and invalid arguments, and writes the outcome of each call.

It runs in a process of its own: in the tests' process, jaxtyping would check the types of arguments first.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

import headstart as hs

ANY: Any = hs
OUT = Path(sys.argv[1])
SMALL = ANY.PPO(hidden=[4], num_steps=8, num_envs=2, num_epochs=1.0, batch_size=np.int64(16))
STEPS = 16
TRAINED = ANY.train(SMALL, "CartPole-v1", steps=STEPS)
CHECKPOINT = str(ANY.save(TRAINED, OUT / "trained"))
POLICY = "ppo:hidden=4:num_steps=8:num_envs=2:num_epochs=1:batch_size=16"
BUDGETS = {"num_evals": 1, "eval_episodes": 1, "shots": (0,), "steps": STEPS}
STUDY: dict[str, Any] = {
    "learner": POLICY,
    "source_steps": 16,
    "target_steps": 16,
    "shots": [0],
    "num_evals": 1,
    "eval_episodes": 1,
}
QUICK = {**STUDY, "source": "CartPole-v1", "target": "CartPole-v1@force=5", "out": OUT / "study", "oracle": False}


def make_env() -> gymnasium.Env:
    """Returns a Gymnasium env."""
    return gymnasium.make("CartPole-v1")


WORKS: dict[str, Callable[[], Any]] = {
    "train by strings": lambda: ANY.train(POLICY, "CartPole-v1@force=5", steps=1e1),
    "train an env": lambda: ANY.train(POLICY, ANY.task("CartPole-v1").env, steps=np.int64(16)),
    "train with a counted seed": lambda: ANY.train(SMALL, "CartPole-v1", STEPS, seed=np.int64(1)),
    "train several": lambda: ANY.train(POLICY, ["CartPole-v1", ANY.task("CartPole-v1", force=5)], steps=STEPS),
    "evaluate a folder": lambda: ANY.evaluate(CHECKPOINT, "CartPole-v1", episodes=1),
    "evaluate a path": lambda: ANY.evaluate(Path(CHECKPOINT), ANY.task("CartPole-v1"), episodes=1.0),
    "transfer by strings": lambda: ANY.transfer(
        CHECKPOINT, "CartPole-v1@force=5", method="finetune:layers=last", **BUDGETS
    ),
    "evaluate a transfer": lambda: ANY.evaluate(ANY.transfer(TRAINED, "CartPole-v1", **BUDGETS), "CartPole-v1", 1),
    "load a path": lambda: ANY.load(Path(CHECKPOINT)),
    "task by a task string": lambda: ANY.task("CartPole-v1@force=5", length="x0.5..x2"),
    "parameters of a task string": lambda: ANY.parameters("CartPole-v1@force=5"),
    "parameters of a task": lambda: ANY.parameters(ANY.task("CartPole-v1")),
    "to_gymnasium by a string": lambda: ANY.to_gymnasium("CartPole-v1@force=5").reset(),
    "host by a task string": lambda: ANY.host("CartPole-v1@horizon=7"),
    "lists for tuples": lambda: ANY.Finetune(SMALL, freeze=["features"]),
    "compare by strings": lambda: ANY.compare("naive", seeds=1, watch=None, **QUICK),
}
INVALID: tuple[Any, ...] = (
    None,
    3,
    2.5,
    float("nan"),
    object(),
    b"CartPole-v1",
    {},
    [],
    "",
    "\udcff",
    "a\0b",
    jnp.ones(2),
)
NUMBERS: tuple[Any, ...] = (
    "many",
    float("nan"),
    float("inf"),
    1e30,
    10**400,
    -1,
    2.5,
    object(),
    [1],
    "1e3",
    jnp.ones(2),
)


def calls_with(values: tuple[Any, ...], valid: tuple[Any, ...], call: Callable[[Any], Any]) -> list[Callable[[], Any]]:
    """Returns a call with each of the values, except those that are valid."""
    return [lambda x=x: call(x) for x in values if not any(x is y for y in valid)]


NONE = INVALID[:1]
FAILS: dict[str, list[Callable[[], Any]]] = {
    "train method": [
        *calls_with(INVALID, (), lambda x: ANY.train(x, "CartPole-v1", STEPS)),
        lambda: ANY.train(ANY.PPO, "CartPole-v1", 1),
    ],
    "train task": calls_with(INVALID, (), lambda x: ANY.train(SMALL, x, STEPS)),
    "train tasks": calls_with(INVALID, (), lambda x: ANY.train(SMALL, ["CartPole-v1", x], STEPS)),
    "train steps": calls_with((*NUMBERS, 0, None), (), lambda x: ANY.train(SMALL, "CartPole-v1", x)),
    "train seed": calls_with((*NUMBERS, None), (), lambda x: ANY.train(SMALL, "CartPole-v1", STEPS, seed=x)),
    "train watch": calls_with((3, "print"), (), lambda x: ANY.train(SMALL, "CartPole-v1", STEPS, watch=x)),
    "train keep": calls_with(INVALID, NONE, lambda x: ANY.train(SMALL, "CartPole-v1", STEPS, keep=x)),
    "train every": calls_with(
        ("soon", -1, float("nan")), (), lambda x: ANY.train(SMALL, "CartPole-v1", 1, keep=OUT / "k", every=x)
    ),
    "evaluate trained": calls_with(INVALID, (), lambda x: ANY.evaluate(x, "CartPole-v1")),
    "evaluate task": calls_with(INVALID, (), lambda x: ANY.evaluate(TRAINED, x)),
    "evaluate episodes": calls_with((*NUMBERS, 0, None), (), lambda x: ANY.evaluate(TRAINED, "CartPole-v1", x)),
    "evaluate seed": calls_with((*NUMBERS, None), (), lambda x: ANY.evaluate(TRAINED, "CartPole-v1", 1, x)),
    "transfer trained": calls_with(INVALID, (), lambda x: ANY.transfer(x, "CartPole-v1", STEPS)),
    "transfer target": calls_with(INVALID, (), lambda x: ANY.transfer(TRAINED, x, STEPS)),
    "transfer steps": calls_with((*NUMBERS, None), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", x)),
    "transfer shots": calls_with(
        (*NUMBERS[:-4], None, "0,1", ["a"], [1e30]), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", 9, x)
    ),
    "transfer method": calls_with(INVALID, NONE, lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, method=x)),
    "transfer num_evals": calls_with(
        (*NUMBERS, None), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, num_evals=x)
    ),
    "transfer eval_episodes": calls_with(
        (*NUMBERS, None), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, eval_episodes=x)
    ),
    "transfer renamed": calls_with(
        (3, "a=b", {"a": 3}), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, renamed=x)
    ),
    "play trained": calls_with(INVALID, (), lambda x: ANY.play(x, "CartPole-v1", OUT / "a.gif")),
    "play task": calls_with(INVALID, (), lambda x: ANY.play(TRAINED, x, OUT / "a.gif")),
    "play path": calls_with(INVALID, (), lambda x: ANY.play(TRAINED, "CartPole-v1", x)),
    "play episodes": calls_with((*NUMBERS, None), (), lambda x: ANY.play(TRAINED, "CartPole-v1", OUT / "a.gif", x)),
    "save trained": calls_with(INVALID, (), lambda x: ANY.save(x, OUT / "saved")),
    "save path": calls_with(INVALID, (), lambda x: ANY.save(TRAINED, x)),
    "load path": calls_with(INVALID, (), ANY.load),
    "task env": calls_with(INVALID, (), ANY.task),
    "task w": calls_with(("a", 3, [1, 2], {"reward": "x"}, {"r": 1}), (), lambda x: ANY.task("CartPole-v1", w=x)),
    "task physics": calls_with(INVALID, (), lambda x: ANY.task("CartPole-v1", physics=x)),
    "task parameter": calls_with((*INVALID[3:], None), (), lambda x: ANY.task("CartPole-v1", length=x)),
    "task twice": [lambda: ANY.task("CartPole-v1@length=3", length=3)],
    "task law": calls_with(
        (dist.Normal(jnp.ones(2), 1), dist.Beta(2.0, 2.0)), (), lambda x: ANY.task("Pendulum-v1", mass=x)
    ),
    "policy task": calls_with(INVALID, NONE, lambda x: TRAINED.policy(x)),
    "parameters env": calls_with(INVALID, (), ANY.parameters),
    "to_gymnasium task": calls_with(INVALID, (), ANY.to_gymnasium),
    "to_gymnasium mode": calls_with((3, "human"), (), lambda x: ANY.to_gymnasium("CartPole-v1", x)),
    "host source": calls_with(INVALID, (), ANY.host),
    "host horizon": calls_with(("a", -1, 0, 2.5, 1e30, 10**30, [1]), (), lambda x: ANY.host(make_env, horizon=x)),
    "host string": calls_with(("CartPole-v1@gravity=3", "CartPole-v1@"), (), ANY.host),
    "method field": calls_with(NUMBERS, (), lambda x: ANY.PPO(num_steps=x)),
    "method number": calls_with(("a", None, [1], object()), (), lambda x: ANY.PPO(learning_rate=x)),
    "method flag": calls_with(("no", 1, None), (), lambda x: ANY.PPO(anneal_learning_rate=x)),
    "method layers": calls_with((8, "64", (8.5,), (-1,), None), (), lambda x: ANY.PPO(hidden=x)),
    "method base": calls_with((3, "sac", None, ANY.SAC), (), lambda x: ANY.Finetune(base=x)),
    "compare methods": calls_with(
        (*INVALID[:8], ANY.PPO, ["epop"], [3]), (), lambda x: ANY.compare(x, seeds=1, **QUICK)
    ),
    "compare seeds": calls_with(
        (*NUMBERS, 0, "2", None), NUMBERS[8:9], lambda x: ANY.compare(["naive"], seeds=x, **QUICK)
    ),
    "compare name": [lambda: ANY.compare(["naive"], sead=1, **QUICK)],
    **{
        f"compare {name}": calls_with(
            values, (), lambda x, name=name: ANY.compare(["naive"], **{**QUICK, "seeds": 1, name: x})
        )
        for name, values in {
            "source": INVALID,
            "target": INVALID,
            "ensemble": INVALID[1:],
            "out": INVALID,
            "watch": (3, "print"),
            "learner": (3, "epopt", ANY.PPO()),
            "physics": (3, "gpu"),
            "reference": (3, "nobody"),
            "threshold": ("x", float("nan")),
            **dict.fromkeys(("source_steps", "target_steps", "num_evals", "eval_episodes"), (*NUMBERS, None)),
            "shots": ("0,1", [1e30], ["a"], None, 1),
        }.items()
    },
}


def outcome(call: Callable[[], Any]) -> str:
    """Returns the sentence of an InputError, or another outcome after `! `."""
    try:
        call()
    except hs.InputError as error:
        return str(error)
    except BaseException as error:
        return f"! {type(error).__name__}: {error}"
    return "! it works"


if __name__ == "__main__":
    good = {name: outcome(call) for name, call in WORKS.items()}
    bad = {f"{name} {i}": outcome(call) for name, calls in FAILS.items() for i, call in enumerate(calls)}
    (OUT / "ended.json").write_text(json.dumps([good, bad]))
