"""What `speed.py` measures: the rows, the programs of each, and what headstart should reach there."""

import os
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from rates.settings import CARTPOLE_PPO, HOPPER_PPO, HOPPER_SAC, MANY_CARTPOLES, MANY_HOPPERS

BENCHMARKS = pathlib.Path(__file__).parents[1]
PEER = BENCHMARKS.parent / ".venv-peers" / "bin" / "python"
OURS = "headstart"
BOTH = tuple(("--threads", str(n)) for n in range(1, (os.cpu_count() or 1) + 1))  # of torch


class Program(NamedTuple):
    """A command line; OUT in it stands for what it writes, SEED for its seed."""

    words: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...] = ()  # further words: each is tried once, and the fastest is measured


class Row(NamedTuple):
    """One thing that programs do, and how fast headstart should do it."""

    programs: dict[str, Program]
    goals: dict[str, float]  # how many times as fast as that peer headstart should be
    what: str = "rate"  # steps a second; `seconds`, by the program's own clock; or `wall`, of the complete program
    limit: Program | None = None  # what tells its bound
    share: float | None = None  # of the bound that it should reach
    least: float | None = None  # steps a second that it should reach


def rows(tiny: bool) -> dict[str, Row]:
    """Returns the rows by name; `tiny` ones are only to see that they still run."""
    size: Callable[[int, int], str] = lambda full, small: str(small if tiny else full)
    steps = lambda warmup, full, small: ("--warmup", size(warmup, small), "--steps", size(full, small))
    ppo, sac = steps(8_192, 49_152, 2_048), steps(1_500, 3_000, 64)
    quick, slow = steps(200_000, 2_000_000, 2_048), steps(4_096, 40_960, 2_048)
    steppers = (*steps(32_768, 262_144, 16_384), "--rows", "64")
    until = ("--steps", size(1_000_000, 4_096), "--every", size(20_480, 2_048))
    hopper, cart = HOPPER_PPO, CARTPOLE_PPO
    return {
        "PPO on Hopper-v5": Row(
            {
                OURS: ours("learn", hopper.ours(), "Hopper-v5", *ppo),
                "SB3": peer("sb3", "ppo", "Hopper-v5", *ppo, *hopper.sb3(), choices=BOTH),
                "SBX": peer("sbx_learners", "ppo", "Hopper-v5", *ppo, *hopper.sb3()),
            },
            {"SB3": 3.0, "SBX": 3.0},
            limit=limit("PPO on Hopper-v5"),
            share=0.8,
        ),
        "SAC on Hopper-v5": Row(
            {
                OURS: ours("learn", HOPPER_SAC.ours(), "Hopper-v5", *sac),
                "SB3": peer("sb3", "sac", "Hopper-v5", *sac, *HOPPER_SAC.sb3(), choices=BOTH),
                "SBX": peer("sbx_learners", "sac", "Hopper-v5", *sac, *HOPPER_SAC.sb3()),
            },
            {"SB3": 2.0, "SBX": 1.4},
            limit=limit("SAC on Hopper-v5"),
            share=0.8,
        ),
        "PPO on CartPole-v1": Row(
            {
                OURS: ours("learn", cart.ours(), "CartPole-v1", *quick),
                "SB3": peer("sb3", "ppo", "CartPole-v1", *slow, *cart.sb3(), choices=BOTH),
                "rejax": peer("rejax_ppo", "CartPole-v1", *quick[2:], *cart.rejax()),
            },
            {"rejax": 1.0},
            limit=limit("PPO on CartPole-v1"),
        ),
        "Hopper-v5 stepped": Row(
            {
                OURS: ours("step", "Hopper-v5", *steppers),
                "Gymnasium": peer("gymnasium_steps", "Hopper-v5", *steppers, choices=((), ("--processes",))),
                "EnvPool": peer("envpool_steps", "Hopper-v5", *steppers, choices=((), ("--ahead",))),
            },
            {"EnvPool": 1.2},
            limit=limit("Hopper-v5 stepped"),
        ),
        "Hopper-v5 to 2 000": Row(
            {
                OURS: ours("until", "ppo", "Hopper-v5", *until, "--level", "2000"),
                "SB3": peer("sb3", "ppo", "Hopper-v5", *until, "--until", "2000", choices=BOTH),
            },
            {"SB3": 8.0},
            what="seconds",
        ),
        "study": Row({OURS: study(size), "SB3": their_study(size)}, {"SB3": 8.0}, what="wall"),
    }


