"""The configurations that cells and source trainings depend on. Results with equal configurations are reused."""

import dataclasses
from typing import Any

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.methods import Entry, describe
from headstart.protocol.study_config import StudyConfig

SAME = ("source", "target", "physics", "learner")  # fields that identify a study


def row_config(entry: Entry, method: Method, config: StudyConfig) -> dict[str, Any]:
    """Returns the configuration of a row's cells, without the seed."""
    learns = entry.learns_on in ("source", "ensemble")
    spends = entry.learns_on != "nothing" or entry.role == "oracle"
    return {
        "row": entry.name,
        "method": describe(method),
        "learns_on": entry.learns_on,
        "adapts": entry.adapts,
        "source": config.source,
        "target": config.target,
        "physics": config.physics,
        "ensemble": config.ensemble if learns else None,  # it is evaluated on the ensemble
        "source_steps": config.source_steps if spends else None,
        "target_steps": config.target_steps,
        "shots": None if entry.role == "oracle" else list(config.shots),  # the oracle takes none
        "num_evals": config.num_evals if entry.adapts else None,
        "eval_episodes": config.eval_episodes,
    }


def source_config(base: Method, task: str, names: tuple[str, ...], steps: int, physics: str) -> dict[str, Any]:
    """Returns the configuration of a source training, without the seed."""
    return {"method": describe(base), "source": task, "context": list(names), "steps": steps, "physics": physics}


def differing_keys(asked: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """Returns the keys in which two configurations differ."""
    return [name for name in {**asked, **held} if asked.get(name) != held.get(name)]


def check_same_study(out: Any, asked: StudyConfig, held: dict[str, Any]) -> None:
    """Raises InputError if the study in `out` has other tasks. A larger study of the same tasks is allowed."""
    mine = dataclasses.asdict(asked)
    other = [name for name in SAME if mine[name] != held.get(name)]
    if held.get("ensemble") not in (None, asked.ensemble) and asked.ensemble is not None:
        other.append("ensemble")
    if other:
        raise InputError(f"{out} holds another study (its {', '.join(other)} differ); choose another --out.")
