"""A tiny study: its files, how it resumes and grows, and that one failure does not affect other rows."""

import contextlib
import dataclasses
import json
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from damage import CONFIG
from documented import documented

import headstart
from headstart.core.errors import InputError
from headstart.core.stages import learn_source as real_learn
from headstart.core.train import Progress
from headstart.lab.checkpoint import save_load
from headstart.lab.checkpoint.locks import locked
from headstart.lab.checkpoint.records import write_record
from headstart.lab.checkpoint.save_load import load
from headstart.lab.study import cross_evaluation, jobs, reuse, runner, source_training, study_folder
from headstart.lab.study.runner import compare
from headstart.lab.study.study import Study
from headstart.lab.study.study_tasks import make_study_tasks
from headstart.lab.watch import clips
from headstart.lab.watch.progress_event import CallbackError, ProgressEvent, ignore
from headstart.methods import Entry
from headstart.protocol import transfer
from headstart.protocol.shift import Effect, Shift
from headstart.protocol.study_config import StudyConfig

ROWS = ("random", "naive", "scratch", "finetune", "oracle")
VARYING_KEYS = ("seconds", "provenance", "date", "checksum", "cell")  # differ between runs of the same study


def without_varying(data: Any) -> Any:
    """Returns the data without the keys that differ between runs of the same study."""
    if isinstance(data, dict):
        return {name: without_varying(x) for name, x in data.items() if name not in VARYING_KEYS}
    return [without_varying(x) for x in data] if isinstance(data, list) else data


def study_data(out: pathlib.Path) -> Any:
    return without_varying(json.loads((out / "study.json").read_text()))


def files(out: pathlib.Path) -> dict[pathlib.Path, bytes]:
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def cell(out: pathlib.Path, row: str, seed: int) -> Any:
    return json.loads((out / "cells" / row / f"seed-{seed}" / "curve.json").read_text())


class CountingFunction:
    """A function that counts its calls."""

    def __init__(self, function: Callable):
        self.function, self.calls = function, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.function(*args, **kwargs)


def fail_if_called(*args: Any, **kwargs: Any) -> Iterator[Any]:
    raise AssertionError("nothing is left to train")


@pytest.fixture(scope="module")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[ProgressEvent], int]:
    """Returns the folder of a finished study, its progress events, and the number of source trainings."""
    out, events = tmp_path_factory.mktemp("study") / "new" / "folder", []
    with pytest.MonkeyPatch.context() as patch:
        counted = CountingFunction(real_learn)
        patch.setattr(source_training, "learn_source", counted)
        compare(CONFIG, out, command="headstart compare ...", watch=events.append)
    return out, events, counted.calls


@pytest.fixture
def out(finished_study, tmp_path: pathlib.Path) -> pathlib.Path:
    """Returns a copy of the finished study that a test may change."""
    return pathlib.Path(shutil.copytree(finished_study[0], tmp_path / "study"))


def test_study_writes_its_data_report_and_cells(finished_study):
    out, _, _ = finished_study
    data = json.loads((out / "study.json").read_text())
    assert data["status"] == "done"
    assert list(data["methods"]) == ["naive", "scratch", "finetune"]
    assert "finetune" in (out / "report.html").read_text()
    assert "finetune" in (out / "curves.svg").read_text()
    for row in ROWS:
        for seed in (0, 1):
            folder = out / "cells" / row / f"seed-{seed}"
            assert {path.name for path in folder.iterdir()} == {"params.safetensors", "recipe.json", "curve.json"}
            assert load(folder).seed == seed
    assert data["provenance"]["command"] == "headstart compare ..."
    assert {"versions", "commit", "command", "machine"} <= data["provenance"].keys()


def test_documentation_lists_all_keys_of_study_json(finished_study):
    data = json.loads((finished_study[0] / "study.json").read_text())
    assert documented("key") - {"matrix", "clips"} == set(data) - {"iqm", "low", "high"}
    for row in data["methods"].values():
        assert documented("key of a row") == set(row)
    assert documented("key of the shift") == set(data["shift"])


