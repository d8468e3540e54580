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
    trains_before = entry.learns_on in ("source", "ensemble")
    uses_source_steps = entry.learns_on != "nothing" or entry.role == "oracle"
    return {
        "row": entry.name,
        "method": describe(method),
        "learns_on": entry.learns_on,
        "adapts": entry.adapts,
        "source": config.source,
        "target": config.target,
        "physics": config.physics,
        "ensemble": config.ensemble if trains_before else None,  # it is evaluated on the ensemble
        "source_steps": config.source_steps if uses_source_steps else None,
        "target_steps": config.target_steps,
        "shots": None if entry.role == "oracle" else list(config.shots),  # the oracle takes none
        "num_evals": config.num_evals if entry.adapts else None,
        "eval_episodes": config.eval_episodes,
    }


def source_config(base: Method, task: str, names: tuple[str, ...], steps: int, physics: str) -> dict[str, Any]:
    """Returns the configuration of a source training, without the seed."""
    return {"method": describe(base), "source": task, "context": list(names), "steps": steps, "physics": physics}


def differing_keys(config: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Returns the keys in which two configurations differ."""
    return [name for name in {**config, **other} if config.get(name) != other.get(name)]


def check_same_study(out: Any, config: StudyConfig, existing: dict[str, Any]) -> None:
    """Raises InputError if the study in `out` has other tasks. A larger study of the same tasks is allowed."""
    fields = dataclasses.asdict(config)
    differing = [name for name in SAME if fields[name] != existing.get(name)]
    if existing.get("ensemble") not in (None, config.ensemble) and config.ensemble is not None:
        differing.append("ensemble")
    if differing:
        raise InputError(f"{out} holds another study (its {', '.join(differing)} differ); choose another --out.")
