"""What a cell and a training in the source depend on: where that is equal, what is on disk is used again."""

import dataclasses
from typing import Any

from headstart.core.errors import InputError
from headstart.core.types import Method
from headstart.methods import Entry, describe
from headstart.protocol.study_config import StudyConfig

SAME = ("source", "target", "physics", "learner")  # parts of a question that make it another study


def of_row(entry: Entry, method: Method, question: StudyConfig) -> dict[str, Any]:
    """Returns what the cells of a row depend on, beside their seed."""
    learns = entry.learns_on in ("source", "ensemble")
    spends = entry.learns_on != "nothing" or entry.role == "oracle"
    return {
        "row": entry.name,
        "method": describe(method),
        "learns_on": entry.learns_on,
        "adapts": entry.adapts,
        "source": question.source,
        "target": question.target,
        "physics": question.physics,
        "ensemble": question.ensemble if learns else None,  # its 0-shot return is judged on it
        "source_steps": question.source_steps if spends else None,
        "target_steps": question.target_steps,
        "shots": None if entry.role == "oracle" else list(question.shots),  # the oracle takes none
        "num_evals": question.num_evals if entry.adapts else None,
        "eval_episodes": question.eval_episodes,
    }


def of_source(heart: Method, task: str, names: tuple[str, ...], steps: int, physics: str) -> dict[str, Any]:
    """Returns what a training in the source depends on, beside its seed."""
    return {"method": describe(heart), "source": task, "context": list(names), "steps": steps, "physics": physics}


def differences(asked: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """Returns the parts in which two questions differ."""
    return [name for name in {**asked, **held} if asked.get(name) != held.get(name)]


def check_same_study(out: Any, asked: StudyConfig, held: dict[str, Any]) -> None:
    """Raises InputError where the study in `out` is about other tasks: one that has grown is about the same."""
    mine = dataclasses.asdict(asked)
    other = [name for name in SAME if mine[name] != held.get(name)]
    if held.get("ensemble") not in (None, asked.ensemble) and asked.ensemble is not None:
        other.append("ensemble")
    if other:
        raise InputError(f"{out} holds another study (its {', '.join(other)} differ); choose another --out.")
