"""What people give the public functions that these cannot use: a program that tells how each call ended.

It runs in a process of its own: in the tests' own, jaxtyping would look at the types of arguments first.
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
JUDGED = {"num_evals": 1, "eval_episodes": 1, "shots": (0,), "steps": STEPS}
STUDY: dict[str, Any] = {
    "learner": POLICY,
    "source_steps": 16,
    "target_steps": 16,
    "shots": [0],
    "num_evals": 1,
    "eval_episodes": 1,
}
QUICK = {**STUDY, "source": "CartPole-v1", "target": "CartPole-v1@force=5", "out": OUT / "study", "oracle": False}


def made() -> gymnasium.Env:
    """Returns an env of somebody else's."""
    return gymnasium.make("CartPole-v1")


WORKS: dict[str, Callable[[], Any]] = {
    "train by strings": lambda: ANY.train(POLICY, "CartPole-v1@force=5", steps=1e1),
    "train an env": lambda: ANY.train(POLICY, ANY.task("CartPole-v1").env, steps=np.int64(16)),
    "train with a counted seed": lambda: ANY.train(SMALL, "CartPole-v1", STEPS, seed=np.int64(1)),
    "train several": lambda: ANY.train(POLICY, ["CartPole-v1", ANY.task("CartPole-v1", force=5)], steps=STEPS),
    "evaluate a folder": lambda: ANY.evaluate(CHECKPOINT, "CartPole-v1", episodes=1),
    "evaluate a path": lambda: ANY.evaluate(Path(CHECKPOINT), ANY.task("CartPole-v1"), episodes=1.0),
    "transfer by strings": lambda: ANY.transfer(
        CHECKPOINT, "CartPole-v1@force=5", method="finetune:layers=last", **JUDGED
    ),
    "evaluate a transfer": lambda: ANY.evaluate(ANY.transfer(TRAINED, "CartPole-v1", **JUDGED), "CartPole-v1", 1),
    "load a path": lambda: ANY.load(Path(CHECKPOINT)),
    "task by a task string": lambda: ANY.task("CartPole-v1@force=5", length="x0.5..x2"),
    "parameters of a task string": lambda: ANY.parameters("CartPole-v1@force=5"),
    "parameters of a task": lambda: ANY.parameters(ANY.task("CartPole-v1")),
    "to_gymnasium by a string": lambda: ANY.to_gymnasium("CartPole-v1@force=5").reset(),
    "host by a task string": lambda: ANY.host("CartPole-v1@horizon=7"),
    "lists for tuples": lambda: ANY.Finetune(SMALL, freeze=["features"]),
    "compare by strings": lambda: ANY.compare("naive", seeds=1, watch=None, **QUICK),
}
ODD: tuple[Any, ...] = (None, 3, 2.5, float("nan"), object(), b"CartPole-v1", {}, [], "", "\udcff", "a\0b", jnp.ones(2))
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


def over(values: tuple[Any, ...], but: tuple[Any, ...], call: Callable[[Any], Any]) -> list[Callable[[], Any]]:
    """Returns a call with each of the values, but for those that are as good as any."""
    return [lambda x=x: call(x) for x in values if not any(x is y for y in but)]


