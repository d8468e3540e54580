"""Computes the verdicts of committed records again, from the numbers of every seed that they hold. Nothing is trained.

Each record keeps its keys. Its claims become those of the current code, and `judged_by` describes them. A record
without the numbers of its seeds stays unchanged and is named.

    python benchmarks/rejudge.py                     # all records of benchmarks/results
    python benchmarks/rejudge.py active darc         # these
    python benchmarks/rejudge.py --check             # prints which would change, and writes nothing
"""

import argparse
import importlib
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from flags import RESULTS
from judging import HOW

from headstart.lab.checkpoint.files import jsonable, read_json, write_json
from headstart.protocol.comparisons import COMPARED_BY, compare_pairs, compare_with_controls
from headstart.protocol.metrics import averaged_returns

Data = dict[str, Any]


def study(data: Data) -> Data:
    """Returns the study with verdicts and comparisons of rows taken from the curves of its seeds."""
    seeds, areas = len(data["seeds"]), {}
    for name, row in data["methods"].items():
        curve = row["curve"]
        if curve and not ("returns" in curve and "steps" in curve):
            raise KeyError("returns")
        steps, returns = (np.array(curve.get(key) or [[np.nan]] * seeds, float) for key in ("steps", "returns"))
        areas[name] = averaged_returns((np.nan_to_num(steps), returns), data["budget"])
    rows = data["methods"].items()
    control = lambda row: row.get("control") or row.get("against")  # records of format 1 call it `against`
    controls = {name: control(row) or "scratch" for name, row in rows if name != "scratch"}
    if data.get("config", data.get("question", {})).get("reference", "scratch") != "scratch":
        controls = {name: control(row) for name, row in rows if control(row)}
    compared = compare_with_controls(areas, controls)
    methods = {name: {**row, **compared[name]} for name, row in rows}
    judged_by = "compared_by" if "config" in data else "judged_by"  # its name in records of format 1
    return {"methods": methods, judged_by: COMPARED_BY, "pairs": compare_pairs(areas)}


def rows_of(script: str, results_key: str) -> Callable[[Data], Data]:
    """Returns a function that computes the rows of a script's record by its `summarise`."""
    return lambda data: {"rows": importlib.import_module(script).summarise(data[results_key])}


def recurrent(data: Data) -> Data:
    """Computes the records of recurrent.py, whose rows are named by their controls."""
    row = next(iter(data["rows"].values()))
    control = next(key.partition(", above ")[2] for key in row if key.startswith("held out, above "))
    return {"rows": importlib.import_module("recurrent").summarise(data["found"], control)}


def distil(data: Data) -> Data:
    """Computes the students' shares, and their returns on the left-out cart."""
    script = importlib.import_module("distil")
    return {"rows": script.summarise(data["found"], data["teachers"]), "area": script.areas(data["onwards"])}


def epopt(data: Data) -> Data:
    """Computes EPOpt's record from the returns in the folder beside it."""
    script = importlib.import_module("epopt")
    slug = lambda name: re.sub("[^a-z0-9.]+", "-", name.lower())
    files = {
        name: RESULTS / "epopt" / f"{slug(name)}-{data['steps']}-{data['seeds']}.json" for name in data["policies"]
    }
    if missing := [file.name for file in files.values() if not file.exists()]:
        raise KeyError(missing[0])
    return {"policies": script.summarise(script.arms(), {name: read_json(file) for name, file in files.items()})}


def gradients(data: Data) -> Data:
    """Computes the rows of goals, whose curves are stored apart from their other entries."""
    results = {name: {**data["goals"][name], **curve} for name, curve in data["curves"].items()}
    return {"goals": importlib.import_module("gradients").summarise(results)}


def ppo_hopper(data: Data) -> Data:
    """Computes the comparison of PPO with SB3; the measured speeds stay."""
    curves = {name: (np.array(x["steps"]), np.array(x["returns"])) for name, x in data["curves"].items()}
    difference = importlib.import_module("ppo_hopper").difference(curves)
    return {"rows": {**data["rows"], "final_difference": difference}}


def successor(data: Data) -> Data:
    """Computes the comparison of GPI with the newest policy and Q-learning."""
    earned = {name: np.array(each) for name, each in data["earned"].items()}
    return {"rows": importlib.import_module("successor").summarise(earned)}


JUDGES: dict[str, Callable[[Data], Data]] = {
    "active": rows_of("active", "found"),
    "confusion": rows_of("confusion", "curves"),
    "darc": rows_of("darc", "curves"),
    "deep_successor": rows_of("deep_successor", "found"),
    "distil": distil,
    "epopt": epopt,
    "gradients": gradients,
    "heavier": study,
    "learners": lambda data: {"rows": importlib.import_module("learners").against_peer(data["rows"])},
    "popart": lambda data: importlib.import_module("popart").summarise(data["found"]),
    "ppo_hopper": ppo_hopper,
    "recurrent": recurrent,
    "recurrent_critics": recurrent,
    "recurrent_sooner": recurrent,
    "reversed": study,
    "successor": successor,
    "surgery": rows_of("surgery", "curves"),
    "uposi": rows_of("uposi", "found"),
}


def rejudged(name: str, data: Data) -> Data:
    """Returns the record with the claims of the current code. Raises KeyError if it lacks the numbers of its seeds."""
    record = jsonable({**data, "judged_by": HOW, **JUDGES[name](data)})
    provenance = record.pop("provenance", {})
    return {**record, "provenance": {**provenance, "judged": f"python benchmarks/rejudge.py {name}"}}


def verdicts(value: Any, path: tuple[str, ...] = ()) -> dict[str, str]:
    """Returns every verdict and every bar of a record, by its path of keys."""
    results: dict[str, str] = {}
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        if key in ("verdict", "met") and not isinstance(part, dict | list):
            results[" / ".join((*path, str(key)))] = str(part)
        elif key != "pairs":
            results |= verdicts(part, (*path, str(key)))
    return results


def main() -> None:
    """Computes the named records, prints what changed, and writes them unless --check is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*JUDGES, []], help="which records (all where none is named)")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, help="where the records lie")
    args = parser.parse_args()
    for name in args.names or JUDGES:
        file = args.out / f"{name}.json"
        if not file.exists():
            print(f"{name}: there is no such record")
            continue
        data = read_json(file)
        try:
            record = rejudged(name, data)
        except KeyError as missing:
            print(f"{name}: left as it is, for it does not keep its seeds ({missing})")
            continue
        before, after = verdicts(data), verdicts(record)
        print(f"{name}:", *(f"\n  {k}: {before.get(k, '–')} → {x}" for k, x in after.items() if before.get(k) != x))
        if not args.check:
            write_json(file, json.loads(json.dumps(record)))


if __name__ == "__main__":
    main()