def test_cells_hold_costs_and_results(finished_study):
    out, _, _ = finished_study
    scratch, naive, finetune, oracle = (cell(out, row, 0) for row in ("scratch", "naive", "finetune", "oracle"))
    assert scratch["episodes"][:3] == [0, 1, 3]
    assert len(scratch["returns"]) == len(scratch["steps"]) == 5
    assert scratch["ledger"]["source_steps"] == 0
    assert scratch["ledger"]["target_steps"] == scratch["steps"][-1] >= 500
    assert naive["steps"] == [0, 500]
    assert naive["shots"] == dict.fromkeys("013", naive["returns"][0])
    assert naive["ledger"]["target_steps"] == 0
    assert naive["ledger"]["source_steps"] == finetune["ledger"]["source_steps"] == 256
    assert finetune["returns"][0] == naive["returns"][0]  # it starts from naive's policy
    assert finetune["ledger"]["gradient_steps"] > naive["ledger"]["gradient_steps"] == 8
    assert oracle["ledger"]["target_steps"] >= 750
    assert load(out / "cells" / "naive" / "seed-1").trained_on == "CartPole-v1"
    assert load(out / "cells" / "finetune" / "seed-1").trained_on == "CartPole-v1, then CartPole-v1@force=-10"


@pytest.mark.parametrize("row", ["naive", "finetune"])
def test_checkpoint_of_a_cell_has_the_returns_of_the_cell(finished_study, row):
    each = [load(finished_study[0] / "cells" / row / f"seed-{seed}") for seed in CONFIG.seeds]
    state = jax.tree.map(lambda *x: jnp.concatenate(x), *(first.state for first in each))
    tasks, seeds = make_study_tasks(CONFIG).target_tasks, transfer.keys(CONFIG.seeds)
    learner = each[0].method.learner(each[0].spec, target=True)
    returns = transfer.evaluate_state(learner, state, tasks, CONFIG.eval_episodes, seeds.evaluation).mean(1)
    assert returns.tolist() == [cell(finished_study[0], row, seed)["returns"][-1] for seed in CONFIG.seeds]


def test_naive_and_finetune_share_the_source_training(finished_study):
    out, events, calls = finished_study
    assert calls == 1
    assert len(list((out / "sources").iterdir())) == 1
    assert {(first.row, first.stage) for first in events} == {
        ("random", "target"), ("naive", "source"), ("naive", "target"), ("scratch", "target"), ("finetune", "target"),
        ("oracle", "target"),
    }  # fmt: skip


def test_finished_study_trains_nothing_again(out, monkeypatch):
    before = files(out / "cells")
    monkeypatch.setattr(source_training, "learn_source", fail_if_called)
    monkeypatch.setattr(transfer, "adapt", fail_if_called)
    data = compare(CONFIG, out, command="headstart compare ...")
    assert data["status"] == "done"
    assert files(out / "cells") == before


def test_matrix_is_part_of_the_study_data_and_report(out, monkeypatch):
    left_out = {"left_out": "it cannot be had"}
    done = lambda out, *rest: (out / "matrix.json").exists()
    monkeypatch.setattr(cross_evaluation, "is_done", done)
    write_left_out = lambda out, *rest: write_record(
        out / "matrix.json", cross_evaluation.FORMAT, {**left_out, "config": cross_evaluation.matrix_config(*rest[:3])}
    )
    monkeypatch.setattr(cross_evaluation, "run", write_left_out)
    assert compare(CONFIG, out)["matrix"] == left_out
    assert study_data(out)["matrix"] == left_out
    assert "This section is left out. it cannot be had" in (out / "report.html").read_text()


def test_clips_are_added_to_a_finished_study_and_change_nothing_else(finished_study, out, monkeypatch):
    monkeypatch.setattr(source_training, "learn_source", fail_if_called)
    monkeypatch.setattr(transfer, "adapt", fail_if_called)
    before = files(out / "cells")
    data = compare(CONFIG, out, video=True)
    assert {row: list(stages) for row, stages in data["clips"].items()} == {
        "finetune": ["before", "after"], "naive": ["before"], "scratch": ["before", "after"],
    }  # fmt: skip
    assert data["clips"]["finetune"]["before"] == data["clips"]["naive"]["before"]  # it starts from naive's policy
    assert files(out / "cells") == before
    assert {name: x for name, x in study_data(out).items() if name != "clips"} == study_data(finished_study[0])
    page = (out / "report.html").read_text()
    assert "Before and after" in page
    assert page.count('<img src="data:image/webp;base64,') == 5

    clip_files = files(out / "clips")
    (out / "clips" / "naive" / "before.webp").unlink()
    monkeypatch.setattr(clips, "picture", fail_if_called)
    assert "AssertionError: nothing is left" in compare(CONFIG, out, video=True)["clips"]["naive"]["before"]["failed"]
    assert "no clip. AssertionError: nothing is left" in (out / "report.html").read_text()
    after = files(out / "clips")
    assert {path: x for path, x in after.items() if "naive" not in path.parts} == {
        path: x for path, x in clip_files.items() if "naive" not in path.parts
    }


