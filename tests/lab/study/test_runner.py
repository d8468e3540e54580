"""A whole study, tiny: what it leaves on disk, that it goes on where it was left, and that one failure stays one."""

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

# One turn of PPO in the source, two in the target; two seeds, so that all studies here share their compiled programs.
# test_cli.py asks for the same.
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
    learner="ppo:hidden=8:num_envs=4:num_steps=64:num_epochs=2",
)
ROWS = ("random", "naive", "scratch", "finetune", "oracle")
PASSING = ("seconds", "provenance", "date", "checksum", "cell")  # what is another each time


def lasting(data: Any) -> Any:
    """Returns the data without what is another each time."""
    if isinstance(data, dict):
        return {name: lasting(x) for name, x in data.items() if name not in PASSING}
    return [lasting(x) for x in data] if isinstance(data, list) else data


def told(out: pathlib.Path) -> Any:
    return lasting(json.loads((out / "study.json").read_text()))


def files(out: pathlib.Path) -> dict[pathlib.Path, bytes]:
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def cell(out: pathlib.Path, row: str, seed: int) -> Any:
    return json.loads((out / "cells" / row / f"seed-{seed}" / "curve.json").read_text())


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable):
        self.function, self.calls = function, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.function(*args, **kwargs)


def never(*args: Any, **kwargs: Any) -> Iterator[Any]:
    raise AssertionError("nothing was left to train")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[ProgressEvent], int]:
    """Returns the folder of a finished study, what its watcher was told, and how often the source was trained on."""
    out, news = tmp_path_factory.mktemp("study") / "new" / "folder", []
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(real_learn)
        patch.setattr(source_training, "learn_source", counted)
        compare(QUESTION, out, command="headstart compare ...", watch=news.append)
    return out, news, counted.calls


@pytest.fixture
def out(whole, tmp_path: pathlib.Path) -> pathlib.Path:
    """Returns a copy of the finished study, to do things to."""
    return pathlib.Path(shutil.copytree(whole[0], tmp_path / "study"))


def test_a_study_leaves_its_data_its_report_and_its_cells(whole):
    out, _, _ = whole
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


def test_the_page_of_files_describes_study_json(whole):
    data = json.loads((whole[0] / "study.json").read_text())
    assert documented("key") - {"matrix", "clips"} == set(data) - {"iqm", "low", "high"}
    for row in data["methods"].values():
        assert documented("key of a row") == set(row)
    assert documented("key of the shift") == set(data["shift"])


def test_cells_tell_what_was_spent_and_what_came_of_it(whole):
    out, _, _ = whole
    scratch, naive, finetune, oracle = (cell(out, row, 0) for row in ("scratch", "naive", "finetune", "oracle"))
    assert scratch["episodes"][:3] == [0, 1, 3]
    assert len(scratch["returns"]) == len(scratch["steps"]) == 5
    assert scratch["ledger"]["source_steps"] == 0
    assert scratch["ledger"]["target_steps"] == scratch["steps"][-1] >= 500
    assert naive["steps"] == [0, 500]
    assert naive["shots"] == dict.fromkeys("013", naive["returns"][0])
    assert naive["ledger"]["target_steps"] == 0
    assert naive["ledger"]["source_steps"] == finetune["ledger"]["source_steps"] == 256
    assert finetune["returns"][0] == naive["returns"][0]  # it starts from what naive runs
    assert finetune["ledger"]["gradient_steps"] > naive["ledger"]["gradient_steps"] == 8
    assert oracle["ledger"]["target_steps"] >= 750
    assert load(out / "cells" / "naive" / "seed-1").trained_on == "CartPole-v1"
    assert load(out / "cells" / "finetune" / "seed-1").trained_on == "CartPole-v1, then CartPole-v1@force=-10"


@pytest.mark.parametrize("row", ["naive", "finetune"])
def test_what_a_cell_knows_is_judged_as_the_cell_was(whole, row):
    each = [load(whole[0] / "cells" / row / f"seed-{seed}") for seed in QUESTION.seeds]
    state = jax.tree.map(lambda *x: jnp.concatenate(x), *(one.state for one in each))
    tasks, seeds = make_study_tasks(QUESTION).target_tasks, transfer.keys(QUESTION.seeds)
    learner = each[0].method.learner(each[0].spec, target=True)
    returns = transfer.evaluate_state(learner, state, tasks, QUESTION.eval_episodes, seeds.evaluation).mean(1)
    assert returns.tolist() == [cell(whole[0], row, seed)["returns"][-1] for seed in QUESTION.seeds]


