"""Damages every kind of file that headstart reads, and checks that each damage is refused in a sentence.

It makes a tiny study with clips and a matrix, a training, a transfer, and a training that was stopped. Then it damages
one of their files, thousands of times: it cuts the file off, empties it, changes, deletes or inserts bytes, sets one
entry of the JSON to another type, exchanges it for another file of its kind, or replaces it by a pipe, a folder or a
sparse file of a terabyte. The reader must raise an `InputError` that names the file or its folder. Another exception
counts as uncaught, and a read without an error as accepted.

    python benchmarks/damage.py --times 5000
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flags import RUNS, flags, read

from headstart.core.errors import InputError
from headstart.core.run import Snapshot
from headstart.lab import cli
from headstart.lab.checkpoint import result_folder, save_load
from headstart.lab.checkpoint.files import write_json
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.resume import FileCheckpointer
from headstart.lab.study import cross_evaluation, study_clips, study_folder
from headstart.lab.study.provenance import provenance
from headstart.lab.study.runner import compare
from headstart.lab.study.study import Study
from headstart.lab.study.study_folder import write_report_files
from headstart.lab.watch.progress_event import ignore
from headstart.protocol.study_config import StudyConfig

LEARNER = "ppo:hidden=8:num_envs=4:num_steps=64:num_epochs=2"
# One iteration of PPO in the source, two in the target. The tests run the same study and share its compiled programs.
CONFIG = StudyConfig(
    source="CartPole-v1",
    target="CartPole-v1@force=-10",
    methods=("scratch", "naive", "finetune"),
    source_steps=250,
    target_steps=500,
    shots=(0, 1, 3),
    seeds=(0, 1),
    num_evals=2,
    eval_episodes=3,
    learner=LEARNER,
)
TRAIN = ("train", LEARNER, "--source", "CartPole-v1", "--steps", "2e3", "--out")
ODD_VALUES = (None, True, -1, 0, 10**30, 1e308, "", "inf", [], [[]], {}, {"class": "PPO"}, [1] * 50, "PPO", 2.5)
CHUNKS = (b"\xff" * 8, b"\x00" * 8, b"[" * 20_000, b"9" * 5_000)


def main() -> None:
    """Damages files and writes the counts of outcomes."""
    parser = flags(__doc__, RUNS / "damage")
    parser.add_argument("--times", type=int, default=5_000, help="how many files are damaged")
    args = read(parser)
    shutil.rmtree(args.work, ignore_errors=True)
    readers, rng = make(args.work), random.Random(0)
    results = [damage_one(readers, rng) for _ in range(100 if args.tiny else args.times)]
    counts = Counter(outcome for _, _, outcome in results)
    failures = {outcome: Counter(f"{kind}, {how}" for kind, how, x in results if x == outcome) for outcome in counts}
    print(dict(counts), {outcome: dict(x) for outcome, x in failures.items() if outcome != "refused"})
    command = f"python benchmarks/damage.py --times {args.times}" + " --tiny" * args.tiny
    record = {
        "damaged": len(results),
        **{name: counts[name] for name in ("refused", "accepted", "uncaught", "unnamed")},
    }
    record |= {"files": Counter(kind for kind, _, _ in results), "ways": Counter(how for _, how, _ in results)}
    write_json(args.out / "damage.json", {**record, "provenance": provenance(command)})
    sys.exit(counts["refused"] < len(results))


# ------------------------------------------------------------------------------------------------ readers


class Reader(NamedTuple):
    """Files of one kind, and the function that reads one of them."""

    kind: str
    files: list[pathlib.Path]
    read: Callable[[pathlib.Path], Any]  # given the file


def make(work: pathlib.Path) -> list[Reader]:
    """Writes files of every kind, and returns them with their readers."""
    out, trained, transferred, stopped = (work / name for name in ("study", "trained", "moved", "stopped"))
    compare(CONFIG, out, video=True)
    study = Study(CONFIG, out, ignore)
    config = cross_evaluation.matrix_config(CONFIG, study.study_tasks, study.rows)
    write_record(
        out / cross_evaluation.MATRIX_FILE,
        cross_evaluation.FORMAT,
        {"config": config, "left_out": "it is left out"},
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main([*TRAIN, str(trained)])
        arguments = ("--target", CONFIG.target, "--steps", "500", "--shots", "0,1", "--out", str(transferred))
        cli.main(["transfer", str(trained), *arguments])
        with contextlib.suppress(KeyboardInterrupt):
            stop(stopped)
    sources = [path.parent for path in out.glob("sources/*/seed-*/curve.json")]
    return [
        Reader(
            "study",
            [out / study_folder.STUDY],
            lambda file: (study_folder.check_folder(out, CONFIG), write_report_files(out)),
        ),
        Reader("cell", sorted(out.glob("cells/*/seed-*/curve.json")), lambda file: study.cells()),
        *(
            Reader(
                f"checkpoint's {name}",
                sorted(out.glob(f"cells/*/seed-*/{name}")),
                lambda file: read_checkpoint(study, file),
            )
            for name in ("recipe.json", "params.safetensors")
        ),
        *(
            Reader(f"source's {name}", [folder / name for folder in sources], lambda file: read_source(study))
            for name in ("curve.json", "recipe.json", "params.safetensors")
        ),
        Reader("matrix", [out / cross_evaluation.MATRIX_FILE], lambda file: cross_evaluation.read(out, config)),
        Reader("clip's record", sorted(out.glob("clips/*/*.json")), lambda file: study_clips.read(study)),
        *(Reader("result", [folder / name for name in FILES], read_result) for folder in (trained, transferred)),
        Reader(
            "stopped training",
            [stopped / "run.json", *stopped.glob("*.safetensors")],
            lambda file: resume_and_stop(stopped),
        ),
    ]


FILES = ("curve.json", "recipe.json", "params.safetensors")


def read_checkpoint(study: Study, file: pathlib.Path) -> None:
    """Reads a cell's checkpoint, as `headstart.load` and as the study's clips do."""
    save_load.load(file.parent)
    row = next(row for row in study.rows if row[0].name == file.parent.parent.name)
    study.cell_store(*row).load(int(file.parent.name.removeprefix("seed-")))


def read_source(study: Study) -> None:
    """Reads the source training, as the row `naive` does."""
    from headstart.lab.study import source_training

    entry, method = next(row for row in study.rows if row[0].name == "naive")
    tasks = study.source_tasks(entry)
    assert tasks is not None
    source_training.load_source(study.out, method, tasks, CONFIG.seeds)


def read_result(file: pathlib.Path) -> None:
    """Reads a result, as the same command does when it runs again."""
    result_folder.finished_result(file.parent, config_of(file.parent))


@functools.cache
def config_of(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the configuration of the command that wrote a result, read before any damage."""
    return json.loads((folder / result_folder.CURVE).read_text())["config"]