def test_deleted_cell_is_run_again_with_the_same_result(finished_study, out, monkeypatch):
    rows, real = [], transfer.adapt
    monkeypatch.setattr(source_training, "learn_source", fail_if_called)
    monkeypatch.setattr(transfer, "adapt", lambda method, *rest: rows.append(method) or real(method, *rest))
    before = files(out / "cells")
    shutil.rmtree(out / "cells" / "finetune" / "seed-1")
    compare(CONFIG, out)
    assert [type(method).__name__ for method in rows] == ["Finetune"]
    folder = pathlib.Path("finetune") / "seed-1"
    after = files(out / "cells")
    assert after[folder / "params.safetensors"] == before[folder / "params.safetensors"]
    assert {path: x for path, x in after.items() if folder not in path.parents} == {
        path: x for path, x in before.items() if folder not in path.parents
    }
    assert without_varying(cell(out, "finetune", 1)) == without_varying(cell(finished_study[0], "finetune", 1))
    assert study_data(out) == study_data(finished_study[0])


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"target": "CartPole-v1@force=-9"}, "target"),
        ({"source": "CartPole-v1@force=9"}, "source"),
        ({"learner": "ppo"}, "learner"),
    ],
)
def test_study_folder_of_another_study_is_not_changed(out, fields, key):
    before = files(out)
    with pytest.raises(InputError, match=rf"holds another study \(its {key} differ\); choose another --out"):
        compare(dataclasses.replace(CONFIG, **fields), out)
    assert files(out) == before


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda out: out.write_text("mine"), "is a file; choose another --out"),
        (lambda out: (out.mkdir(), (out / "mine.txt").write_text("")), "not empty and holds no study"),
        (lambda out: (out.mkdir(), (out / "study.json").write_text("{")), "cannot be read as JSON"),
        (lambda out: (out.mkdir(), (out / "study.json").write_text("[]")), "not a record of this version of headstart"),
    ],
)
def test_folder_that_holds_something_else_is_not_changed(tmp_path, make, sentence):
    out = tmp_path / "study"
    make(out)
    before = files(tmp_path)
    with pytest.raises(InputError, match=sentence):
        compare(CONFIG, out)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"target": "CartPole-v1@force=10"}, "are the same task.*--allow-no-shift"),
        ({"target": "Pendulum-v1"}, r"CartPole-v1 and --target Pendulum-v1 have unequal observation spaces"),
        ({"ensemble": "Pendulum-v1@mass=1..2"}, "--ensemble Pendulum-v1 have unequal"),
        ({"ensemble": "CartPole-v1@force=9"}, r"has no random parameter; write a range"),
        ({"methods": ("finetune:freeze=policy.nothing",)}, "cannot freeze 'policy.nothing'"),
        ({"methods": ("epopt",)}, "name one, such as --ensemble"),
        ({"physics": "unreal"}, "choose one of auto, c, mjx"),
        ({"methods": ("scratch", "finetune:freeze=polcy")}, r"cannot freeze 'polcy'.*the names are normalizer\.mean,"),
    ],
)
def test_invalid_study_writes_nothing(tmp_path, fields, sentence):
    with pytest.raises(InputError, match=sentence):
        compare(dataclasses.replace(CONFIG, **fields), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_row_that_cannot_run_is_left_out_with_its_reason(tmp_path):
    config = dataclasses.replace(CONFIG, methods=("scratch", "darc"), learner=None)
    study = Study(config, tmp_path / "out", ignore)
    assert [entry.name for entry, _ in study.rows] == ["random", "naive", "scratch", "oracle"]
    assert study.left_out == {"darc": "SAC needs continuous actions, and this task's are discrete; use DQN or PPO."}


def shift_of_size(size: float, same: bool = False) -> Shift:
    """Returns a shift of that effect on returns."""
    return Shift(Effect(0.0, 0.0, 0.0, 0.0, size), {}, {"force": ("10", "9")}, same)


def test_nearest_source_has_the_smallest_absolute_effect(monkeypatch):
    config = dataclasses.replace(CONFIG, source="CartPole-v1@force=9 + CartPole-v1@force=8")
    sizes = iter([-3.0, 0.5])
    monkeypatch.setattr("headstart.lab.study.study_tasks.shift", lambda *_: shift_of_size(next(sizes)))
    assert make_study_tasks(config).shift().combined.returns == 0.5


def test_study_without_a_difference_also_measures_along_the_source_policy(out, monkeypatch, capsys):
    policies = []

    def shift(source: Any, target: Any, key: Any, policy: Any) -> Shift:
        policies.append(policy)
        return shift_of_size(0.0 if policy is None else 0.3)

    monkeypatch.setattr("headstart.lab.study.study_tasks.shift", shift)
    data = compare(CONFIG, out)
    warning = "No difference was measured, although force (10 → 9) differs. Either random actions do"
    assert warning in capsys.readouterr().err
    assert [policy is None for policy in policies] == [True, False]
    known = load(out / "cells" / "naive" / "seed-0").state.params
    assert all(jax.tree.leaves(jax.tree.map(lambda x, y: (x == y[0]).all(), policies[1].params, known)))
    assert data["shift"]["return"] == 0.3


# ------------------------------------------------------------------------------------------------ a study that grows


def record_adaptations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Returns a list to which each run in the target adds its method and its number of seeds."""
    adaptations, real = [], transfer.adapt

    def recorded_adapt(
        method: Any, prior: Any, target: Any, steps: int, shots: Any, keys: transfer.Keys, *rest: Any
    ) -> Any:
        adaptations.append((type(method).__name__, len(keys.evaluation)))
        return real(method, prior, target, steps, shots, keys, *rest)

    monkeypatch.setattr(transfer, "adapt", recorded_adapt)
    return adaptations


def test_more_seeds_run_only_the_new_seeds(finished_study, out, monkeypatch, capsys):
    adaptations, before = record_adaptations(monkeypatch), files(out / "cells")
    data = compare(dataclasses.replace(CONFIG, seeds=(0, 1, 2)), out)
    assert adaptations == [("Uniform", 1), ("PPO", 1), ("PPO", 1), ("Finetune", 1), ("PPO", 1)]
    assert files(out / "cells").items() > before.items()
    assert np.shape(data["methods"]["finetune"]["curve"]["returns"])[0] == 3
    assert "reused: random (seeds 0, 1), naive (seeds 0, 1)" in capsys.readouterr().err
    assert cell(out, "naive", 2)["group"] == [2]
    shutil.rmtree(out / "cells" / "finetune" / "seed-2")
    adaptations.clear()
    compare(dataclasses.replace(CONFIG, seeds=(0, 1, 2)), out)
    assert adaptations == [("Finetune", 1)]  # with the seeds of its group
    adaptations.clear()
    compare(CONFIG, out)
    assert (adaptations, study_data(out)) == ([], study_data(finished_study[0]))  # a smaller study again


def test_larger_target_budget_reuses_the_source_training(finished_study, out, monkeypatch, capsys):
    monkeypatch.setattr(source_training, "learn_source", fail_if_called)
    adaptations, before = record_adaptations(monkeypatch), files(out / "cells")
    larger = dataclasses.replace(CONFIG, target_steps=700)
    data = compare(larger, out)
    assert len(adaptations) == 5
    assert data["methods"]["scratch"]["ledger"]["target_steps"] >= 700
    assert files(out / "cells").items() > before.items()  # the former cells stay
    err = capsys.readouterr().err
    assert (
        "run: finetune (seeds 0, 1) again, because its target_steps changed; the old cells stay; its source training"
        in err
    )
    adaptations.clear()
    compare(larger, out)
    compare(CONFIG, out)
    assert (adaptations, study_data(out)) == ([], study_data(finished_study[0]))


def test_settings_that_no_cell_depends_on_run_nothing(out, monkeypatch):
    adaptations = record_adaptations(monkeypatch)
    data = compare(dataclasses.replace(CONFIG, threshold=100.0, methods=("finetune",), oracle=False), out)
    assert (adaptations, data["threshold"], list(data["methods"])) == ([], 100.0, ["naive", "scratch", "finetune"])


def test_cells_of_other_library_versions_are_reused_with_a_message(out, monkeypatch, capsys):
    monkeypatch.setattr(reuse, "versions", lambda: {"jax": "99.0"})
    monkeypatch.setattr(transfer, "adapt", fail_if_called)
    compare(CONFIG, out)
    assert re.search(r"some of these were written with .*jax \S+, now 99\.0", capsys.readouterr().err)


def test_more_shots_run_only_the_rows_that_take_shots(out, monkeypatch):
    monkeypatch.setattr(source_training, "learn_source", fail_if_called)
    adaptations = record_adaptations(monkeypatch)
    data = compare(dataclasses.replace(CONFIG, shots=(0, 1, 2, 3)), out)
    assert ("PPO", 2) in adaptations
    assert len(adaptations) == 4  # the oracle takes none
    assert list(data["methods"]["finetune"]["shots"]) == ["0", "1", "2", "3"]


def test_adding_an_ensemble_runs_only_the_rows_that_use_it(out, monkeypatch):
    config = dataclasses.replace(CONFIG, ensemble="CartPole-v1@force=5..15", methods=(*CONFIG.methods, "randomize"))
    study = Study(config, out, ignore)
    assert {entry.name: study.missing(entry, method) for entry, method in study.rows} == {
        **{row: [] for row in ("random", "scratch", "oracle")},
        **{row: [0, 1] for row in ("naive", "finetune", "randomize")},  # which are evaluated on the ensemble too
    }


# ------------------------------------------------------------------------------------------------ several processes


def test_row_locked_by_another_process_is_awaited(finished_study, out, monkeypatch, capsys):
    """The other process is represented by a lock, which is released when this process waits."""
    for row in ("naive", "finetune"):
        shutil.rmtree(out / "cells" / row)
    (source,) = (out / "sources").iterdir()
    shutil.rmtree(source / "seed-0")
    with contextlib.ExitStack() as second, contextlib.ExitStack() as source_lock:
        second.enter_context(locked(out / "cells" / "naive"))
        source_lock.enter_context(locked(source))
        locks = [second, source_lock]
        monkeypatch.setattr(jobs.time, "sleep", lambda seconds: locks.pop().close())
        adaptations = record_adaptations(monkeypatch)
        compare(CONFIG, out)
    assert (locks, [method for method, _ in adaptations]) == ([], ["Finetune", "PPO"])
    assert "waiting for naive, finetune, which another process runs" in capsys.readouterr().err
    assert study_data(out) == study_data(finished_study[0])
    assert not list(out.rglob(".*"))


def test_results_are_saved_elsewhere_if_the_disk_is_full(finished_study, out, tmp_path, monkeypatch):
    def full_disk(folder: pathlib.Path, *rest: Any) -> None:
        if out in folder.parents:
            raise OSError(28, "No space left on device")
        real(folder, *rest)

    shutil.rmtree(out / "cells" / "finetune")
    monkeypatch.chdir(tmp_path)
    real = save_load.write_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(save_load, "write_checkpoint", full_disk)
        with pytest.raises(
            InputError, match=r"finetune could not be written \(No space left .* is saved in .*headstart-f"
        ):
            compare(CONFIG, out)
    (elsewhere,) = tmp_path.glob("headstart-finetune-*")
    shutil.copytree(elsewhere, out / "cells" / "finetune")
    monkeypatch.setattr(transfer, "adapt", fail_if_called)
    compare(CONFIG, out)
    assert study_data(out) == study_data(finished_study[0])


# ------------------------------------------------------------------------------------------------ stops and damage


@pytest.mark.parametrize("left", [".study.json.abcdefgh.part", ".lock", "cells", "curves.svg"])
def test_files_of_a_killed_process_are_ignored(tmp_path, left):
    (tmp_path / left).mkdir() if left == "cells" else (tmp_path / left).touch()
    study_folder.check_folder(tmp_path, CONFIG)
    with locked(tmp_path, wait=True):
        pass
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def flip_a_bit(file: pathlib.Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    "file",
    [
        "study.json",
        "cells/naive/seed-0/curve.json",
        "cells/finetune/seed-1/curve.json",
        "sources/*/seed-0/curve.json",
        "sources/*/seed-1/recipe.json",
        "sources/*/seed-1/params.safetensors",
    ],
)
def test_damaged_file_is_named(out, file):
    (path,) = out.glob(file)
    flip_a_bit(path)
    if file.startswith("sources"):  # read only if a row needs them
        shutil.rmtree(out / "cells" / "finetune")
    with pytest.raises(InputError, match=re.escape(str(path))) as error:
        compare(CONFIG, out)
    assert "move " in str(error.value) or "another copy" in str(error.value)


def test_missing_study_json_is_written_again(finished_study, out, monkeypatch):
    monkeypatch.setattr(transfer, "adapt", fail_if_called)
    (out / "study.json").unlink()
    compare(CONFIG, out)
    assert study_data(out) == study_data(finished_study[0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cells/naive/seed-0/curve.json", "cells/naive/seed-1/curve.json"),
        ("cells/naive/seed-0/curve.json", "cells/finetune/seed-0/curve.json"),
        ("sources/*/seed-0/curve.json", "sources/*/seed-1/curve.json"),
        ("sources/*/seed-0", "sources/*/seed-1"),
    ],
)
def test_exchanged_files_are_refused(out, tmp_path, first, second):
    (first,), (second,) = out.glob(first), out.glob(second)
    first.rename(tmp_path / "it")
    second.rename(first)
    (tmp_path / "it").rename(second)
    if "sources" in str(first):
        shutil.rmtree(out / "cells" / "naive")
    with pytest.raises(InputError, match=r"is another cell's; move .* away, and the same command runs it again"):
        compare(CONFIG, out)


def test_checkpoint_of_another_cell_is_refused(out):
    for name in ("recipe.json", "params.safetensors"):
        first, second = (next(out.glob(f"sources/*/seed-{i}/{name}")) for i in (0, 1))
        shutil.copy(first, second)
    shutil.rmtree(out / "cells" / "naive")
    with pytest.raises(InputError, match=r"seed-1/recipe\.json is another cell's"):
        compare(CONFIG, out)


class Stop:
    """A callback that raises KeyboardInterrupt at the n-th event of a stage."""

    def __init__(self, row: str, stage: str, events: int):
        self.at, self.news = (row, stage), events

    def __call__(self, events: ProgressEvent) -> None:
        self.news -= (events.row, events.stage) == self.at
        if self.news == 0:
            raise KeyboardInterrupt


def test_interrupted_study_keeps_finished_cells_and_resumes(finished_study, tmp_path, monkeypatch):
    out = tmp_path / "study"
    with pytest.raises(KeyboardInterrupt):
        compare(CONFIG, out, watch=Stop("naive", "source", 1))
    assert {path.name for path in (out / "cells").iterdir()} == {"random"}
    with pytest.raises(KeyboardInterrupt):
        compare(CONFIG, out, watch=Stop("finetune", "target", 3))
    assert {path.name for path in (out / "cells").iterdir()} == {"random", "naive", "scratch"}
    assert json.loads((out / "study.json").read_text())["status"] == "running"
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]  # nothing half written
    monkeypatch.setattr(source_training, "learn_source", fail_if_called)  # the source was finished
    compare(CONFIG, out)
    assert study_data(out) == study_data(finished_study[0])


def broken_learn(*args: Any) -> Iterator[Progress]:
    """Yields the real training with params of the first seed that are not finite."""
    for point in real_learn(*args):
        broken = jax.tree.map(lambda x: x.at[0].set(jnp.nan), point.params)
        yield point._replace(state=point.state.replace(params=broken))


def test_seed_that_diverges_in_the_source_fails_alone_and_runs_again(finished_study, tmp_path, monkeypatch):
    counted = CountingFunction(broken_learn)
    monkeypatch.setattr(source_training, "learn_source", counted)
    data = compare(CONFIG, tmp_path)
    assert counted.calls == 1
    for row in ("naive", "finetune"):
        assert data["methods"][row]["failed"] == {
            0: "the training in the source diverged: its parameters are no longer finite"
        }
        assert without_varying(cell(tmp_path, row, 1))["shots"].keys() == {"0", "1", "3"}
        assert cell(tmp_path, row, 0)["returns"] == []
    assert cell(tmp_path, "naive", 1)["returns"] == cell(finished_study[0], "naive", 1)["returns"]
    assert data["methods"]["scratch"]["failed"] == {}
    assert "failed" in (tmp_path / "report.html").read_text()
    monkeypatch.setattr(source_training, "learn_source", real_learn)
    compare(CONFIG, tmp_path)
    assert study_data(tmp_path) == study_data(finished_study[0])


def test_seed_that_diverges_in_the_target_fails_alone_and_runs_again(finished_study, out, monkeypatch):
    def broken(*args: Any) -> Iterator[transfer.Evaluation]:
        for evaluation in real(*args):
            yield (
                evaluation
                if evaluation.shots == 0
                else evaluation._replace(returns=evaluation.returns * np.array([[np.nan], [1.0]], np.float32))
            )

    real = transfer.adapt
    monkeypatch.setattr(transfer, "adapt", broken)
    shutil.rmtree(out / "cells" / "finetune")
    data = compare(CONFIG, out)
    reason = "the training in the target diverged: its parameters are no longer finite"
    assert data["methods"]["finetune"]["failed"] == {0: reason}
    assert data["methods"]["finetune"]["metrics"]["asymptote"]["left_out"] == 1
    assert cell(out, "finetune", 0)["returns"][1] is None
    monkeypatch.setattr(transfer, "adapt", real)
    compare(CONFIG, out)
    assert study_data(out) == study_data(finished_study[0])


def test_row_that_raises_fails_alone_with_its_reason(out, monkeypatch):
    def broken(study: Study, entry: Entry, *rest: Any) -> Any:
        if entry.name == "scratch":
            raise ZeroDivisionError("the cart fell off\nat great length")
        return real(study, entry, *rest)

    real = runner._run
    monkeypatch.setattr(runner, "_run", broken)
    for row in ("scratch", "oracle"):
        shutil.rmtree(out / "cells" / row)
    data = compare(CONFIG, out)
    assert data["methods"]["scratch"]["failed"] == dict.fromkeys((0, 1), "ZeroDivisionError: the cart fell off")
    assert data["methods"]["scratch"]["verdict"] is None
    assert data["methods"]["finetune"]["failed"] == {}
    assert data["reference"]["oracle"] is not None
    assert data["status"] == "done"
    study = Study(CONFIG, out, ignore)
    missing = lambda: {entry.name: study.missing(entry, method) for entry, method in study.rows}
    done = {row: [] for row in ROWS}
    assert missing() == {**done, "scratch": [0, 1]}  # which the same command runs again
    study.start_time = 0.0  # as for a process that started before the failure
    assert missing() == done


def test_error_of_the_callback_is_not_a_failure_of_a_row(out):
    def watch(events: ProgressEvent) -> None:
        raise ZeroDivisionError("nothing to divide")

    shutil.rmtree(out / "cells" / "naive")
    with pytest.raises(CallbackError, match="failed at naive, target: ZeroDivisionError"):
        compare(CONFIG, out, watch=watch)
    assert not (out / "cells" / "naive").exists()


def test_absurd_learning_rate_fails_the_row_without_an_error(tmp_path):
    """Uses the public function, with settings in a method string, tasks as objects, and lists for tuples."""
    absurd = "finetune:base.learning_rate=1e30:base.hidden=4"
    data = headstart.compare(
        [absurd],
        headstart.task("CartPole-v1"),
        headstart.task("CartPole-v1", force=-10),
        tmp_path,
        **{**{f.name: getattr(CONFIG, f.name) for f in dataclasses.fields(CONFIG)[4:]}, "oracle": False},
    )
    row = data["methods"]["finetune base.learning_rate-1e30 base.hidden-4"]
    assert set(row["failed"]) == {0, 1}
    assert "no longer finite" in row["failed"][0]
    assert data["methods"]["naive"]["failed"] == {}
    assert data["provenance"]["command"].startswith(
        "headstart.compare(source='CartPole-v1', target='CartPole-v1@force=-10'"
    )
    assert eval(data["provenance"]["command"], {"headstart": Spy}) == StudyConfig(**data["config"] | {
        name: tuple(data["config"][name]) for name in ("methods", "shots", "seeds")
    })  # fmt: skip


class Spy:
    """Replaces headstart when a recorded command is evaluated."""

    @staticmethod
    def compare(**fields: Any) -> StudyConfig:
        assert fields.pop("out")
        assert not fields.pop("allow_no_shift")
        return StudyConfig(**fields)