def test_naive_and_finetune_share_what_the_source_taught(whole):
    out, news, calls = whole
    assert calls == 1
    assert len(list((out / "sources").iterdir())) == 1
    assert {(one.row, one.stage) for one in news} == {
        ("random", "target"), ("naive", "source"), ("naive", "target"), ("scratch", "target"), ("finetune", "target"),
        ("oracle", "target"),
    }  # fmt: skip


def test_a_finished_study_trains_nothing_again(out, monkeypatch):
    before = files(out / "cells")
    monkeypatch.setattr(source_training, "learn_source", never)
    monkeypatch.setattr(transfer, "adapt", never)
    again = compare(QUESTION, out, command="headstart compare ...")
    assert again["status"] == "done"
    assert files(out / "cells") == before


def test_what_is_found_of_each_source_on_each_task_is_part_of_the_study(out, monkeypatch):
    found = {"left_out": "it cannot be had"}
    done = lambda out, *rest: (out / "matrix.json").exists()
    monkeypatch.setattr(cross_evaluation, "is_done", done)
    put = lambda out, *rest: write_record(
        out / "matrix.json", cross_evaluation.FORMAT, {**found, "config": cross_evaluation.matrix_config(*rest[:3])}
    )
    monkeypatch.setattr(cross_evaluation, "run", put)
    assert compare(QUESTION, out)["matrix"] == found
    assert told(out)["matrix"] == found
    assert "It is left out. it cannot be had" in (out / "report.html").read_text()


def test_clips_are_added_to_a_finished_study_and_change_nothing_else(whole, out, monkeypatch):
    monkeypatch.setattr(source_training, "learn_source", never)
    monkeypatch.setattr(transfer, "adapt", never)
    before = files(out / "cells")
    data = compare(QUESTION, out, video=True)
    assert {row: list(stages) for row, stages in data["clips"].items()} == {
        "finetune": ["before", "after"], "naive": ["before"], "scratch": ["before", "after"],
    }  # fmt: skip
    assert data["clips"]["finetune"]["before"] == data["clips"]["naive"]["before"]  # it starts from what naive runs
    assert files(out / "cells") == before
    assert {name: x for name, x in told(out).items() if name != "clips"} == told(whole[0])
    page = (out / "report.html").read_text()
    assert "Before and after" in page
    assert page.count('<img src="data:image/webp;base64,') == 5

    made = files(out / "clips")
    (out / "clips" / "naive" / "before.webp").unlink()
    monkeypatch.setattr(clips, "picture", never)
    assert (
        "AssertionError: nothing was left" in compare(QUESTION, out, video=True)["clips"]["naive"]["before"]["failed"]
    )
    assert "no clip. AssertionError: nothing was left" in (out / "report.html").read_text()
    kept = files(out / "clips")
    assert {path: x for path, x in kept.items() if "naive" not in path.parts} == {
        path: x for path, x in made.items() if "naive" not in path.parts
    }