class StoppingCheckpointer(FileCheckpointer):
    """Stops a training after three iterations."""

    def chunk_size(self, ahead: int) -> int:
        return 1

    def after_chunk(self, snapshot: Snapshot, of: int) -> None:
        self._stop_requested = snapshot.iterations >= 3
        super().after_chunk(snapshot, of)


def stop(folder: pathlib.Path) -> None:
    """Trains until the checkpointer stops it; the folder then holds a stopped training."""
    learn(StoppingCheckpointer(folder, 0.0, log=lambda line: None))


def resume_and_stop(folder: pathlib.Path) -> None:
    """Resumes the training and stops it again."""
    with contextlib.suppress(KeyboardInterrupt):
        stop(folder)


def learn(checkpointer: FileCheckpointer) -> None:
    """Trains as the command `TRAIN` does."""
    import headstart as hs
    from headstart.methods.strings import find_any

    hs.train(find_any(LEARNER), "CartPole-v1", 2_000, keep=checkpointer)


# ------------------------------------------------------------------------------------------------ damage


def damage_one(readers: list[Reader], rng: random.Random) -> tuple[str, str, str]:
    """Damages a file, reads it and restores it. Returns its kind, the kind of damage and the outcome."""
    reader = rng.choice(readers)
    file = rng.choice(reader.files)
    if reader.kind == "result":
        config_of(file.parent)
    content = file.read_bytes()
    how = rng.choice([name for name in WAYS if name != "another type" or file.suffix == ".json"])
    WAYS[how](file, content, reader.files, rng)
    try:
        if (
            file.is_file() and file.stat().st_size < 2**30 and file.read_bytes() == content
        ):  # exchanged for an equal file
            return damage_one(readers, rng)
        return reader.kind, how, outcome(reader, file)
    finally:
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        file.write_bytes(content)