def gpu_rows(tiny: bool) -> dict[str, Row]:
    """Returns the rows for a GPU, where robots are stepped by MJX; `tiny` ones also run without."""
    carts, hoppers, few = MANY_CARTPOLES, MANY_HOPPERS, HOPPER_PPO
    if tiny:
        carts = hoppers = few = MANY_HOPPERS._replace(num_envs=16, batch_size=160, num_epochs=1)
    turns = lambda rollout: ("--warmup", str(rollout), "--steps", str(rollout if tiny else 20 * rollout))
    seeds, masses = (2, 2) if tiny else (64, 9)
    mjx = ("Hopper-v5", "--physics", "mjx")
    nine = lambda seeds: ("--seeds", str(seeds), "--masses", str(masses), *turns(few.rollout * masses * seeds))
    return {
        "PPO on many CartPoles": Row(
            {OURS: ours("learn", carts.ours(), "CartPole-v1", *turns(carts.rollout))}, {}, least=30e6
        ),
        "PPO on many Hoppers": Row(
            {
                OURS: ours("learn", hoppers.ours(), *mjx, *turns(hoppers.rollout)),
                "Brax": peer("brax_ppo", *turns(hoppers.rollout)[2:], *hoppers.brax()),
            },
            {"Brax": 1.0},
        ),
        "PPO on 9 masses": Row({OURS: ours("learn", few.ours(), *mjx, *nine(1))}, {}),
        "64 seeds of PPO on 9 masses": Row({OURS: ours("learn", few.ours(), *mjx, *nine(seeds))}, {}),
    }


def ours(*words: str) -> Program:
    """Returns one of headstart's measurements."""
    return Program((sys.executable, "-m", "rates.ours", *words, "--seed", "SEED", "--out", "OUT"))


def peer(script: str, *words: str, choices: tuple[tuple[str, ...], ...] = ()) -> Program:
    """Returns one of the peers'."""
    where = str(BENCHMARKS / "peers" / f"{script}.py")
    return Program((str(PEER), where, *words, "--seed", "SEED", "--out", "OUT"), choices)


def limit(row: str) -> Program:
    """Returns what measures the bound of a row."""
    return Program((sys.executable, "-m", "rates.limit", row, "--seed", "SEED", "--out", "OUT"))


STUDY = (40_960, 24_576, 5)  # source steps, target steps, seeds
TINY_STUDY = (2_048, 2_048, 1)


def study(size: Callable[[int, int], str]) -> Program:
    """Returns headstart's study of five methods, as a user asks for it; the same seeds each time."""
    source, target, seeds = (size(full, small) for full, small in zip(STUDY, TINY_STUDY, strict=True))
    heavy, ensemble = "Hopper-v5@torso_mass=9", "Hopper-v5@torso_mass=3..9"
    methods = "scratch,naive,finetune,finetune:reset_head=true,randomize"
    tasks = ("--source", "Hopper-v5", "--target", heavy, "--ensemble", ensemble, "--methods", methods, "--no-oracle")
    sizes = ("--source-steps", source, "--target-steps", target, "--seeds", seeds, "--shots", "0", "--evals", "12")
    command = str(pathlib.Path(sys.executable).with_name("headstart"))
    return Program((command, "compare", *tasks, *sizes, "--eval-episodes", "10", "--out", "OUT"))


def their_study(size: Callable[[int, int], str]) -> Program:
    """Returns the same five, written with SB3."""
    source, target, seeds = (size(full, small) for full, small in zip(STUDY, TINY_STUDY, strict=True))
    sizes = ("--source-steps", source, "--target-steps", target, "--seeds", seeds, "--evals", size(12, 1))
    where = str(BENCHMARKS / "peers" / "sb3_study.py")
    return Program((str(PEER), where, *sizes, "--eval-episodes", "10", *HOPPER_PPO.sb3(), "--out", "OUT"))
