"""Assembles studies from cells made by hand: 100 target steps, three seeds; five seeds for verdicts."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from headstart.lab.checkpoint.files import jsonable
from headstart.protocol.claims import assemble_study
from headstart.protocol.shift import Effect, Shift
from headstart.protocol.study_config import StudyConfig

EFFECT = Effect(initial=0.0, next_state=0.6, reward=0.1, termination=0.05, returns=-0.2)
SHIFT = Shift(EFFECT, {"force": EFFECT}, {"force": ("10", "-10")})
INTERVAL = {"iqm", "low", "high"}
LEDGER = {"source_steps": 500.0, "target_steps": 100.0, "gradient_steps": 8.0, "parameters": 12, "seconds": 2.0}
METRICS = {"jumpstart", "asymptote", "total", "transfer_ratio", "time_to_threshold"}


def config_of(**fields: Any) -> StudyConfig:
    defaults: dict[str, Any] = {
        "source": "CartPole-v1",
        "target": "CartPole-v1@force=-10",
        "methods": ("finetune",),
        "source_steps": 500,
        "target_steps": 100,
        "shots": (0, 1),
        "seeds": (0, 1, 2),
    }
    return StudyConfig(**defaults | fields)


def cell(*returns: float, **fields: Any) -> dict[str, Any]:
    """Returns a cell evaluated at step 0, after one episode of 10 steps, and at the end."""
    defaults: dict[str, Any] = {
        "steps": [0.0, 10.0, 100.0][: len(returns)],
        "episodes": [0.0, 1.0, 5.0][: len(returns)],
        "returns": list(returns),
        "shots": {0: returns[0], 1: returns[1]},
        "generalisation": {},
        "ledger": LEDGER,
        "failed": None,
    }
    return defaults | fields


def failed_cell(reason: str = "it broke") -> dict[str, Any]:
    nothing = {"steps": [], "episodes": [], "returns": [], "shots": {}, "generalisation": {}, "ledger": {}}
    return {**nothing, "failed": reason}


def cells() -> dict[str, dict[int, Any]]:
    return {
        "random": {seed: cell(10.0, 10.0) for seed in range(3)},
        "naive": {seed: cell(20.0 + seed, 20.0 + seed) for seed in range(3)},
        "scratch": {seed: cell(10.0, 10.0, 30.0 + seed) for seed in range(3)},
        "finetune": {seed: cell(40.0, 50.0, 60.0 + seed) for seed in range(3)},
        "oracle": {seed: cell(10.0, 50.0, 110.0) for seed in range(3)},
    }


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return assemble_study(config_of(), cells(), SHIFT)


def test_study_data_has_all_documented_keys(data):
    assert {"source", "ensemble", "target", "shots", "seeds", "shift", "methods"} <= data.keys()
    assert {"differs", "parameters", "headroom"} <= data["shift"].keys()
    assert list(data["methods"]) == ["naive", "scratch", "finetune"]
    for row in data["methods"].values():
        assert {"target_steps", "target_episodes", "returns"} <= row["curve"].keys()
        assert row["shots"].keys() == {0, 1}
        assert all(value.keys() >= INTERVAL for value in row["shots"].values())
        assert row["metrics"].keys() == METRICS
        assert all(value.keys() >= INTERVAL for value in row["metrics"].values())
        assert row["ledger"] == LEDGER
        assert {"verdict", "failed", "about", "settings"} <= row.keys()


def test_study_data_is_plain_data(data):
    again = json.loads(json.dumps(jsonable(data), allow_nan=False))
    assert again["methods"]["finetune"]["shots"]["1"]["iqm"] == 50.0
    assert again["config"]["methods"] == ["finetune"]
    assert again["shift"]["parameters"]["force"] == {
        "source": "10", "target": "-10", "initial": 0.0, "next_state": 0.6, "reward": 0.1,
        "termination": 0.05, "return": -0.2,
    }  # fmt: skip


def test_numbers_worked_out_by_hand(data):
    finetune, metrics = data["methods"]["finetune"], data["methods"]["finetune"]["metrics"]
    np.testing.assert_array_equal(finetune["curve"]["returns"], [[40, 50, 60], [40, 50, 61], [40, 50, 62]])
    assert finetune["curve"]["target_episodes"].tolist() == [0.0, 1.0, 5.0]
    assert data["threshold"] == pytest.approx(10.0 + 0.8 * (110.0 - 10.0))
    assert metrics["jumpstart"]["iqm"] == 30.0
    assert metrics["asymptote"]["iqm"] == 61.0
    assert metrics["total"]["iqm"] == pytest.approx((45.0 * 10 + 55.5 * 90) / 100)
    assert metrics["time_to_threshold"]["iqm"] is None
    assert metrics["time_to_threshold"]["censored"] == 3
    assert finetune["improvement"]["iqm"] == 1.0
    assert data["methods"]["scratch"]["verdict"] is None
    assert data["reference"]["oracle"]["iqm"] == 110.0
    assert data["reference"]["random"]["iqm"] == 10.0


def five_seed_cells() -> dict[str, dict[int, Any]]:
    """Returns the same rows with five seeds each, whose totals differ from seed to seed."""
    return {
        "random": {seed: cell(10.0, 10.0) for seed in range(5)},
        "naive": {seed: cell(20.0 + seed % 2, 20.0 + seed % 2) for seed in range(5)},
        "scratch": {seed: cell(10.0, 10.0, 30.0 + seed) for seed in range(5)},
        "finetune": {seed: cell(40.0, 50.0, 60.0 + 2 * seed) for seed in range(5)},
        "oracle": {seed: cell(10.0, 50.0, 110.0) for seed in range(5)},
    }


SEEDS = tuple(range(5))


def test_verdicts_of_a_study_are_one_family():
    """Totals of finetune: 4.5 + 0.9 (55 + seed); of scratch: 1 + 0.9 (20 + seed / 2): they differ by 35 + 0.45 seed."""
    data = assemble_study(config_of(seeds=SEEDS), five_seed_cells(), SHIFT)
    rows = data["methods"]
    difference = rows["finetune"]["difference"]
    assert (difference["mean"], difference["pairs"], difference["family"]) == (pytest.approx(35.9), 5, 2)
    assert (rows["finetune"]["verdict"], rows["finetune"]["control"]) == ("positive", "scratch")
    assert (rows["naive"]["verdict"], rows["naive"]["no_verdict"]) == ("none", None)
    assert rows["scratch"]["verdict"] is rows["scratch"]["control"] is None
    assert data["compared_by"]["correction"] == "Holm"


def test_three_seeds_give_no_verdict(data):
    row = data["methods"]["finetune"]
    assert row["verdict"] is None
    assert row["no_verdict"] == "A verdict takes at least 5 seeds that both rows finished; here are 3."


def test_row_with_two_of_five_seeds_gets_no_verdict():
    study_cells = five_seed_cells()
    study_cells["finetune"] |= {seed: failed_cell() for seed in (0, 1, 4)}
    assert assemble_study(config_of(seeds=SEEDS), study_cells, SHIFT)["methods"]["finetune"]["verdict"] is None


def test_another_reference_gives_other_verdicts_on_the_same_runs():
    config = config_of(seeds=SEEDS, methods=("finetune", "finetune:layers=last"), reference="finetune:layers=last")
    study_cells = five_seed_cells()
    study_cells["finetune layers-last"] = {seed: cell(40.0, 50.0, 70.0 + 2 * seed + seed % 2) for seed in SEEDS}
    rows = assemble_study(config, study_cells, SHIFT)["methods"]
    assert {name: row["control"] for name, row in rows.items()} == {
        "naive": "finetune layers-last", "scratch": "finetune layers-last", "finetune": "finetune layers-last",
        "finetune layers-last": None,
    }  # fmt: skip
    assert rows["finetune"]["difference"]["mean"] == pytest.approx(-0.45 * 10.4)
    assert rows["finetune"]["verdict"] == rows["scratch"]["verdict"] == "negative"


def test_every_row_is_compared_with_every_other():
    pairs = assemble_study(config_of(seeds=SEEDS), five_seed_cells(), SHIFT)["pairs"]
    assert pairs["rows"] == ["naive", "scratch", "finetune"]
    assert [pairs["verdict"][i][i] for i in range(3)] == [None] * 3
    assert pairs["difference"][2][1]["mean"] == pytest.approx(35.9)
    assert pairs["difference"][1][2]["mean"] == pytest.approx(-35.9)
    assert pairs["difference"][1][2]["low"] == -pairs["difference"][2][1]["high"]
    assert pairs["difference"][1][2]["family"] == 3
    assert (pairs["verdict"][2][1], pairs["verdict"][1][2]) == ("positive", "negative")
    assert (pairs["leader"], pairs["beaten"], pairs["open"]) == ("finetune", ["naive", "scratch"], [])


def test_share_of_the_headroom_that_the_source_policy_has(data):
    assert data["shift"]["headroom"] == pytest.approx(
        {"source_policy": 21.0, "best": 110.0, "best_name": "oracle", "random": 10.0, "learned": True, "share": 0.11}
    )


def test_at_equal_total_steps_scratch_gets_the_steps_of_both_domains(data):
    assert data["equal_total"]["steps"] == 600
    rows = data["equal_total"]["rows"]
    assert list(rows) == ["scratch, all steps in the target", "finetune"]
    assert rows["scratch, all steps in the target"]["iqm"] == 110.0
    assert rows["finetune"]["total_steps"] == LEDGER["source_steps"] + LEDGER["target_steps"]
    assert rows["finetune"]["shots"] == 1


def test_row_is_compared_with_scratch_of_the_same_learner():
    """DARC uses SAC: its verdict, its jumpstart and its ratio are against SAC from scratch."""
    study_cells: dict[str, dict[int, Any]] = {name: dict.fromkeys(range(5), row[0]) for name, row in cells().items()}
    both_domains_ledger = {
        "source_steps": 200,
        "target_steps": 20,
        "gradient_steps": 1,
        "parameters": 1,
        "seconds": 1.0,
    }
    study_cells["darc"] = {s: cell(40.0, 50.0, 60.0 + s, shots={0: 40.0}, ledger=both_domains_ledger) for s in range(5)}
    study_cells["scratch (SAC)"] = {s: cell(39.0, 70.0, 90.0 + s) for s in range(5)}
    study_cells["oracle (SAC)"] = {s: cell(39.0, 70.0, 130.0) for s in range(5)}
    config = config_of(methods=("finetune", "darc"), seeds=(0, 1, 2, 3, 4), target="Pendulum-v1@mass=2")
    data = assemble_study(config, study_cells, SHIFT)
    rows = data["methods"]
    assert (rows["darc"]["control"], rows["darc"]["verdict"]) == ("scratch (SAC)", "negative")
    assert rows["darc"]["metrics"]["jumpstart"]["iqm"] == 1.0
    assert rows["scratch (SAC)"]["control"] is rows["scratch"]["control"] is None
    assert (rows["finetune"]["control"], rows["finetune"]["verdict"]) == ("scratch", "positive")
    assert rows["finetune"]["metrics"]["jumpstart"]["iqm"] == 30.0
    assert rows["darc"]["caveats"][0].startswith("It takes no shots")
    assert data["reference"]["oracle (SAC)"]["iqm"] == 130.0
    total = data["equal_total"]["rows"]
    assert list(total) == [
        "scratch, all steps in the target", "scratch (SAC), all steps in the target", "finetune", "darc",
    ]  # fmt: skip
    assert (total["darc"]["total_steps"], total["darc"]["shots"]) == (220, 0)
    by_naive = assemble_study(dataclasses.replace(config, reference="naive"), study_cells, SHIFT)["methods"]
    assert by_naive["darc"]["control"] == "naive"
    assert by_naive["darc"]["metrics"]["jumpstart"]["iqm"] == 30.0


def test_failed_seed_is_left_out_and_reported():
    study_cells = cells()
    study_cells["finetune"][1] = failed_cell()
    row = assemble_study(config_of(), study_cells, SHIFT)["methods"]["finetune"]
    assert row["failed"] == {1: "it broke"}
    assert np.isnan(row["curve"]["returns"][1]).all()
    assert row["metrics"]["asymptote"]["iqm"] == 61.0
    assert row["metrics"]["asymptote"]["left_out"] == 1
    assert row["shots"][1]["iqm"] == 50.0


def test_seed_that_diverged_halfway_is_left_out_completely():
    study_cells = cells()
    study_cells["finetune"][0] = cell(40.0, float("nan"), float("nan"), failed="its numbers are no longer finite")
    row = assemble_study(config_of(), study_cells, SHIFT)["methods"]["finetune"]
    assert row["metrics"]["jumpstart"]["seeds"] == 2
    assert list(row["failed"]) == [0]


def test_row_of_failures_has_no_results():
    study_cells = cells()
    study_cells["finetune"] = {seed: failed_cell() for seed in range(3)}
    data = jsonable(assemble_study(config_of(), study_cells, SHIFT))
    row = data["methods"]["finetune"]
    assert row["failed"] == dict.fromkeys("012", "it broke")
    assert row["curve"] == row["shots"] == row["ledger"] == {}
    assert row["verdict"] is None
    assert row["no_verdict"].endswith("here are 0 (3 of its seeds failed, 0 of its control's).")
    assert all(metric["iqm"] is None for metric in row["metrics"].values())


def test_threshold_is_none_if_nothing_was_learned():
    study_cells = {name: {seed: cell(10.0, 10.0, 10.0) for seed in range(3)} for name in cells()}
    data = jsonable(assemble_study(config_of(), study_cells, SHIFT))
    assert (data["threshold"], data["no_threshold"]) == (None, "nothing was learned")
    assert data["methods"]["finetune"]["metrics"]["time_to_threshold"]["reason"] == "nothing was learned"
    assert data["shift"]["headroom"]["learned"] is False


def test_references_that_failed_have_a_reason():
    study_cells = cells() | {"oracle": {seed: failed_cell() for seed in range(3)}}
    data = assemble_study(config_of(), study_cells, SHIFT)
    assert data["reference_failed"] == {"oracle": dict.fromkeys(range(3), "it broke")}


def test_without_an_oracle_scratch_sets_the_threshold():
    for study_cells in (cells() | {"oracle": {}}, cells() | {"oracle": {seed: failed_cell() for seed in range(3)}}):
        data = assemble_study(config_of(), study_cells, SHIFT)
        assert data["threshold"] == pytest.approx(10.0 + 0.8 * 21.0)
        assert data["reference"]["oracle"] is None


def test_study_without_cells_can_be_assembled():
    data = jsonable(assemble_study(config_of(), {name: {} for name in cells()}, SHIFT))
    assert data["methods"] == {}
    assert data["threshold"] is None
    assert data["shift"]["headroom"] is None
    assert data["reference"] == {"random": None, "oracle": None}


def test_missing_seeds_and_rows_are_left_out():
    study_cells = cells() | {"finetune": {2: cell(40.0, 50.0, 60.0)}, "scratch": {}}
    row = assemble_study(config_of(), study_cells, SHIFT)["methods"]["finetune"]
    assert np.isnan(row["curve"]["returns"][:2]).all()
    assert row["curve"]["episodes"] == [None, None, [0.0, 1.0, 5.0]]
    assert row["difference"] is None
    assert row["metrics"]["jumpstart"]["reason"]


def test_cell_with_fewer_points_is_extended_by_its_last_point():
    study_cells = cells()
    study_cells["finetune"][1] = cell(40.0, 50.0)
    curve = assemble_study(config_of(), study_cells, SHIFT)["methods"]["finetune"]["curve"]
    np.testing.assert_array_equal(curve["returns"][1], [40.0, 50.0, 50.0])
    np.testing.assert_array_equal(curve["steps"][1], [0.0, 10.0, 10.0])
    assert curve["target_episodes"].tolist() == pytest.approx([0.0, 1.0, 11 / 3])


def test_cells_can_be_read_from_json():
    """JSON has strings as keys, and null for NaN."""
    study_cells = cells()
    study_cells["finetune"][2]["generalisation"] = {"in_range": float("nan")}
    for seed in (0, 1):
        study_cells["finetune"][seed]["generalisation"] = {"in_range": 30.0}
    read = {name: {seed: jsonable(cell_data) for seed, cell_data in row.items()} for name, row in study_cells.items()}
    row = assemble_study(config_of(), read, SHIFT)["methods"]["finetune"]
    assert row["shots"]["1"]["iqm"] == 50.0
    assert row["generalisation"]["in_range"]["iqm"] == 30.0


def test_given_threshold_is_used():
    data = assemble_study(config_of(threshold=45.0), cells(), SHIFT)
    assert data["threshold"] == 45.0
    assert data["methods"]["finetune"]["metrics"]["time_to_threshold"]["iqm"] == 5.0  # half of the first ten steps