def outcome(reader: Reader, file: pathlib.Path) -> str:
    """Returns the outcome of reading a damaged file."""
    try:
        reader.read(file)
    except InputError as error:
        return "refused" if str(file) in str(error) or str(file.parent) in str(error) else "unnamed"
    except Exception as error:
        print(f"{reader.kind} {file}: {type(error).__name__}: {error}", file=sys.stderr)
        return "uncaught"
    return "accepted"


def write_changed_bytes(file: pathlib.Path, content: bytes, others: list[pathlib.Path], rng: random.Random) -> None:
    """Changes, deletes or inserts some bytes of the file."""
    file.write_bytes(change_bytes(content, rng))


def change_bytes(data: bytes, rng: random.Random) -> bytes:
    """Returns the bytes with some changed, deleted or inserted."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        folder, kind = rng.randrange(max(len(changed), 1)), rng.randrange(3)
        if kind == 0:
            changed[folder : folder + 1] = rng.randbytes(1)
        elif kind == 1:
            del changed[folder : folder + rng.randrange(1, 30)]
        else:
            changed[folder : folder + 8] = rng.choice(CHUNKS)
    return bytes(changed)


def paths_in(data: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yields the path of keys to each entry of plain data."""
    for name, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, name)
        yield from paths_in(inner, (*path, name))


def write_another_type(file: pathlib.Path, content: bytes, others: list[pathlib.Path], rng: random.Random) -> None:
    """Sets one entry of the JSON to an odd value, or deletes it."""
    data = json.loads(content)
    *path, last = rng.choice(list(paths_in(data)))
    inner = functools.reduce(lambda inner, name: inner[name], path, data)
    if rng.random() < 0.2:
        del inner[last]
    else:
        inner[last] = rng.choice(ODD_VALUES)
    file.write_text(json.dumps(data, indent=1) + "\n")


def write_other_file(file: pathlib.Path, content: bytes, others: list[pathlib.Path], rng: random.Random) -> None:
    """Replaces the file by another one of its kind."""
    rest = [other for other in others if other != file and other.name == file.name]
    file.write_bytes(rng.choice(rest).read_bytes() if rest else b"{}")


def replace_by(make: Callable[[pathlib.Path], Any]) -> Callable[..., None]:
    """Returns a damage that replaces the file by something else, such as a pipe."""

    def damage(file: pathlib.Path, content: bytes, others: list[pathlib.Path], rng: random.Random) -> None:
        file.unlink()
        make(file)

    return damage


WAYS: dict[str, Callable[..., Any]] = {
    "cut off": lambda file, content, others, rng: file.write_bytes(content[: rng.randrange(len(content))]),
    "emptied": lambda file, content, others, rng: file.write_bytes(b""),
    "bytes": write_changed_bytes,
    "a bit": lambda file, content, others, rng: file.write_bytes(flip_bit(content, rng)),
    "another type": write_another_type,
    "exchanged": write_other_file,
    "a pipe": replace_by(os.mkfifo),
    "a folder": replace_by(lambda file: file.mkdir()),
    "a hole": lambda file, content, others, rng: os.truncate(file, 10**12),
}


def flip_bit(data: bytes, rng: random.Random) -> bytes:
    """Returns the bytes with one bit changed."""
    folder = rng.randrange(len(data))
    return data[:folder] + bytes([data[folder] ^ 1 << rng.randrange(8)]) + data[folder + 1 :]


if __name__ == "__main__":
    main()