def test_a_deleted_cell_is_run_again_and_comes_to_the_same(whole, out, monkeypatch):
    rows, real = [], transfer.adapt
    monkeypatch.setattr(source_training, "learn_source", never)
    monkeypatch.setattr(transfer, "adapt", lambda method, *rest: rows.append(method) or real(method, *rest))
    before = files(out / "cells")
    shutil.rmtree(out / "cells" / "finetune" / "seed-1")
    compare(QUESTION, out)
    assert [type(method).__name__ for method in rows] == ["Finetune"]
    gone = pathlib.Path("finetune") / "seed-1"
    after = files(out / "cells")
    assert after[gone / "params.safetensors"] == before[gone / "params.safetensors"]
    assert {path: x for path, x in after.items() if gone not in path.parents} == {
        path: x for path, x in before.items() if gone not in path.parents
    }
    assert lasting(cell(out, "finetune", 1)) == lasting(cell(whole[0], "finetune", 1))
    assert told(out) == told(whole[0])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"target": "CartPole-v1@force=-9"}, "target"),
        ({"source": "CartPole-v1@force=9"}, "source"),
        ({"learner": "ppo"}, "learner"),
    ],
)
def test_another_study_leaves_a_study_as_it_is(out, fields, named):
    before = files(out)
    with pytest.raises(InputError, match=rf"holds another study \(its {named} differ\); choose another --out"):
        compare(dataclasses.replace(QUESTION, **fields), out)
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
def test_a_folder_that_is_something_else_is_left_as_it_is(tmp_path, make, sentence):
    out = tmp_path / "study"
    make(out)
    before = files(tmp_path)
    with pytest.raises(InputError, match=sentence):
        compare(QUESTION, out)
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
def test_a_question_without_an_answer_writes_nothing(tmp_path, fields, sentence):
    with pytest.raises(InputError, match=sentence):
        compare(dataclasses.replace(QUESTION, **fields), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_cannot_run_is_left_out_with_its_reason(tmp_path):
    config = dataclasses.replace(QUESTION, methods=("scratch", "darc"), learner=None)
    asked = Study(config, tmp_path / "out", ignore)
    assert [entry.name for entry, _ in asked.rows] == ["random", "naive", "scratch", "oracle"]
    assert asked.left_out == {"darc": "SAC needs continuous actions, and this task's are discrete; use DQN or PPO."}


def found(size: float, same: bool = False) -> Shift:
    """Returns a shift of that effect on returns."""
    return Shift(Effect(0.0, 0.0, 0.0, 0.0, size), {}, {"force": ("10", "9")}, same)


def test_the_nearest_source_has_the_smallest_effect_of_either_sign(monkeypatch):
    config = dataclasses.replace(QUESTION, source="CartPole-v1@force=9 + CartPole-v1@force=8")
    sizes = iter([-3.0, 0.5])
    monkeypatch.setattr("headstart.lab.study.study_tasks.shift", lambda *_: found(next(sizes)))
    assert make_study_tasks(config).shift().combined.returns == 0.5


def test_where_no_difference_is_found_a_study_says_so_and_looks_along_the_sources_policy(out, monkeypatch, capsys):
    looks = []

    def look(source: Any, target: Any, key: Any, policy: Any) -> Shift:
        looks.append(policy)
        return found(0.0 if policy is None else 0.3)

    monkeypatch.setattr("headstart.lab.study.study_tasks.shift", look)
    data = compare(QUESTION, out)
    assert "No difference was found, though force (10 → 9) differs: random actions do" in capsys.readouterr().err
    assert [policy is None for policy in looks] == [True, False]
    known = load(out / "cells" / "naive" / "seed-0").state.params
    assert all(jax.tree.leaves(jax.tree.map(lambda x, y: (x == y[0]).all(), looks[1].params, known)))
    assert data["shift"]["return"] == 0.3


# ------------------------------------------------------------------------------------------------ a study that grows


def adapted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Returns a list that fills with the methods that are run in the target, and how many seeds of them."""
    found, real = [], transfer.adapt

    def told(method: Any, prior: Any, target: Any, steps: int, shots: Any, keys: transfer.Keys, *rest: Any) -> Any:
        found.append((type(method).__name__, len(keys.evaluation)))
        return real(method, prior, target, steps, shots, keys, *rest)

    monkeypatch.setattr(transfer, "adapt", told)
    return found


def test_more_seeds_run_the_new_ones_alone(whole, out, monkeypatch, capsys):
    ran, before = adapted(monkeypatch), files(out / "cells")
    data = compare(dataclasses.replace(QUESTION, seeds=(0, 1, 2)), out)
    assert ran == [("Uniform", 1), ("PPO", 1), ("PPO", 1), ("Finetune", 1), ("PPO", 1)]
    assert files(out / "cells").items() > before.items()
    assert np.shape(data["methods"]["finetune"]["curve"]["returns"])[0] == 3
    assert "reused: random (seeds 0, 1), naive (seeds 0, 1)" in capsys.readouterr().err
    assert cell(out, "naive", 2)["group"] == [2]
    shutil.rmtree(out / "cells" / "finetune" / "seed-2")
    ran.clear()
    compare(dataclasses.replace(QUESTION, seeds=(0, 1, 2)), out)
    assert ran == [("Finetune", 1)]  # with those that it ran with before
    ran.clear()
    compare(QUESTION, out)
    assert (ran, told(out)) == ([], told(whole[0]))  # a smaller question again


def test_a_larger_target_budget_uses_what_was_learned_in_the_source(whole, out, monkeypatch, capsys):
    monkeypatch.setattr(source_training, "learn_source", never)
    ran, before = adapted(monkeypatch), files(out / "cells")
    larger = dataclasses.replace(QUESTION, target_steps=700)
    data = compare(larger, out)
    assert len(ran) == 5
    assert data["methods"]["scratch"]["ledger"]["target_steps"] >= 700
    assert files(out / "cells").items() > before.items()  # the former cells stay
    err = capsys.readouterr().err
    assert (
        "run: finetune (seeds 0, 1) again, because its target_steps changed; the old cells stay; its source training"
        in err
    )
    ran.clear()
    compare(larger, out)
    compare(QUESTION, out)
    assert (ran, told(out)) == ([], told(whole[0]))


def test_what_no_cell_depends_on_runs_nothing(out, monkeypatch):
    ran = adapted(monkeypatch)
    data = compare(dataclasses.replace(QUESTION, threshold=100.0, methods=("finetune",), oracle=False), out)
    assert (ran, data["threshold"], list(data["methods"])) == ([], 100.0, ["naive", "scratch", "finetune"])


def test_cells_of_other_versions_are_used_again_and_that_is_said(out, monkeypatch, capsys):
    monkeypatch.setattr(reuse, "versions", lambda: {"jax": "99.0"})
    monkeypatch.setattr(transfer, "adapt", never)
    compare(QUESTION, out)
    assert re.search(r"some of these were written with .*jax \S+, now 99\.0", capsys.readouterr().err)


def test_more_shots_run_the_rows_that_take_them(out, monkeypatch):
    monkeypatch.setattr(source_training, "learn_source", never)
    ran = adapted(monkeypatch)
    data = compare(dataclasses.replace(QUESTION, shots=(0, 1, 2, 3)), out)
    assert ("PPO", 2) in ran
    assert len(ran) == 4  # the oracle takes none
    assert list(data["methods"]["finetune"]["shots"]) == ["0", "1", "2", "3"]


def test_an_ensemble_and_its_method_are_added(out, monkeypatch):
    asked = dataclasses.replace(QUESTION, ensemble="CartPole-v1@force=5..15", methods=(*QUESTION.methods, "randomize"))
    grown = Study(asked, out, ignore)
    assert {entry.name: grown.missing(entry, method) for entry, method in grown.rows} == {
        **{row: [] for row in ("random", "scratch", "oracle")},
        **{row: [0, 1] for row in ("naive", "finetune", "randomize")},  # which are judged on the ensemble too
    }


# ------------------------------------------------------------------------------------------------ several processes


def test_a_row_that_another_process_is_at_work_on_is_waited_for(whole, out, monkeypatch, capsys):
    """The other one is a lock here, which is given back when it is waited for."""
    for row in ("naive", "finetune"):
        shutil.rmtree(out / "cells" / row)
    (source,) = (out / "sources").iterdir()
    shutil.rmtree(source / "seed-0")
    with contextlib.ExitStack() as other, contextlib.ExitStack() as source_s:
        other.enter_context(locked(out / "cells" / "naive"))
        source_s.enter_context(locked(source))
        held = [other, source_s]
        monkeypatch.setattr(jobs.time, "sleep", lambda seconds: held.pop().close())
        ran = adapted(monkeypatch)
        compare(QUESTION, out)
    assert (held, [method for method, _ in ran]) == ([], ["Finetune", "PPO"])
    assert "waiting for naive, finetune, which another process runs" in capsys.readouterr().err
    assert told(out) == told(whole[0])
    assert not list(out.rglob(".*"))


def test_what_was_learned_is_kept_elsewhere_where_the_disk_is_full(whole, out, tmp_path, monkeypatch):
    def full(folder: pathlib.Path, *rest: Any) -> None:
        if out in folder.parents:
            raise OSError(28, "No space left on device")
        real(folder, *rest)

    shutil.rmtree(out / "cells" / "finetune")
    monkeypatch.chdir(tmp_path)
    real = save_load.write_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(save_load, "write_checkpoint", full)
        with pytest.raises(
            InputError, match=r"finetune could not be written \(No space left .* is saved in .*headstart-f"
        ):
            compare(QUESTION, out)
    (elsewhere,) = tmp_path.glob("headstart-finetune-*")
    shutil.copytree(elsewhere, out / "cells" / "finetune")
    monkeypatch.setattr(transfer, "adapt", never)
    compare(QUESTION, out)
    assert told(out) == told(whole[0])


# ------------------------------------------------------------------------------------------------ stops and damage


@pytest.mark.parametrize("left", [".study.json.abcdefgh.part", ".lock", "cells", "curves.svg"])
def test_what_a_kill_left_before_there_was_a_study_is_no_obstacle(tmp_path, left):
    (tmp_path / left).mkdir() if left == "cells" else (tmp_path / left).touch()
    study_folder.check_folder(tmp_path, QUESTION)
    with locked(tmp_path, wait=True):
        pass
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def damaged(file: pathlib.Path) -> None:
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
def test_a_damaged_file_is_named(out, file):
    (place,) = out.glob(file)
    damaged(place)
    if file.startswith("sources"):  # which are read where a row needs them
        shutil.rmtree(out / "cells" / "finetune")
    with pytest.raises(InputError, match=re.escape(str(place))) as caught:
        compare(QUESTION, out)
    assert "move " in str(caught.value) or "another copy" in str(caught.value)


def test_a_lost_or_damaged_record_of_the_study_is_written_again(whole, out, monkeypatch):
    monkeypatch.setattr(transfer, "adapt", never)
    (out / "study.json").unlink()
    compare(QUESTION, out)
    assert told(out) == told(whole[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cells/naive/seed-0/curve.json", "cells/naive/seed-1/curve.json"),
        ("cells/naive/seed-0/curve.json", "cells/finetune/seed-0/curve.json"),
        ("sources/*/seed-0/curve.json", "sources/*/seed-1/curve.json"),
        ("sources/*/seed-0", "sources/*/seed-1"),
    ],
)
def test_files_that_changed_places_are_told_of(out, tmp_path, one, other):
    (one,), (other,) = out.glob(one), out.glob(other)
    one.rename(tmp_path / "it")
    other.rename(one)
    (tmp_path / "it").rename(other)
    if "sources" in str(one):
        shutil.rmtree(out / "cells" / "naive")
    with pytest.raises(InputError, match=r"is another cell's; move .* away, and the same command runs it again"):
        compare(QUESTION, out)


def test_a_checkpoint_that_is_another_cell_s_is_told_of(out):
    for name in ("recipe.json", "params.safetensors"):
        one, other = (next(out.glob(f"sources/*/seed-{i}/{name}")) for i in (0, 1))
        shutil.copy(one, other)
    shutil.rmtree(out / "cells" / "naive")
    with pytest.raises(InputError, match=r"seed-1/recipe\.json is another cell's"):
        compare(QUESTION, out)


class Stop:
    """A watcher that presses Ctrl-C when a stage has come so far."""

    def __init__(self, row: str, stage: str, news: int):
        self.at, self.news = (row, stage), news

    def __call__(self, news: ProgressEvent) -> None:
        self.news -= (news.row, news.stage) == self.at
        if self.news == 0:
            raise KeyboardInterrupt


def test_an_interrupted_study_keeps_what_was_finished_and_goes_on(whole, tmp_path, monkeypatch):
    out = tmp_path / "study"
    with pytest.raises(KeyboardInterrupt):
        compare(QUESTION, out, watch=Stop("naive", "source", 1))
    assert {path.name for path in (out / "cells").iterdir()} == {"random"}
    with pytest.raises(KeyboardInterrupt):
        compare(QUESTION, out, watch=Stop("finetune", "target", 3))
    assert {path.name for path in (out / "cells").iterdir()} == {"random", "naive", "scratch"}
    assert json.loads((out / "study.json").read_text())["status"] == "running"
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]  # nothing half written
    monkeypatch.setattr(source_training, "learn_source", never)  # the source was finished
    compare(QUESTION, out)
    assert told(out) == told(whole[0])


def broken_learn(*args: Any) -> Iterator[Progress]:
    """The real training, but for the first seed, whose params are no longer finite in the end."""
    for point in real_learn(*args):
        spoilt = jax.tree.map(lambda x: x.at[0].set(jnp.nan), point.params)
        yield point._replace(state=point.state.replace(params=spoilt))


def test_a_seed_that_goes_wrong_in_the_source_fails_alone_and_is_run_again(whole, tmp_path, monkeypatch):
    counted = Counted(broken_learn)
    monkeypatch.setattr(source_training, "learn_source", counted)
    data = compare(QUESTION, tmp_path)
    assert counted.calls == 1
    for row in ("naive", "finetune"):
        assert data["methods"][row]["failed"] == {
            0: "the training in the source diverged: its parameters are no longer finite"
        }
        assert lasting(cell(tmp_path, row, 1))["shots"].keys() == {"0", "1", "3"}
        assert cell(tmp_path, row, 0)["returns"] == []
    assert cell(tmp_path, "naive", 1)["returns"] == cell(whole[0], "naive", 1)["returns"]
    assert data["methods"]["scratch"]["failed"] == {}
    assert "failed" in (tmp_path / "report.html").read_text()
    monkeypatch.setattr(source_training, "learn_source", real_learn)
    compare(QUESTION, tmp_path)
    assert told(tmp_path) == told(whole[0])


def test_a_seed_that_goes_wrong_in_the_target_fails_alone_and_is_run_again(whole, out, monkeypatch):
    def spoilt(*args: Any) -> Iterator[transfer.Evaluation]:
        for j in real(*args):
            yield j if j.shots == 0 else j._replace(returns=j.returns * np.array([[np.nan], [1.0]], np.float32))

    real = transfer.adapt
    monkeypatch.setattr(transfer, "adapt", spoilt)
    shutil.rmtree(out / "cells" / "finetune")
    data = compare(QUESTION, out)
    reason = "the training in the target diverged: its parameters are no longer finite"
    assert data["methods"]["finetune"]["failed"] == {0: reason}
    assert data["methods"]["finetune"]["metrics"]["asymptote"]["left_out"] == 1
    assert cell(out, "finetune", 0)["returns"][1] is None
    monkeypatch.setattr(transfer, "adapt", real)
    compare(QUESTION, out)
    assert told(out) == told(whole[0])


def test_a_row_that_breaks_fails_with_its_reason_and_the_others_go_on(out, monkeypatch):
    def broken(study: Study, entry: Entry, *rest: Any) -> Any:
        if entry.name == "scratch":
            raise ZeroDivisionError("the cart fell off\nat great length")
        return real(study, entry, *rest)

    real = runner._run
    monkeypatch.setattr(runner, "_run", broken)
    for row in ("scratch", "oracle"):
        shutil.rmtree(out / "cells" / row)
    data = compare(QUESTION, out)
    assert data["methods"]["scratch"]["failed"] == dict.fromkeys((0, 1), "ZeroDivisionError: the cart fell off")
    assert data["methods"]["scratch"]["verdict"] is None
    assert data["methods"]["finetune"]["failed"] == {}
    assert data["reference"]["oracle"] is not None
    assert data["status"] == "done"
    asked = Study(QUESTION, out, ignore)
    missing = lambda: {entry.name: asked.missing(entry, method) for entry, method in asked.rows}
    done = {row: [] for row in ROWS}
    assert missing() == {**done, "scratch": [0, 1]}  # which the same command runs again
    asked.start_time = 0.0  # as for whoever was at work when it failed
    assert missing() == done


def test_a_watcher_that_breaks_is_no_failure_of_a_row(out):
    def watch(news: ProgressEvent) -> None:
        raise ZeroDivisionError("nothing to divide")

    shutil.rmtree(out / "cells" / "naive")
    with pytest.raises(CallbackError, match="failed at naive, target: ZeroDivisionError"):
        compare(QUESTION, out, watch=watch)
    assert not (out / "cells" / "naive").exists()


def test_an_absurd_learning_rate_is_a_failure_and_no_crash(tmp_path):
    """Through the door that users come in by: settings in a method's text, tasks as objects, lists for tuples."""
    absurd = "finetune:base.learning_rate=1e30:base.hidden=4"
    data = headstart.compare(
        [absurd],
        headstart.task("CartPole-v1"),
        headstart.task("CartPole-v1", force=-10),
        tmp_path,
        **{**{f.name: getattr(QUESTION, f.name) for f in dataclasses.fields(QUESTION)[4:]}, "oracle": False},
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
    """Stands in for headstart where a command is only looked at."""

    @staticmethod
    def compare(**fields: Any) -> StudyConfig:
        assert fields.pop("out")
        assert not fields.pop("allow_no_shift")
        return StudyConfig(**fields)