NONE = ODD[:1]
FAILS: dict[str, list[Callable[[], Any]]] = {
    "train method": [
        *over(ODD, (), lambda x: ANY.train(x, "CartPole-v1", STEPS)),
        lambda: ANY.train(ANY.PPO, "CartPole-v1", 1),
    ],
    "train task": over(ODD, (), lambda x: ANY.train(SMALL, x, STEPS)),
    "train tasks": over(ODD, (), lambda x: ANY.train(SMALL, ["CartPole-v1", x], STEPS)),
    "train steps": over((*NUMBERS, 0, None), (), lambda x: ANY.train(SMALL, "CartPole-v1", x)),
    "train seed": over((*NUMBERS, None), (), lambda x: ANY.train(SMALL, "CartPole-v1", STEPS, seed=x)),
    "train watch": over((3, "print"), (), lambda x: ANY.train(SMALL, "CartPole-v1", STEPS, watch=x)),
    "train keep": over(ODD, NONE, lambda x: ANY.train(SMALL, "CartPole-v1", STEPS, keep=x)),
    "train every": over(
        ("soon", -1, float("nan")), (), lambda x: ANY.train(SMALL, "CartPole-v1", 1, keep=OUT / "k", every=x)
    ),
    "evaluate trained": over(ODD, (), lambda x: ANY.evaluate(x, "CartPole-v1")),
    "evaluate task": over(ODD, (), lambda x: ANY.evaluate(TRAINED, x)),
    "evaluate episodes": over((*NUMBERS, 0, None), (), lambda x: ANY.evaluate(TRAINED, "CartPole-v1", x)),
    "evaluate seed": over((*NUMBERS, None), (), lambda x: ANY.evaluate(TRAINED, "CartPole-v1", 1, x)),
    "transfer trained": over(ODD, (), lambda x: ANY.transfer(x, "CartPole-v1", STEPS)),
    "transfer target": over(ODD, (), lambda x: ANY.transfer(TRAINED, x, STEPS)),
    "transfer steps": over((*NUMBERS, None), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", x)),
    "transfer shots": over(
        (*NUMBERS[:-4], None, "0,1", ["a"], [1e30]), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", 9, x)
    ),
    "transfer method": over(ODD, NONE, lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, method=x)),
    "transfer num_evals": over(
        (*NUMBERS, None), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, num_evals=x)
    ),
    "transfer eval_episodes": over(
        (*NUMBERS, None), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, eval_episodes=x)
    ),
    "transfer renamed": over(
        (3, "a=b", {"a": 3}), (), lambda x: ANY.transfer(TRAINED, "CartPole-v1", STEPS, renamed=x)
    ),
    "play trained": over(ODD, (), lambda x: ANY.play(x, "CartPole-v1", OUT / "a.gif")),
    "play task": over(ODD, (), lambda x: ANY.play(TRAINED, x, OUT / "a.gif")),
    "play path": over(ODD, (), lambda x: ANY.play(TRAINED, "CartPole-v1", x)),
    "play episodes": over((*NUMBERS, None), (), lambda x: ANY.play(TRAINED, "CartPole-v1", OUT / "a.gif", x)),
    "save trained": over(ODD, (), lambda x: ANY.save(x, OUT / "saved")),
    "save path": over(ODD, (), lambda x: ANY.save(TRAINED, x)),
    "load path": over(ODD, (), ANY.load),
    "task env": over(ODD, (), ANY.task),
    "task w": over(("a", 3, [1, 2], {"reward": "x"}, {"r": 1}), (), lambda x: ANY.task("CartPole-v1", w=x)),
    "task physics": over(ODD, (), lambda x: ANY.task("CartPole-v1", physics=x)),
    "task parameter": over((*ODD[3:], None), (), lambda x: ANY.task("CartPole-v1", length=x)),
    "task twice": [lambda: ANY.task("CartPole-v1@length=3", length=3)],
    "task law": over((dist.Normal(jnp.ones(2), 1), dist.Beta(2.0, 2.0)), (), lambda x: ANY.task("Pendulum-v1", mass=x)),
    "policy task": over(ODD, NONE, lambda x: TRAINED.policy(x)),
    "parameters env": over(ODD, (), ANY.parameters),
    "to_gymnasium task": over(ODD, (), ANY.to_gymnasium),
    "to_gymnasium mode": over((3, "human"), (), lambda x: ANY.to_gymnasium("CartPole-v1", x)),
    "host source": over(ODD, (), ANY.host),
    "host horizon": over(("a", -1, 0, 2.5, 1e30, 10**30, [1]), (), lambda x: ANY.host(made, horizon=x)),
    "host string": over(("CartPole-v1@gravity=3", "CartPole-v1@"), (), ANY.host),
    "method field": over(NUMBERS, (), lambda x: ANY.PPO(num_steps=x)),
    "method number": over(("a", None, [1], object()), (), lambda x: ANY.PPO(learning_rate=x)),
    "method flag": over(("no", 1, None), (), lambda x: ANY.PPO(anneal_learning_rate=x)),
    "method layers": over((8, "64", (8.5,), (-1,), None), (), lambda x: ANY.PPO(hidden=x)),
    "method base": over((3, "sac", None, ANY.SAC), (), lambda x: ANY.Finetune(base=x)),
    "compare methods": over((*ODD[:8], ANY.PPO, ["epop"], [3]), (), lambda x: ANY.compare(x, seeds=1, **QUICK)),
    "compare seeds": over((*NUMBERS, 0, "2", None), NUMBERS[8:9], lambda x: ANY.compare(["naive"], seeds=x, **QUICK)),
    "compare name": [lambda: ANY.compare(["naive"], sead=1, **QUICK)],
    **{
        f"compare {name}": over(
            values, (), lambda x, name=name: ANY.compare(["naive"], **{**QUICK, "seeds": 1, name: x})
        )
        for name, values in {
            "source": ODD,
            "target": ODD,
            "ensemble": ODD[1:],
            "out": ODD,
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


def ended(call: Callable[[], Any]) -> str:
    """Returns the sentence of an InputError, or how else the call ended."""
    try:
        call()
    except hs.InputError as error:
        return str(error)
    except BaseException as error:
        return f"! {type(error).__name__}: {error}"
    return "! it works"


if __name__ == "__main__":
    good = {name: ended(call) for name, call in WORKS.items()}
    bad = {f"{name} {i}": ended(call) for name, calls in FAILS.items() for i, call in enumerate(calls)}
    (OUT / "ended.json").write_text(json.dumps([good, bad]))
