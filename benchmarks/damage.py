"""Damage every kind of file that headstart reads back: is each told of in a sentence that names it?

A study with clips and a matrix, a training, a transfer and a training that was stopped are made, tiny. Then, thousands
of times, one of their files is damaged: cut off, emptied, some of its bytes changed, lost or put in, one place of its
JSON set to another type, exchanged for another file of its kind, or made a pipe, a folder or a hole of a terabyte.
Whoever reads the file must refuse it by an `InputError` that names it or its folder. Anything else that is raised is
uncaught; whatever is read without a word is accepted in silence.

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
QUESTION = StudyConfig(
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
ODD = (None, True, -1, 0, 10**30, 1e308, "", "inf", [], [[]], {}, {"class": "PPO"}, [1] * 50, "PPO", 2.5)
CHUNKS = (b"\xff" * 8, b"\x00" * 8, b"[" * 20_000, b"9" * 5_000)


def main() -> None:
    """Damage files, and write down what came of it."""
    parser = flags(__doc__, RUNS / "damage")
    parser.add_argument("--times", type=int, default=5_000, help="how many files are damaged")
    asked = read(parser)
    shutil.rmtree(asked.work, ignore_errors=True)
    readers, luck = make(asked.work), random.Random(0)
    found = [damage_one(readers, luck) for _ in range(100 if asked.tiny else asked.times)]
    counts = Counter(outcome for _, _, outcome in found)
    by = {outcome: Counter(f"{kind}, {how}" for kind, how, said in found if said == outcome) for outcome in counts}
    print(dict(counts), {outcome: dict(of) for outcome, of in by.items() if outcome != "refused"})
    told = f"python benchmarks/damage.py --times {asked.times}" + " --tiny" * asked.tiny
    record = {"damaged": len(found), **{name: counts[name] for name in ("refused", "accepted", "uncaught", "unnamed")}}
    record |= {"files": Counter(kind for kind, _, _ in found), "ways": Counter(how for _, how, _ in found)}
    write_json(asked.out / "damage.json", {**record, "provenance": provenance(told)})
    sys.exit(counts["refused"] < len(found))


# ------------------------------------------------------------------------------------------------ what is read


class Reader(NamedTuple):
    """Files of one kind, and what reads one of them back."""

    kind: str
    files: list[pathlib.Path]
    read: Callable[[pathlib.Path], Any]  # given the file


def make(work: pathlib.Path) -> list[Reader]:
    """Writes files of every kind, and returns them with what reads them."""
    out, trained, moved, stopped = (work / name for name in ("study", "trained", "moved", "stopped"))
    compare(QUESTION, out, video=True)
    study = Study(QUESTION, out, ignore)
    config = cross_evaluation.matrix_config(QUESTION, study.study_tasks, study.rows)
    write_record(
        out / cross_evaluation.MATRIX_FILE,
        cross_evaluation.FORMAT,
        {"config": config, "left_out": "it is left out"},
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.main([*TRAIN, str(trained)])
        words = ("--target", QUESTION.target, "--steps", "500", "--shots", "0,1", "--out", str(moved))
        cli.main(["transfer", str(trained), *words])
        with contextlib.suppress(KeyboardInterrupt):
            stop(stopped)
    sources = [path.parent for path in out.glob("sources/*/seed-*/curve.json")]
    return [
        Reader(
            "study",
            [out / study_folder.STUDY],
            lambda file: (study_folder.check_folder(out, QUESTION), write_report_files(out)),
        ),
        Reader("cell", sorted(out.glob("cells/*/seed-*/curve.json")), lambda file: study.cells()),
        *(
            Reader(f"checkpoint's {name}", sorted(out.glob(f"cells/*/seed-*/{name}")), lambda file: take(study, file))
            for name in ("recipe.json", "params.safetensors")
        ),
        *(
            Reader(f"source's {name}", [at / name for at in sources], lambda file: source(study))
            for name in ("curve.json", "recipe.json", "params.safetensors")
        ),
        Reader("matrix", [out / cross_evaluation.MATRIX_FILE], lambda file: cross_evaluation.read(out, config)),
        Reader("clip's record", sorted(out.glob("clips/*/*.json")), lambda file: study_clips.read(study)),
        *(Reader("result", [at / name for name in FILES], again) for at in (trained, moved)),
        Reader("stopped training", [stopped / "run.json", *stopped.glob("*.safetensors")], lambda file: go_on(stopped)),
    ]


FILES = ("curve.json", "recipe.json", "params.safetensors")


def take(study: Study, file: pathlib.Path) -> None:
    """Reads a cell's checkpoint, as who takes it on does, and as one of the study's clips does."""
    save_load.load(file.parent)
    row = next(row for row in study.rows if row[0].name == file.parent.parent.name)
    study.cell_store(*row).load(int(file.parent.name.removeprefix("seed-")))


def source(study: Study) -> None:
    """Reads what was learned in the source, as the row `naive` does."""
    from headstart.lab.study import source_training

    entry, method = next(row for row in study.rows if row[0].name == "naive")
    before = study.source_tasks(entry)
    assert before is not None
    source_training.load_source(study.out, method, before, QUESTION.seeds)


def again(file: pathlib.Path) -> None:
    """Reads a result, as the same command does."""
    result_folder.finished_result(file.parent, asked_of(file.parent))


@functools.cache
def asked_of(folder: pathlib.Path) -> dict[str, Any]:
    """Returns what the command that left a result was asked; it is read before anything is damaged."""
    return json.loads((folder / result_folder.CURVE).read_text())["config"]


class Stops(FileCheckpointer):
    """Ends a training after three turns."""

    def stretch(self, ahead: int) -> int:
        return 1

    def look(self, left: Any, of: int) -> None:
        self._ending = left.turns >= 3
        super().after_chunk(left, of)


def stop(folder: pathlib.Path) -> None:
    """Leaves a training that was stopped."""
    learn(Stops(folder, 0.0, log=lambda line: None))


def go_on(folder: pathlib.Path) -> None:
    """Goes on with the training, and stops it at once where it can."""
    with contextlib.suppress(KeyboardInterrupt):
        stop(folder)


def learn(keeper: FileCheckpointer) -> None:
    """Trains what `TRAIN` does."""
    import headstart as hs
    from headstart.methods.strings import find_any

    hs.train(find_any(LEARNER), "CartPole-v1", 2_000, keep=keeper)


# ------------------------------------------------------------------------------------------------ damage


def damage_one(readers: list[Reader], luck: random.Random) -> tuple[str, str, str]:
    """Damages a file, has it read, and puts it back; returns its kind, how it was damaged, and what came of it."""
    reader = luck.choice(readers)
    file = luck.choice(reader.files)
    if reader.kind == "result":
        asked_of(file.parent)
    whole = file.read_bytes()
    how = luck.choice([name for name in WAYS if name != "another type" or file.suffix == ".json"])
    WAYS[how](file, whole, reader.files, luck)
    try:
        if file.is_file() and file.stat().st_size < 2**30 and file.read_bytes() == whole:  # changed for an equal one
            return damage_one(readers, luck)
        return reader.kind, how, outcome(reader, file)
    finally:
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        file.write_bytes(whole)


def outcome(reader: Reader, file: pathlib.Path) -> str:
    """Returns what comes of reading a damaged file."""
    try:
        reader.read(file)
    except InputError as error:
        return "refused" if str(file) in str(error) or str(file.parent) in str(error) else "unnamed"
    except Exception as error:
        print(f"{reader.kind} {file}: {type(error).__name__}: {error}", file=sys.stderr)
        return "uncaught"
    return "accepted"


def bytes_changed(file: pathlib.Path, whole: bytes, others: list[pathlib.Path], luck: random.Random) -> None:
    """Changes, loses or puts in some bytes."""
    file.write_bytes(changed(whole, luck))


def changed(data: bytes, luck: random.Random) -> bytes:
    """Returns the bytes with some changed, lost or put in."""
    found = bytearray(data)
    for _ in range(luck.choice((1, 1, 3, 20))):
        at, kind = luck.randrange(max(len(found), 1)), luck.randrange(3)
        if kind == 0:
            found[at : at + 1] = luck.randbytes(1)
        elif kind == 1:
            del found[at : at + luck.randrange(1, 30)]
        else:
            found[at : at + 8] = luck.choice(CHUNKS)
    return bytes(found)


def places(data: Any, here: tuple = ()) -> Iterator[tuple]:
    """Yields the way to everything in plain data."""
    for name, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*here, name)
        yield from places(inner, (*here, name))


def another_type(file: pathlib.Path, whole: bytes, others: list[pathlib.Path], luck: random.Random) -> None:
    """Puts something odd into one place of the JSON, or takes it out."""
    data = json.loads(whole)
    *way, last = luck.choice(list(places(data)))
    inner = functools.reduce(lambda inner, name: inner[name], way, data)
    if luck.random() < 0.2:
        del inner[last]
    else:
        inner[last] = luck.choice(ODD)
    file.write_text(json.dumps(data, indent=1) + "\n")


def exchanged(file: pathlib.Path, whole: bytes, others: list[pathlib.Path], luck: random.Random) -> None:
    """Puts another file of the kind into its place."""
    rest = [other for other in others if other != file and other.name == file.name]
    file.write_bytes(luck.choice(rest).read_bytes() if rest else b"{}")


def made(make: Callable[[pathlib.Path], Any]) -> Callable[..., None]:
    """Returns a way to put something that is no regular file into its place."""

    def damage(file: pathlib.Path, whole: bytes, others: list[pathlib.Path], luck: random.Random) -> None:
        file.unlink()
        make(file)

    return damage


WAYS: dict[str, Callable[..., Any]] = {
    "cut off": lambda file, whole, others, luck: file.write_bytes(whole[: luck.randrange(len(whole))]),
    "emptied": lambda file, whole, others, luck: file.write_bytes(b""),
    "bytes": bytes_changed,
    "a bit": lambda file, whole, others, luck: file.write_bytes(flipped(whole, luck)),
    "another type": another_type,
    "exchanged": exchanged,
    "a pipe": made(os.mkfifo),
    "a folder": made(lambda file: file.mkdir()),
    "a hole": lambda file, whole, others, luck: os.truncate(file, 10**12),
}


def flipped(data: bytes, luck: random.Random) -> bytes:
    """Returns the bytes with one bit changed."""
    at = luck.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << luck.randrange(8)]) + data[at + 1 :]


if __name__ == "__main__":
    main()
